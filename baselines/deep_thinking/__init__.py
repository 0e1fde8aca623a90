"""Recurrent nets that think longer on harder problems (arXiv 2106.04537, 2202.05826)."""
