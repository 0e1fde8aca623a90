"""DP-InstaHide (arXiv 2103.02079): mixing k records and adding Laplace noise, its accountant, and what it costs."""
