"""What the paper says of restored images."""

from collections.abc import Mapping, Sequence
from typing import Final

from easy_to_hard.baselines.kit.claims import Criterion, Direction, Statement, judge
from easy_to_hard.baselines.kit.statistics import of_differences, over_seeds
from easy_to_hard.scores.reference import Claim, Condition, Measurement, look_up

SOURCE: Final = "arXiv 2208.09392, section 4"

# Of RMSE by Algorithm 2 over that of direct restoration: the paper's MNIST figures, 0.154 and 0.142, give 1.08.
SMALL_COST: Final = 1.2

_PAIRS: Final = (("algorithm_2", "direct"), ("algorithm_1", "direct"), ("algorithm_1", "algorithm_2"))
_DIFFERENCES: Final = ("FID", "KID", "SSIM")
_GAIN: Final = "RMSE of direct restoration over that of the degraded image"


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
            one, other = values[name][state], values[name][against]
            found.append(
                of_differences(f"{name} difference", one, other, unit="", condition=condition, num_items=num_items)
            )
        pairs = zip(values["RMSE"][state], values["RMSE"][against], strict=True)
        ratios = [one / other for one, other in pairs]
        found.append(over_seeds("RMSE ratio", ratios, condition=condition, num_items=num_items))
    return found


def decide_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims, judged by the figures; not tested where direct restoration gains nothing."""
    texts: dict[str, tuple[str, tuple[str, str], Direction, float, str]] = {
        "Restoring step by step with Algorithm 2 gives a lower FID than restoring at once.": (
            "FID difference",
            ("algorithm_2", "direct"),
            "less",
            0.0,
            "FID of Algorithm 2 minus FID of direct restoration",
        ),
        f"It costs little in RMSE: at most {SMALL_COST:g} times that of restoring at once.": (
            "RMSE ratio",
            ("algorithm_2", "direct"),
            "at most",
            SMALL_COST,
            "RMSE of Algorithm 2 over RMSE of direct restoration",
        ),
        "Algorithm 1 is worse than Algorithm 2: its FID is higher.": (
            "FID difference",
            ("algorithm_1", "algorithm_2"),
            "greater",
            0.0,
            "FID of Algorithm 1 minus FID of Algorithm 2",
        ),
    }
    gains = Criterion(name=_GAIN, direction="less", bound=1.0)
    statements = []
    for text, (name, (state, against), direction, bound, words) in texts.items():
        condition: Condition = {"state": state, "against": against}
        criterion = Criterion(name=name, condition=condition, direction=direction, bound=bound, words=words)
        statements.append(Statement(text=text, source=SOURCE, criteria=(criterion,), needs=(gains,)))
    return judge(statements, [*measurements, *_gain(measurements)])


def _gain(measurements: Sequence[Measurement]) -> list[Measurement]:
    """How much of the degraded images' RMSE is left, from the means over seeds; it has no interval."""
    degraded, direct = (look_up(measurements, "RMSE", {"state": state}) for state in ("degraded", "direct"))
    if degraded is None or direct is None:
        return []
    return [
        Measurement(
            name=_GAIN,
            value=direct.value / degraded.value,
            num_items=direct.num_items,
            num_seeds=direct.num_seeds,
        )
    ]
