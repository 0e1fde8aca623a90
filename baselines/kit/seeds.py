"""Seeds: everything random in a run goes by what it is for, and not by what was drawn before."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(*parts: int | str) -> int:
    """A seed, from 0 to 2^63 - 1, that is another one whenever a part is: `seed_of("batch", seed, step)`."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator_of(*parts: int | str) -> torch.Generator:
    """A generator on the CPU with the seed of `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*parts))


@contextmanager
def seeded(*parts: int | str) -> Iterator[None]:
    """Inside, torch draws on the CPU by the seed of `seed_of`; afterwards its generator is as it was.

    So are built nets whose weights are a function of the seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*parts))
        yield
