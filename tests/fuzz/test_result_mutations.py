"""Malformed result files: each command that takes one accepts it, or refuses it in a line that names it.

The long form, 3,000 files:
``EASY_TO_HARD_LONG_TESTS=1 python -m pytest tests/fuzz/test_result_mutations.py -s``.
"""

import os

import pytest
from fuzz.bounded import attempt_all, summary

COUNT = 3000 if os.environ.get("EASY_TO_HARD_LONG_TESTS") else 150
MOST_MEGABYTES, MOST_SECONDS = 500, 30


@pytest.mark.slow
def test_malformed_files_are_refused_in_one_line() -> None:
    attempts = attempt_all("fuzz.result_attempts", COUNT, MOST_SECONDS)
    print(summary(attempts))
    wrong = [each for each in attempts if each.outcome not in ("accepted", "refused")]
    assert not wrong, wrong[:5]
    assert max(each.megabytes for each in attempts) < MOST_MEGABYTES
    assert min([each.outcome for each in attempts].count(outcome) for outcome in ("accepted", "refused")) > COUNT / 50
