"""The paper's claims, judged by the measurements of a result."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, CAN_SOLVE, Criterion, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.baselines.parameter_saliency.neighbors import PURITY
from easy_to_hard.baselines.parameter_saliency.pruning import CORRECTED, TRUE_CONFIDENCE, WRONG_CONFIDENCE
from easy_to_hard.baselines.parameter_saliency.tuning import CONFIDENCE, GROUPS, OTHERS
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
        k: number of filters at which choices are compared.
        puzzles: whether the data are puzzles. They have two classes, so that turning filters off raises the confidence
            in the true answer exactly as it lowers that in the wrong one, which is not judged twice.
    """
    does_task = Criterion(name=ITEMS_RIGHT, direction="at least", bound=CAN_SOLVE if puzzles else CAN_CLASSIFY)
    statements = [
        Statement(
            text=words,
            source=f"{_PAPER}, {part}",
            criteria=(
                Criterion(name=name, condition=condition, direction="greater" if sign > 0 else "less", bound=0.0),
            ),
            needs=(does_task,),
        )
        for words, part, name, condition, sign in (*_on_pruning(k), *_on_neighbors(k))
        if not (puzzles and name.startswith(TRUE_CONFIDENCE))
    ]
    return judge(statements, measurements)


def _filters(k: int, kind: str) -> str:
    return f"the most {kind} filter" if k == 1 else f"the {k} most {kind} filters"


def _others(k: int) -> dict[str, str]:
    """Name of the other choice -> in words."""
    if k == 1:
        return {"random": "a random one", "least": "the least salient one"}
    return {"random": "as many random ones", "least": "as many of the least salient ones"}


def _on_pruning(k: int) -> list[_Wanted]:
    wanted: list[_Wanted] = []
    for against, others in _others(k).items():
        condition: Condition = {"filters": "salient", "against": against, "k": k}
        for does, name, sign in (
            ("corrects more wrong items", CORRECTED, 1),
            ("makes the true answer more confident", TRUE_CONFIDENCE, 1),
            ("makes the wrong answer less confident", WRONG_CONFIDENCE, -1),
        ):
            words = f"Turning off {_filters(k, 'salient')} {does} than turning off {others}."
            wanted.append((words, "abstract", name + _DIFFERENCE, condition, sign))
    return wanted


def _on_neighbors(k: int) -> list[_Wanted]:
    near: Condition = {"filters": "salient", "k": k, "items": GROUPS[0]}
    step = f"A step on a wrong item by {_filters(k, 'salient')}"
    more_than_others = f"{step} corrects its neighbours in saliency more often than other wrong items."
    same = "Items that are near in saliency are wrong in the same way more often than by chance."
    wanted: list[_Wanted] = [
        (more_than_others, "abstract", OTHERS + _DIFFERENCE, {**near, "less": GROUPS[2]}, 1),
        (same, "nearest neighbours", PURITY, {"space": "saliency", "items": "neighbours less chance"}, 1),
    ]
    for against, others in _others(k).items():
        condition: Condition = {**near, "against": against}
        for does, name in (
            ("corrects more of its neighbours in saliency", OTHERS),
            ("makes the true answers of its neighbours in saliency more confident", CONFIDENCE),
        ):
            words = f"{step} {does} than the same step by {others}."
            wanted.append((words, "fine-tuning", name + _DIFFERENCE, condition, 1))
    return wanted
