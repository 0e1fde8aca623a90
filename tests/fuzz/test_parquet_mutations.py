"""Parquet predictions whose structure is wrong: they are read right, or refused in one line, soon and in little memory.

The long form, 6,000 mutants:
``EASY_TO_HARD_LONG_TESTS=1 python -m pytest tests/fuzz/test_parquet_mutations.py -s``.
"""

import io
import os
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fuzz.bounded import attempt_all, read_files, summary
from fuzz.parquet_attempts import table
from fuzz.parquet_mutants import File, Page, field, take_apart

COUNT = 6000 if os.environ.get("EASY_TO_HARD_LONG_TESTS") else 200
MOST_MEGABYTES, MOST_SECONDS = 150, 20


@pytest.mark.slow
def test_mutants_are_read_right_or_refused_in_one_line() -> None:
    attempts = attempt_all("fuzz.parquet_attempts", COUNT, MOST_SECONDS)
    print(summary(attempts))
    wrong = [each for each in attempts if each.outcome not in ("accepted", "refused")]
    assert not wrong, wrong[:5]
    assert max(each.megabytes for each in attempts) < MOST_MEGABYTES
    assert min([each.outcome for each in attempts].count(outcome) for outcome in ("accepted", "refused")) > COUNT / 20


def _no_groups(file: File) -> None:
    _lists(file, 4).clear()


def _no_columns(file: File) -> None:
    _lists(file, 4)[0].value = [each for each in _lists(file, 4)[0].value if each[0] != 1]


def _no_schema(file: File) -> None:
    del _lists(file, 2)[1:]


def _many_groups(file: File) -> None:
    """Two thousand groups that share pages, of the rows of one."""
    group = _lists(file, 4)[0]
    empty = deepcopy(group)
    field(empty, 3).value = 0  # type: ignore[union-attr]
    _lists(file, 4).extend([empty] * 2000)


def _empty_pages(file: File) -> None:
    """Pages of no values that unpack to 50 GB, all of which the footer admits."""
    page = deepcopy(file.chunks[2][-1])
    field(page.header, 2).value = 2**28  # type: ignore[union-attr]
    field(field(page.header, 5), 1).value = 0  # type: ignore[union-attr,arg-type]
    file.chunks[2][-1:-1] = [Page(page.header, page.body[:100])] * 200
    for each in file.chunks[2][:-1]:
        field(each.header, 3).value = 100  # type: ignore[union-attr]
    file.settle()


def _packed_size(file: File) -> None:
    field(file.chunks[2][0].header, 3).value = 2**31 - 1  # type: ignore[union-attr]
    file.settle()


def _unpacked_size(file: File) -> None:
    field(file.chunks[2][0].header, 2).value = 2**31 - 1  # type: ignore[union-attr]
    file.settle()


def _other_file(file: File) -> None:
    field(file.facts()[0], 9).value = len(file.content()) - 20  # type: ignore[union-attr]


def _other_name(file: File) -> None:
    """Arrow goes by the schema; the path beside the chunk is for nobody."""
    path = field(file.facts()[2], 3)
    path.value[0].value = b"note"  # type: ignore[union-attr]


def _lists(file: File, number: int) -> list:  # type: ignore[type-arg]
    found = field(file.footer, number)
    assert found is not None
    return found.value  # type: ignore[no-any-return]


IMPOSSIBLE: dict[Callable[[File], None], str] = {
    _no_groups: "its row groups have 0 rows, the footer says 200",
    _no_columns: "its footer lacks 1",
    _no_schema: "it has no columns",
    _many_groups: "columns .* share bytes",
    _empty_pages: "column prediction unpacks to 53,687,[0-9,]* bytes: at most",
    _packed_size: "a page of 2,147,483,647 bytes: write pages of at most 268,435,456",
    _unpacked_size: "a page of 2,147,483,647 bytes: write pages of at most 268,435,456",
    _other_file: "are not in it, or are its footer",
    _other_name: "a row group has other columns than its schema",
}


@pytest.mark.slow
def test_structures_that_cannot_be(tmp_path: Path) -> None:
    written = io.BytesIO()
    pq.write_table(table(), written, compression="none", use_dictionary=False)
    paths = []
    for change in IMPOSSIBLE:
        file = take_apart(written.getvalue())
        assert file.content() == written.getvalue(), "nothing is lost by taking a file apart"
        change(file)
        paths.append(tmp_path / change.__name__ / "answers.parquet")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(file.content())
    for attempt, message in zip(
        read_files("fuzz.parquet_attempts", paths, MOST_SECONDS), IMPOSSIBLE.values(), strict=True
    ):
        assert attempt.outcome == "refused", attempt
        assert re.search(message, attempt.told), attempt.told
        assert attempt.megabytes < MOST_MEGABYTES
