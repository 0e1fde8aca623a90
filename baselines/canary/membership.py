"""Who was trained on what: the in/out design of shadow nets (Carlini et al. 2021, arXiv 2112.03570)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.seeds import generator_of, seed_of


def keep_matrix(num_nets: int, num_points: int, *, seed: int) -> Tensor:
    """Which net is trained on which point: every point by exactly half of the nets.

    Each point ranks uniform draws of the nets, and the lower half of the ranks is in. The seed is that of the
    membership alone: weights have seeds of their own.

    Args:
        num_nets: N, even and at least 2.
        num_points: n, at least 1.
        seed: at least 0.

    Returns:
        (N, n) bool.

    Raises:
        ValueError: an odd number of nets, or a number that is too small.
    """
    if num_nets < 2 or num_nets % 2:
        raise ValueError(f"the number of shadow nets must be even and at least 2, not {num_nets}")
    if num_points < 1:
        raise ValueError(f"the number of points must be at least 1, not {num_points}")
    draws = torch.rand(num_nets, num_points, generator=generator_of("membership", seed), dtype=torch.float64)
    return draws.argsort(dim=0).argsort(dim=0) < num_nets // 2


def batch_streams(members: Sequence[Tensor], *, steps: int, batch_size: int, seed: int) -> Tensor:
    """The points of each step's batch: each net goes through its own members again and again, each time reshuffled.

    Args:
        members: of each net, the indices (m,) int64 of the points it is trained on, m at least 1 and free to differ.
        steps: at least 1.
        batch_size: at least 1; a batch larger than m holds points more than once.
        seed: of the order, at least 0.

    Returns:
        (N, steps, batch_size) int64.

    Raises:
        ValueError: a net without members.
    """
    needed, streams = steps * batch_size, []
    for number, own in enumerate(members):
        if not len(own):
            raise ValueError(f"net {number} has no members: there must be more points than {len(members)} nets share")
        rng = torch.Generator().manual_seed(seed_of("order", seed, number))
        rounds = [own[torch.randperm(len(own), generator=rng)] for _ in range(-(-needed // len(own)))]
        streams.append(torch.cat(rounds)[:needed].reshape(steps, batch_size))
    return torch.stack(streams)
