"""What the README says of many machines: builds in shares, and streams that nodes share."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from easy_to_hard import build
from easy_to_hard.storage import building
from easy_to_hard.storage.presets import Part

README = (Path(__file__).parents[2] / "easy_to_hard" / "README.md").read_text(encoding="utf-8")


def _block(language: str, containing: str) -> str:
    """The README's block of code with these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    [block] = [block for block in blocks if containing in block]
    return str(block)


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*") if path.name != ".lock"}


@pytest.mark.posix
@pytest.mark.slow
def test_slurm_array_as_in_the_readme(tmp_path: Path, tiny_folder: Path) -> None:
    script = _block("bash", "SLURM_ARRAY_TASK_ID")
    commands = [line for line in script.splitlines() if line.startswith("easy-to-hard build")]
    assert len(commands) == 2
    array, joined = (
        re.sub(r"--out \S+ --preset full", f"--out {tmp_path} --preset tiny --quiet", command).replace(
            "easy-to-hard", f"{sys.executable} -m easy_to_hard.cli", 1
        )
        for command in commands
    )
    for number in ("1", "2"):
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_TASK_COUNT": "2"}
        subprocess.run(["bash", "-c", array], env=environment, check=True, capture_output=True)
        assert not (tmp_path / "manifest.json").exists()
    done = subprocess.run(["bash", "-c", joined], check=True, capture_output=True, text=True)
    assert "14 files (14 already there)" in done.stdout
    assert _contents(tmp_path) == _contents(tiny_folder)


@pytest.mark.slow
def test_ray_as_in_the_readme(tmp_path: Path, tiny_folder: Path) -> None:
    pytest.importorskip("ray")
    data = tmp_path / "data"
    code = _block("python", "@ray.remote").replace('"full"', '"tiny"').replace('"/shared/data"', repr(str(data)))
    code = code.replace("range(1, 9)", "range(1, 4)").replace("(i, 8)", "(i, 3)")
    code = code.replace("ray.init()", "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)")
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, timeout=120)
    assert _contents(data) == _contents(tiny_folder)


@pytest.mark.parametrize("nodes", [2, 3])
@pytest.mark.parametrize("files", [1, 3])
def test_nodes_share_a_stream(nodes: int, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row goes to one node, whether the files can be dealt out or not."""
    import datasets
    from datasets.distributed import split_dataset_by_node

    monkeypatch.setattr(building, "_SHARD_BYTES", 40 * 24 * 24 * 4 // files + 1)
    build(tmp_path, parts=[Part(task="mazes", difficulty=9, split="test", rows=40)], preset="parts", progress=False)
    assert len(list(tmp_path.glob("mazes_9/*.parquet"))) == files
    rows = datasets.load_dataset(str(tmp_path), "mazes_9", split="test", streaming=True)
    whole = [row["index"] for row in rows]
    assert all(one < other for one, other in pairwise(whole))
    shares = [[row["index"] for row in split_dataset_by_node(rows, rank=r, world_size=nodes)] for r in range(nodes)]
    assert sorted(index for share in shares for index in share) == whole
    assert min(len(share) for share in shares) > 0


def test_a_stream_in_batches_gives_the_tensors(tiny_folder: Path) -> None:
    """The README's way from a stream to tensors."""
    import datasets
    import torch

    from easy_to_hard import load

    rows = datasets.load_dataset(str(tiny_folder), "mazes_9", split="test", streaming=True)
    batches = list(rows.with_format("numpy").iter(batch_size=8))
    inputs = torch.from_numpy(np.concatenate([batch["input"] for batch in batches])).float()
    targets = torch.from_numpy(np.concatenate([batch["target"] for batch in batches])).long()
    made = load("mazes", 9, split="test", num_samples=20)
    assert torch.equal(inputs, made.inputs)
    assert torch.equal(targets, made.targets)
