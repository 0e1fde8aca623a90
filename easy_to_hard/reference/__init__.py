"""Evaluations of other papers' methods: commands, result files, and what ties them to the package's nets."""
