"""Plots of attack success and accuracy under each defense."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from easy_to_hard.plotting import new_figure
from easy_to_hard.scores.reference import Measurement, ReferenceResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BY_BUDGET: Final = "attack success by budget"
_COLORS: Final = ("#c1292e", "#8a8a8a", "#235789")


def draw_defenses(result: ReferenceResult) -> "Figure":
    """Attack success with and without poison, and clean accuracy, on images: a group of bars for each defense.

    If several budgets were tried, attack success against the budget stands beside it.

    Raises:
        ImportError: matplotlib is not installed.
    """
    measurements = result.measurements
    names = ("attack success", "attack success of unpoisoned nets", "clean accuracy")
    defenses = [str(one.condition["defense"]) for one in measurements if one.name == names[0]]
    by_budget = [one for one in measurements if one.name == BY_BUDGET]
    width = 1.1 * len(defenses) + 1.5
    if by_budget:
        figure = new_figure(width + 4.5, 3.4)
        axes, beside = figure.subplots(1, 2, width_ratios=(width, 4.5))
        _budgets(beside, by_budget)
    else:
        figure = new_figure(width, 3.4)
        axes = figure.subplots()
    for number, (name, color) in enumerate(zip(names, _COLORS, strict=True)):
        _bars(axes, [one for one in measurements if one.name == name], name, (number - 1) * 0.27, color)
    axes.set_xticks(range(len(defenses)), [name.replace("_", "\n") for name in defenses])
    axes.set_ylim(0, 1)
    axes.set_ylabel("share")
    attack = result.settings["attack"].replace("_", " ")
    over = "seeds" if attack.endswith("backdoor") else "targets"
    figure.suptitle(f"{attack} on {result.data}: mean over {over}, 95 % interval", fontsize=10)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _budgets(axes: "Axes", found: Sequence[Measurement]) -> None:
    """A line for each defense, with intervals, clipped to [0, 1]."""
    for number, defense in enumerate(dict.fromkeys(str(one.condition["defense"]) for one in found)):
        line = [one for one in found if one.condition["defense"] == defense]
        # Apart, so that no interval hides another.
        shares = [100 * float(one.condition["budget"]) * 1.02**number for one in line]
        values = [one.value for one in line]
        axes.errorbar(shares, values, yerr=_errors(line), fmt="-o", markersize=3.5, capsize=2, label=defense)
    axes.set_xscale("log")
    ticks = sorted({100 * float(one.condition["budget"]) for one in found})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.set_xlabel("training set poisoned, %", fontsize=9)
    axes.set_ylabel("attack success")
    axes.legend(fontsize=8, frameon=False)


def _errors(found: Sequence[Measurement]) -> list[list[float]]:
    """How far intervals reach down and up, clipped to [0, 1]; 0 where there is none."""
    lows = [one.value - max(0.0, one.low if one.low is not None else one.value) for one in found]
    highs = [min(1.0, one.high if one.high is not None else one.value) - one.value for one in found]
    return [lows, highs]


def draw_sizes(result: ReferenceResult) -> "Figure":
    """Backdoor success (above) and clean solve rate (below) by puzzle size, a column for each number of iterations.

    Raises:
        ImportError: matplotlib is not installed.
    """
    measurements = result.measurements
    names = ("backdoor success", "clean solve rate")
    counts = sorted({int(one.condition["iterations"]) for one in measurements if one.name in names})
    figure = new_figure(3.6 * len(counts) + 2.4, 5.4)
    grid = figure.subplots(len(names), len(counts), squeeze=False, sharex=True, sharey=True)
    for line, name in zip(grid, names, strict=True):
        for ax, count in zip(line, counts, strict=True):
            _lines(ax, [one for one in measurements if one.name == name and one.condition["iterations"] == count])
            ax.axvline(result.settings["difficulty"], color="#bbbbbb", linewidth=0.8, zorder=0)
            ax.set_ylim(-0.03, 1.03)
            ax.set_title(f"{count} iterations", fontsize=9)
        line[0].set_ylabel(name)
    for ax in grid[-1]:
        ax.set_xlabel(f"size of {result.data.replace('_', ' ')} (line: training)", fontsize=9)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    return figure


def _lines(axes: "Axes", found: Sequence[Measurement]) -> None:
    """A line for each case, solid with a defense, dashed without; lines are shifted, so that equal ones are visible."""
    cases: dict[str, list[Measurement]] = {}
    for one in found:
        cases.setdefault(_title(one), []).append(one)
    sizes = sorted({int(one.condition["size"]) for one in found})
    for number, (title, values) in enumerate(cases.items()):
        values = sorted(values, key=lambda one: int(one.condition["size"]))
        shift = (number - len(cases) / 2) * 0.006 * (sizes[-1] - sizes[0] or 1)
        places = [int(one.condition["size"]) + shift for one in values]
        style = "--o" if title.startswith("none") else "-o"
        axes.plot(places, [one.value for one in values], style, markersize=3.5, label=title)
    axes.set_xticks(sizes)


def _title(one: Measurement) -> str:
    """The name of a group of nets: its defense and budget, or that it has no recall or no poison."""
    where = one.condition
    if where["recall"] == "no":
        return "none, without recall"
    budget = float(where["budget"])
    return f"{where['defense']}, {budget:.3g} poison" if budget else "none, clean set (no poison)"


def _bars(axes: "Axes", found: Sequence[Measurement], name: str, offset: float, color: str) -> None:
    """Bars with intervals, clipped to [0, 1]."""
    places = [number + offset for number in range(len(found))]
    values = [one.value for one in found]
    axes.bar(places, values, width=0.25, label=name, color=color)
    axes.errorbar(places, values, yerr=_errors(found), fmt="none", ecolor="black", elinewidth=0.8, capsize=2)
