"""Pictures: ROC curves, queries, and AUC against training set size and iterations."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines.canary.attacks import (
    AUGMENTED,
    CANARY,
    CANARY_NETS,
    HELD_OUT_NETS,
    THRESHOLD,
    Attack,
    attack_name,
)
from easy_to_hard.baselines.canary.claims import NEW_ITEMS
from easy_to_hard.baselines.canary.metrics import AUC, roc_points
from easy_to_hard.plotting import new_figure
from easy_to_hard.scores.reference import Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INCH: Final = 0.85
_GRAY: Final = "0.55"
_PANELS: Final = {
    CANARY_NETS: "fitted to the nets that made the canaries\n(the authors' protocol)",
    HELD_OUT_NETS: "fitted to held-out nets",
}
_LINES: Final = {"online": "-", "offline": "--"}
_BLUE: Final = "#1f5fbf"
_RED: Final = "#d1432b"
_COLORS: Final = ("#1f5fbf", "#d1432b", "#2a9d4a", "#8a4fbf", "#c98a00")


def draw_roc(attacks: Mapping[str, Attack], members: NDArray[np.bool_]) -> "Figure":
    """ROC curves of the main attacks by both protocols, with the scores of all seeds and targets pooled, on log axes.

    Args:
        attacks: see `all_attacks`.
        members: (S, T, P) bool.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(9.2, 5.0)
    least = 1 / int((~members).sum())
    for axes, (fit, title) in zip(figure.subplots(1, 2, sharey=True), _PANELS.items(), strict=True):
        lines = {
            f"{label}, {mode}": (attack_name(queries, mode, "fixed", fit), color, style)
            for mode, style in _LINES.items()
            for label, queries, color in (("LiRA", AUGMENTED, _BLUE), ("canary", CANARY[mode], _RED))
        }
        lines["global threshold"] = THRESHOLD, "0.35", ":"
        for label, (name, color, style) in lines.items():
            fpr, tpr = roc_points(attacks[name].scores.reshape(-1), members.reshape(-1))
            auc = attacks[name].performance[AUC].value
            shown = np.maximum(fpr[:, 0], least), np.maximum(tpr[:, 0], least)
            axes.plot(*shown, color=color, linestyle=style, linewidth=1.6, label=f"{label} (AUC {auc:.3f})")
        axes.plot([least, 1], [least, 1], color="0.8", linewidth=1, zorder=0)
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.05))
        axes.set_xlabel("false-positive rate")
        axes.set_title(title, fontsize=10, loc="left")
        axes.grid(color="0.92")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.axes[0].set_ylabel("true-positive rate")
    return figure


def draw_queries(rows: Mapping[str, Tensor]) -> "Figure":
    """Rows of pictures, one under another, each with its name.

    Args:
        rows: name -> (N, C, H, W) float in [0, 1], the same N in each; C is 1 or 3.

    Raises:
        ImportError: matplotlib is not installed.
    """
    count = len(next(iter(rows.values())))
    figure = new_figure(_INCH * (count + 1.6), _INCH * len(rows))
    axes = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.permute(1, 2, 0).expand(-1, -1, 3).numpy(), interpolation="nearest")
            ax.set_xticks([])
            ax.set_yticks([])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    return figure


def draw_memorization(
    measurements: Sequence[Measurement], *, kinds: Sequence[str], attack: str, trained_iterations: int
) -> "Figure":
    """AUC against the size of the training set, and against iterations, one line for each kind of net.

    Args:
        measurements: of a run on puzzles.
        kinds: names of the nets.
        attack: name of the attack.
        trained_iterations: the most iterations in training, which are marked.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(9.2, 3.9)
    sizes, iterations = figure.subplots(1, 2, sharey=True)
    known = sorted({int(one.condition["items"]) for kind in kinds for one in _aucs(measurements, kind, attack)})
    middle = known[len(known) // 2]
    for kind, color in zip(kinds, _COLORS, strict=False):
        found = _aucs(measurements, kind, attack)
        at_training = [one for one in found if one.condition["iterations"] == trained_iterations]
        _line(sizes, at_training, "items", color, kind)
        _line(iterations, [one for one in found if one.condition["items"] == middle], "iterations", color, kind)
    iterations.axvline(trained_iterations, color=_GRAY, linewidth=1, linestyle=":")
    for one in measurements:
        if (
            one.name == AUC
            and one.condition["items"] == NEW_ITEMS
            and one.condition["attack"] == attack
            and one.low is not None
        ):
            sizes.axhspan(one.low, one.high, color="0.9", zorder=0, label=NEW_ITEMS)
    for axes, label in ((sizes, "training items"), (iterations, f"iterations at test time ({middle} training items)")):
        axes.axhline(0.5, color=_GRAY, linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_xticks(sorted({x for line in axes.containers for x in line[0].get_xdata()}))
        axes.set_xlabel(label)
        axes.grid(color="0.92")
        axes.spines[["top", "right"]].set_visible(False)
    sizes.set_ylabel(f"AUC ({attack})")
    sizes.legend(frameon=False, fontsize=8)
    return figure


def _aucs(measurements: Sequence[Measurement], kind: str, attack: str) -> list[Measurement]:
    return [
        one
        for one in measurements
        if one.name == AUC
        and one.condition["nets"] == kind
        and one.condition["attack"] == attack
        and one.condition["items"] != NEW_ITEMS
    ]


def _line(axes: Any, found: Sequence[Measurement], along: str, color: str, label: str) -> None:
    """A curve with its intervals."""
    places, values = [one.condition[along] for one in found], np.array([one.value for one in found])
    # Without an interval, a bar of no height.
    ends = np.array(
        [
            (0, 0) if one.low is None or one.high is None else (one.value - one.low, one.high - one.value)
            for one in found
        ]
    ).T
    axes.errorbar(places, values, yerr=ends, color=color, marker="o", markersize=4, capsize=2, label=label)
