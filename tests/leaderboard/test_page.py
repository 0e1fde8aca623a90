"""The leaderboard page and its plot."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from easy_to_hard.leaderboard.page import write_page
from easy_to_hard.plotting import plot_accuracy_curves, svg_markup
from easy_to_hard.scoring import DifficultyScore, Result


def _result(method: str, correct: dict[int, int], *, task: str = "prefix_sums", **changes: Any) -> dict[str, Any]:
    scores = [
        DifficultyScore(
            difficulty=difficulty,
            config=f"{task}_{difficulty}",
            num_items=100,
            num_correct=count,
            mean_iterations=7.0,
            recorded_iterations=(1, 2, 3),
            recorded_correct=(0, count // 2, count),
        )
        for difficulty, count in correct.items()
    ]
    result = Result(
        method=method,
        preset="demo",
        task=task,
        trained_on=f"{task}_16",
        commit=None,
        package_version="0.1.0",
        data_manifest_sha256="ab" * 32,
        seed=3,
        device="cpu",
        training_seconds=60.0,
        evaluation_seconds=30.0,
        iterations_rule="the last",
        scores=scores,
    )
    return {**result.to_dict(), **changes}


class _Page(HTMLParser):
    """Rows of the tables, the tags, and whatever a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "link", "img", "input"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        for name, value in attributes:
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#"):
                self.fetched.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1] += data


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert not page.open, "every tag is closed"
    return page


def test_hardest_difficulty_ranks(tmp_path: Path) -> None:
    results = [
        _result("weak", {32: 100, 512: 20}),
        _result("strong", {32: 90, 512: 95}),
        _result("unmeasured", {32: 100}),
        _result("elsewhere", {9: 50}, task="mazes"),
    ]
    write_page(results, tmp_path / "index.html")
    page = _read(tmp_path / "index.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.html"]
    strings, mazes = page.tables
    assert strings[0] == ["method", "trained on", "seed", "32", "512"]
    assert [row[0] for row in strings[1:]] == ["strong (demo)", "weak (demo)", "unmeasured (demo)"]
    # 20 of 100: Wilson 13.3 to 28.9.
    assert strings[2][4] == "20.0\N{NO-BREAK SPACE}%13.3–28.9"
    assert strings[3][4] == "–"
    assert [row[0] for row in mazes] == ["method", "elsewhere (demo)"]


def test_page_stands_alone(tmp_path: Path) -> None:
    write_page([_result("a", {32: 100})], tmp_path / "index.html")
    page = _read(tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert not page.fetched
    assert not re.search(r"url\((?!#)|@import|fetch\(", text)
    assert text.count("<svg") == 1
    assert "$" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL)
    assert "<dd>7 for 32</dd>" in text
    assert "<dd>100 for 32</dd>" in text
    assert "ab" * 32 in text


def test_names_cannot_inject(tmp_path: Path) -> None:
    write_page([_result("<script>alert(1)</script>", {32: 1}, device='"><b>')], tmp_path / "index.html")
    page = _read(tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert page.tables[0][1][0] == "<script>alert(1)</script> (demo)"


def test_no_results() -> None:
    with pytest.raises(ValueError, match="at least one result"):
        write_page([], Path("index.html"))


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


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install .*easy-to-hard\[plot\]"):
        write_page([_result("a", {32: 100})], tmp_path / "index.html")
    assert not list(tmp_path.iterdir())
