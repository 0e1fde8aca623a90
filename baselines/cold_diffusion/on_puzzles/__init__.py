"""Cold diffusion as a solver of the benchmark's mazes and prefix sums."""
