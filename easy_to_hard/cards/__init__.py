"""The card of a built folder: what it tells readers and the Hub about itself.

- `dataset`, `front_matter`, `tables`: README.md
- `statistics`: what the card says about the rows
- `benchmark`: a draft of eval.yaml
- `images`: a picture of each task
- `folder`: all of these together
"""
