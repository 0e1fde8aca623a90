"""What a run has made is kept, checked against its settings, and taken up again."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from easy_to_hard.baselines.kit.run_folder import RunFolder, refuse_other_runs

SETTINGS = {"seed": 1, "loop": {"steps": 3, "rates": (0.1, 0.2)}}


def _refuse() -> Any:
    raise AssertionError("it is made a second time")


def _rows() -> list[dict[str, Any]]:
    time.sleep(0.01)
    return [{"pair": (1, 2), "value": 0.1}]


def _tensors() -> dict[str, Tensor]:
    time.sleep(0.01)
    return {"weights": torch.arange(6.0).reshape(2, 3)}


PARTS: dict[str, Callable[[RunFolder, Any], Any]] = {
    "rows": lambda folder, make: folder.rows("some/part", make or _rows, settings={"k": 3}),
    "tensors": lambda folder, make: folder.tensors("some/part", make or _tensors, settings={"k": 3}),
}
FILES = {"rows": "some/part.json", "tensors": "some/part.pt"}


@pytest.mark.parametrize("kind", PARTS)
def test_parts_are_made_once(kind: str, tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "run", SETTINGS)
    made = PARTS[kind](first, None)
    again = RunFolder(tmp_path / "run", SETTINGS)
    kept = PARTS[kind](again, _refuse)
    assert str(kept) == str(made)
    assert again.seconds > 0.01
    assert list((tmp_path / "run" / "some").iterdir()) == [tmp_path / "run" / FILES[kind]]


def test_rows_are_what_the_file_holds(tmp_path: Path) -> None:
    assert PARTS["rows"](RunFolder(tmp_path, SETTINGS), None) == [{"pair": [1, 2], "value": 0.1}]


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize(
    ("settings", "different"),
    [
        ({**SETTINGS, "seed": 2}, "seed"),
        ({**SETTINGS, "loop": {"steps": 4, "rates": (0.1, 0.2)}}, r"loop\.steps"),
        ({"seed": 1}, r"loop\.rates, loop\.steps"),
        ({**SETTINGS, "more": None}, "more"),
    ],
)
def test_parts_of_other_settings_are_refused(kind: str, settings: Any, different: str, tmp_path: Path) -> None:
    PARTS[kind](RunFolder(tmp_path, SETTINGS), None)
    with pytest.raises(ValueError, match=rf"some/part\.\w+: it belongs to a run that differs in {different}; choose"):
        PARTS[kind](RunFolder(tmp_path, settings), _refuse)


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x02}", b'{"settings": {}, "seconds": "x", "rows": []}', b"[]"])
def test_damaged_parts_are_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, SETTINGS)
    PARTS[kind](folder, None)
    (tmp_path / FILES[kind]).write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot resume from .*some/part\.\w+: .*remove it"):
        PARTS[kind](folder, _refuse)


@pytest.mark.parametrize("change", [{"rows": None}, {"seconds": None}, {"rows": 5}, {"seconds": "1"}])
def test_parts_that_lack_something_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    PARTS["rows"](RunFolder(tmp_path, SETTINGS), None)
    path = tmp_path / FILES["rows"]
    part = json.loads(path.read_text()) | change
    path.write_text(json.dumps({name: value for name, value in part.items() if value is not None}))
    with pytest.raises(ValueError, match=r"cannot resume from .*some/part\.json: .*remove it"):
        PARTS["rows"](RunFolder(tmp_path, SETTINGS), _refuse)


def test_folders_of_other_runs_are_refused(tmp_path: Path) -> None:
    refuse_other_runs(tmp_path / "missing", "canary", "mazes")
    (tmp_path / "result.json").write_text(json.dumps({"method": "canary", "data": "mazes"}))
    refuse_other_runs(tmp_path, "canary", "mazes")
    for method, data in (("canary", "mnist"), ("dp_instahide", "mazes")):
        with pytest.raises(ValueError, match="holds a run of canary on mazes: choose another --out"):
            refuse_other_runs(tmp_path, method, data)
    (tmp_path / "parts").mkdir()
    with pytest.raises(ValueError, match=r"an earlier version \(parts\): choose another --out"):
        refuse_other_runs(tmp_path, "canary", "mazes")


@pytest.mark.parametrize("kind", PARTS)
def test_a_part_that_fails_leaves_nothing(kind: str, tmp_path: Path) -> None:
    def fail() -> Any:
        raise RuntimeError("it diverged")

    with pytest.raises(RuntimeError, match="it diverged"):
        PARTS[kind](RunFolder(tmp_path, SETTINGS), fail)
    assert not list(tmp_path.rglob("part*"))


def test_rows_without_a_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        RunFolder(tmp_path, {}).rows("part", lambda: [{"value": float("nan")}])
    assert not list(tmp_path.iterdir())


def test_time_is_counted_once(tmp_path: Path) -> None:
    def outer(folder: RunFolder) -> list[dict[str, Any]]:
        return folder.rows("outer", lambda: folder.rows("inner", _rows))

    outer(RunFolder(tmp_path, SETTINGS))
    parts = [json.loads((tmp_path / f"{name}.json").read_text())["seconds"] for name in ("inner", "outer")]
    assert 0.01 <= parts[0] <= parts[1]
    (tmp_path / "outer.json").unlink()
    again = RunFolder(tmp_path, SETTINGS)
    outer(again)
    assert json.loads((tmp_path / "outer.json").read_text())["seconds"] >= parts[0]
    # That of the inner part is not counted a second time by the outer one.
    assert parts[0] <= again.seconds < 2 * parts[0] + 1
    again.credit(100.0)
    assert again.seconds > 100
