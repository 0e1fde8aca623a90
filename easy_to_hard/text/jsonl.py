"""Files of prompts and of replies, one JSON object in a line, and the leaderboard's scores of them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from easy_to_hard.scores.results import DifficultyScore
from easy_to_hard.storage.writing import write_atomically
from easy_to_hard.text import Item, Verdict, answer, items_of, make_items, prompt, verify


def write_prompts(path: Path, items: Iterable[Item], style: str = "") -> None:
    """Write a line for each item, with its id, its prompt and the right answer."""
    rows = ({"id": item.id, "prompt": prompt(item, style), "answer": answer(item, style)} for item in items)
    _write(path, rows)


def write_replies(path: Path, items: Iterable[Item], reply: Callable[[Item], str | None]) -> None:
    """Write a line for each item, with its id and the reply to it; None is no reply."""
    _write(path, ({"id": item.id, "reply": reply(item)} for item in items))


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


def score_verdicts(verdicts: Sequence[tuple[Item, Verdict]]) -> list[DifficultyScore]:
    """The scores that replies have on the leaderboard, one for each difficulty, ascending; checked are readable ones.

    Raises:
        ValueError: the items are of several tasks, variants, splits or seeds, or are not the first ones of each
            difficulty: replies to hard prompts must not be left out.
    """
    kinds = {(item.spec.task, item.spec.variant, item.spec.split, item.spec.seed) for item, _ in verdicts}
    if len(kinds) > 1:
        named = ", ".join(sorted(" ".join(filter(None, map(str, kind))) for kind in kinds))
        raise ValueError(f"a result is for one task, variant, split and seed, not for {named}: divide the file")
    scores = []
    for spec in sorted({item.spec for item, _ in verdicts}, key=lambda spec: spec.difficulty):
        held = {item.index: verdict for item, verdict in verdicts if item.spec == spec}
        wanted = make_items(
            spec.task, spec.difficulty, len(held), variant=spec.variant, split=spec.split, seed=spec.seed
        )
        if missing := [item.id for item in wanted if item.index not in held]:
            raise ValueError(
                f"{len(held)} replies for {spec.config} must be to its first {len(held)} items: {missing[0]} has none; "
                "a reply of null counts as wrong"
            )
        scores.append(
            DifficultyScore(
                difficulty=spec.difficulty,
                config=spec.config,
                num_items=len(held),
                num_correct=sum(verdict.correct for verdict in held.values()),
                checks={"readable": sum(verdict.readable for verdict in held.values())},
            )
        )
    return scores


def _write(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _read(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Number, from 1, and content of each line that is not empty."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: replies are lines of JSON with id and reply")
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
