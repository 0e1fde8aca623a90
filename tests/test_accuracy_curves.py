"""The plot of accuracies against iterations."""

from typing import Any
from xml.etree import ElementTree

import pytest

from easy_to_hard.plotting import plot_accuracy_curves, svg_markup


def test_curves_are_drawn_as_given() -> None:
    curves = {"32 bits": ([1, 2, 3], [0.0, 0.5, 1.0]), "64 bits": ([1, 4], [0.1, 0.9])}
    figure = plot_accuracy_curves(curves, title="a title", trained_iterations=20)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["32 bits"].get_ydata()) == [0, 50, 100]
    assert list(lines["64 bits"].get_xdata()) == [1, 4]
    assert lines["32 bits"].get_color() != lines["64 bits"].get_color()
    assert axes.get_xscale() == "log"
    assert any(list(line.get_xdata()) == [20, 20] for line in axes.lines)
    markup = svg_markup(figure)
    ElementTree.fromstring(markup)
    assert markup.startswith("<svg")
    assert "32 bits" in markup
    assert markup == svg_markup(plot_accuracy_curves(curves, title="a title", trained_iterations=20))


@pytest.mark.parametrize("curves", [{}, {"a": ([], [])}])
def test_curves_need_points(curves: Any) -> None:
    with pytest.raises(ValueError, match="at least one point"):
        plot_accuracy_curves(curves, title="")
