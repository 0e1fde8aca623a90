"""A net's wrong answers, and which filters are tried on them: the most salient, the least salient, some at random."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet

Choice: TypeAlias = Literal["salient", "random", "least"]
CHOICES: Final[tuple[Choice, ...]] = get_args(Choice)


@dataclass(frozen=True, kw_only=True)
class Mistakes:
    """The wrong items of a net, beside some that are right.

    Attributes:
        net: that answers.
        wrong: items that it gets wrong; N of them.
        right: items that it gets right, to see what a change spoils.
        profiles: of the wrong items, standardized: (N, F) float32.
        predicted: the net's answers to the wrong items: (N, *positions) int64.
        tried: filters are turned off and tuned for the first so many wrong items; all of them are neighbors.
        seed: of random filters and items.
    """

    net: ProfiledNet
    wrong: Puzzles
    right: Puzzles
    profiles: Tensor
    predicted: Tensor
    tried: int
    seed: int

    def choose_filters(self, item: int, k: int, choice: Choice, experiment: str) -> Tensor:
        """The mask (F,) bool of k filters for one wrong item; those at random go by the experiment's name too."""
        rng = generator_of("filters", experiment, self.seed, item)
        return choose_filters(self.profiles[item], k, choice, rng=rng)


def choose_filters(profile: Tensor, k: int, choice: Choice, *, rng: torch.Generator) -> Tensor:
    """A mask of k filters.

    Args:
        profile: (F,) of one item, standardized.
        k: from 1 to F.
        choice: highest, any, or lowest saliency.
        rng: on the CPU; for "random".

    Returns:
        (F,) bool, where the profile is.

    Raises:
        ValueError: a k outside its range.
    """
    count = len(profile)
    if not 1 <= k <= count:
        raise ValueError(f"k must be from 1 to {count}, the filters of the net, not {k}")
    if choice == "random":
        order = torch.randperm(count, generator=rng)[:k].to(profile.device)
    else:
        order = profile.topk(k, largest=choice == "salient").indices
    chosen = torch.zeros(count, dtype=torch.bool, device=profile.device)
    chosen[order] = True
    return chosen
