"""What the paper says, and how the measurements decide it."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from easy_to_hard.baselines.parameter_saliency.input_saliency import POINTED
from easy_to_hard.baselines.parameter_saliency.neighbours import PURITY
from easy_to_hard.baselines.parameter_saliency.pruning import CORRECTED, WRONG_CONFIDENCE
from easy_to_hard.baselines.parameter_saliency.tuning import GROUPS, OTHERS
from easy_to_hard.reference.results import Claim, Condition, Measurement

_PAPER: Final = "arXiv 2108.01335"
_DIFFERENCE: Final = ", difference"


_Wanted: TypeAlias = tuple[str, str, str, Condition, int]
"""A claim, part of the paper, name and condition of the difference that decides it, and the sign it should have."""


def decide_claims(measurements: Sequence[Measurement], *, k: int, region: str) -> tuple[Claim, ...]:
    """The paper's claims that were tried; each is decided only where the whole 95 % interval is on one side of 0.

    The interval is over nets, and of a single net over its items: then it speaks of that net alone.

    Args:
        measurements: of a run.
        k: the filters at which choices were compared.
        region: of the input, that salient inputs should lie in.
    """
    claims = []
    for words, part, name, condition, sign in (*_on_pruning(k), *_on_neighbours(k), _on_inputs(region)):
        found = _find(measurements, name, condition)
        claims.append(Claim(text=words, source=f"{_PAPER}, {part}", held=_decide(found, sign), evidence=_shown(found)))
    return tuple(claims)


def _on_pruning(k: int) -> list[_Wanted]:
    wanted: list[_Wanted] = []
    for against, others in (("random", "random ones"), ("least", "of the least salient ones")):
        condition: Condition = {"filters": "salient", "against": against, "k": k}
        for does, name, sign in (
            ("corrects more wrong items", CORRECTED, 1),
            ("makes wrong answers less confident", WRONG_CONFIDENCE, -1),
        ):
            words = f"Turning off the {k} most salient filters {does} than as many {others}."
            wanted.append((words, "abstract", name + _DIFFERENCE, condition, sign))
    return wanted


def _on_neighbours(k: int) -> list[_Wanted]:
    near: Condition = {"filters": "salient", "k": k, "items": GROUPS[0]}
    step = "A step on a wrong item by its salient filters corrects"
    more_than_others = f"{step} its neighbours in saliency more often than other wrong items."
    more_than_random = f"{step} more of its neighbours in saliency than one by as many random filters."
    same = "Items that are near in saliency are wrong in the same way more often than by chance."
    return [
        (more_than_others, "abstract", OTHERS + _DIFFERENCE, {**near, "less": GROUPS[2]}, 1),
        (more_than_random, "abstract", OTHERS + _DIFFERENCE, {**near, "against": "random"}, 1),
        (same, "nearest neighbours", PURITY, {"space": "saliency", "items": "neighbours less chance"}, 1),
    ]


def _on_inputs(region: str) -> _Wanted:
    words = f"The inputs that make the salient filters salient lie more on {region} than those of random filters."
    condition: Condition = {"map": "salient filters", "region": region, "against": "random filters"}
    return words, "input-space saliency", POINTED + _DIFFERENCE, condition, 1


def _find(measurements: Sequence[Measurement], name: str, condition: Condition) -> Measurement | None:
    """None where no net had an item for it."""
    for one in measurements:
        if one.name == name and dict(one.condition) == dict(condition):
            return one
    return None


def _decide(measured: Measurement | None, sign: int) -> bool | None:
    if measured is None or measured.low is None or measured.high is None:
        return None
    low, high = sorted((sign * measured.low, sign * measured.high))
    if low > 0:
        return True
    return False if high < 0 else None


def _shown(measured: Measurement | None) -> str:
    if measured is None:
        return "there was no item to measure it on"
    nets = "1 net" if measured.num_seeds == 1 else f"{measured.num_seeds} nets"
    interval = f"95 % interval {measured.low:.4g} to {measured.high:.4g}, {nets}" if measured.low is not None else nets
    return f"{measured.name}: {measured.value:.4g} ({interval})"
