"""The result files and published figures that the page shows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from easy_to_hard.scores.results import read_result
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.json_files import read_json

_HERE = Path(__file__).parent
# SHA-256 of each result file that was scored again -> the outcome; `ledger.enter` writes it.
LEDGER: Final = _HERE / "rescored.json"


def shipped_results() -> Path:
    """The folder of the results that come with the package."""
    return _HERE / "results"


def shipped_predictions() -> Path:
    """The folder of small prediction files that were submitted with results."""
    return _HERE / "predictions"


def read_results(places: Sequence[Path]) -> list[dict[str, Any]]:
    """Read the results in files and folders (*.json directly in them), in order of their paths.

    A result that says "re-scored" counts as self-reported unless its file, byte for byte, is in the ledger.

    Raises:
        FileNotFoundError: there is no such file or folder, or a folder has no result files.
        ValueError: a file is not a result; the message names it.
    """
    paths: dict[Path, None] = {}
    for place in places:
        found = sorted(place.glob("*.json")) if place.is_dir() else [place] if place.is_file() else []
        if not found:
            raise FileNotFoundError(
                f"{place}: " + ("no result files (*.json) in it" if place.is_dir() else "no such file")
            )
        paths.update(dict.fromkeys(found))
    ledger = read_json(LEDGER)
    return [_believe(path, read_result(path), ledger) for path in paths]


def _believe(path: Path, result: dict[str, Any], ledger: Mapping[str, Any]) -> dict[str, Any]:
    """The result as shown on the page: "re-scored" only if its file, byte for byte, is in the ledger."""
    if result.get("provenance") != "re-scored" or file_sha256(path) in ledger:
        return result
    return result | {"provenance": "self-reported"}


def read_published() -> list[dict[str, Any]]:
    """Read the figures from papers; `published.schema.json` says what each entry holds."""
    entries: list[dict[str, Any]] = json.loads((_HERE / "published.json").read_text(encoding="utf-8"))
    return entries
