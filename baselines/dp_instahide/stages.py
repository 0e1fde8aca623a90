"""Parts of a run, kept as soon as they are done, so that a run that was stopped goes on where it was."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from easy_to_hard.storage.files import write_atomically

Row: TypeAlias = dict[str, Any]

_SETTINGS: Final = "settings.json"
_PARTS: Final = "parts"


class Stages:
    """The parts of a run, each a list of rows in a JSON file of the folder.

    Args:
        folder: of the run, made when missing.
        settings: JSON-able; whatever decides the rows.

    Attributes:
        seconds: wall time of all parts so far, those of earlier times included.

    Raises:
        ValueError: the folder holds a run with other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder / _PARTS
        self.seconds = 0.0
        self._folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / _SETTINGS, json.dumps(settings, indent=1, sort_keys=True) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise ValueError(f"{folder} holds a run with other settings: choose another --out")
        write_atomically(path, text)

    def get(self, name: str, make: Callable[[], list[Row]]) -> list[Row]:
        """The rows of a part: from the folder, or made now and kept.

        Raises:
            ValueError: its file is damaged; the message names it.
        """
        path = self._folder / f"{name}.json"
        if path.is_file():
            try:
                part = json.loads(path.read_text(encoding="utf-8"))
                rows: list[Row] = part["rows"]
                self.seconds += part["seconds"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path} is damaged: remove it to make that part again") from error
            return rows
        started = time.perf_counter()
        rows = make()
        seconds = time.perf_counter() - started
        self.seconds += seconds
        write_atomically(path, json.dumps({"seconds": seconds, "rows": rows}, indent=1, allow_nan=False) + "\n")
        return rows
