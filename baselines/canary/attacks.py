"""All attacks side by side: every combination of queries, score, variance, and nets that are fitted.

The nets of a run are two halves: one makes the canaries, the nets of the other are targets in turn. Distributions are
fitted to one of three groups of nets, always the same for canaries and for LiRA's queries that are compared:

- `CANARY_NETS`: the nets that made the canaries, as in the authors' code. This is legitimate, since no target is among
  them, but a canary is fitted to these nets more than to a target.
- `HELD_OUT_NETS`: the other targets, which no canary has seen.
- `ALL_NETS`: all nets but the target, which is what LiRA would use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.canary.lira import against_other_nets, leave_one_out
from easy_to_hard.baselines.canary.metrics import AUC, Floats, Performance, measure_attack, over_all_seeds
from easy_to_hard.baselines.kit.statistics import SHARE, SHARE_DIFFERENCE
from easy_to_hard.scores.reference import Condition, Measurement

THRESHOLD: Final = "global threshold"
IMAGE: Final = "image"
AUGMENTED: Final = "augmented"
CANARY: Final[Mapping[str, str]] = {"online": "canary, online", "offline": "canary, offline"}

CANARY_NETS: Final = "the nets that made the canaries"
HELD_OUT_NETS: Final = "held-out nets"
ALL_NETS: Final = "all nets but the target"
PROTOCOLS: Final = (CANARY_NETS, HELD_OUT_NETS, ALL_NETS)

TWO_SIDED: Final = "offline, two-sided"
"""The offline score of the authors' code; "offline" is LiRA's, which has one side."""

_VARIANCES: Final = {"fixed": True, "per point": False}
# The scores that each kind of query is for; LiRA's augmentations are for all.
_SCORES: Final = {
    CANARY["online"]: ("online",),
    CANARY["offline"]: ("offline", TWO_SIDED),
    AUGMENTED: ("online", "offline", TWO_SIDED),
}
_ENSEMBLES: Final = (1, 2, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What the nets of one seed answer.

    Attributes:
        phi: name of the queries -> (N, P, Q) float64, with `IMAGE` (Q = 1) for the global threshold.
        keep: (N, P) bool, which net was trained on which point.
        half: number of nets, from the first, that made the canaries; the others are targets.
        seed: of the run.
    """

    phi: Mapping[str, Tensor]
    keep: Tensor
    half: int
    seed: int

    @property
    def members(self) -> NDArray[np.bool_]:
        """Which points are members of which target, (T, P)."""
        members: NDArray[np.bool_] = self.keep[self.half :].numpy()
        return members

    def scores(self, queries: str, fit: str, *, fixed: bool, count: int | None = None) -> dict[str, Tensor]:
        """Scores of all targets: name of the score -> (T, P) float64.

        Args:
            queries: name in `phi`.
            fit: one of `PROTOCOLS`.
            fixed: see `fit_gaussians`.
            count: number of queries to use, from the first; None for all.
        """
        phi, half = self.phi[queries][..., :count], self.half
        if fit == CANARY_NETS:
            return against_other_nets(phi[half:], phi[:half], self.keep[:half], fixed=fixed)
        helpers = range(half, len(phi)) if fit == HELD_OUT_NETS else range(len(phi))
        return leave_one_out(phi, self.keep, fixed=fixed, targets=range(half, len(phi)), helpers=helpers)


@dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack and its performance.

    Attributes:
        condition: the kind of attack.
        scores: (S, T, P) float64, of each seed, target and point, higher for members.
        performance: name of the metric -> value and draws.
    """

    condition: Condition
    scores: Floats
    performance: Mapping[str, Performance]

    def measurements(self) -> list[Measurement]:
        """All metrics as measurements with intervals."""
        return [one.measured(name, self.condition, unit=SHARE) for name, one in self.performance.items()]


def attack_name(queries: str, score: str, variance: str = "fixed", fit: str = HELD_OUT_NETS) -> str:
    """The name of an attack in `all_attacks`."""
    return "; ".join((queries, score, variance, fit))


def all_scores(statistics: Statistics) -> dict[str, tuple[Condition, Floats]]:
    """Name of each attack -> its condition and the scores (T, P) of one seed's targets."""
    found: dict[str, tuple[Condition, Floats]] = {
        THRESHOLD: ({"attack": THRESHOLD}, statistics.phi[IMAGE][statistics.half :, :, 0].numpy())
    }
    for queries in statistics.phi:
        if queries == IMAGE:
            continue
        # Variants of canaries are compared with one variance and held-out nets only.
        main = queries in _SCORES
        for fit in PROTOCOLS if main else (HELD_OUT_NETS,):
            both = main and (fit != ALL_NETS or queries == AUGMENTED)
            for variance in _VARIANCES if both else ("fixed",):
                scores = statistics.scores(queries, fit, fixed=_VARIANCES[variance])
                for score in _SCORES.get(queries, ("online",)):
                    condition = {"queries": queries, "score": score, "variance": variance, "fit": fit}
                    found[attack_name(queries, score, variance, fit)] = condition, scores[score].numpy()
    return found


def all_attacks(seeds: Sequence[Statistics], *, levels: Sequence[float]) -> dict[str, Attack]:
    """Attack the targets of all seeds in every way.

    Args:
        seeds: what the nets of each seed answer, at least one, all with the same queries and about the same points.
        levels: false-positive rates.

    Returns:
        `attack_name` -> attack; the global threshold under its own name.
    """
    rows = [all_scores(statistics) for statistics in seeds]
    found = {}
    for name, (condition, _) in rows[0].items():
        scores = np.stack([row[name][1] for row in rows])
        found[name] = Attack(condition=condition, scores=scores, performance=_performance(scores, seeds, levels=levels))
    return found


def _performance(scores: Floats, seeds: Sequence[Statistics], levels: Sequence[float] = ()) -> dict[str, Performance]:
    """The metrics of scores (S, T, P). All seeds are about the same points, so the draws of points are the same."""
    rows = [
        measure_attack(own, one.members, levels=levels, seed=seeds[0].seed, target_seed=one.seed)
        for own, one in zip(scores, seeds, strict=True)
    ]
    return {name: over_all_seeds([row[name] for row in rows]) for name in rows[0]}


def _pairs() -> list[tuple[str, str]]:
    """Pairs of attacks whose difference is measured: canaries against LiRA first, fitted to the same nets."""
    pairs = [
        (attack_name(CANARY[mode], mode, "fixed", fit), attack_name(AUGMENTED, mode, "fixed", fit))
        for mode in CANARY
        for fit in PROTOCOLS
    ]
    pairs += [
        (attack_name(CANARY["offline"], TWO_SIDED, "fixed", fit), attack_name(AUGMENTED, TWO_SIDED, "fixed", fit))
        for fit in PROTOCOLS
    ]
    # Against LiRA with all the nets that the canaries' attack needs.
    pairs += [
        (attack_name(CANARY[mode], mode, "fixed", fit), attack_name(AUGMENTED, mode, "fixed", ALL_NETS))
        for mode in CANARY
        for fit in (CANARY_NETS, HELD_OUT_NETS)
    ]
    # LiRA itself is judged with all the nets there are.
    lira = {mode: attack_name(AUGMENTED, mode, "fixed", ALL_NETS) for mode in CANARY}
    pairs += [(lira[mode], attack_name(AUGMENTED, mode, "per point", ALL_NETS)) for mode in CANARY]
    pairs += [
        (lira["online"], lira["offline"]),
        (lira["offline"], attack_name(AUGMENTED, TWO_SIDED, "fixed", ALL_NETS)),
        (lira["online"], THRESHOLD),
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
                condition = {"attack": one, "against": other}
                found.append(difference.measured(f"{metric} difference", condition, unit=SHARE_DIFFERENCE))
    for fit in PROTOCOLS:
        gains = {
            mode: attacks[attack_name(CANARY[mode], mode, "fixed", fit)]
            .performance[AUC]
            .minus(attacks[attack_name(AUGMENTED, mode, "fixed", fit)].performance[AUC])
            for mode in CANARY
        }
        more = gains["offline"].minus(gains["online"])
        condition = {"gain": "offline", "against": "online", "fit": fit}
        found.append(more.measured("gain in AUC difference", condition, unit=SHARE_DIFFERENCE))
    return found


def query_counts(seeds: Sequence[Statistics]) -> list[Measurement]:
    """Online AUC, at fixed variance, with only the first few queries, for augmentations and for canaries."""
    found = []
    for queries in (AUGMENTED, CANARY["online"]):
        for count in _ENSEMBLES:
            if count < seeds[0].phi[queries].shape[2]:
                scores = torch.stack(
                    [one.scores(queries, HELD_OUT_NETS, fixed=True, count=count)["online"] for one in seeds]
                ).numpy()
                condition = {"queries": queries, "score": "online", "number of queries": count}
                found.append(_performance(scores, seeds)[AUC].measured(AUC, condition, unit=SHARE))
    return found
