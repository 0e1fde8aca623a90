"""The leaderboard page, as files."""

import json
import re
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from huggingface_hub.utils import disable_progress_bars
from page_results import make_figure, make_result, make_score

from easy_to_hard.leaderboard.page import write_site
from easy_to_hard.leaderboard.page.markup import count, engineering, interval, link, percent, seconds, slug
from easy_to_hard.leaderboard.page.sections import MOST_COLUMNS, make_sections, row_id
from easy_to_hard.leaderboard.ranking import ladder, standings
from easy_to_hard.leaderboard.ranking import overview as ranking_overview
from easy_to_hard.tasks import DataSpec, get_task
from easy_to_hard.tasks.chess_mates import FIRST_MATES
from easy_to_hard.tasks.pictures import png

disable_progress_bars()
_VOID = {"meta", "br", "link", "img", "input"}
_EVIL = '<script>alert(1)</script></script><b id="x" onclick="y">&amp;'


class _Page(HTMLParser):
    """Rows of the tables by caption, ids, links, the embedded data, and whatever a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.rows: list[list[str]] = []
        self.caption = ""
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.data = ""
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows, self.caption = [], ""
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        self.fetched += [str(given[name]) for name in ("src", "srcset", "poster", "data") if given.get(name)]
        if tag == "link":
            self.fetched.append(str(given["href"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            assert self.caption, "each table has a caption"
            self.tables[self.caption] = self.rows

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.data = data
            return
        self.text += data
        if "caption" in self.open:
            self.caption += data
        elif "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert not page.open, "every tag is closed"
    return page


def _results(page: _Page) -> list[list[list[str]]]:
    """The rows of each table of results, without headings and the row that says that there is nothing."""
    return [rows[2:-1] for caption, rows in page.tables.items() if caption.startswith("Below each accuracy")]


def _some() -> list[dict[str, Any]]:
    """Results of all kinds: two nets, a fresh seed that is worse, another run, a variant, one that is not ranked."""
    checked = make_score("mazes", 9, 90, cell_accuracy=0.987, checks={"valid_path": 95}, macs_per_item=1.5e9)
    return [
        make_result("weak", {32: 100, 48: 20, 50: 1}),
        make_result("strong", {32: 90, 48: 95, 128: 80}, provenance="re-scored"),
        make_result("strong", {32: 88, 48: 5}, data_seed=77, provenance="re-scored"),
        make_result("strong", {512: 33}, iterations_rule="the thousandth"),
        make_result("walker", [checked], task="mazes", link="https://example.org/paper", authors="Ann & Bob"),
        make_result("walker", {13: 10}, task="mazes", variant="looped"),
        make_result("too much", {9: 100, 13: 100}, task="mazes", trained_on="mazes_13"),
    ]


def test_every_result_has_a_row_in_the_order_of_the_ranking(tmp_path: Path) -> None:
    index = write_site(_some(), tmp_path / "site", published=[])
    assert index == tmp_path / "site" / "index.html"
    page = _read(index)
    strings, mazes, looped = _results(page)
    assert [row[2] for row in strings] == ["strongsome-preset", "weaksome-preset"]
    assert [row[1] for row in strings] == ["1", "2"]
    (best, _) = standings(_some())[:2]
    # # method, trained on, seed, weights, score, reach, scored by, then the difficulties.
    assert strings[0][3:7] == ["32", "3", "12.3 k", f"{best.score:.1f}"]
    assert strings[0][8] == "re-scored on a fresh seedbetter on the frozen set: prefix_sums_48"
    # 20 of 100: Wilson 13.3 to 28.9.
    assert strings[1][9:] == ["100.096.3–100.0", "20.013.3–28.9", "1.00.2–5.4", "–"]
    assert mazes[0][2] == "walkersome-presetby Ann & Bob"
    assert mazes[1][1] == "–"
    assert mazes[1][2].startswith("too muchsome-presetnot ranked: trained on mazes_13, harder than size 9")
    assert looped[0][3] == "9, depth first"
    overview = page.tables["Score on each task, 0 to 100; the median where there are several seeds"]
    entries = ranking_overview(standings(_some()))
    assert {entry.method for entry in entries} == {"strong", "walker", "weak"}
    for row, entry in zip(overview[1:], entries, strict=True):
        assert row[1:3] == [entry.method, "some-preset"]
        assert row[-1] == f"{entry.mean:.1f}"
    assert overview[1][3] == f"{standings(_some())[0].score:.1f}1 seed"


def test_details_say_everything(tmp_path: Path) -> None:
    results = _some()
    submission = {"kind": "predictions", "source": "answers.parquet", "sha256": "cd" * 32}
    results[4] = {**results[4], "submission": submission}
    page = _read(write_site(results, tmp_path))
    walker = page.tables["Every difficulty that was tested, by size"]
    strings = [rows for caption, rows in page.tables.items() if caption.startswith("Every difficulty")]
    assert len(strings) == 2, "captions of one task are alike"
    assert walker[0][:3] == ["size", "items", "exact match, %"]
    fresh = page.tables["The frozen set against fresh instances, data seed 77"]
    assert [row[0] for row in fresh] == ["number of bits", "32", "48"]
    assert fresh[1][1::2] == ["90.0 of 100", "88.0 of 100", "no more than chance"]
    assert fresh[2][1::2] == ["95.0 of 100", "5.0 of 100", "better on the frozen set"]
    other = page.tables["Another run of the same net"]
    assert other[1][:3] == ["512", "100", "33.0"]
    for told in ("the thousandth", "ab" * 32, "cd" * 32, "c" * 40, "a file of predictions: answers.parquet", "one CPU"):
        assert told in page.text
    for told in ("2.0 h", "60 s", "The net may know the frozen instances", "Not ranked: trained on mazes_13"):
        assert told in page.text
    assert "https://example.org/paper" in page.links


def test_details_have_checks_cells_and_costs(tmp_path: Path) -> None:
    page = _read(write_site(_some()[4:5], tmp_path))
    heading, row = page.tables["Every difficulty that was tested, by size"]
    cells = dict(zip(heading, row, strict=True))
    assert cells["exact match, %"] == "90.0"
    assert cells["95 % interval"] == "82.6–94.5"
    assert cells["positions right, %"] == "98.7"
    assert cells["valid path, %"] == "95.0"
    assert cells["multiply-adds"] == "1.50 G"
    assert (cells["peak, %"], cells["peak − last"]) == ("90.0", "0.0")
    assert "settled" not in heading, "a column that says nothing is left out"


def test_links_are_relative_and_lead_somewhere(tmp_path: Path) -> None:
    page = _read(write_site(_some(), tmp_path, published=[make_figure("DT", 13, 0.5)]))
    assert {"assets/style.css", "assets/charts.js", "assets/page.js"} <= set(page.fetched)
    for address in page.fetched:
        assert (tmp_path / address).is_file(), address
    for address in page.links:
        if address.startswith("#"):
            assert address[1:] in page.ids, address
        elif not address.startswith("https://"):
            assert (tmp_path / address).is_file(), address
    assert len(set(page.ids)) == len(page.ids)
    for name in ("style.css", "charts.js", "page.js"):
        text = (tmp_path / "assets" / name).read_text(encoding="utf-8")
        assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(|^import ", text, re.MULTILINE), name
        # The name of SVG is an address that nothing loads.
        assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)\w+\.\w", text), name
    assert not any(name == "script" and given.get("type") == "module" for name, given in page.tags)


def test_names_cannot_inject(tmp_path: Path) -> None:
    results = [
        make_result(_EVIL, {32: 1}, preset=_EVIL, device=_EVIL, authors=_EVIL, iterations_rule=_EVIL, commit=_EVIL),
        make_result("plain", {32: 1}, link="javascript:alert(1)", trained_on=_EVIL),
    ]
    results[0] |= {"submission": {"kind": _EVIL, "source": _EVIL, "sha256": _EVIL}}
    figure = make_figure(_EVIL, 13, 0.5, paper=_EVIL, source=_EVIL, note=_EVIL, sureness=_EVIL, statistic=_EVIL)
    page = _read(write_site(results, tmp_path, published=[figure], title=_EVIL, take_part='javascript:"x"'))
    assert sum(tag == "script" for tag, _ in page.tags) == 4
    assert not any(tag == "b" and given for tag, given in page.tags)
    assert not any(name.startswith("on") for _, given in page.tags for name in given)
    assert not any("javascript:" in address for address in page.links)
    names = [row["name"] for row in json.loads(page.data)["sections"][0]["rows"]]
    assert names == [f"{_EVIL} · {_EVIL} · seed 3", "plain · some-preset · seed 3"]
    assert _EVIL in page.text


def test_embedded_data_are_the_results(tmp_path: Path) -> None:
    page = _read(write_site(_some(), tmp_path))
    strings, mazes, _ = json.loads(page.data)["sections"]
    assert (strings["id"], strings["axis"], strings["linear"]) == ("prefix-sums", "number of bits", False)
    assert (strings["from"], strings["to"]) == (32, 8192)
    best = strings["rows"][0]
    assert best["points"][1] == [48, 0.95, 0.88825, 0.97846, 95, 100]
    assert best["runs"][0][0] == [32, [1, 2, 5], [0, 0.45, 0.9]]
    assert best["runs"][1] == [[512, [1, 2, 5], [0, 0.16, 0.33]]]
    assert best["trained"] == 2
    assert [row["id"] for row in mazes["rows"]] == [row_id(standing) for standing in standings(_some())[2:4]]


def test_published_figures_stand_apart(tmp_path: Path) -> None:
    published = [
        make_figure("DT", 33, 0.9776, iterations=269),
        make_figure("DT", 33, 0.3, statistic="at iterations", iterations=50),
        make_figure("DT", 33, 0.5, runs=1),
        make_figure(
            "FF", 59, 0.0, arxiv=None, doi="10.5281/zenodo.1", sureness="read in a secondary text", note="small"
        ),
        make_figure("PI", 9, 1.0, variant="open_start", config="mazes_open_start_9"),
    ]
    page = _read(write_site(_some(), tmp_path, published=published))
    rows = page.tables["From papers, Mazes"]
    assert rows[1] == ["DT", "9", "33", "peak 97.76 at 269 · 30 at 50", "4", "[1]"]
    assert rows[2][3:5] == ["peak 50 at 30", "1"]
    assert rows[3][0] == "FF"
    assert "read in a secondary text" in page.text
    assert {"https://arxiv.org/abs/2101.00001", "https://doi.org/10.5281/zenodo.1"} <= set(page.links)
    assert page.tables["From papers, Mazes: open start"][1][0] == "PI"
    assert "No result yet." in page.text
    assert "DT" not in page.data
    for table in _results(page):
        assert not any("DT" in row[2] for row in table)


def test_ids_are_unique_and_stay(tmp_path: Path) -> None:
    nets = [
        make_result("a", {32: 1}),
        make_result("a", {32: 1}, seed=4),
        make_result("a", {32: 1}, preset="another"),
        make_result("a", {32: 1}, trained_on="prefix_sums_16"),
        make_result("a-some", {32: 1}, preset="preset"),
        make_result("a", {9: 1}, task="mazes"),
        make_result("a", {9: 1}, task="mazes", variant="looped"),
    ]
    ids = [row_id(standing) for standing in standings(nets)]
    assert len(set(ids)) == len(nets)
    assert all(re.fullmatch(r"r-[a-z0-9-]+", name) for name in ids)
    before = {row_id(standing) for standing in standings(nets[:1])}
    # Links that people have noted must lead there for good.
    assert before == {"r-a-some-preset-57294226"}
    better = make_result("a", {32: 100, 48: 100}, provenance="re-scored", commit=None, device="two GPUs")
    assert {row_id(standing) for standing in standings([better])} == before


def test_same_results_same_bytes(tmp_path: Path) -> None:
    def content(folder: Path, results: list[dict[str, Any]]) -> dict[str, bytes]:
        write_site(results, folder, published=[make_figure("DT", 13, 0.5)])
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    first = content(tmp_path / "a", _some())
    assert content(tmp_path / "b", _some()[::-1]) == first
    assert content(tmp_path / "a", _some()) == first
    assert not [name for name in first if ".tmp" in name]
    assert sum(map(len, first.values())) < 3_000_000


def test_page_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from easy_to_hard.leaderboard.page import site

    written: list[str] = []
    real = site.write_atomically

    def stop_at(path: Path, content: str | bytes) -> None:
        written.append(path.name)
        if path.suffix == ".yaml":
            raise OSError("disk full")
        real(path, content)

    monkeypatch.setattr(site, "write_atomically", stop_at)
    with pytest.raises(OSError, match="disk full"):
        write_site(_some(), tmp_path)
    assert not (tmp_path / "index.html").exists()
    assert {"style.css", "charts.js", "page.js", "mazes_9.png", "mazes_801.png"} <= set(written)


def test_no_results(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one result"):
        write_site([], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_unknown_config_is_refused(tmp_path: Path) -> None:
    result = make_result("a", {32: 1})
    result["scores"][0]["config"] = "strings_32"
    with pytest.raises(ValueError, match="unknown config 'strings_32'"):
        write_site([result], tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_hub_files(tmp_path: Path) -> None:
    from huggingface_hub import parse_eval_result_entries

    write_site(_some(), tmp_path, dataset_id="you/easy-to-hard")
    best, *_ = standings(_some())
    files = {path.stem for path in (tmp_path / "eval_results").iterdir()}
    assert files == {row_id(standing) for standing in standings(_some())}
    written = yaml.safe_load((tmp_path / "eval_results" / f"{row_id(best)}.yaml").read_text(encoding="utf-8"))
    entries = parse_eval_result_entries(written)
    assert [(entry.dataset_id, entry.task_id, entry.value) for entry in entries] == [
        ("you/easy-to-hard", "prefix_sums_32", 0.9),
        ("you/easy-to-hard", "prefix_sums_48", 0.95),
        ("you/easy-to-hard", "prefix_sums_128", 0.8),
        ("you/easy-to-hard", "prefix_sums_512", 0.33),
    ]
    assert "100 items" in str(entries[0].notes)
    assert "re-scored" in str(entries[0].notes)


def test_no_hub_file_without_the_frozen_benchmark(tmp_path: Path) -> None:
    write_site([make_result("a", {32: 1}, data_seed=5)], tmp_path)
    assert not (tmp_path / "eval_results").exists()


def test_take_part_is_a_link_where_there_is_an_address(tmp_path: Path) -> None:
    page = _read(write_site(_some(), tmp_path, take_part="https://example.org/readme#how-to-take-part"))
    assert "https://example.org/readme#how-to-take-part" in page.links


def test_columns_are_the_ends_and_rungs() -> None:
    many = make_result("a", dict.fromkeys((32, 33, 40, 48, 64, 72, 100, 128, 256, 512, 1024, 4096), 50))
    few = make_result("b", {32: 1, 64: 1})
    (section,) = make_sections(standings([many, few]), [])
    assert section.columns[0] == 32
    assert section.columns[-1] == 4096
    assert len(section.columns) == MOST_COLUMNS
    assert set(section.columns) <= set(ladder("prefix_sums", ""))
    assert 64 in section.columns, "both have it"
    (alone,) = make_sections(standings([few]), [])
    assert alone.columns == (32, 64)


@pytest.mark.parametrize(("task", "variant"), [("mazes", "looped"), ("mazes", ""), ("prefix_sums", "")])
def test_pictures_show_the_first_item(task: str, variant: str) -> None:
    difficulty = get_task(task).train_difficulty
    picture = get_task(task).picture(variant, difficulty)
    assert picture is not None
    pixels = _pixels(picture.png)
    spec = DataSpec(task=task, difficulty=difficulty, variant=variant, split="test")
    data = get_task(task).generate(spec, np.array([0]), 1).data
    inputs, targets = (values[0] for values in get_task(task).encode(data, difficulty, 1))
    if task == "mazes":
        assert np.array_equal(pixels >= 2, targets[1:-1:2, 1:-1:2] == 1)
        assert np.array_equal(pixels > 0, inputs[:, 1:-1:2, 1:-1:2].any(axis=0))
        assert (np.count_nonzero(pixels == 3), np.count_nonzero(pixels == 4)) == (1, 1)
        assert (inputs[1] & ~inputs[0])[2 * np.argwhere(pixels == 3)[0][0] + 1, 2 * np.argwhere(pixels == 3)[0][1] + 1]
    else:
        assert np.array_equal(pixels[0::3].reshape(-1) - 1, inputs.reshape(-1))
        assert np.array_equal(pixels[1::3].reshape(-1) - 3, targets)
        assert not pixels[2::3].any()


def _pixels(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The numbers of the colors of a PNG, read by hand."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, place = {}, 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert zlib.crc32(kind + body) == int.from_bytes(data[place + 8 + length : place + 12 + length], "big")
        chunks[kind], place = body, place + 12 + length
    width, height = (int.from_bytes(chunks[b"IHDR"][i : i + 4], "big") for i in (0, 4))
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, -1)[:, 1:]
    return np.stack([lines >> 4, lines & 15], axis=-1).reshape(height, -1)[:, :width]


def test_png_of_odd_width() -> None:
    pixels = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
    assert np.array_equal(_pixels(png(pixels, ((0, 0, 0, 0), (1, 2, 3, 255), (4, 5, 6, 255)))), pixels)


@pytest.mark.parametrize(
    ("variant", "mate_in"),
    [pytest.param(*key, marks=pytest.mark.slow if key[1] > 3 or key == ("balanced", 3) else ()) for key in FIRST_MATES],
)
def test_mates_are_the_first_items(variant: str, mate_in: int) -> None:
    spec = DataSpec(task="chess_mates", difficulty=mate_in, variant=variant, split="test")
    columns = get_task("chess_mates").generate(spec, np.array([0], dtype=np.uint64), None).columns
    assert (str(columns["fen"][0]), str(columns["move"][0])) == FIRST_MATES[variant, mate_in]


def test_mates_have_pictures_and_puzzles_none(tmp_path: Path) -> None:
    picture = get_task("chess_mates").picture("", 2)
    assert picture is not None
    assert picture.label == "Black mates in 2, with h1 to h2"
    assert len(picture.png) < 60_000
    assert get_task("chess_mates").picture("", 6) is None
    assert get_task("chess_puzzles").picture("", 1200) is None
    page = _read(write_site([make_result("a", {0: 9, 1200: 4}, task="chess_puzzles")], tmp_path))
    assert not any(tag == "img" for tag, _ in page.tags)
    assert json.loads(page.data)["sections"][0]["linear"] is True


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from easy_to_hard.leaderboard.page import site

    site._draw.cache_clear()
    monkeypatch.delitem(sys.modules, "easy_to_hard.notebook_figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install .*easy-to-hard\[plot\]"):
        write_site([make_result("a", {1: 9}, task="chess_mates")], tmp_path / "site")
    assert not (tmp_path / "site").exists()
    write_site([make_result("a", {32: 9})], tmp_path / "site")


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (percent(0.94), "94.0"),
        (percent(0.99996), ">99.9"),
        (percent(0.0002), "<0.1"),
        (percent(1.0), "100.0"),
        (percent(0.0), "0.0"),
        (percent(None), "–"),
        (interval([0.12345, 1]), "12.3–100.0"),
        (count(12_345), "12,345"),
        (count(199.37), "199"),
        (count(7.04), "7.0"),
        (count(None), "–"),
        (engineering(999_600), "1.00 M"),
        (engineering(80_448), "80.4 k"),
        (engineering(2.5e12), "2.50 T"),
        (engineering(12), "12"),
        (engineering(None), "–"),
        (seconds(0), "0 s"),
        (seconds(1.25), "1.2 s"),
        (seconds(600), "10 min"),
        (seconds(7200), "2.0 h"),
        (seconds(None), "–"),
        (slug("  A <b> ç_9/"), "a-b-9"),
        (link("https://a.b/c?d=1&e", "<x>"), '<a href="https://a.b/c?d=1&amp;e" rel="noopener">&lt;x&gt;</a>'),
        (link("javascript:alert(1)", "x"), "x"),
        (link('https://a"onclick="b', "x"), "x"),
        (link("//a.b", "x"), "x"),
    ],
)
def test_numbers_and_links(shown: str, wanted: str) -> None:
    assert shown == wanted
