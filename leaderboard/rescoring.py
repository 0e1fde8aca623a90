"""Scores results again: are they confirmed on the same instances, and on fresh ones?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from easy_to_hard.leaderboard.collect import shipped_predictions
from easy_to_hard.leaderboard.evaluate import (
    Entry,
    Questions,
    score_callable,
    score_model,
    score_predictions,
    score_replies,
)
from easy_to_hard.scores.results import Result, read_result, variant_of


def score_again(
    path: Path,
    *,
    seed: int | None = None,
    difficulties: Sequence[int] = (),
    most_items: int | None = None,
    iterations: tuple[int, ...] = (),
    callable_name: str = "",
    progress: bool = True,
) -> tuple[Result, list[str]]:
    """Score again what a result file says was scored, on the same instances or on fresh ones.

    Args:
        path: a result file with a submission. A file of predictions or of replies is looked for in the current folder,
            beside the result, and in `leaderboard/predictions`; a net's folder in the first two.
        seed: of fresh instances; None for those of the result.
        difficulties: for a net or a callable, which of the result's difficulties to score; empty for all.
        most_items: the most items at each difficulty; None for as many as the result has.
        iterations: the most iterations for a net or a callable; empty for the default.
        callable_name: the result's "module:function", if it is for one; a file alone does not decide what is imported
            and run.
        progress: whether to show bars.

    Returns:
        The result, "re-scored" and otherwise signed as before, and a line for each disagreement with the file: counts
        that differ or, for a net (which rounds differently on other hardware) or for fewer items, intervals that do not
        overlap. On fresh instances, there is nothing to disagree with.

    Raises:
        ValueError: the result has no submission, its file is a different one, it has none of the difficulties, or it is
            for another callable; or as in the functions of `evaluate`.
    """
    old = _only(read_result(path), difficulties, path)
    source = old.get("submission") or {}
    signed = {name: old.get(name) or "" for name in ("method", "preset", "trained_on", "authors", "link")}
    try:
        entry = Entry(**signed, provenance="re-scored")
    except ValueError as error:
        raise ValueError(f"{path}: trained_on: {error}") from error
    asked = {
        "task": old["task"],
        "difficulties": tuple(score["difficulty"] for score in old["scores"]),
        "variant": variant_of(old),
        "items": tuple(min(score["num_items"], most_items or score["num_items"]) for score in old["scores"]),
        "seed": old["data_seed"] if seed is None else seed,
    }
    kind = source.get("kind")
    if kind in ("predictions", "replies"):
        if seed is not None:
            raise ValueError(
                f"{path}: {kind} are to the instances they were made for; fresh ones need a net or a callable"
            )
        if Path(source["source"]).name != source["source"]:
            raise ValueError(f"{path}: submission.source is {source['source']!r}, the name of a file is wanted")
        places = (Path(), path.parent, shipped_predictions())
        found_at = next((place / source["source"] for place in places if (place / source["source"]).is_file()), None)
        if found_at is None:
            raise FileNotFoundError(f"{path}: its {kind}, {source['source']}, are not here")
        result = (
            score_replies(found_at, entry)
            if kind == "replies"
            else score_predictions(found_at, entry, progress=progress)
        )
    elif kind == "callable":
        if callable_name != source["source"]:
            told = f"not {callable_name}: only what you name is" if callable_name else "to have it imported and"
            raise ValueError(f"{path} is of the function {source['source']}: give --callable with it, {told} run")
        result = score_callable(source["source"], Questions(**asked, iterations=iterations), entry, progress=progress)
    elif kind == "model":
        from easy_to_hard.baselines.deep_thinking.checkpoint import shipped_models
        from easy_to_hard.baselines.deep_thinking.scoring import Examination

        examination = Examination(**asked, iterations=next(iter(iterations), None))
        name = source["source"]
        folder = next((place / name for place in (Path(), path.parent) if (place / name).is_dir()), None)
        if folder is None and "/" not in name and name not in shipped_models():
            raise FileNotFoundError(f"{path}: its net, the folder {name}, is neither here nor beside the result")
        result = score_model(name if folder is None else str(folder), examination, entry, progress=progress)
    else:
        raise ValueError(f"{path} does not say what was scored: it has no submission")
    found = result.submission.sha256 if result.submission else None
    if source["sha256"] != found:
        raise ValueError(f"{path}: {source['source']} is another one: SHA-256 is {found}, not {source['sha256']}")
    return result, [] if seed is not None else _differences(old, result, exact=kind != "model")


def _only(result: dict[str, Any], difficulties: Sequence[int], path: Path) -> dict[str, Any]:
    held = {score["difficulty"] for score in result["scores"]}
    if unknown := sorted(set(difficulties) - held):
        known = ", ".join(map(str, sorted(held)))
        raise ValueError(f"{path} has no difficulty {', '.join(map(str, unknown))}: it has {known}")
    scores = [score for score in result["scores"] if not difficulties or score["difficulty"] in difficulties]
    return result | {"scores": scores}


def _differences(old: Mapping[str, Any], new: Result, *, exact: bool) -> list[str]:
    before = {score["config"]: score for score in old["scores"]}
    after = {score.config: score for score in new.scores}
    lines = [f"{config} is in only one of the two" for config in sorted(before.keys() ^ after.keys())]
    for config in sorted(before.keys() & after.keys()):
        was, now = before[config], after[config]
        apart = was["interval_95"][0] > now.interval[1] or now.interval[0] > was["interval_95"][1]
        other_count = was["num_items"] == now.num_items and was["num_correct"] != now.num_correct
        if apart or (exact and other_count):
            counts = f"{now.num_correct} of {now.num_items}, the file says {was['num_correct']} of {was['num_items']}"
            lines.append(f"{config}: {counts}")
    return lines
