"""A net's wrong answers, and which filters are tried on them: the most salient, the least salient, or random ones."""

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
    """The items that a net gets wrong, and some that it gets right.

    Attributes:
        net: the net that answers.
        wrong: N items that it gets wrong.
        right: items that it gets right, to measure the damage of a change.
        profiles: standardized profiles of the wrong items: (N, F) float32.
        predicted: the net's answers to the wrong items: (N, *positions) int64.
        tried: number of wrong items, the first ones, for which filters are turned off and tuned; all N are neighbors.
        seed: seed for drawing random filters and items.
    """

    net: ProfiledNet
    wrong: Puzzles
    right: Puzzles
    profiles: Tensor
    predicted: Tensor
    tried: int
    seed: int

    def choose_filters(self, item: int, k: int, choice: Choice, experiment: str) -> Tensor:
        """The mask (F,) bool of k filters for one wrong item; random ones also depend on the experiment's name."""
        rng = generator_of("filters", experiment, self.seed, item)
        return choose_filters(self.profiles[item], k, choice, rng=rng)

    def confidence(self, logits: Tensor, classes: Tensor, rows: slice | Tensor) -> Tensor:
        """Mean probability of the given classes over the positions that were wrong at first, for some wrong items.

        Args:
            logits: of these items, (n, classes, *positions).
            classes: (n, *positions) int64: the predicted or the true ones.
            rows: which of the wrong items they are.

        Returns:
            (n,) float32 in [0, 1].
        """
        counted = ((self.predicted != self.wrong.targets) & self.wrong.mask)[rows]
        probabilities = logits.float().softmax(1).gather(1, classes[:, None])[:, 0] * counted
        return probabilities.flatten(1).sum(1) / counted.flatten(1).sum(1)


def choose_filters(profile: Tensor, k: int, choice: Choice, *, rng: torch.Generator) -> Tensor:
    """A mask of k filters.

    Args:
        profile: (F,), the standardized profile of one item.
        k: from 1 to F.
        choice: the most salient filters, random ones, or the least salient.
        rng: on the CPU; for "random".

    Returns:
        (F,) bool, on the profile's device.

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
