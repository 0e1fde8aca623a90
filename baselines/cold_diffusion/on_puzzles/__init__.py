"""Cold diffusion as a solver of the benchmark's mazes and prefix sums."""

from easy_to_hard.baselines.cold_diffusion.on_puzzles.evaluation import run as run
