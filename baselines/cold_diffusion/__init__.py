"""Inverting arbitrary transforms without noise (arXiv 2208.09392), on images and as a solver of the tasks."""
