"""Folders in the layout of a Hub dataset repo: built, described by a manifest, checked, and never half-written."""
