"""Strong data augmentation against poisoning and backdoors (arXiv 2011.09527)."""
