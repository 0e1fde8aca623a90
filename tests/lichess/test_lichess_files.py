"""Lichess puzzles converted: every form of file, folders in every state, the command."""

import hashlib
import io
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard
from filelock import FileLock
from lichess_rows import (
    EXCERPT,
    HEADER,
    convert_quietly,
    excerpt,
    good_rows,
    puzzles,
    read_rejects,
    read_table,
    write_rows,
)

from easy_to_hard.commands.chess import ConvertLichess
from easy_to_hard.commands.parsing import parse
from easy_to_hard.lichess import convert as converting
from easy_to_hard.lichess import folders
from easy_to_hard.lichess.reading import BLOCK_BYTES, ConvertError
from easy_to_hard.storage.manifest import read_manifest

# ---- forms of the file


def test_headers_of_all_years(converted: Path, tmp_path: Path) -> None:
    lines, names = [line.split(b",") for line in excerpt()], HEADER.split(b",")
    expected = puzzles(converted)
    bare = [{**row, "opening_tags": ""} for row in expected]
    order = [5, 3, 9, 1, 0, 2, 8, 7, 6, 4]
    forms: dict[str, tuple[list[bytes] | None, list[list[bytes]], list[dict[str, Any]]]] = {
        "no header": (None, lines, expected),
        "no tags": (names[:-1], [line[:-1] for line in lines], bare),
        "2021": (None, [line[:-1] for line in lines], bare),
        "other order": ([names[i] for i in order], [[line[i] for i in order] for line in lines], expected),
        "more columns": ([*names, b"New", b"Newer"], [[*line, b"1", b"x y"] for line in lines], expected),
    }
    for form, (header, fields, wanted) in forms.items():
        source = tmp_path / "rows.csv"
        write_rows(source, [b",".join(row) for row in fields], None if header is None else b",".join(header))
        report = convert_quietly(source, tmp_path / form)
        assert report.rows_in == report.rows_out == 200, form
        assert report.ignored_columns == (("New", "Newer") if form == "more columns" else ())
        assert puzzles(tmp_path / form) == wanted, form


def test_files_without_a_header_may_mix_nine_and_ten_fields(tmp_path: Path) -> None:
    lines = good_rows(4)
    lines[0], lines[2] = lines[0].rsplit(b",", 1)[0], lines[2].rsplit(b",", 2)[0]
    report = convert_quietly(write_rows(tmp_path / "rows.csv", lines, None), tmp_path / "data")
    assert (report.rows_in, report.rows_out) == (4, 3)
    assert read_rejects(tmp_path / "data") == [(3, "wrong number of fields: 8, not 9 or 10")]


def test_needed_columns_may_be_all_there_are(tmp_path: Path) -> None:
    lines = [b",".join(line.split(b",")[:4]) for line in excerpt()]
    convert_quietly(write_rows(tmp_path / "rows.csv", lines, b"PuzzleId,FEN,Moves,Rating"), tmp_path / "data")
    table = read_table(tmp_path / "data")
    assert table["plays"].null_count == table["popularity"].null_count == 200
    assert set(table["game_url"].to_pylist()) == {""}


@pytest.mark.parametrize(
    "header", [b"PuzzleId,FEN,Moves", b"PuzzleId,FEN,Moves,Rating,Rating", b"FEN;Moves,Rating", b"Rating"]
)
def test_headers_that_lack_or_repeat_a_column_are_refused(header: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="the header must have PuzzleId, FEN, Moves, Rating once each"):
        convert_quietly(write_rows(tmp_path / "rows.csv", excerpt(), header), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_line_ends_marks_and_quotes(converted: Path, tmp_path: Path) -> None:
    expected = puzzles(converted)
    lines = excerpt()
    quoted = [b",".join(b'"' + field + b'"' for field in line.split(b",")) for line in lines]
    plain = b"\n".join([HEADER, *lines])
    forms = {
        "no last line end": plain,
        "crlf": plain.replace(b"\n", b"\r\n") + b"\r\n",
        "mark": b"\xef\xbb\xbf" + plain,
        "mark without header": b"\xef\xbb\xbf" + plain.split(b"\n", 1)[1],
        "quotes": b"\n".join([b'"' + HEADER.replace(b",", b'","') + b'"', *quoted]),
    }
    for form, content in forms.items():
        (tmp_path / "rows.csv").write_bytes(content)
        assert convert_quietly(tmp_path / "rows.csv", tmp_path / form, strict=True).rows_out == 200, form
        assert puzzles(tmp_path / form) == expected, form


def test_quoted_fields_lose_their_quotes_only(tmp_path: Path) -> None:
    fields = good_rows(1)[0].split(b",")
    fields[7], fields[9] = '"a,b ""c"" é"'.encode(), b'""'
    convert_quietly(write_rows(tmp_path / "rows.csv", [b",".join(fields)]), tmp_path / "data", strict=True)
    row = read_table(tmp_path / "data").to_pylist()[0]
    assert (row["themes"], row["opening_tags"]) == ('a,b "c" é', "")


def _packed(content: bytes, size: int | None = None) -> bytes:
    packer = zstandard.ZstdCompressor(level=3)
    pieces = [content[i : i + size] for i in range(0, len(content), size)] if size else [content]
    return b"".join(packer.compress(piece) for piece in pieces)


def test_packed_files_are_known_by_their_bytes(converted: Path, tmp_path: Path) -> None:
    content = EXCERPT.read_bytes()
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip"
    forms = {
        "one frame": _packed(content),
        "many frames": _packed(content, 777),
        "frames to skip": skippable + _packed(content, 20_000) + skippable,
    }
    for form, packed in forms.items():
        (tmp_path / "rows.txt").write_bytes(packed)
        convert_quietly(tmp_path / "rows.txt", tmp_path / form)
        assert puzzles(tmp_path / form) == puzzles(converted), form
        assert read_manifest(tmp_path / form)["source"]["sha256"] == hashlib.sha256(packed).hexdigest()
    (tmp_path / "plain.csv.zst").write_bytes(content)
    assert convert_quietly(tmp_path / "plain.csv.zst", tmp_path / "plain").rows_out == 200


def test_damaged_and_foreign_files_are_one_error(tmp_path: Path) -> None:
    packed = _packed(EXCERPT.read_bytes())
    damaged = bytearray(packed)
    damaged[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    forms = {
        packed[:-5]: "the compressed data end early",
        packed[: len(packed) // 2]: "the compressed data end early",
        bytes(damaged): "the compressed data are damaged",
        packed + b"garbage": "the compressed data are damaged",
        b"\x1f\x8b\x08": "is gzip: it must be UTF-8 text, plain or packed by Zstandard",
        b"PK\x03\x04": "is zip",
        b"\xff\xfeP\0": "is UTF-16",
    }
    for content, message in forms.items():
        (tmp_path / "rows.csv").write_bytes(content)
        with pytest.raises(ConvertError, match=message):
            convert_quietly(tmp_path / "rows.csv", tmp_path / "data")
        assert not (tmp_path / "data").exists()
    with pytest.raises(ConvertError, match=r"absent\.csv is not a file"):
        convert_quietly(tmp_path / "absent.csv", tmp_path / "data")
    with pytest.raises(ConvertError, match="is not a file"):
        convert_quietly(tmp_path, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_standard_input(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for form, content in (("plain", EXCERPT.read_bytes()), ("packed", _packed(EXCERPT.read_bytes()))):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        convert_quietly("-", tmp_path / form)
        assert puzzles(tmp_path / form) == puzzles(converted)
        assert read_manifest(tmp_path / form)["source"]["name"] == "-"


def test_blocks_end_anywhere_and_lines_may_be_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines longer than a block cost their own row only."""
    good = good_rows(90)
    long = [b"x" * length for length in (BLOCK_BYTES - 5, BLOCK_BYTES, 2 * BLOCK_BYTES + 3, 5 * BLOCK_BYTES)]
    lines = [*good[:20], long[0], *good[20:40], long[1], long[2], *good[40:70], long[3], *good[70:], b"y" * BLOCK_BYTES]
    report = convert_quietly(write_rows(tmp_path / "rows.csv", lines), tmp_path / "data")
    assert (report.rows_in, report.rows_out) == (95, 90)
    assert read_rejects(tmp_path / "data") == [
        (line, "line too long: more than 8,192 bytes") for line in (22, 43, 44, 75, 96)
    ]
    monkeypatch.setattr("easy_to_hard.lichess.reading.BLOCK_BYTES", 10_007)
    monkeypatch.setattr("easy_to_hard.lichess.reading._PIECE_BYTES", 331)
    again = convert_quietly(tmp_path / "rows.csv", tmp_path / "again")
    assert (again.rows_in, again.rows_out) == (95, 90)
    assert puzzles(tmp_path / "again") == puzzles(tmp_path / "data")
    assert read_rejects(tmp_path / "again") == read_rejects(tmp_path / "data")


# ---- the folder, the machine


def test_folders_with_something_else_are_refused(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ConvertError, match=r"is not empty: found mine\.txt; choose another folder or remove it"):
        convert_quietly(EXCERPT, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    (tmp_path / "other.csv").write_text("".join(EXCERPT.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ConvertError, match="is not empty: it is complete, but of SHA-256"):
        convert_quietly(tmp_path / "other.csv", converted)
    (tmp_path / "other.csv").unlink()
    with pytest.raises(ConvertError, match="is a file, not a folder"):
        convert_quietly(EXCERPT, tmp_path / "mine.txt")


def test_one_conversion_at_a_time(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(ConvertError, match="another process is writing there"),
    ):
        convert_quietly(EXCERPT, tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
@pytest.mark.parametrize("where", ["write_json", "_read", "_write_bands"])
def test_an_error_on_the_way_leaves_nothing(
    where: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(converting, where, fail)
    with pytest.raises((KeyboardInterrupt, OSError)):
        convert_quietly(EXCERPT, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_killed_is_begun_anew(converted: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    code = f"from easy_to_hard.lichess.convert import convert; convert('-', {str(root)!r}, progress=False)"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(EXCERPT.read_bytes()[:20_000])
    process.stdin.flush()
    deadline = time.monotonic() + 120
    while not (root / ".convert" / "made" / "rejects.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert {path.name for path in root.iterdir()} == {".convert", ".lock"}
    convert_quietly(EXCERPT, root)
    assert puzzles(root) == puzzles(converted)
    assert not {".convert", ".lock"} & {path.name for path in root.iterdir()}


def test_a_run_that_was_killed_while_moving_is_begun_anew(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves: list[Path] = []

    def stop_after_three(old: Path, new: Path) -> None:
        if len(moves) == 3:
            raise OSError("killed")
        moves.append(new)
        old.rename(new)

    with monkeypatch.context() as patch:
        patch.setattr(folders.os, "replace", stop_after_three)
        # What a killed process cannot do.
        patch.setattr(folders.shutil, "rmtree", lambda *arguments, **options: None)
        with pytest.raises(OSError, match="killed"):
            convert_quietly(EXCERPT, tmp_path / "data")
    assert len(moves) == 3
    assert all(path.exists() for path in moves)
    convert_quietly(EXCERPT, tmp_path / "data")
    assert (tmp_path / "data" / "manifest.json").read_bytes() == (converted / "manifest.json").read_bytes()
    assert not (tmp_path / "data" / ".convert").exists()


def test_a_move_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = folders.os.replace

    def failing(source: Any, target: Any) -> None:
        if Path(target).parent == tmp_path / "out":
            if len(moved) == 2:
                raise OSError("disk full")
            moved.append(str(target))
        replace(source, target)

    monkeypatch.setattr(folders.os, "replace", failing)
    source = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
    with pytest.raises(OSError, match="disk full"):
        converting.convert(source, tmp_path / "out", progress=False)
    assert len(moved) == 2
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(folders.os, "replace", replace)
    assert converting.convert(source, tmp_path / "out", progress=False).rows_out == 200


@pytest.mark.parametrize("changes", [{"edges": (0, 1500)}, {"bands": "rank"}])
def test_a_whole_folder_of_other_settings_is_refused(changes: dict[str, Any], converted: Path) -> None:
    source = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
    with pytest.raises(ConvertError, match=r"is not empty: it is complete, but of (edges|bands) "):
        converting.convert(source, converted, progress=False, **changes)


def test_a_run_that_was_killed_when_all_was_moved_is_whole(converted: Path, tmp_path: Path) -> None:
    shutil.copytree(converted, tmp_path / "out")
    state = tmp_path / "out" / folders._STATE
    state.mkdir()
    (state / folders._MOVING).write_text('["README.md", "manifest.json"]')
    source = Path(__file__).parents[1] / "data" / "lichess_puzzles_200.csv"
    report = converting.convert(source, tmp_path / "out", progress=False)
    assert (report.was_whole, report.rows_in, report.rows_out) == (True, 200, 200)
    assert next(report.lines()).startswith(f"{tmp_path / 'out'}: was already complete, 200 rows in")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(p.name for p in converted.iterdir())
    assert read_manifest(tmp_path / "out") == read_manifest(converted)


_MEASURE = """
import sys
from easy_to_hard.lichess import bands, sorting
from easy_to_hard.lichess.convert import convert
sorting._RUN_ROWS = sorting.TABLE_ROWS = bands._GROUP_ROWS = 4096
print(convert(sys.argv[1], sys.argv[2], progress=False, planes=sys.argv[3] == "planes").peak_memory)
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["parquet", "planes"])
def test_memory_does_not_grow_with_the_file(form: str, tmp_path: Path) -> None:
    """Ten times as many rows, 36 MB of text and, as planes, 166 MB of arrays: less than 48 MB more memory.

    6 to 36 were seen, also of one commit; the text and its rows at once would be more than 48.
    """
    peaks = []
    for count in (20_000, 200_000):
        source = write_rows(tmp_path / f"{count}.csv", good_rows(count))
        # The first run may have kernels to compile, which takes more memory than anything else.
        for run in ("first", "second"):
            command = [sys.executable, "-c", _MEASURE, str(source), str(tmp_path / f"{count}-{run}"), form]
            peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 48e6


_MEASURE_READING = """
import resource, sys
from easy_to_hard.lichess.reading import Input, line_blocks
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read = sum(len(text) for text in line_blocks(Input(sys.argv[1]).pieces()))
print(read, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 2**10)
"""


@pytest.fixture(scope="module")
def mostly_zeros(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A line of 512 MiB of zeros between two puzzles, compressed to 17 kB."""
    path = tmp_path_factory.mktemp("zeros") / "rows.csv.zst"
    first, last = good_rows(2)
    with path.open("wb") as file, zstandard.ZstdCompressor(level=19).stream_writer(file) as writer:
        writer.write(HEADER + b"\n" + first + b"\n")
        for _ in range(512):
            writer.write(bytes(2**20))
        writer.write(b"\n" + last + b"\n")
    assert path.stat().st_size < 20_000
    return path


@pytest.mark.posix
@pytest.mark.slow
def test_memory_does_not_depend_on_how_far_a_file_was_compressed(mostly_zeros: Path) -> None:
    command = [sys.executable, "-c", _MEASURE_READING, str(mostly_zeros)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    read, mebibytes = map(int, told.split())
    # Of the line that is too long, only the beginning is kept.
    assert read < 20_000
    assert mebibytes < 96


@pytest.mark.slow
def test_a_line_of_zeros_costs_its_own_row_only(mostly_zeros: Path, tmp_path: Path) -> None:
    report = convert_quietly(mostly_zeros, tmp_path / "data")
    assert (report.rows_in, report.rows_out) == (3, 2)
    assert read_rejects(tmp_path / "data") == [(3, "line too long: more than 8,192 bytes")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": "elo"}, "unknown bands 'elo': choose one of rating, rank"),
        ({"edges": []}, r"edges must begin with 0, .* not \[\]"),
        ({"edges": [1200, 1400]}, r"edges must begin with 0, so that every puzzle has a band, and ascend, not \[1200"),
        ({"edges": [0, 1400, 1400]}, "edges must begin with 0"),
        ({"edges": [0, 1400, 1300]}, "edges must begin with 0"),
        ({"edges": [0, 5001]}, "edges of ratings must be at most 5000, not 5001"),
        ({"edges": [0, 1200.5]}, r"edges must be whole numbers, not 1200\.5"),
        ({"planes": True, "bands": "rank"}, "planes are not divided into bands: leave out bands and edges"),
        ({"planes": True, "edges": [0]}, "planes are not divided into bands"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        convert_quietly(EXCERPT, tmp_path / "data", **options)
    assert not (tmp_path / "data").exists()


# ---- the command


def test_the_command_says_what_became_of_each_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [*good_rows(50), b"", b"", b"a", b"", b""]
    source, root = write_rows(tmp_path / "rows.csv", lines, HEADER + b",New"), tmp_path / "data"
    lines = [line + b",1" if line else line for line in lines]
    write_rows(source, lines, HEADER + b",New")
    arguments = [str(source), "--out", str(root), "--bands", "rank", "--edges", "0", "20", "--quiet"]
    command = parse(ConvertLichess, arguments, see="--help")
    assert command.run() == 0
    out, err = capsys.readouterr()
    told = out.splitlines()
    assert told[:4] == [
        f"{root}: 55 rows in, 50 out, 5 rejected",
        "          4  empty line (line 52, 53, 55, ...)",
        "          1  wrong number of fields (line 54)",
        "unknown columns, left out: New",
    ]
    assert " rows/s, peak memory " in told[4]
    assert err == ""
    assert {path.name for path in root.glob("chess_*")} == {"chess_puzzles_rank_0", "chess_puzzles_rank_20"}


def test_progress_is_shown_unless_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ConvertLichess(source=str(EXCERPT), out=tmp_path / "data", planes=True).run()
    err = capsys.readouterr().err
    assert "reading lichess_puzzles_200.csv: 100%" in err
    assert "writing: 100%" in err
