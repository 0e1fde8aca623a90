"""The Hugging Face Hub: publishing datasets and nets there, and fetching them at a pinned version."""
