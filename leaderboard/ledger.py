"""The ledger of results that were scored again: only the result files in it are shown as "re-scored".

``python leaderboard/ledger.py RESULT ...`` scores result files in leaderboard/results again and enters those that are
confirmed. It is for the leaderboard's maintainers; the tests score again whatever is in the ledger. With ``--check``
first, it enters nothing and says the outcome of each: CI does so for the results of a pull request.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from easy_to_hard.leaderboard.collect import LEDGER
from easy_to_hard.leaderboard.rescoring import score_again
from easy_to_hard.leaderboard.solvers import SOLVERS
from easy_to_hard.scores.results import read_result
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.json_files import read_json
from easy_to_hard.storage.writing import write_json

# Number of items of the easiest difficulty: a few seconds per result. Predictions are all scored.
ITEMS: Final = {"callable": 1000, "model": 30}


def score_easiest_again(path: Path) -> dict[str, Any]:
    """Score a result again, as far as a few seconds allow, and return the outcome.

    Args:
        path: a result file for one of the package's solvers, a net or predictions.

    Returns:
        JSON-serializable: the file's name, the data's hash, and the number of items and right answers for each config.

    Raises:
        ValueError: the result is not confirmed, or is for a function that is not one of the package's.
    """
    result = read_result(path)
    submission = result.get("submission") or {}
    # A submitted result must not make the maintainers run arbitrary code.
    own = {solver.source for solver in SOLVERS.values()} & {submission.get("source")}
    kind = submission.get("kind")
    easiest = min(score["difficulty"] for score in result["scores"])
    new, differences = score_again(
        path,
        difficulties=() if kind in ("predictions", "replies") else (easiest,),
        most_items=ITEMS.get(str(kind)),
        callable_name=next(iter(own), ""),
        progress=False,
    )
    if differences:
        raise ValueError(f"{path} does not hold: {'; '.join(differences)}")
    scores = {score.config: {"num_items": score.num_items, "num_correct": score.num_correct} for score in new.scores}
    return {"file": path.name, "data_manifest_sha256": new.data_manifest_sha256, "scores": scores}


def enter(paths: Sequence[Path]) -> None:
    """Score results again, and enter each in the ledger as soon as it is confirmed.

    Raises:
        ValueError: one is not confirmed.
    """
    for path in paths:
        entry = score_easiest_again(path)
        ledger = read_json(LEDGER) if LEDGER.exists() else {}
        others = {digest: old for digest, old in ledger.items() if old["file"] != path.name}
        entries = sorted([*others.items(), (file_sha256(path), entry)], key=lambda each: str(each[1]["file"]))
        write_json(LEDGER, dict(entries))
        print(f"{path}: holds", flush=True)


def _is_stranger(path: Path) -> bool:
    """Whether a result is of a function that is not one of the package's."""
    submission = read_result(path).get("submission") or {}
    own = {solver.source for solver in SOLVERS.values()}
    return submission.get("kind") == "callable" and submission.get("source") not in own


def check(paths: Sequence[Path]) -> bool:
    """Score results again, print the outcome of each in a line, and return whether all are confirmed."""
    confirmed = True
    for path in paths:
        try:
            if _is_stranger(path):
                print(f"{path} is of a function, which is not run here: a maintainer will score it", flush=True)
                continue
            scores = score_easiest_again(path)["scores"]
        # One that cannot be read must not hide the others.
        except (ValueError, OSError) as error:
            confirmed = False
            print(error, flush=True)
        else:
            told = (f"{config} {score['num_correct']:,} of {score['num_items']:,}" for config, score in scores.items())
            print(f"{path} holds: {', '.join(told)}", flush=True)
    return confirmed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit(0 if check([Path(name) for name in sys.argv[2:]]) else 1)
    enter([Path(name) for name in sys.argv[1:]])
