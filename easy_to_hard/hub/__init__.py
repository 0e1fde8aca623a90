"""The Hugging Face Hub: datasets and nets are published there, and had from there at a pinned version."""
