"""A picture of each task for its card.

The pictures come with the package, so that building a folder needs no matplotlib. ``python -m
easy_to_hard.cards.images`` draws them again.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from easy_to_hard.tasks import TASKS, get_task

_DOTS_AN_INCH: Final = 80


def card_images(tasks: Iterable[str]) -> dict[str, bytes]:
    """The pictures (PNG) of the tasks that have one, by their paths in a built folder.

    Args:
        tasks: names in `TASKS`.
    """
    pictures = {image_path(task): get_task(task).card_picture() for task in tasks}
    return {path: picture for path, picture in pictures.items() if picture is not None}


def has_image(task: str) -> bool:
    """Whether there is a picture of a task."""
    return get_task(task).card_picture() is not None


def image_path(task: str) -> str:
    """The path of a task's picture in a built folder."""
    return f"images/{task}.png"


def draw(folder: Path) -> None:
    """Draw the pictures of all tasks that have `card_difficulties`.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    from easy_to_hard.plotting import save_figure
    from easy_to_hard.task_plots import plot_difficulties

    for task in TASKS.values():
        if task.card_difficulties:
            figure = plot_difficulties(task.name, task.card_difficulties)
            save_figure(figure, folder / f"{task.name}.png", dpi=_DOTS_AN_INCH)


if __name__ == "__main__":
    draw(Path(__file__).parent / "pictures")
