"""Files of prompts and of replies, one JSON object in a line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from easy_to_hard.storage.writing import write_atomically
from easy_to_hard.text import Item, Verdict, answer, items_of, prompt, verify


def write_prompts(path: Path, items: Iterable[Item], style: str = "") -> None:
    """Write a line for each item, with its id, its prompt and the right answer."""
    rows = ({"id": item.id, "prompt": prompt(item, style), "answer": answer(item, style)} for item in items)
    _write(path, rows)


def write_verdicts(path: Path, verdicts: Iterable[tuple[Item, Verdict]]) -> None:
    """Write a line for each item, with its id and its verdict."""
    rows = (
        {"id": item.id, "correct": verdict.correct, "score": verdict.score, "reason": verdict.reason}
        for item, verdict in verdicts
    )
    _write(path, rows)


def verify_replies(path: Path) -> list[tuple[Item, Verdict]]:
    """Judge a file of replies, whose lines have an id and a reply; a reply of null counts as empty.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not of this form, or an id comes twice, or there are no lines; the message names the line.
    """
    replies: dict[str, str] = {}
    for number, row in _read(path):
        name, reply = row.get("id"), row.get("reply", ...)
        if not isinstance(name, str) or not isinstance(reply, str | None):
            raise ValueError(f'{path}, line {number}: wanted are {{"id": text, "reply": text}}')
        if name in replies:
            raise ValueError(f"{path}, line {number}: {name[:60]!r} comes twice")
        replies[name] = reply or ""
    if not replies:
        raise ValueError(f"{path} has no replies")
    items = items_of(list(replies))
    return [(item, verify(item, reply)) for item, reply in zip(items, replies.values(), strict=True)]


def _write(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _read(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Number, from 1, and content of each line that is not empty."""
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number} is not JSON: {str(error)[:100]}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number} is not a JSON object")
        yield number, row
