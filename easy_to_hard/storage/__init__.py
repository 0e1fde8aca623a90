"""Folders in the layout of a Hub dataset repo: built, described by a manifest, verified, never left half-written."""
