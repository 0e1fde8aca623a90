"""The card of a built folder: what it tells readers and the Hub about itself.

- `dataset`, `front_matter`, `tables`: README.md
- `statistics`: what the card says about the rows
- `croissant`: croissant.json
- `images`: a picture of each task
- `folder`: all of these together, and a draft of eval.yaml
"""
