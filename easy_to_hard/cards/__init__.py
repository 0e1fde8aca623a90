"""What a built folder tells people and the Hub about itself.

- `dataset`, `front_matter`, `texts`, `tables`: README.md
- `statistics`: what it says of the rows
- `benchmark`: eval.yaml, a draft
- `images`: a picture of each task
- `folder`: all of these together
"""
