"""Of all tasks: the right answer is right in whatever way it is given, and no reply raises an error."""

import json
import random
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from text_items import CASES, EASY, STYLES, first, items_for

from easy_to_hard.tasks import TASKS, DataSpec
from easy_to_hard.text import (
    FORMS,
    answer,
    estimate_tokens,
    get_form,
    items_at,
    items_of,
    ladder,
    make_items,
    prompt,
    register_form,
    verify,
)
from easy_to_hard.text.form import leading_share
from easy_to_hard.text.ladders import BUDGETS

WAYS = {
    "bare": "{}",
    "labelled": "Let me see.\n\nAnswer: {}\n",
    "bold": "**Answer:** {}",
    "fenced": "Here you are:\n```text\n{}\n```\nDone.",
    "fenced below a label": "ANSWER:\n\n```\n{}\n```\nI hope this is right.",
    "tagged": "<think>Answer: no idea</think> <answer>\n{}\n</answer>",
    "boxed": "So it is $\\boxed{{{}}}$.",
    "twice": "Answer: {0}\n\nI checked it. Final answer: {0}",
    "with a sentence": "Hm.\n\nThe answer is:\n{}\n\nThis took me a while.",
}


@pytest.mark.parametrize(("task", "variant", "difficulty"), CASES)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_right_answer_is_right(task: str, variant: str, difficulty: int, split: str) -> None:
    for item in items_for(task, variant, difficulty, split):
        for style in FORMS[task].styles:
            verdict = verify(item, answer(item, style))
            assert verdict.correct, verdict
            assert verdict.score == 1.0
            assert verdict.reason.startswith("right: ")


@pytest.mark.parametrize(("task", "style"), STYLES)
@pytest.mark.parametrize("way", WAYS)
def test_ways_to_give_an_answer(task: str, style: str, way: str) -> None:
    item = first(task, EASY[task])
    reply = WAYS[way].format(answer(item, style))
    assert verify(item, reply).correct, reply
    if way != "tagged":
        assert verify(item, reply.replace("\n", "\r\n")).correct


@pytest.mark.parametrize(("task", "style"), STYLES)
def test_the_answer_to_another_item_is_wrong(task: str, style: str) -> None:
    items = items_for(task, "", EASY[task])
    for item, other in pairwise(items):
        assert answer(item, style) != answer(other, style)
        verdict = verify(item, f"Answer: {answer(other, style)}")
        assert not verdict.correct
        assert 0 <= verdict.score < 1
        assert not verify(item, f"Answer: {answer(item, style)}\n\nAnswer: {answer(other, style)}").correct


@pytest.mark.parametrize("task", FORMS)
def test_mutated_replies_never_raise(task: str) -> None:
    """A thousand replies of each task, made of right ones by up to eight random edits."""
    rng = random.Random(f"mutations of {task}")
    alphabet = "01 \n\t#.oSG,;:()[]{}<>*`'\"\\/|-=+xudlrnsewQKRBNqabcdefgh12345678é→↑😀\x00\ud800０İ"
    pieces = [
        "Answer:",
        "answer is",
        "<answer>",
        "</answer>",
        "</think>",
        "<think>",
        "```",
        "\\boxed{",
        "9" * 5000,
        "up",
    ]
    wrong = 0
    for number in range(1000):
        item = items_for(task, "", EASY[task])[number % 3]
        style = rng.choice(list(FORMS[task].styles))
        reply = rng.choice(list(WAYS.values())).format(answer(item, style))
        for _ in range(rng.randint(1, 8)):
            place = rng.randint(0, len(reply))
            end = min(len(reply), place + rng.choice([0, 1, 5]))
            reply = reply[:place] + rng.choice([*alphabet, *pieces, ""]) + reply[end:]
        verdict = verify(item, reply)
        assert (verdict.score == 1) == verdict.correct
        assert 0 <= verdict.score <= 1
        assert "\n" not in verdict.reason
        wrong += not verdict.correct
    assert 200 < wrong < 1000


@pytest.mark.parametrize("task", FORMS)
@pytest.mark.parametrize("reply", ["", " ", "\n\n", "I do not know.", "Answer:", "<answer></answer>", "```\n```", "."])
def test_no_answer(task: str, reply: str) -> None:
    item = first(task, EASY[task])
    verdict = verify(item, reply)
    assert (verdict.correct, verdict.score) == (False, 0.0)
    assert verdict.reason.startswith("unreadable: ")


def test_what_is_said_on_the_way_does_not_count() -> None:
    """Only what is marked by a colon or a heading does, where there is such a mark."""
    for task, thought in (
        ("mazes", "The next step in the answer is up."),
        ("prefix_sums", "For bit 1 the answer is 1."),
    ):
        item = first(task, EASY[task])
        assert verify(item, f"{thought}\n\nAnswer: {answer(item)}").correct
        assert verify(item, f"{thought}\n\n## Answer\n\n{answer(item)}").correct
        assert verify(item, f"{thought}\n\n**Final answer**\n{answer(item)}").correct
    for reply in (None, ""):
        assert verify(item, reply).reason == "unreadable: the reply is empty"


@pytest.mark.parametrize("index", [-1, 2**64, 1.5])
def test_no_such_item(index: Any) -> None:
    with pytest.raises(ValueError, match="an index must"):
        items_at(DataSpec(task="mazes", difficulty=9, split="test"), [index])


def test_the_last_item_comes_back_by_its_id() -> None:
    item = items_at(DataSpec(task="mazes", difficulty=9, split="test"), [2**64 - 1])[0]
    assert np.array_equal(items_of([item.id])[0].data, item.data)


@pytest.mark.parametrize("task", FORMS)
def test_thoughts_do_not_count(task: str) -> None:
    item = first(task, EASY[task])
    right = answer(item)
    assert not verify(item, f"<think>Answer: {right}</think> I do not know.").correct
    assert not verify(item, f"<think>Answer: {right}").correct


def test_long_replies_are_read_in_time() -> None:
    item = first("mazes", 9)
    for piece in (
        "answer",
        "answer ",
        "Answer: ",
        "<answer>",
        "\\boxed{",
        "```",
        "\n \n",
        "(1, 1",
        "1,",
        "up ",
        "#" * 11 + "\n",
    ):
        verify(item, piece * (200_000 // len(piece)))
    assert verify(item, "hm " * 200_000 + f"\nAnswer: {answer(item)}").correct


@pytest.mark.parametrize(("task", "variant", "difficulty"), CASES)
def test_items_come_back_by_their_ids(task: str, variant: str, difficulty: int) -> None:
    items = items_for(task, variant, difficulty)
    ids = [item.id for item in reversed(items)]
    again = items_of([*ids, ids[0]])
    assert [item.id for item in again] == [*ids, ids[0]]
    for item, other in zip(reversed(items), again, strict=False):
        assert np.array_equal(item.data, other.data)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mazes_9/test/0", "is no id of an item"),
        ("mazes_9/test/0/-1", "is no id of an item"),
        ("mazes_10/test/0/1", "odd"),
        ("sudoku_9/test/0/1", "unknown config"),
        ("mazes_9/dev/0/1", "dev"),
        ("prefix_sums_16/test/0/99999", "99999"),
        ("mazes_9/test/0/99999999999999999999", "is no id of an item"),
        ("mazes_9/test/0/017", "is no id of an item"),
    ],
)
def test_ids_of_no_item(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        items_of([name])


def test_unknown_names_list_the_known_ones() -> None:
    item = first("mazes", 9)
    with pytest.raises(ValueError, match="unknown style 'ascii' of mazes: grid, marked, coordinates"):
        prompt(item, "ascii")
    with pytest.raises(ValueError, match="unknown style 'ascii'"):
        answer(item, "ascii")
    with pytest.raises(ValueError, match="'chess_puzzles' cannot be asked as text: choose one of prefix_sums, mazes"):
        get_form("chess_puzzles")
    with pytest.raises(ValueError, match="unknown ladder '1M' of mazes: 2k, 8k, 32k"):
        ladder("1M", "mazes")
    with pytest.raises(ValueError, match="mazes has a text form already"):
        register_form(FORMS["mazes"])


def test_forms_are_of_tasks() -> None:
    assert set(FORMS) <= set(TASKS)
    for form in FORMS.values():
        assert set(form.ladders) == set(BUDGETS)
        for steps in form.ladders.values():
            assert list(steps) == sorted(steps)
            assert [TASKS[form.task].check_difficulty(step) for step in steps] == list(steps)


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in FORMS for name in BUDGETS])
def test_ladders_fit_the_context_window(task: str, name: str) -> None:
    for step in ladder(name, task)[-2:]:
        for item in make_items(task, step, 3):
            assert estimate_tokens(prompt(item) + answer(item)) <= BUDGETS[name]
            if task == "mazes":
                # "right, " for each step of the longest path there may be.
                assert estimate_tokens(prompt(item)) + 2 * (step + 1) ** 2 // 2 <= BUDGETS[name]


def test_tokens_are_counted_as_documented() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("moves parities") == 1 + 2
    assert estimate_tokens("#.S\n0 1 12") == 3 + 1 + 1 + 2 + 3


def test_shares() -> None:
    assert leading_share("0110", "0110") == 1
    assert leading_share("0111", "0110") == 0.75
    assert leading_share("01", "0110") == 0.5
    assert leading_share("01100", "0110") == 0.8
    assert leading_share("", "0110") == 0


def test_text_needs_no_torch() -> None:
    code = (
        "import json, sys, easy_to_hard.text as text\n"
        "item = text.make_items('mazes', 9, 1)[0]\n"
        "assert text.verify(item, text.answer(item)).correct\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert "numba" in loaded
    assert not {"torch", "datasets", "huggingface_hub", "matplotlib", "requests", "chess"} & set(loaded)
