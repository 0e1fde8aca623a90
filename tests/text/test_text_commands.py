"""`easy-to-hard text` and `score --replies`, and their files."""

import json
import re
from pathlib import Path

import pytest
from text_items import EASY

from easy_to_hard.cli import main
from easy_to_hard.leaderboard.collect import shipped_results
from easy_to_hard.scores.results import read_result
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.text import FORMS, jsonl, make_items, prompt
from easy_to_hard.text.bounds import BOUNDS


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_replies(path: Path, replies: dict[str, object]) -> Path:
    path.write_text(
        "".join(json.dumps({"id": name, "reply": reply}) + "\n\n" for name, reply in replies.items()), encoding="utf-8"
    )
    return path


def test_prompts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text", "mazes", "9", "--style", "marked"]) == 0
    item = make_items("mazes", 9, 1)[0]
    shown = capsys.readouterr().out
    assert shown.startswith(f"mazes_9/test/0/{item.index}\n\n{prompt(item, 'marked')}\n\n###########\n")


def test_from_prompts_to_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of five strings each: no answer, an unreadable one, a wrong one and two right ones; of the longer ones, none."""
    prompts, verdicts, out = tmp_path / "to" / "prompts.jsonl", tmp_path / "verdicts.jsonl", tmp_path / "mine.json"
    for bits in ("16", "32"):
        assert main(["text", "prefix_sums", bits, "--num", "5", "--out", str(prompts)]) == 0
        rows = rows_of(prompts)
        assert list(rows[0]) == ["id", "prompt", "answer"]
        assert len({row["id"] for row in rows}) == len(rows) == 5
        if bits == "16":
            replies: dict[str, object] = {str(row["id"]): f"Answer: {row['answer']}" for row in rows}
            first, second, third, *_ = replies
            replies |= {first: None, second: "Answer: " + "2" * 16, third: "Answer: 0"}
        else:
            replies |= {str(row["id"]): "0" for row in rows}
    file = write_replies(tmp_path / "replies.jsonl", replies)
    arguments = ["score", "--replies", str(file), "--task", "prefix_sums", "--method", "a model"]
    assert main([*arguments, "--verdicts", str(verdicts), "--out", str(out)]) == 0
    assert [row["correct"] for row in rows_of(verdicts)] == [False, False, False, True, True, *[False] * 5]
    assert list(rows_of(verdicts)[0]) == ["id", "correct", "score", "reason"]
    result = read_result(out)
    counts = [
        (score["config"], score["num_correct"], score["num_items"], score["checks"]) for score in result["scores"]
    ]
    assert counts == [("prefix_sums_16", 2, 5, {"readable": 3}), ("prefix_sums_32", 0, 5, {"readable": 5})]
    assert result["method"] == "a model"
    assert result["submission"]["kind"] == "replies"
    assert "readable 3" in capsys.readouterr().out
    assert main(["score", "--again", str(out)]) == 0
    file.write_text(file.read_text().replace('"0"', '"1"'))
    assert main(["score", "--again", str(out)]) == 2
    assert "replies.jsonl is another one" in capsys.readouterr().err


def test_the_data_of_a_result_are_those_of_a_function(tmp_path: Path) -> None:
    """The same first items, so that their figures can be compared."""
    replies, texts, tensors = tmp_path / "replies.jsonl", tmp_path / "texts.json", tmp_path / "tensors.json"
    assert main(["text", "mazes", "9", "--num", "12", "--reply", "solver", "--out", str(replies)]) == 0
    assert main(["score", "--replies", str(replies), "--out", str(texts)]) == 0
    solver = ["--callable", "easy_to_hard.leaderboard.solvers:breadth_first", "--task", "mazes", "--quiet"]
    assert main(["score", *solver, "--difficulties", "9", "--items", "12", "--out", str(tensors)]) == 0
    ours, theirs = read_result(texts), read_result(tensors)
    assert ours["data_manifest_sha256"] == theirs["data_manifest_sha256"]
    assert ours["scores"][0]["num_correct"] == theirs["scores"][0]["num_correct"] == 12


@pytest.mark.parametrize("task", FORMS)
def test_bounds(task: str, tmp_path: Path) -> None:
    """The solver is right, no reply is wrong, and a guess can be read and is the same each time."""
    shares = {}
    for bound in ("none", "guess", "solver"):
        replies, verdicts = tmp_path / f"{bound}.jsonl", tmp_path / f"{bound}-verdicts.jsonl"
        written = ["text", task, str(EASY[task]), "--num", "10", "--reply", bound, "--out", str(replies)]
        assert main(written) == 0
        first = replies.read_bytes()
        assert main(written) == 0
        assert replies.read_bytes() == first
        assert main(["score", "--replies", str(replies), "--verdicts", str(verdicts)]) == 0
        rows = rows_of(verdicts)
        shares[bound] = sum(bool(row["correct"]) for row in rows) / len(rows)
        unreadable = sum(str(row["reason"]).startswith("unreadable") for row in rows)
        assert unreadable == (10 if bound == "none" else 0)
    assert shares["none"] == 0
    assert shares["guess"] < 1
    assert shares["solver"] == 1


def test_the_order_of_replies_is_of_no_matter(tmp_path: Path) -> None:
    items = [*make_items("mazes", 13, 2), *make_items("mazes", 9, 3)]
    found = []
    for given in (items, items[::-1]):
        file = write_replies(tmp_path / "replies.jsonl", {item.id: "up" for item in given})
        assert main(["score", "--replies", str(file), "--out", str(tmp_path / "a.json")]) == 0
        found.append(read_result(tmp_path / "a.json")["data_manifest_sha256"])
    assert found[0] == found[1]


def test_verdicts_do_not_overwrite_the_replies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_replies(tmp_path / "replies.jsonl", {make_items("mazes", 9, 1)[0].id: "up"})
    before = file.read_bytes()
    assert main(["score", "--replies", str(file), "--verdicts", str(file)]) == 2
    assert "the verdicts need another file than the replies" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_hard_items_cannot_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = make_items("mazes", 9, 4)
    file = write_replies(tmp_path / "replies.jsonl", {item.id: "up" for item in (*items[:2], items[3])})
    assert main(["score", "--replies", str(file)]) == 2
    error = capsys.readouterr().err
    assert f"3 replies for mazes_9 must be to its first 3 items: {items[2].id} has none" in error


def test_a_result_is_for_one_kind_of_instances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maze, string = make_items("mazes", 9, 1)[0], make_items("prefix_sums", 16, 1)[0]
    trained = make_items("mazes", 9, 1, split="train")[0]
    for items, message in (
        ((maze, string), "not for mazes depth_first test 0, prefix_sums test 0: divide the file"),
        ((maze, trained), "divide the file"),
        ((trained,), "is for the train split: results are for test"),
    ):
        file = write_replies(tmp_path / "replies.jsonl", {item.id: "up" for item in items})
        assert main(["score", "--replies", str(file)]) == 2
        assert message in capsys.readouterr().err
    file = write_replies(tmp_path / "replies.jsonl", {maze.id: "up"})
    assert main(["score", "--replies", str(file), "--task", "prefix_sums"]) == 2
    assert "is for mazes, not for prefix_sums" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"id": 1, "reply": "up"}', "line 1: wanted are"),
        ('{"id": "mazes_9/test/0/0"}', "line 1: wanted are"),
        ('{"id": "mazes_9/test/0/0", "reply": 3}', "line 1: wanted are"),
        ('{"id": "mazes/0", "reply": "up"}', "'mazes/0' is no id of an item"),
        ('{"id": "mazes_9/test/0/0", "reply": "up"}\n{"id": "mazes_9/test/0/0", "reply": "up"}', "line 2: .* twice"),
        ("", "has no replies"),
        ("\udcff", "line 1 is not JSON"),
        ("[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_bad_files_of_replies(line: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_bytes(line.encode(errors="surrogateescape"))
    assert main(["score", "--replies", str(file)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert error.count("\n") == 1


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["text", "mazes"], "give a difficulty or a ladder"),
        (["text", "mazes", "9", "--ladder", "2k"], "give a difficulty or a ladder"),
        (["text", "mazes", "--ladder", "9k"], "unknown ladder '9k' of mazes: 2k, 8k, 32k"),
        (["text", "mazes", "9", "--style", "ascii"], "unknown style 'ascii'"),
        (["text", "chess_puzzles", "0"], "'chess_puzzles' cannot be asked as text"),
        (["text", "mazes", "9", "--num", "0"], "num_samples must be at least 1"),
        (["text", "mazes", "9", "--out", "prompts.csv"], "--out must end in .jsonl"),
        (
            ["text", "mazes", "9", "--reply", "best", "--out", "a.jsonl"],
            "--reply must be none, guess, solver, not 'best'",
        ),
        (["text", "mazes", "9", "--reply", "guess"], "--reply needs --out"),
        (["score", "--replies", "a.jsonl", "--verdicts", "b.csv"], "--verdicts must end in .jsonl, not 'b.csv'"),
        (["score", "--template", "mazes_9", "--verdicts", "b.jsonl"], "--verdicts needs --replies"),
        (["score", "--replies", "a.jsonl", "--variant", "looped"], "--variant is not for --replies"),
        (["score", "--replies", "a.jsonl", "--fresh-seed", "3"], "--fresh-seed needs a net or a callable"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(["score", "--replies", str(tmp_path / "none.jsonl")]) == 1
    error = capsys.readouterr().err
    assert "none.jsonl: replies are lines of JSON with id and reply" in error
    assert "Errno" not in error


BOUNDS_SCORED = sorted(shipped_results().glob("text-*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("path", BOUNDS_SCORED, ids=lambda path: path.stem)
def test_the_bounds_on_the_leaderboard(path: Path, tmp_path: Path) -> None:
    """Their replies are made again, to the byte, and scored again."""
    result = read_result(path)
    items = [
        item
        for score in result["scores"]
        for item in make_items(result["task"], score["difficulty"], score["num_items"])
    ]
    replies = tmp_path / result["submission"]["source"]
    jsonl.write_replies(replies, items, BOUNDS[result["method"].removeprefix("text ")])
    assert file_sha256(replies) == result["submission"]["sha256"]
    (tmp_path / path.name).write_bytes(path.read_bytes())
    assert main(["score", "--again", str(tmp_path / path.name)]) == 0


def test_all_tasks_have_bounds_on_the_leaderboard() -> None:
    assert {read_result(path)["task"] for path in BOUNDS_SCORED} == set(FORMS)
