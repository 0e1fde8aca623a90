"""What the paper says of its defences, and how measurements decide it."""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.reference.results import Claim, Measurement, find_measurement

SOURCE: Final = "arXiv 2011.09527"
# The paper's attack on an undefended net works always; the share that counts as such here.
WORKS: Final = 0.9
# "No accuracy cost" is taken as less than a point.
NO_COST: Final = 0.01

_MIXING: Final = ("mixup", "mixup4", "cutmix")


def image_claims(attack: str, defenses: Sequence[str], measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims of an attack on images, each decided where the whole 95 % interval is on one side.

    What a defence does to an attack is left open where the attack does nothing without one: where its success above
    that of unpoisoned nets is not above 0 with the whole interval.

    Args:
        attack: one of `ATTACKS`.
        defenses: that were tried; claims of others are left out.
        measurements: of the run.
    """
    backdoor = attack.endswith("backdoor")
    claims = [_works(measurements)] if backdoor else []
    for defense in (name for name in _MIXING if name in defenses):
        claims.append(_fall(defense, backdoor and defense.startswith("mixup"), measurements))
        claims.append(
            _cost(f"{defense} costs no clean accuracy: less than {100 * NO_COST:g} point.", defense, measurements)
        )
    if "dp_sgd" in defenses:
        claims.append(_cost("DP-SGD costs clean accuracy: more than a point.", "dp_sgd", measurements, costs=True))
    return tuple(claims)


def _works(measurements: Sequence[Measurement]) -> Claim:
    success = find_measurement(measurements, "attack success", {"defense": "none"})
    return Claim(
        text=f"The backdoor works on an undefended net: success of at least {WORKS:.0%}.",
        source=f"{SOURCE}, which gives 100 %",
        held=above(success, WORKS),
        evidence=shown(success, "attack success without a defence"),
    )


def _fall(defense: str, useless: bool, measurements: Sequence[Measurement]) -> Claim:
    """That a defence makes an attack succeed less often, or that it is useless."""
    made = find_measurement(measurements, "attack success above unpoisoned", {"defense": "none"})
    fall = find_measurement(measurements, "attack success less that of none", {"defense": defense})
    fallen = fell(fall) if made.low is not None and made.low > 0 else None
    bare = shown(made, "success above that of unpoisoned nets without a defence")
    return Claim(
        text=f"{defense} is no defence against the backdoor: it does not lower its success."
        if useless
        else f"{defense} makes the attack succeed less often.",
        source=SOURCE,
        held=_not(fallen) if useless else fallen,
        evidence=f"{bare}; {shown(fall, f'success with {defense} less that with none')}",
    )


def _cost(text: str, defense: str, measurements: Sequence[Measurement], *, costs: bool = False) -> Claim:
    """That a defence costs no clean accuracy, or that it does."""
    cost = find_measurement(measurements, "clean accuracy less that of none", {"defense": defense})
    return Claim(
        text=text,
        source=SOURCE,
        held=below(cost, -NO_COST) if costs else above(cost, -NO_COST),
        evidence=shown(cost, f"clean accuracy with {defense} less that with none"),
    )


def above(measurement: Measurement, limit: float) -> bool | None:
    """Whether the interval is at or above the limit: True, all below: False, or neither: None.

    An interval of no width, of seeds that all gave the same, decides as its value does.
    """
    if measurement.low is None or measurement.high is None:
        return None
    if measurement.low >= limit:
        return True
    return False if measurement.high < limit else None


def below(measurement: Measurement, limit: float) -> bool | None:
    """Whether the interval is below the limit: True, all at or above it: False, or neither: None."""
    return _not(above(measurement, limit))


def fell(difference: Measurement) -> bool | None:
    """Whether a difference says that success fell: all of its interval below 0."""
    return below(difference, 0.0)


def _not(decided: bool | None) -> bool | None:
    return None if decided is None else not decided


def shown(measurement: Measurement, what: str) -> str:
    """The figure in words, with its interval."""
    if measurement.low is None or measurement.high is None:
        return f"{what}: {measurement.value:.4g} (one seed, which decides nothing)"
    interval = f"95 % interval {measurement.low:.4g} to {measurement.high:.4g}"
    return f"{what}: {measurement.value:.4g} ({interval}, {measurement.num_seeds} seeds)"
