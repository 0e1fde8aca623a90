"""What the paper says of restored images, and how measurements decide it."""

from collections.abc import Mapping, Sequence
from typing import Final

from easy_to_hard.reference.results import Claim, Measurement, find_measurement, over_seeds

SOURCE: Final = "arXiv 2208.09392, section 4"

# Of RMSE by Algorithm 2 over that of direct restoration: the paper's MNIST figures, 0.154 and 0.142, give 1.08.
SMALL_COST: Final = 1.2

_PAIRS: Final = (("algorithm_2", "direct"), ("algorithm_1", "direct"), ("algorithm_1", "algorithm_2"))
_DIFFERENCES: Final = ("FID", "KID", "SSIM")


def compare(values: Mapping[str, Mapping[str, list[float]]], num_items: int) -> list[Measurement]:
    """Differences of FID, KID and SSIM and ratios of RMSE between two ways, seed by seed.

    Args:
        values: name of the quantity -> state -> one value a seed.
        num_items: images of each.

    Returns:
        "FID difference" and so on, under {"state": one way, "against": another}.
    """
    found = []
    for state, against in _PAIRS:
        condition = {"state": state, "against": against}
        for name in _DIFFERENCES:
            pairs = zip(values[name][state], values[name][against], strict=True)
            differences = [one - other for one, other in pairs]
            found.append(over_seeds(f"{name} difference", differences, condition=condition, num_items=num_items))
        pairs = zip(values["RMSE"][state], values["RMSE"][against], strict=True)
        ratios = [one / other for one, other in pairs]
        found.append(over_seeds("RMSE ratio", ratios, condition=condition, num_items=num_items))
    return found


def decide_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims; each holds or not only where the whole 95 % interval over seeds says so."""
    ahead = _found(measurements, "FID difference", "algorithm_2", "direct")
    cost = _found(measurements, "RMSE ratio", "algorithm_2", "direct")
    first = _found(measurements, "FID difference", "algorithm_1", "algorithm_2")
    return (
        Claim(
            text="Restoring step by step with Algorithm 2 gives a lower FID than restoring at once.",
            source=SOURCE,
            held=_below(ahead, 0.0),
            evidence=_shown(ahead, "FID of Algorithm 2 minus FID of direct restoration"),
        ),
        Claim(
            text=f"It costs little in RMSE: at most {SMALL_COST:g} times that of restoring at once.",
            source=SOURCE,
            held=_below(cost, SMALL_COST),
            evidence=_shown(cost, "RMSE of Algorithm 2 over RMSE of direct restoration"),
        ),
        Claim(
            text="Algorithm 1 is worse than Algorithm 2: its FID is higher.",
            source=SOURCE,
            held=_not(_below(first, 0.0)),
            evidence=_shown(first, "FID of Algorithm 1 minus FID of Algorithm 2"),
        ),
    )


def _found(measurements: Sequence[Measurement], name: str, state: str, against: str) -> Measurement:
    return find_measurement(measurements, name, {"state": state, "against": against})


def _below(measurement: Measurement, limit: float) -> bool | None:
    """Whether all of the interval is below the limit: True, or all above: False, or neither: None."""
    if measurement.low is None or measurement.high is None:
        return None
    if measurement.high < limit:
        return True
    return False if measurement.low > limit else None


def _not(decided: bool | None) -> bool | None:
    return None if decided is None else not decided


def _shown(measurement: Measurement, what: str) -> str:
    if measurement.low is None or measurement.high is None:
        return f"{what}: {measurement.value:.4g} (one seed, which decides nothing)"
    interval = f"95 % interval {measurement.low:.4g} to {measurement.high:.4g}"
    return f"{what}: {measurement.value:.4g} ({interval}, {measurement.num_seeds} seeds)"
