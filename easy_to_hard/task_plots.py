"""Pictures of the instances of any task, with matplotlib (``pip install "easy-to-hard[plot]"``)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from easy_to_hard.plotting import BITS_A_LINE, new_figure
from easy_to_hard.tasks import DataSpec, generate, get_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_item(spec: DataSpec, index: int, ax: "Axes | None" = None) -> "Axes":
    """Draw item `index` of a spec with its solution."""
    task = get_task(spec.task)
    return task.plot(*task.example(spec, index), ax)


def plot_difficulties(
    task: str, difficulties: Sequence[int], *, examples: int = 1, variant: str = "", split: str = "test", seed: int = 0
) -> "Figure":
    """Draw a grid of solved instances, with one column per difficulty; bit strings go one below the other.

    Args:
        task: name in `TASKS`.
        difficulties: at least one.
        examples: instances of each difficulty.
        variant, split, seed: see `DataSpec`.

    Raises:
        ValueError: there is no difficulty or no example, or `DataSpec` does not allow an argument.
    """
    if not difficulties or examples < 1:
        raise ValueError(f"at least one difficulty and one example are needed, not {list(difficulties)} and {examples}")
    specs = [
        DataSpec(task=task, difficulty=difficulty, variant=variant, split=split, seed=seed)
        for difficulty in difficulties
    ]
    flat = len(get_task(task).shapes(specs[0].difficulty)[0]) == 1
    if flat:
        lines = [-(-difficulty // BITS_A_LINE) for difficulty in difficulties for _ in range(examples)]
        figure = new_figure(9, sum(0.35 + 0.5 * n for n in lines))
        grid = figure.subplots(len(lines), 1, squeeze=False, height_ratios=lines).reshape(len(specs), examples)
    else:
        figure = new_figure(2.6 * len(specs), 2.6 * examples + 0.3)
        grid = figure.subplots(examples, len(specs), squeeze=False).T
    for spec, row in zip(specs, grid, strict=True):
        _, instances = generate(spec, examples)
        inputs, targets = get_task(task).encode(instances.data, spec.difficulty, None)
        for axes, item, solution, data in zip(row, inputs, targets, instances.data, strict=True):
            get_task(task).plot(item, solution, data, axes)
            if flat:
                axes.set_xlim(0, BITS_A_LINE)
                axes.set_anchor("W")
        label = f"{get_task(task).difficulty_name} {spec.difficulty}"
        row[0].set_title(label, fontsize=9, loc="left" if flat else "center")
    return figure
