"""`easy-to-hard text` and `score-replies`, and their files."""

import json
import re
from pathlib import Path

import pytest

from easy_to_hard.cli import main
from easy_to_hard.text import make_items, prompt


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_replies(path: Path, replies: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps({"id": name, "reply": reply}) + "\n\n" for name, reply in replies.items()))
    return path


def test_prompts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text", "mazes", "9", "--style", "marked"]) == 0
    item = make_items("mazes", 9, 1)[0]
    shown = capsys.readouterr().out
    assert shown.startswith(f"mazes_9/test/0/{item.index}\n\n{prompt(item, 'marked')}\n\n###########\n")


def test_from_prompts_to_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts, verdicts = tmp_path / "to" / "prompts.jsonl", tmp_path / "verdicts.jsonl"
    assert main(["text", "prefix_sums", "--ladder", "2k", "--num", "4", "--out", str(prompts)]) == 0
    rows = rows_of(prompts)
    assert list(rows[0]) == ["id", "prompt", "answer"]
    assert len({row["id"] for row in rows}) == len(rows) == 20
    replies = {str(row["id"]): f"Answer: {row['answer']}" for row in rows if "_16/" in str(row["id"])}
    first, second, *_ = replies
    replies |= {first: "Answer: " + "2" * 16, second: None, **{str(rows[-1]["id"]): "0"}}  # type: ignore[dict-item]
    capsys.readouterr()
    file = write_replies(tmp_path / "replies.jsonl", dict(replies))
    assert main(["score-replies", str(file), "--out", str(verdicts)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["prefix_sums_16", "4", "50.0", "%", "15.0", "to", "85.0", "%", "0.500", "2"]
    assert lines[2].split()[:4] == ["prefix_sums_256", "1", "0.0", "%"]
    assert [row["correct"] for row in rows_of(verdicts)] == [False, False, True, True, False]
    assert list(rows_of(verdicts)[0]) == ["id", "correct", "score", "reason"]


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
    assert main(["score-replies", str(file)]) == 2
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
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(["score-replies", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl" in capsys.readouterr().err
