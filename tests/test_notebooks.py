"""Notebooks run from top to bottom, each in a kernel and a folder of its own, and are kept without outputs."""

import json
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = [ROOT / "baselines" / "deep_thinking" / "tour.ipynb", ROOT / "leaderboard" / "submit_your_model.ipynb"]
SAID = {
    "tour": [
        "mazes: trained at 9",
        "50 (3, 72, 72) torch.float32",
        "100 iterations: 100% of the mazes of size 33",
        "128 bits: 100% after 200 iterations",
    ],
    "submit_your_model": ["mazes_33: 100.0% of 50 mazes", "page/index.html"],
}


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def test_all_are_listed() -> None:
    found = [path for name in ("baselines", "leaderboard", "generators") for path in (ROOT / name).rglob("*.ipynb")]
    assert sorted(path for path in found if ".ipynb_checkpoints" not in path.parts) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_kept_without_outputs(path: Path) -> None:
    codes = [cell for cell in _cells(path) if cell["cell_type"] == "code"]
    assert codes
    assert [cell["id"] for cell in codes if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)  # Where pictures go is for the kernel to say.
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    said = "".join(output["text"] for output in shown if output.get("name") == "stdout")
    assert [text for text in SAID[path.stem] if text not in said] == []
    pictures = [output["data"]["image/png"] for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) == (3 if path.stem == "tour" else 0)
    assert all(len(picture) < 100_000 for picture in pictures)
