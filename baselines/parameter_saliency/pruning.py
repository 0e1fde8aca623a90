"""What happens to a wrong answer when the filters to blame are turned off (arXiv 2108.01335)."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import solved, wrong_positions
from easy_to_hard.baselines.kit.statistics import PROBABILITY_DIFFERENCE, SHARE, SHARE_DIFFERENCE, Figure
from easy_to_hard.baselines.parameter_saliency.mistakes import CHOICES, Choice, Mistakes
from easy_to_hard.baselines.parameter_saliency.profiles import ProfiledNet

CORRECTED: Final = "corrected by pruning"
WRONG_CONFIDENCE: Final = "change of the wrong answer's confidence by pruning"
TRUE_CONFIDENCE: Final = "change of the true answer's confidence by pruning"
KEPT: Final = "right items still right after pruning"
POSITIONS: Final = "change of the share of positions right by pruning"

_UNITS: Final = {
    WRONG_CONFIDENCE: PROBABILITY_DIFFERENCE,
    TRUE_CONFIDENCE: PROBABILITY_DIFFERENCE,
    POSITIONS: SHARE_DIFFERENCE,
}


def pruned(net: ProfiledNet, chosen: Tensor) -> dict[str, Tensor]:
    """The convolutions' weights with the chosen filters (F,) bool set to zero; biases and norms are unchanged."""
    return {
        name: net.weights[name] * ~of_layer.view(-1, *[1] * (net.weights[name].ndim - 1))
        for name, of_layer in net.filters.of_layers(chosen).items()
    }


def prune(mistakes: Mistakes, counts: Sequence[int], *, main: int) -> list[Figure]:
    """Turn off k filters for each wrong item, and measure what happens to it and to right items.

    A wrong answer's confidence is the probability of the predicted class, and the true answer's that of the target,
    both averaged over the positions that were wrong at first. In puzzles, which have two classes, the second is one
    minus the first; there, the share of positions that are right is measured instead.

    Args:
        mistakes: the wrong items.
        counts: the values of k.
        main: the k, one of counts, at which choices are compared item by item.

    Returns:
        for each k and choice: corrected (0 or 1), changes of confidence or positions, share of right items that stay
        right; then the differences between "salient" and the others.

    Raises:
        ValueError: a k that is not from 1 to the number of filters.
    """
    figures: dict[tuple[int, Choice], list[Figure]] = {}
    names = (CORRECTED, WRONG_CONFIDENCE, POSITIONS if _is_puzzle(mistakes) else TRUE_CONFIDENCE, KEPT)
    for k in counts:
        for choice in CHOICES:
            found = [_prune_one(mistakes, item, k, choice) for item in range(mistakes.tried)]
            columns = torch.stack(found).T.tolist()
            figures[k, choice] = [
                Figure.of_items(name, values, unit=_UNITS.get(name, SHARE), condition={"filters": choice, "k": k})
                for name, values in zip(names, columns, strict=True)
            ]
    compared = [
        one.less(other, {"filters": "salient", "against": against, "k": main})
        for against in ("random", "least")
        for one, other in zip(figures[main, "salient"], figures[main, against], strict=True)
    ]
    return [figure for found in figures.values() for figure in found] + compared


def _prune_one(mistakes: Mistakes, item: int, k: int, choice: Choice) -> Tensor:
    """Corrected, changes of the wrong and true answer's confidence (or of positions right), right items kept: (4,)."""
    net, one = mistakes.net, mistakes.wrong[item : item + 1]
    chosen = mistakes.choose_filters(item, k, choice, "prune")
    logits = net.logits(torch.cat([one.inputs, mistakes.right.inputs]), pruned(net, chosen))
    before = net.logits(one.inputs)
    counted = wrong_positions(before, one)
    predicted, true = mistakes.predicted[item : item + 1], one.targets
    if _is_puzzle(mistakes):
        mended = counted.sum() - wrong_positions(logits[:1], one).sum()
        third = mended / one.mask.sum()
    else:
        third = _confidence(logits[:1], true, counted) - _confidence(before, true, counted)
    return torch.stack(
        [
            solved(logits[:1], one)[0].float(),
            _confidence(logits[:1], predicted, counted) - _confidence(before, predicted, counted),
            third,
            solved(logits[1:], mistakes.right).float().mean(),
        ]
    )


def _is_puzzle(mistakes: Mistakes) -> bool:
    return mistakes.wrong.mask[0].numel() > 1


def _confidence(logits: Tensor, classes: Tensor, counted: Tensor) -> Tensor:
    """Mean probability () of the given classes over the counted positions of one item."""
    probabilities = logits.float().softmax(1).gather(1, classes[:, None])[:, 0]
    return probabilities[counted].mean()
