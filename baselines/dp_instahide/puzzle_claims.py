"""What is to be decided on puzzles: whether mixtures can be learned from, and whether they are secret then."""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE
from easy_to_hard.baselines.dp_instahide.claims import below, shown, stronger_claim
from easy_to_hard.baselines.dp_instahide.measuring import TOTAL_EPSILON
from easy_to_hard.baselines.dp_instahide.recipes import PuzzleRecipe
from easy_to_hard.reference.results import Claim, Measurement

# What counts as still solving a task.
STILL_SOLVES: Final = 0.5


def puzzle_claims(measurements: Sequence[Measurement], recipe: PuzzleRecipe) -> tuple[Claim, ...]:
    """Whether mixing alone, and mixing with noise enough for a guarantee, leave the task learned."""
    own = [one for one in measurements if one.condition.get("difficulty") == recipe.difficulty]
    rates = {
        (int(one.condition["k"]), float(one.condition["b"])): one for one in own if one.name == "solve rate over seeds"
    }
    plain = rates[1, 0.0]
    found = [stronger_claim(measurements)]
    for mix_count in sorted({k for k, b in rates if k > 1 and b == 0}):
        mixed = rates[mix_count, 0.0]
        found.append(
            Claim(
                text=f"Mixing {mix_count} puzzles, without noise, leaves the task learned: at least half are solved.",
                source="arXiv 2103.02079 (of images), asked of puzzles",
                held=_still(mixed, plain),
                evidence=f"solve rate {shown(mixed)}; without mixing {shown(plain)}",
            )
        )
    secret = [one for one in measurements if one.name == TOTAL_EPSILON and one.value <= VACUOUS_ABOVE]
    for one in secret:
        rate = rates[int(one.condition["k"]), float(one.condition["b"])]
        found.append(
            Claim(
                text=f"With noise enough for an epsilon of {one.value:.3g} the task is still learned.",
                source="arXiv 2103.02079 (of images), asked of puzzles",
                held=_still(rate, plain),
                evidence=f"k {one.condition['k']}, b {one.condition['b']}: solve rate {shown(rate)}",
            )
        )
    return tuple(found)


def _still(rate: Measurement, plain: Measurement) -> bool | None:
    """Whether at least half are solved; undecided where not even plain training gets there."""
    if below(plain, STILL_SOLVES) is not False:
        return None
    worse = below(rate, STILL_SOLVES)
    return None if worse is None else not worse
