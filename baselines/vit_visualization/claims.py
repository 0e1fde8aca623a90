"""What the paper says, and how measurements decide it.

Where the paper's figure is a share of the natural accuracy that is kept, the claim holds here if at least nine tenths
of that share is kept; the limits follow from the paper's figures alone.
"""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.reference.results import Claim, Condition, Measurement

SOURCE: Final = "arXiv 2212.06727"
_NATURAL: Final = 84.20
# Table 1: ViT-B/16 on ImageNet, top-1 in per cent.
_FIGURES: Final = {
    "CLS apart but for the last block": (78.61, "CLS that sees the patches only in the last block still classifies"),
    "single patch, mean over places": (75.75, "The head that was trained on CLS classifies from single patches"),
    "best patch, chosen in training": (80.16, "From the best single patch it does nearly as well as from CLS"),
}
_LENIENCE: Final = 0.9

# Names of measurements that claims are decided by.
KEPT: Final = "share of the accuracy above chance kept"
LOCAL: Final = "variance within images, last layer less the least before"
SCORE: Final = "AUROC of the best feature"
KEPT_SOLVED: Final = "share of the solve rate kept, ViT less recurrent net"

# Of mazes that a net must solve for its failures on changed ones to say something.
_SOLVES: Final = 0.5


def decide_image_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The claims whose figures were measured."""
    found: list[Claim] = []
    for way, (figure, text) in _FIGURES.items():
        measured = look_up(measurements, KEPT, {"way": way})
        if measured is not None:
            limit = _LENIENCE * figure / _NATURAL
            found.append(
                Claim(
                    text=f"{text} ({figure:.2f} of {_NATURAL:.2f} %): at least {limit:.3f} of the accuracy is kept.",
                    source=f"{SOURCE}, table 1",
                    held=above(measured, limit),
                    evidence=shown(measured, "share of the natural accuracy above chance"),
                )
            )
    found += _uniform(measurements)
    return (*found, *_against_conv_net(measurements))


def _uniform(measurements: Sequence[Measurement]) -> list[Claim]:
    measured = look_up(measurements, LOCAL, {"net": "trained"})
    if measured is None:
        return []
    held = above(measured, 0.0)
    return [
        Claim(
            text="Features of the last block are more uniform over space than those of all blocks before.",
            source=f"{SOURCE}, abstract",
            held=None if held is None else not held,
            evidence=shown(measured, "share of the variance within images, last block less the least before"),
        )
    ]


def _against_conv_net(measurements: Sequence[Measurement]) -> list[Claim]:
    texts = {
        "low-pass": ("Taking out high frequencies hurts a convolutional net more than a ViT.", "figure 14"),
        "centre": ("The foreground alone, here the middle half, leaves a ViT more of its accuracy.", "table 2"),
        "border": ("The background alone, here all but the middle half, leaves a ViT more of it.", "table 2"),
    }
    found = []
    for kind, (text, place) in texts.items():
        measured = look_up(measurements, "share kept, ViT less conv net", {"kept": kind})
        if measured is not None:
            found.append(
                Claim(
                    text=text,
                    source=f"{SOURCE}, {place}",
                    held=above(measured, 0.0),
                    evidence=shown(
                        measured, "share of its accuracy above chance that the ViT keeps less that of the conv net"
                    ),
                )
            )
    return found


def look_up(measurements: Sequence[Measurement], name: str, condition: Condition) -> Measurement | None:
    """The measurement of that name under exactly that condition; None where it was not made."""
    same = (one for one in measurements if one.name == name and dict(one.condition) == dict(condition))
    return next(same, None)


def above(measurement: Measurement, limit: float) -> bool | None:
    """Whether all of the interval is above the limit: True, or none of it: False, or neither: None."""
    if measurement.low is None or measurement.high is None:
        return None
    if measurement.low > limit:
        return True
    return False if measurement.high <= limit else None


def shown(measurement: Measurement, what: str) -> str:
    """A figure with its interval, for people."""
    if measurement.low is None or measurement.high is None:
        return f"{what}: {measurement.value:.4g} (no interval, which decides nothing)"
    interval = f"95 % interval {measurement.low:.4g} to {measurement.high:.4g}"
    seeds = measurement.num_seeds
    basis = f"{seeds} seeds" if seeds > 1 else f"one net, {measurement.num_items} items"
    return f"{what}: {measurement.value:.4g} ({interval}, {basis})"


def decide_maze_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims as far as they can be asked of nets that solve mazes."""
    found = []
    measured = look_up(measurements, "AUROC of the path, last layer less first", {"net": "trained"})
    if measured is not None:
        found.append(
            Claim(
                text="Features go from simple patterns in early layers to the object in late ones: here, to the path.",
                source=f"{SOURCE}, abstract",
                held=above(measured, 0.0),
                evidence=shown(measured, "AUROC of the feature that follows the path best, last layer less first"),
            )
        )
    found += _uniform(measurements)
    kept = look_up(measurements, KEPT_SOLVED, {})
    rate = next((one for one in measurements if one.name == "solve rate"), None)
    if kept is not None and rate is not None:
        able = rate.value >= _SOLVES
        note = "" if able else f"; the ViT solves {rate.value:.1%} of the mazes as they are, which decides nothing"
        found.append(
            Claim(
                text="Taking out high frequencies hurts a convolutional net more than a ViT.",
                source=f"{SOURCE}, figure 14",
                held=above(kept, 0.0) if able else None,
                evidence=shown(kept, "share of its solve rate that the ViT keeps less that of the recurrent net")
                + note,
            )
        )
    return tuple(found)
