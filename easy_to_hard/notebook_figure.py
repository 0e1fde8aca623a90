"""The figures of this package, apart from `plotting`, which is imported without matplotlib."""

import io
from typing import cast

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure, `width` by `height` inches, in no window; a notebook shows it where it is the last value of a cell.

    Of other figures, notebooks show only text until pyplot has drawn one.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


class NotebookAxes(Axes):
    """The axes of a `NotebookFigure`, for which a notebook shows the figure."""

    def _repr_png_(self) -> bytes:
        return cast(NotebookFigure, self.figure)._repr_png_()
