"""The paper's claims, judged by the measurements of a result."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, CAN_SOLVE, Criterion, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.baselines.parameter_saliency.error_types import PATCH, WRONG
from easy_to_hard.baselines.parameter_saliency.input_saliency import POINTED
from easy_to_hard.baselines.parameter_saliency.neighbors import PURITY
from easy_to_hard.baselines.parameter_saliency.pruning import CORRECTED, WRONG_CONFIDENCE
from easy_to_hard.baselines.parameter_saliency.tuning import GROUPS, OTHERS
from easy_to_hard.scores.reference import Claim, Condition, Measurement, ReferenceResult

_PAPER: Final = "arXiv 2108.01335"
_DIFFERENCE: Final = ", difference"
ITEMS_RIGHT: Final = "items right"

_Wanted: TypeAlias = tuple[str, str, str, Condition, int]
"""A claim, its place in the paper, name and condition of the difference that decides it, and the sign that it needs."""


def claims(result: ReferenceResult) -> tuple[Claim, ...]:
    """The paper's claims, judged by the measurements of a result."""
    return decide_claims(result.measurements, k=result.settings["k"], puzzles=result.data not in IMAGES)


def decide_claims(measurements: Sequence[Measurement], *, k: int, puzzles: bool) -> tuple[Claim, ...]:
    """The paper's claims, judged by measurements; not tested if the nets cannot do the task.

    An interval is over nets or, if there is only one, over its items: then the verdict is about that net alone.

    Args:
        measurements: the measurements of a run.
        k: number of filters at which choices were compared.
        puzzles: whether the data are puzzles, not images: salient inputs should then lie on the positions that are
            wrong, not on the planted patch.
    """
    region, able = (WRONG, CAN_SOLVE) if puzzles else (PATCH, CAN_CLASSIFY)
    does_task = Criterion(name=ITEMS_RIGHT, direction="at least", bound=able)
    statements = [
        Statement(
            text=words,
            source=f"{_PAPER}, {part}",
            criteria=(
                Criterion(name=name, condition=condition, direction="greater" if sign > 0 else "less", bound=0.0),
            ),
            needs=(does_task,),
        )
        for words, part, name, condition, sign in (*_on_pruning(k), *_on_neighbors(k), _on_inputs(region))
    ]
    return judge(statements, measurements)


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


def _on_neighbors(k: int) -> list[_Wanted]:
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
