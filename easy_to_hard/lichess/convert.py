"""Convert the puzzle file of the Lichess database: read, check, sort by rating, write."""

import contextlib
import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from easy_to_hard.cards.croissant import CROISSANT
from easy_to_hard.environment import __version__, peak_memory
from easy_to_hard.lichess.bands import BANDS, BandWriter, check_edges
from easy_to_hard.lichess.card import puzzle_card, puzzle_croissant
from easy_to_hard.lichess.folders import clear_state, unfinished, written_whole
from easy_to_hard.lichess.plane_files import FOLDER as PLANES_FOLDER
from easy_to_hard.lichess.plane_files import PlaneWriter
from easy_to_hard.lichess.reading import ConvertError, Input, line_blocks, without_mark
from easy_to_hard.lichess.rows import SCHEMA, Reject, RowReader
from easy_to_hard.lichess.sorting import RatingSort
from easy_to_hard.progress import progress_bar
from easy_to_hard.storage.files import write_atomically, write_json
from easy_to_hard.storage.manifest import FORMAT, MANIFEST, README
from easy_to_hard.storage.writing import telling

REJECTS: Final = "rejects.csv"
SOURCE: Final = "source.json"
_SHOWN_LINES: Final = 3


@dataclass(frozen=True, kw_only=True)
class RejectCount:
    """Rows rejected for one reason.

    Attributes:
        reason: why.
        count: how many.
        lines: numbers of the first three lines; empty if the folder was already complete.
    """

    reason: str
    count: int
    lines: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ConvertReport:
    """What a conversion did: rows_in is the sum of rows_out and the counts of the rejects.

    Attributes:
        root: the folder.
        rows_in: number of lines in the file, without the header.
        rows_out: number of puzzles written.
        rejects: one for each reason, most frequent first.
        ignored_columns: unknown columns of the header.
        seconds: from start to finish.
        peak_memory: bytes, of the process so far; None where the system does not report it.
        was_whole: the folder already held the complete result from this same source, and nothing was written.
    """

    root: Path
    rows_in: int
    rows_out: int
    rejects: tuple[RejectCount, ...]
    ignored_columns: tuple[str, ...]
    seconds: float
    peak_memory: int | None
    was_whole: bool = False

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        rejected = self.rows_in - self.rows_out
        whole = "was already complete, " if self.was_whole else ""
        yield f"{self.root}: {whole}{self.rows_in:,} rows in, {self.rows_out:,} out, {rejected:,} rejected"
        for reject in self.rejects:
            shown = ", ".join(str(line) for line in reject.lines) + (", ..." if reject.count > _SHOWN_LINES else "")
            yield f"  {reject.count:>9,}  {reject.reason}" + (f" (line {shown})" if shown else "")
        if self.ignored_columns:
            yield f"unknown columns, left out: {', '.join(self.ignored_columns)}"
        memory = "" if self.peak_memory is None else f", peak memory {self.peak_memory / 2**20:,.0f} MiB"
        yield f"{self.seconds:.1f} s, {self.rows_in / self.seconds:,.0f} rows/s{memory}"


def convert(
    source: str | Path,
    root: str | Path,
    *,
    bands: str = "rating",
    edges: Sequence[int] | None = None,
    strict: bool = False,
    planes: bool = False,
    progress: bool = True,
) -> ConvertReport:
    """Convert Lichess puzzles to a folder that `load_dataset` reads, with one config per band.

    The first move of a row is the opponent's: the puzzle is the position after it, and its solution is the moves from
    the second on. Puzzles are sorted by rating, ties in the order of the file; within a band, the hash of the position
    decides which split a puzzle is in. Every move of every row is checked. A row that is not a puzzle is counted and
    written to ``rejects.csv`` with its line number and the reason. Of two rows with the same PuzzleId, the later one is
    rejected. Ids are compared by hash, so the probability of any wrong rejection among 10^7 ids is below 10^-5. Apart
    from these hashes, 16 to 32 bytes per row, memory does not depend on the number of rows; during the conversion, the
    disk holds the rows uncompressed.

    Args:
        source: a .csv.zst or .csv file (recognized by its content, not its name), or "-" for standard input; with
            today's header, without OpeningTags, or without a header as in 2021.
        root: the folder, new or empty; ``~`` is expanded.
        bands: what a band is a range of, "rating" or "rank" (the place in the sorted order, from 0).
        edges: the lower edge of each band, the first 0; the last band is open-ended. None for `DEFAULT_EDGES`.
        strict: stop at the first row that is not a puzzle.
        planes: write the arrays of the original's files instead, see `plane_files`; without bands and splits.
        progress: show bars.

    Raises:
        ConvertError: the source cannot be read or holds no puzzle, a row is not a puzzle and `strict` is set, or the
            folder holds something else. Nothing is left behind. A folder that already holds the result is fine.
        ValueError: the bands are unknown, or the edges are not allowed.
    """
    lower_edges = check_edges(bands, edges)
    if planes and (bands != BANDS[0] or edges is not None):
        raise ValueError("planes are not divided into bands: leave out bands and edges")
    begun = time.perf_counter()
    root = Path(root).expanduser()
    whole = None if unfinished(root) else _read_whole(root, planes)
    if whole is not None:
        with contextlib.closing(Input(source)) as opened:
            opened.skip()
            _check_same(root, whole, opened, bands, lower_edges)
        clear_state(root)
        return _report_whole(root, whole["source"], begun)
    with contextlib.closing(Input(source)) as opened, written_whole(root) as (made, scratch):
        reader, sort = RowReader(opened.name), RatingSort(scratch, SCHEMA)
        with _RejectFile(made / REJECTS) as rejects:
            rows = _read(opened, reader, sort, rejects, strict, progress)
        if rows == 0:
            held = f"{reader.rows_in:,} rows, none of which is a puzzle{rejects.first}" if reader.rows_in else "no row"
            raise ConvertError(f"{opened.name} holds {held}")
        told = {
            "name": opened.name,
            "sha256": opened.sha256(),
            "rows_in": reader.rows_in,
            "rows_out": rows,
            "rejects": {reject.reason: reject.count for reject in rejects.counts()},
        }
        if planes:
            _write_planes(made, sort, rows, told, progress)
        else:
            _write_bands(made, sort, rows, told, bands, lower_edges, progress)
    return ConvertReport(
        root=root,
        rows_in=reader.rows_in,
        rows_out=rows,
        rejects=rejects.counts(),
        ignored_columns=reader.ignored,
        seconds=time.perf_counter() - begun,
        peak_memory=peak_memory(),
    )


def _read_whole(root: Path, planes: bool) -> dict[str, Any] | None:
    """What a folder's manifest says about the completed conversion in it; None where there is none."""
    path = root / PLANES_FOLDER / SOURCE if planes else root / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        whole = all((root / entry["path"]).stat().st_size == entry["bytes"] for entry in found["files"])
        return found if whole and isinstance(found["source"]["rejects"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_same(root: Path, found: dict[str, Any], opened: Input, bands: str, edges: tuple[int, ...]) -> None:
    """Raise ConvertError if a folder holds something other than what this conversion would make."""
    wanted = {"package_version": __version__, "SHA-256": opened.sha256(), "edges": list(edges)}
    there = {
        "package_version": found["package_version"],
        "SHA-256": found["source"]["sha256"],
        "edges": found.get("edges", list(edges)),
    }
    wanted["bands"], there["bands"] = bands, found["files"][0].get("variant", bands)
    for name, value in wanted.items():
        if there[name] != value:
            raise ConvertError(
                f"{root} is not empty: it is complete, but of {name} {there[name]}, not {value}; "
                "choose another folder or remove it"
            )


def _report_whole(root: Path, source: dict[str, Any], begun: float) -> ConvertReport:
    rejects = [RejectCount(reason=reason, count=count, lines=()) for reason, count in source["rejects"].items()]
    return ConvertReport(
        root=root,
        rows_in=source["rows_in"],
        rows_out=source["rows_out"],
        rejects=tuple(rejects),
        ignored_columns=(),
        seconds=time.perf_counter() - begun,
        peak_memory=peak_memory(),
        was_whole=True,
    )


def _read(
    opened: Input, reader: RowReader, sort: RatingSort, rejects: "_RejectFile", strict: bool, progress: bool
) -> int:
    """Read all rows; returns how many are puzzles."""
    rows = 0
    with progress_bar(
        total=opened.size, unit="B", unit_scale=True, desc=f"reading {opened.name}", always=True, show=progress
    ) as bar:
        # The first block waits for it, for half a minute if it was never compiled before.
        bar.set_postfix_str("loading the chess engine, which is compiled once")
        for text in line_blocks(without_mark(opened.pieces())):
            for batch, rejected in reader.read(text):
                bar.set_postfix_str("", refresh=False)
                if strict and rejected:
                    raise ConvertError(f"{opened.name}, line {rejected[0].line}: {rejected[0].reason}")
                rejects.add(rejected)
                sort.add(batch)
                rows += len(batch)
            bar.update(opened.read - bar.n)
    return rows


def _write_bands(
    made: Path,
    sort: RatingSort,
    rows: int,
    told: dict[str, Any],
    bands: str,
    edges: tuple[int, ...],
    progress: bool,
) -> None:
    writer = BandWriter(made, bands, edges)
    with progress_bar(total=rows, unit="rows", unit_scale=True, desc="writing", always=True, show=progress) as bar:
        for table in sort.tables():
            writer.add(table)
            bar.update(len(table))
    files = writer.close()
    header = {
        "format": FORMAT,
        "package_version": __version__,
        "preset": "lichess",
        "seed": 0,
        "split_rule": "hash",
        "source": told,
        "edges": list(edges),
    }
    write_atomically(made / README, puzzle_card(header, bands, files))
    write_atomically(made / CROISSANT, puzzle_croissant(header, bands, files))
    write_json(made / MANIFEST, {**header, "files": files})


def _write_planes(made: Path, sort: RatingSort, rows: int, told: dict[str, Any], progress: bool) -> None:
    writer = PlaneWriter(made, rows)
    with progress_bar(total=rows, unit="rows", unit_scale=True, desc="writing", always=True, show=progress) as bar:
        for table in sort.tables():
            writer.add(table)
            bar.update(len(table))
    write_json(made / PLANES_FOLDER / SOURCE, {"package_version": __version__, "source": told, "files": writer.close()})


class _RejectFile:
    """Writes the rejects to a file, and counts them by reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(["line", "reason", "row"])
        self._counts: dict[str, int] = {}
        self._lines: dict[str, list[int]] = {}
        # For the message if no puzzle is found.
        self.first = ""

    def __enter__(self) -> "_RejectFile":
        return self

    def __exit__(self, *error: object) -> None:
        with telling(self._path):
            self._file.close()

    def add(self, rejects: list[Reject]) -> None:
        for reject in rejects:
            with telling(self._path):
                self._writer.writerow([reject.line, reject.reason, reject.text])
            self.first = self.first or f" (line {reject.line}: {reject.reason})"
            self._counts[reject.kind] = self._counts.get(reject.kind, 0) + 1
            lines = self._lines.setdefault(reject.kind, [])
            if len(lines) < _SHOWN_LINES:
                lines.append(reject.line)

    def counts(self) -> tuple[RejectCount, ...]:
        """By reason, most frequent first."""
        order = sorted(self._counts, key=lambda kind: (-self._counts[kind], kind))
        return tuple(
            RejectCount(reason=kind, count=self._counts[kind], lines=tuple(self._lines[kind])) for kind in order
        )
