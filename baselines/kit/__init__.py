"""What the reference methods share: training, run folders, statistics, claims, small nets, images, puzzles, poisons."""
