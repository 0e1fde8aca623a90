"""Our instances and our verifier in the interfaces of other packages: a module for each, which needs that package."""
