"""Easy-to-hard generalization: graded datasets, reference methods and a leaderboard."""

__version__ = "0.1.0"
