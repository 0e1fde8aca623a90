"""What vision transformers learn, after Ghiasi et al. 2022 (arXiv 2212.06727), on images and on mazes."""
