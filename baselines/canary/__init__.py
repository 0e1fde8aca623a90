"""Membership inference with shadow nets: LiRA and canary queries (Wen et al. 2022, arXiv 2210.10750)."""
