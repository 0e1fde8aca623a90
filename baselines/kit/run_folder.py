"""What a run has made, kept in its folder, so that a run that was stopped continues where it was.

A run consists of parts: trained nets, optimized queries, rows of figures. Each is a file of its own, written whole or
not at all as soon as it is done, together with the settings that decide it and the seconds it took. A part that is
damaged or has other settings is refused with a message that says what to do; nothing is remade without being asked.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.precision import Settled, recorded_precision
from easy_to_hard.storage.json_files import read_json
from easy_to_hard.storage.writing import replacing, write_atomically

Row: TypeAlias = dict[str, Any]
Settings: TypeAlias = Mapping[str, Any]

# What runs left in their folder before there was a run folder.
_EARLIER: Final = ("settings.json", "parts", "nets-0", "memorisation.png")
# Differs from any JSON value.
_ABSENT: Final = object()


class RunFolder:
    """The parts of one run.

    Args:
        path: of the folder, made when missing.
        settings: JSON-able; what decides every part.

    Attributes:
        path: as given.
        settings: as given.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.settings = dict(settings)
        self._started = time.perf_counter()
        self._earlier = 0.0

    @property
    def seconds(self) -> float:
        """Wall time of the run, including what the parts that were read from files took when they were made."""
        return time.perf_counter() - self._started + self._earlier

    def precision(self, device: torch.device | str) -> Settled:
        """The precision that the run computes with; see `recorded_precision`."""
        return recorded_precision(self.path, device)

    def rows(self, name: str, make: Callable[[], list[Row]], *, settings: Settings | None = None) -> list[Row]:
        """The rows of a part: from its file ``NAME.json``, or made now and kept.

        Args:
            name: of the part; may contain "/".
            make: makes the rows, JSON-able and without NaN.
            settings: what decides this part besides the run's settings.

        Returns:
            the rows as the file holds them, so that a resumed run sees the same as one that was never stopped.

        Raises:
            ValueError: the file is damaged or has other settings.
            OSError: it cannot be written.
        """
        path, wanted = self.path / f"{name}.json", self._wanted(settings)
        if path.is_file():
            kinds = {"rows": list, "seconds": float}
            part = _load(path, wanted, lambda: json.loads(path.read_text(encoding="utf-8")), kinds)
            self._earlier += part["seconds"]
            return list(part["rows"])
        rows, seconds = self._timed(make)
        text = json.dumps({"settings": wanted, "seconds": seconds, "rows": rows}, indent=1, allow_nan=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text + "\n")
        return list(json.loads(text)["rows"])

    def tensors(
        self,
        name: str,
        make: Callable[[], Mapping[str, Tensor]],
        *,
        settings: Settings | None = None,
        device: torch.device | str = "cpu",
    ) -> dict[str, Tensor]:
        """The tensors of a part, by name: from its file ``NAME.pt``, or made now and kept.

        Args:
            name: of the part; may contain "/".
            make: makes the tensors.
            settings: what decides this part besides the run's settings.
            device: where tensors from a file are loaded.

        Raises:
            ValueError: the file is damaged or has other settings.
            OSError: it cannot be written.
        """
        path, wanted = self.path / f"{name}.pt", self._wanted(settings)
        if path.is_file():
            part = load_state(path, wanted, device, {"tensors": dict, "seconds": float})
            self._earlier += part["seconds"]
            return dict(part["tensors"])
        tensors: dict[str, Tensor]
        tensors, seconds = self._timed(lambda: dict(make()))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_state({"settings": json.dumps(wanted), "seconds": seconds, "tensors": tensors}, path)
        return tensors

    def credit(self, seconds: float) -> None:
        """Add time that went into the run before it was resumed, such as the training time in a checkpoint."""
        self._earlier += seconds

    def _wanted(self, settings: Settings | None) -> dict[str, Any]:
        return dict(json.loads(json.dumps({**self.settings, **(settings or {})})))

    def _timed(self, make: Callable[[], Any]) -> tuple[Any, float]:
        """What is made, and the time it took, including that of parts within it."""
        before = self.seconds
        made = make()
        return made, self.seconds - before


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint's state by `torch.save`, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path, needed=_tensor_bytes(state)) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:
            # torch does not say why it could not write: its reason is about its file format, not the disk.
            raise OSError(f"cannot write {path}: {reason_of(error)}") from error


def load_state(
    path: Path, settings: Settings, device: torch.device | str = "cpu", kinds: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """Read a state that `save_state` wrote with `json.dumps` of these settings under "settings".

    Args:
        path: of the file.
        settings: what the state must have been made with.
        device: where tensors are loaded.
        kinds: names of what the state must hold, and their types.

    Raises:
        ValueError: the file is damaged or has other settings; the message names it and what differs.
    """

    def read() -> dict[str, Any]:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return {**state, "settings": json.loads(state["settings"])}

    return _load(path, settings, read, kinds or {})


def _load(
    path: Path, wanted: Settings, read: Callable[[], dict[str, Any]], kinds: Mapping[str, type]
) -> dict[str, Any]:
    try:
        state = read()
        for name, kind in kinds.items():
            if not isinstance(state[name], kind):
                raise TypeError(f"{name} must be a {kind.__name__}, not {type(state[name]).__name__}")
        stored, asked = _flat(state["settings"]), _flat(json.loads(json.dumps(dict(wanted))))
        different = sorted(name for name in {*stored, *asked} if stored.get(name, _ABSENT) != asked.get(name, _ABSENT))
    # A damaged file can fail in any way.
    except Exception as error:
        raise ValueError(f"cannot resume from {path}: {reason_of(error)}; remove it to make that part again") from error
    if different:
        raise ValueError(
            f"cannot resume from {path}: it belongs to a run that differs in {', '.join(different)}; "
            "choose another --out, or remove that folder to start over"
        )
    return state


def reason_of(error: Exception) -> str:
    """The first line of an error's message, cut to 200 characters, or its type if the message is empty."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _tensor_bytes(state: Any) -> int:
    """Bytes of all tensors in a state: about what `torch.save` writes."""
    if isinstance(state, Tensor):
        return state.nbytes
    values = state.values() if isinstance(state, Mapping) else state if isinstance(state, list | tuple) else ()
    return sum(_tensor_bytes(value) for value in values)


def _flat(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Nested settings as flat ones: {"loop": {"steps": 3}} becomes {"loop.steps": 3}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def refuse_other_runs(path: Path, method: str, data: str) -> None:
    """Raise a ValueError if a folder holds a finished run of another method or on other data, or one of an old layout.

    Args:
        path: of the folder, which may be missing.
        method, data: of the run that is about to begin.
    """
    for name in _EARLIER:
        if (path / name).exists():
            raise ValueError(f"{path} holds a run of an earlier version ({name}): choose another --out")
    result = path / "result.json"
    if result.is_file():
        found = read_json(result)
        if (found.get("method"), found.get("data")) != (method, data):
            raise ValueError(
                f"{path} holds a run of {found.get('method')} on {found.get('data')}: choose another --out"
            )
