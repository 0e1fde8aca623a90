"""Poisoned training sets: attacks, and how their poisons are made."""
