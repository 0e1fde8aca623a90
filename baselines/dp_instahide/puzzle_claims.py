"""What is to be decided on puzzles: whether mixtures can be learned from, and whether they are secret then."""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE
from easy_to_hard.baselines.dp_instahide.claims import stronger_claim
from easy_to_hard.baselines.dp_instahide.measuring import TOTAL_EPSILON
from easy_to_hard.baselines.kit.claims import CAN_SOLVE, Criterion, Statement, judge
from easy_to_hard.scores.reference import Claim, Measurement

SOURCE: Final = "arXiv 2103.02079 (of images), asked of puzzles"
RATE: Final = "solve rate over seeds"


def puzzle_claims(measurements: Sequence[Measurement], difficulty: int) -> tuple[Claim, ...]:
    """Whether mixing alone, and mixing with noise enough for a guarantee, leave the task learned.

    Not tested where not even plain training learns it.

    Args:
        measurements: of the run.
        difficulty: of the training puzzles.
    """
    rates = {
        (int(one.condition["k"]), float(one.condition["b"])): one
        for one in measurements
        if one.name == RATE and one.condition.get("difficulty") == difficulty
    }

    def solves(k: int, b: float) -> Criterion:
        condition = rates[k, b].condition
        return Criterion(
            name=RATE, condition=condition, direction="at least", bound=CAN_SOLVE, words=f"solve rate, k {k}, b {b:g}"
        )

    plain = solves(1, 0.0)
    statements = [
        Statement(
            text=f"Mixing {k} puzzles, without noise, leaves the task learned: at least half are solved.",
            source=SOURCE,
            criteria=(solves(k, 0.0),),
            needs=(plain,),
        )
        for k in sorted({k for k, b in rates if k > 1 and b == 0})
    ]
    statements += [
        Statement(
            text=f"With noise enough for an epsilon of {one.value:.3g} the task is still learned.",
            source=SOURCE,
            criteria=(solves(int(one.condition["k"]), float(one.condition["b"])),),
            needs=(plain,),
        )
        for one in measurements
        if one.name == TOTAL_EPSILON and one.value <= VACUOUS_ABOVE
    ]
    return (stronger_claim(measurements), *judge(statements, measurements))
