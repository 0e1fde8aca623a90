"""What a built folder tells people and the Hub about itself.

- `dataset`, `front_matter`, `tables`: README.md
- `statistics`: what it says of the rows
- `benchmark`: a draft of eval.yaml
- `images`: a picture of each task
- `folder`: all of these together
"""
