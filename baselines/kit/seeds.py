"""Seeds: every random draw in a run depends on what it is for, and not on what was drawn before."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(*parts: int | str) -> int:
    """A seed from 0 to 2^63 - 1 that differs whenever a part differs, such as `seed_of("batch", seed, step)`."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_of(*parts: int | str) -> torch.Generator:
    """A generator on the CPU with the seed of `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*parts))


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """A context in which torch draws on the CPU with the seed of `seed_of`; afterwards its generator is as it was.

    Nets whose weights are a function of the seed are built this way.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*parts))
        yield
