"""Our items and our verifier in the formats of other packages: a module for each, which needs that package."""
