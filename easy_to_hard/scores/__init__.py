"""What comes out of an evaluation: result files and the statistics of their figures."""
