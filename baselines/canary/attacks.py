"""All attacks side by side: every combination of queries, score, variance, and nets that are fitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from torch import Tensor

from easy_to_hard.baselines.canary.lira import against_other_nets, leave_one_out
from easy_to_hard.baselines.canary.metrics import AUC, Floats, Performance, measure_attack
from easy_to_hard.baselines.kit.statistics import SHARE
from easy_to_hard.scores.reference import Condition, Measurement

THRESHOLD: Final = "global threshold"
HELD_OUT: Final = "held out"
SHARED: Final = "shared"
AUGMENTED: Final = "augmented"
CANARY: Final[Mapping[str, str]] = {"online": "canary, online", "offline": "canary, offline"}

_VARIANCES: Final = {"fixed": True, "per point": False}
# The scores that each kind of query is for; LiRA's augmentations are for all.
_SCORES: Final = {
    CANARY["online"]: ("online",),
    CANARY["offline"]: ("offline", "offline, two-sided"),
    AUGMENTED: ("online", "offline", "offline, two-sided"),
}
_ENSEMBLES: Final = (1, 2, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack and its performance.

    Attributes:
        condition: the kind of attack.
        scores: (T, P) float64, higher for members.
        performance: name of the metric -> value and draws.
    """

    condition: Condition
    scores: Floats
    performance: Mapping[str, Performance]

    def measurements(self) -> list[Measurement]:
        """All metrics as measurements with intervals."""
        return [one.measured(name, self.condition, unit=SHARE) for name, one in self.performance.items()]


def attack_name(queries: str, score: str, variance: str = "fixed", fit: str = HELD_OUT) -> str:
    """The name of an attack in `all_attacks`."""
    return "; ".join((queries, score, variance, fit))


def all_attacks(
    phi: Mapping[str, Tensor], keep: Tensor, half: int, *, levels: Sequence[float], seed: int
) -> dict[str, Attack]:
    """Attack the nets from `half` on, each with the help of the others.

    Canaries were made with the first half. "held out": the other targets are fitted, which canaries have not seen.
    "shared": the first half is fitted, as in the authors' code; nets that canaries were made with have other statistics
    than a target.

    Args:
        phi: name of the queries -> (N, P, Q) float64, with "image" (Q = 1) for the global threshold.
        keep: (N, P) bool.
        half: nets in the first half.
        levels: false-positive rates.
        seed: of the bootstrap.

    Returns:
        `attack_name` -> attack; the global threshold under its own name.
    """
    members = keep[half:].numpy()

    def attacked(scores: Tensor, condition: Condition) -> Attack:
        values = scores.numpy()
        return Attack(
            condition=condition, scores=values, performance=measure_attack(values, members, levels=levels, seed=seed)
        )

    found = {THRESHOLD: attacked(phi["image"][half:, :, 0], {"attack": THRESHOLD})}
    for queries, values in phi.items():
        if queries == "image":
            continue
        # Variants of canaries are compared with one variance and one fit only.
        main = queries in _SCORES
        for variance in _VARIANCES if main else ("fixed",):
            for fit in (HELD_OUT, SHARED) if main else (HELD_OUT,):
                fixed = _VARIANCES[variance]
                scores = (
                    leave_one_out(values[half:], keep[half:], fixed=fixed)
                    if fit == HELD_OUT
                    else against_other_nets(values[half:], values[:half], keep[:half], fixed=fixed)
                )
                for score in _SCORES.get(queries, ("online",)):
                    condition = {"queries": queries, "score": score, "variance": variance, "fit": fit}
                    found[attack_name(queries, score, variance, fit)] = attacked(scores[score], condition)
    return found


def _pairs() -> list[tuple[str, str]]:
    """Pairs of attacks whose difference is measured."""
    pairs = [
        (attack_name(CANARY[mode], mode, "fixed", fit), attack_name(AUGMENTED, mode, "fixed", fit))
        for mode in CANARY
        for fit in (HELD_OUT, SHARED)
    ]
    lira = {mode: attack_name(AUGMENTED, mode) for mode in CANARY}
    pairs += [(lira[mode], attack_name(AUGMENTED, mode, "per point")) for mode in CANARY]
    pairs += [
        (lira["online"], lira["offline"]),
        (lira["offline"], attack_name(AUGMENTED, "offline, two-sided")),
        (lira["online"], THRESHOLD),
        (attack_name(CANARY["online"], "online", "fixed", SHARED), attack_name(CANARY["online"], "online")),
        (attack_name(CANARY["offline"], "offline", "fixed", SHARED), attack_name(CANARY["offline"], "offline")),
    ]
    return pairs


def compare_attacks(attacks: Mapping[str, Attack]) -> list[Measurement]:
    """Differences between attacks on the same targets and points, draw by draw, and between the gains of both modes."""
    found = []
    for one, other in _pairs():
        pair = attacks[one].performance, attacks[other].performance
        for metric in pair[0]:
            if metric != "balanced accuracy":
                difference = pair[0][metric].minus(pair[1][metric])
                found.append(difference.measured(f"{metric} difference", {"attack": one, "against": other}))
    gains = {
        mode: attacks[attack_name(CANARY[mode], mode)]
        .performance[AUC]
        .minus(attacks[attack_name(AUGMENTED, mode)].performance[AUC])
        for mode in CANARY
    }
    more = gains["offline"].minus(gains["online"])
    found.append(more.measured("gain in AUC difference", {"gain": "offline", "against": "online"}))
    return found


def query_counts(phi: Mapping[str, Tensor], keep: Tensor, half: int, *, seed: int) -> list[Measurement]:
    """Online AUC, at fixed variance, with only the first few queries, for augmentations and for canaries."""
    found, members = [], keep[half:].numpy()
    for queries in (AUGMENTED, CANARY["online"]):
        values = phi[queries]
        for count in _ENSEMBLES:
            if count < values.shape[2]:
                scores = leave_one_out(values[half:, :, :count], keep[half:], fixed=True)["online"]
                performance = measure_attack(np.asarray(scores), members, seed=seed)[AUC]
                condition = {"queries": queries, "score": "online", "number of queries": count}
                found.append(performance.measured(AUC, condition, unit=SHARE))
    return found
