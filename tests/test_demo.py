"""The demo."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from easy_to_hard import demo


def test_demo_writes_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(demo, "TEST_BITS", (32, 64))
    assert demo.main(["--out", str(tmp_path / "demo"), "--steps", "2", "--test-items", "7", "--threads", "1"]) == 0
    out = tmp_path / "demo"
    result = json.loads((out / "result.json").read_text())
    assert [(score["difficulty"], score["num_items"]) for score in result["scores"]] == [(32, 7), (64, 7)]
    for name in (
        "index.html",
        "accuracy.png",
        "accuracy.svg",
        "maze.png",
        "training/log.jsonl",
        "model/model.safetensors",
    ):
        assert (out / name).stat().st_size > 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert '<img src="maze.png"' in page
    assert "A maze of size 59, solved in " in page
    shown = capsys.readouterr().out
    assert str((out / "index.html").resolve()) in shown
    x, y = demo.load_strings(out / "data", 32, "test", tmp_path / "cache")
    assert x.shape == (1000, 1, 32)
    assert set(x.unique().tolist()) == {-0.5, 0.5}
    assert torch.equal((x[:, 0] > 0).cumsum(dim=1) % 2, y)


def test_demo_refuses_wrong_numbers(capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--steps", "0"])
    assert stopped.value.code == 2
    assert "steps must be at least 1, not 0" in capsys.readouterr().err
