"""What the paper says, and what is asked of the benchmark's tasks, and how measurements decide it."""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.baselines.canary.attacks import AUGMENTED, CANARY, THRESHOLD, attack_name
from easy_to_hard.baselines.canary.metrics import AUC, level_name
from easy_to_hard.reference.results import Claim, Condition, Measurement, find_measurement

SOURCE: Final = "arXiv 2210.10750, abstract"
LIRA_SOURCE: Final = "arXiv 2112.03570"
TASK_SOURCE: Final = "asked here of the benchmark's nets, with the attack of arXiv 2112.03570"
# What the training set is called where there is none.
NEW_ITEMS: Final = "new ones at each step"

LIRA: Final = "LiRA, log odds"
_LEVEL: Final = 0.01


def decide_image_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The papers' claims; each holds or not only where the whole 95 % interval says so."""
    lira = {mode: attack_name(AUGMENTED, mode) for mode in CANARY}
    found = []
    for mode, queries in CANARY.items():
        for metric in (AUC, level_name(_LEVEL)):
            found.append(
                _signed(
                    measurements,
                    f"{metric} difference",
                    {"attack": attack_name(queries, mode), "against": lira[mode]},
                    f"Canaries beat LiRA's queries {mode}: their {metric} is higher.",
                    SOURCE,
                )
            )
    found.append(
        _signed(
            measurements,
            "gain in AUC difference",
            {"gain": "offline", "against": "online"},
            "Canaries gain more offline than online, in AUC.",
            SOURCE,
        )
    )
    texts = {
        (lira["online"], THRESHOLD): "LiRA online beats one threshold for all points, in AUC.",
        (lira["online"], lira["offline"]): "LiRA online beats LiRA offline, in AUC.",
        (lira["online"], attack_name(AUGMENTED, "online", "per point")): (
            "With few shadow nets a variance for all points is better than one a point, online in AUC."
        ),
    }
    for (attack, against), text in texts.items():
        condition = {"attack": attack, "against": against}
        found.append(_signed(measurements, f"{AUC} difference", condition, text, LIRA_SOURCE))
    return tuple(one for one in found if one is not None)


def decide_task_claims(
    measurements: Sequence[Measurement], *, sizes: Sequence[int], trained_iterations: int
) -> tuple[Claim, ...]:
    """What was asked of nets that solve puzzles, by LiRA on the log odds: what differs, and what there is to tell.

    The null is tried with every attack.
    """
    asked = {(size, trained_iterations) for size in sizes}
    found = []
    for one in measurements:
        facts = dict(one.condition)
        if one.name == f"{AUC} difference" and facts.pop("attack") == LIRA:
            text = f"The AUC is higher with {facts.pop('of')} than with {facts.pop('against')}"
            where = ", ".join(f"{name} {value}" for name, value in facts.items())
            found.append(_verdict(one, f"{text} ({where}).", TASK_SOURCE, above=0.0))
        elif one.name == AUC and facts["items"] == NEW_ITEMS:
            text = f"{facts['attack']}: nets that see new items at each step give away nothing (AUC 0.5)."
            low, high = _ends(one)
            found.append(Claim(text=text, source=TASK_SOURCE, held=low <= 0.5 <= high, evidence=_shown(one, AUC)))
        elif one.name == AUC and facts["attack"] == LIRA and (facts["items"], facts["iterations"]) in asked:
            text = f"{facts['nets']}: members can be told from others at {facts['items']} items: the AUC is above 0.5."
            found.append(_verdict(one, text, TASK_SOURCE, above=0.5))
    return tuple(found)


def _signed(
    measurements: Sequence[Measurement], name: str, condition: Condition, text: str, source: str
) -> Claim | None:
    """A claim that a difference is above 0; None where it was not measured."""
    try:
        one = find_measurement(measurements, name, condition)
    except ValueError:
        return None
    return _verdict(one, text, source, above=0.0)


def _verdict(one: Measurement, text: str, source: str, *, above: float) -> Claim:
    low, high = _ends(one)
    held = True if low > above else False if high < above else None
    return Claim(text=text, source=source, held=held, evidence=_shown(one, one.name))


def _shown(one: Measurement, what: str) -> str:
    low, high = _ends(one)
    return f"{what}: {one.value:.4f} (95 % interval {low:.4f} to {high:.4f})"


def _ends(one: Measurement) -> tuple[float, float]:
    """The interval, which every bootstrapped figure has."""
    if one.low is None or one.high is None:
        raise ValueError(f"{one.name} under {dict(one.condition)} has no interval, which decides nothing")
    return one.low, one.high
