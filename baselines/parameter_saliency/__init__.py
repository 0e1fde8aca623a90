"""Parameter-space saliency (arXiv 2108.01335): which filters of a net are to blame for a wrong answer."""
