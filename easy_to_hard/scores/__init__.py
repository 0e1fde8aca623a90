"""Results of an evaluation: result files and the statistics in them."""
