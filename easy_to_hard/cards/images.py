"""A picture of each task for its card.

The pictures come with the package, so that building a folder needs no matplotlib. ``python -m
easy_to_hard.cards.images`` draws them again.
"""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

_FOLDER: Final = "pictures"
# Task to the difficulties that are drawn.
_DRAWN: Final = {"prefix_sums": (16, 32, 64), "mazes": (9, 13, 33), "chess_mates": (1, 2, 3)}
_DOTS_AN_INCH: Final = 80


def card_images(tasks: Iterable[str]) -> dict[str, bytes]:
    """The pictures, PNG, of those tasks that have one, by their paths in a built folder.

    Args:
        tasks: names in `TASKS`.
    """
    pictures = files("easy_to_hard.cards") / _FOLDER
    return {image_path(task): (pictures / f"{task}.png").read_bytes() for task in tasks if has_image(task)}


def has_image(task: str) -> bool:
    """Whether there is a picture of a task."""
    return task in _DRAWN


def image_path(task: str) -> str:
    """Where a task's picture is in a built folder."""
    return f"images/{task}.png"


def draw(folder: Path) -> None:
    """Draw all pictures.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    from easy_to_hard.plotting import save_figure
    from easy_to_hard.task_plots import plot_difficulties

    for task, difficulties in _DRAWN.items():
        save_figure(plot_difficulties(task, difficulties), folder / f"{task}.png", dpi=_DOTS_AN_INCH)


if __name__ == "__main__":
    draw(Path(__file__).parent / _FOLDER)
