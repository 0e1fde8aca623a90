"""What happens to a wrong answer when the filters to blame are turned off (arXiv 2108.01335)."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import solved
from easy_to_hard.baselines.kit.statistics import PROBABILITY_DIFFERENCE, SHARE, Figure
from easy_to_hard.baselines.parameter_saliency.mistakes import CHOICES, Choice, Mistakes
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet

CORRECTED: Final = "corrected by pruning"
WRONG_CONFIDENCE: Final = "change of the wrong answer's confidence by pruning"
TRUE_CONFIDENCE: Final = "change of the true answer's confidence by pruning"
KEPT: Final = "right items still right after pruning"

_UNITS: Final = {
    CORRECTED: SHARE,
    WRONG_CONFIDENCE: PROBABILITY_DIFFERENCE,
    TRUE_CONFIDENCE: PROBABILITY_DIFFERENCE,
    KEPT: SHARE,
}


def pruned(net: ProfiledNet, chosen: Tensor) -> dict[str, Tensor]:
    """The convolutions' weights with the chosen filters (F,) bool set to zero; biases and norms are unchanged."""
    return {name: net.weights[name] * ~of_layer for name, of_layer in net.filters.of_layers(chosen).items()}


def prune(mistakes: Mistakes, counts: Sequence[int]) -> list[Figure]:
    """Turn off k filters for each wrong item, and measure what happens to it and to right items.

    A wrong answer's confidence is the probability of the predicted class, and the true answer's that of the target,
    both averaged over the positions that were wrong at first. In puzzles, which have two classes, one is one minus the
    other.

    Args:
        mistakes: the wrong items.
        counts: the values of k.

    Returns:
        for each k and choice: corrected (0 or 1), changes of confidence, share of right items that stay right; then the
        differences between "salient" and the others, item by item.

    Raises:
        ValueError: a k that is not from 1 to the number of filters.
    """
    tried = slice(mistakes.tried)
    first = mistakes.wrong[tried]
    logits = mistakes.net.logits(first.inputs)
    before = torch.stack(
        [mistakes.confidence(logits, classes, tried) for classes in (mistakes.predicted[tried], first.targets)]
    )
    figures: dict[tuple[int, Choice], list[Figure]] = {}
    for k in counts:
        for choice in CHOICES:
            found = [_prune_one(mistakes, item, k, choice, before[:, item]) for item in range(mistakes.tried)]
            figures[k, choice] = [
                Figure.of_items(name, values, unit=unit, condition={"filters": choice, "k": k})
                for (name, unit), values in zip(_UNITS.items(), torch.stack(found).T.tolist(), strict=True)
            ]
    compared = [
        one.less(other, {"filters": "salient", "against": against, "k": k})
        for k in counts
        for against in CHOICES[1:]
        for one, other in zip(figures[k, "salient"], figures[k, against], strict=True)
    ]
    return [figure for found in figures.values() for figure in found] + compared


def _prune_one(mistakes: Mistakes, item: int, k: int, choice: Choice, before: Tensor) -> Tensor:
    """Corrected, changes of the wrong and of the true answer's confidence, right items kept: (4,)."""
    net, rows = mistakes.net, slice(item, item + 1)
    one, predicted = mistakes.wrong[rows], mistakes.predicted[rows]
    chosen = mistakes.choose_filters(item, k, choice, "prune")
    logits = net.logits(torch.cat([one.inputs, mistakes.right.inputs]), pruned(net, chosen))
    after = torch.cat([mistakes.confidence(logits[:1], classes, rows) for classes in (predicted, one.targets)])
    corrected, kept = solved(logits[:1], one).float(), solved(logits[1:], mistakes.right).float().mean()
    return torch.cat([corrected, after - before, kept[None]])
