"""The paper's claims about guarantee, defense and accuracy, and the same questions for puzzles."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE
from easy_to_hard.baselines.dp_instahide.measurements import (
    ACCURACY,
    ACCURACY_DIFFERENCE,
    CLAIMED,
    EFFECT,
    EXACT,
    MATCHED,
    MIXUP_ALONE,
    NOISE_ALONE,
    PROVEN,
    RELEASE_EPSILON,
    RELEASED,
    SOLVE_RATE_SEEDS,
    SUCCESS_DIFFERENCE,
    TOTAL_EPSILON,
    UNDEFENDED,
    cell_condition,
    reference_cell,
)
from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, CAN_SOLVE, Criterion, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.scores.reference import Claim, Condition, Measurement, ReferenceResult, find_measurement

SOURCE: Final = "arXiv 2103.02079"
PUZZLE_SOURCE: Final = f"{SOURCE} (of images), asked of puzzles"

# What counts as a nullified attack, as a small loss of accuracy, and as the same accuracy.
NULLIFIED: Final = 0.1
SMALL_LOSS: Final = 0.05
SAME_ACCURACY: Final = 0.05

_STRONGER: Final = "naive epsilon over k times epsilon, the least of all settings with noise"
_REFUTED: Final = "refuted share of the claimed epsilon, the most of all settings"
_EXCESS: Final = "exact epsilon of a release less the claimed one, the most of all settings"
_BROKEN: Final = "epsilon refuted with Dirichlet weights less what the claim would be"


def claims(result: ReferenceResult) -> tuple[Claim, ...]:
    """The claims that a result decides, judged by its measurements and settings alone.

    Claims about defense are not tested if the attack has no effect without one, or if the defended nets do not
    classify; claims about mixing puzzles are not tested if even plain training does not learn to solve them.
    """
    found = result.measurements
    if result.data not in IMAGES:
        return (_stronger(found), *judge(_on_puzzles(found, result.settings["difficulty"]), found))
    cell = reference_cell(result.settings["mix_counts"], result.settings["noise_scales"])
    here: dict[str, Any] = {"defence": RELEASED, **cell_condition(cell)}
    against = {one.condition.get("against") for one in found}
    statements = [*_vacuous(found, here), _defends(here), _costs_little(here)]
    if against & {NOISE_ALONE, MIXUP_ALONE}:
        statements.append(_both(here, [name for name in (NOISE_ALONE, MIXUP_ALONE) if name in against]))
    if MATCHED in against:
        statements.append(_private(here))
    return (_stronger(found), *judge(statements, found), *_audits(found))


def _stronger(measurements: Sequence[Measurement]) -> Claim:
    """The claim that every release in the grid is k times better than a naive one, for the diameter of its data."""
    ratios = []
    for one in measurements:
        if one.name != TOTAL_EPSILON or "diameter" not in one.condition:
            continue
        kept = {name: value for name, value in one.condition.items() if name in ("defence", "k", "b", "train items")}
        release = find_measurement(measurements, RELEASE_EPSILON, kept)
        mix_count, naive = float(one.condition["k"]), float(one.condition["diameter"]) / float(one.condition["b"])
        ratios.append(naive / release.value / mix_count)
    # b is rounded to four digits, and with k = 1 and so large an exponent, epsilon is at most log n below naive.
    statement = Statement(
        text="A release by k-way mixing has an epsilon at least k times smaller than a naive noisy release, D1 / b.",
        source=f"{SOURCE}, theorem 1",
        criteria=(Criterion(name=_STRONGER, direction="at least", bound=1 - 1e-3, exact=True),),
    )
    (claim,) = judge([statement], _computed(_STRONGER, min(ratios), len(ratios)) if ratios else [])
    return claim


def _computed(name: str, value: float, count: int) -> list[Measurement]:
    return [Measurement(name=name, value=value, num_items=count)]


def _vacuous(measurements: Sequence[Measurement], here: Mapping[str, Any]) -> list[Statement]:
    """Whether the guarantee means anything at the setting where the defense is measured."""
    for one in measurements:
        if one.name == TOTAL_EPSILON and here.items() <= one.condition.items():
            facts = one.condition
            words = (
                f"epsilon of {facts['releases']} releases ({facts['bound']}, {facts['adjacency']}), L1 diameter "
                f"{facts['diameter']:g}, k {facts['k']}, b {facts['b']:g}"
            )
            criterion = Criterion(
                name=one.name, condition=facts, direction="at most", bound=VACUOUS_ABOVE, exact=True, words=words
            )
            return [
                Statement(
                    text=f"At the paper's setting the released set has a guarantee: epsilon at most {VACUOUS_ABOVE:g}.",
                    source=f"{SOURCE}, theorem 1, with the L1 diameter of the data as they are",
                    criteria=(criterion,),
                )
            ]
    return []


def _classifies(condition: Condition, words: str) -> Criterion:
    return Criterion(
        name=ACCURACY,
        condition=condition,
        direction="at least",
        bound=CAN_CLASSIFY,
        words=f"clean accuracy {words}",
    )


def _attacked() -> Criterion:
    """The criterion that the attack has an effect on nets without a defense."""
    return Criterion(
        name=EFFECT,
        condition={"defence": UNDEFENDED},
        direction="greater",
        bound=0.0,
        words="attack success without a defense less that of clean nets",
    )


def _needs(here: Condition) -> tuple[Criterion, ...]:
    return _attacked(), _classifies(here, "with the defense")


def _defends(here: Condition) -> Statement:
    effect = Criterion(
        name=EFFECT,
        condition=here,
        direction="less",
        bound=NULLIFIED,
        words="attack success less that of clean nets",
    )
    return Statement(
        text=f"Mixing with noise nullifies the attack: it succeeds in less than {NULLIFIED:.0%} more than by chance.",
        source=f"{SOURCE}, abstract",
        criteria=(effect,),
        needs=_needs(here),
    )


def _costs_little(here: Condition) -> Statement:
    difference = Criterion(
        name=ACCURACY_DIFFERENCE,
        condition={**here, "against": UNDEFENDED},
        direction="greater",
        bound=-SMALL_LOSS,
        words="clean accuracy less that without defense",
    )
    return Statement(
        text=f"It costs little: clean accuracy is less than {SMALL_LOSS:.0%} below that without defense.",
        source=f"{SOURCE}, abstract",
        criteria=(difference,),
        needs=(_classifies({"defence": UNDEFENDED}, "without a defense"),),
    )


def _less_success(here: Condition, against: str) -> Criterion:
    return Criterion(
        name=SUCCESS_DIFFERENCE,
        condition={**here, "against": against},
        direction="less",
        bound=0.0,
        words=f"attack success less that of {against}",
    )


def _both(here: Condition, halves: Sequence[str]) -> Statement:
    return Statement(
        text="Both together defend better than noise alone and than mixup alone.",
        source=f"{SOURCE}, section 4",
        criteria=tuple(_less_success(here, name) for name in halves),
        needs=_needs(here),
    )


def _private(here: Condition) -> Statement:
    comparable = Criterion(
        name=ACCURACY_DIFFERENCE,
        condition={**here, "against": MATCHED},
        direction="equal within",
        bound=0.0,
        within=SAME_ACCURACY,
        words="difference of clean accuracy",
    )
    return Statement(
        text="At the same accuracy it defends better than DP-SGD.",
        source=f"{SOURCE}, section 4",
        criteria=(_less_success(here, MATCHED),),
        needs=(comparable, *_needs(here)),
    )


def _audits(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """Whether the guarantee held against the attacks, and whether it breaks with mixup's own weights."""
    kept: list[float] = []
    broken: list[Measurement] = []
    for one in measurements:
        if one.name == PROVEN:
            claimed = find_measurement(measurements, CLAIMED, one.condition).value
            if one.condition["weights"] == "equal":
                kept.append(one.value / claimed)
            else:
                # The refuted epsilon is a lower bound with 95 % confidence: there is no upper bound.
                beyond = one.value - claimed
                broken.append(
                    Measurement(name=_BROKEN, value=beyond, low=beyond, high=math.inf, num_items=one.num_items)
                )
    if not kept:
        return ()
    exact = [
        one.value - find_measurement(measurements, CLAIMED, one.condition).value
        for one in measurements
        if one.name == EXACT
    ]
    criteria = [Criterion(name=_REFUTED, direction="at most", bound=1.0, exact=True)]
    derived = _computed(_REFUTED, max(kept), len(kept))
    if exact:
        criteria.append(Criterion(name=_EXCESS, direction="less", bound=1e-9, exact=True))
        derived += _computed(_EXCESS, max(exact), len(exact))
    statements = [
        Statement(
            text="No attack on the releases does better than exp(epsilon) allows: TPR <= exp(epsilon) FPR.",
            source=f"{SOURCE}, theorem 1",
            criteria=tuple(criteria),
        )
    ]
    if broken:
        statements.append(
            Statement(
                text="The guarantee needs equal weights: with weights drawn as in mixup it would be broken.",
                source=f"{SOURCE}, theorem 1 (equal weights)",
                criteria=(Criterion(name=_BROKEN, direction="greater", bound=0.0),),
            )
        )
    return judge(statements, [*derived, *broken[:1]])


def _on_puzzles(measurements: Sequence[Measurement], difficulty: int) -> list[Statement]:
    """Whether the task is still learned at that difficulty with mixing alone, and with noise enough for a guarantee."""
    rates = {
        (int(one.condition["k"]), float(one.condition["b"])): one
        for one in measurements
        if one.name == SOLVE_RATE_SEEDS and one.condition.get("difficulty") == difficulty
    }

    def solves(k: int, b: float) -> Criterion:
        condition = rates[k, b].condition
        return Criterion(
            name=SOLVE_RATE_SEEDS,
            condition=condition,
            direction="at least",
            bound=CAN_SOLVE,
            words=f"solve rate, k {k}, b {b:g}",
        )

    plain = solves(1, 0.0)
    statements = [
        Statement(
            text=f"Mixing {k} puzzles, without noise, leaves the task learned: at least half are solved.",
            source=PUZZLE_SOURCE,
            criteria=(solves(k, 0.0),),
            needs=(plain,),
        )
        for k in sorted({k for k, b in rates if k > 1 and b == 0})
    ]
    statements += [
        Statement(
            text=f"With noise enough for an epsilon of {one.value:.3g} the task is still learned.",
            source=PUZZLE_SOURCE,
            criteria=(solves(int(one.condition["k"]), float(one.condition["b"])),),
            needs=(plain,),
        )
        for one in measurements
        if one.name == TOTAL_EPSILON and one.value <= VACUOUS_ABOVE
    ]
    return statements
