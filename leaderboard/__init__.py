"""Scores of solvers, and the page that ranks them."""
