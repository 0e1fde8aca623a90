"""NumPy and Numba kernels that make and solve instances: no torch, no files, no global random state."""
