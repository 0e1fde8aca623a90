"""`easy-to-hard train`, `evaluate`, `think`, `perturb`, `align` and `curves`, as a user runs them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from easy_to_hard.cli import main
from easy_to_hard.scores.results import read_result

SMALL = ["--width", "8", "--head-widths", "8", "4", "--batch-size", "10", "--max-iterations", "6", "--hold-share", "0"]
SMALL += ["--precision", "float32"]


def _train(out: Path, *flags: str, what: str = "prefix-sums") -> int:
    return main(["train", what, "--preset", "cpu", "--out", str(out), "--quiet", *SMALL, "--steps", "6", *flags])


@pytest.fixture(scope="module")
def strings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "strings"
    assert _train(out) == 0
    return out


@pytest.fixture(scope="module")
def mazes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mazes"
    assert _train(out, what="mazes") == 0
    return out


def test_train_writes_a_run(strings: Path) -> None:
    assert {path.name for path in strings.iterdir()} >= {
        "checkpoint.pt",
        "config.json",
        "log.jsonl",
        "model.safetensors",
        "recipe.json",
        "README.md",
    }
    facts = json.loads((strings / "config.json").read_text())["facts"]
    assert (facts["recipe"], facts["steps"], facts["batch_size"]) == ("prefix-sums-cpu", 6, 10)
    assert facts["max_iterations"] == 6
    assert json.loads((strings / "recipe.json").read_text())["net"]["width"] == 8


def test_train_again_changes_nothing(strings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (strings / "model.safetensors").read_bytes()
    assert _train(strings) == 0
    assert "already trained" in capsys.readouterr().out
    assert (strings / "model.safetensors").read_bytes() == before


def test_train_refuses_a_folder_of_another_run(
    strings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(strings, "--seed", "1") == 2
    assert "holds a run of another preset or with other settings" in capsys.readouterr().err
    (tmp_path / "file").write_text("mine")
    assert _train(tmp_path) == 2
    assert "holds something else" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_trained_net_is_not_touched_again(strings: Path, tmp_path: Path) -> None:
    """Not even without its checkpoint, which somebody may have removed to save space."""
    copy = tmp_path / "copy"
    shutil.copytree(strings, copy)
    (copy / "checkpoint.pt").unlink()
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    assert _train(copy) == 0
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_a_run_that_never_began_gives_up_its_folder(tmp_path: Path) -> None:
    assert _train(tmp_path / "run", "--learning-rate", "1e30", "--gradient-clip", "None") == 1
    assert not (tmp_path / "run" / "model.safetensors").exists()
    (tmp_path / "run" / "checkpoint.pt").unlink(missing_ok=True)
    assert _train(tmp_path / "run") == 0


def test_one_training_a_folder(strings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "recipe.json").write_bytes((strings / "recipe.json").read_bytes())
    with FileLock(out / ".lock"):
        assert _train(out) == 2
    assert "another training is going on in" in capsys.readouterr().err
    assert _train(out) == 0


@pytest.mark.parametrize("flags", [("--seed", "5"), ("--difficulty", "16"), ("--steps", "9"), ("--width", "4")])
def test_a_refused_training_changes_nothing_of_the_first(
    flags: tuple[str, str], strings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even before the first checkpoint, when settings may still be changed by who has the folder."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "recipe.json").write_bytes((strings / "recipe.json").read_bytes())
    with FileLock(out / ".lock"):
        before = _files(out)
        assert _train(out, *flags) == 2
        assert _files(out) == before
    assert "another training is going on in" in capsys.readouterr().err


def _files(out: Path) -> dict[str, tuple[bytes, int]]:
    """What files hold, and when they were written: but for the lock, which older versions of filelock touch."""
    files = [path for path in out.iterdir() if path.name != ".lock"]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize(
    "left", [(".recipe.json.{}.tmp",), (".recipe.json.{}.tmp", ".lock"), (".model.{}.tmp/weights",)]
)
def test_what_a_killed_training_left_is_cleared(left: tuple[str, ...], tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    out = tmp_path / "run"
    for name in left:
        path = out / name.format(process.pid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    assert _train(out) == 0
    assert not [path.name for path in out.rglob("*") if path.name.endswith(".tmp")]


def test_changed_settings_are_on_record(strings: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    flags = ["--difficulties", "16", "--items", "3", "--iterations", "5", "--quiet"]
    assert main(["evaluate", "--model", str(strings), *flags, "--out", str(out)]) == 0
    preset = read_result(out)["preset"]
    assert preset.startswith("prefix-sums-cpu (")
    assert "width 8, not 64" in preset
    assert "seed" not in preset


def test_feed_forward_nets_in_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    flags = ["--architecture", "feed_forward", "--no-recall", "--depth", "12"]
    assert _train(out, *flags) == 0
    flags = ["--items", "4", "--quiet"]
    assert main(["evaluate", "--model", str(out), "--difficulties", "16", *flags]) == 0
    table = capsys.readouterr().out
    # 5 and 10 times the training iterations are beyond its depth: nothing was measured there.
    assert table.splitlines()[-2].split()[-2:] == ["-", "-"]
    assert main(["perturb", "--model", str(out), *flags]) == 0
    assert main(["align", "--model", str(out), *flags]) == 0
    assert main(["think", "--model", str(out), "--out", str(tmp_path / "strip.png")]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--model", str(out), "--iterations", "13", *flags]) == 2
    assert "this net has 12 iterations, fewer than the 13 asked for" in capsys.readouterr().err


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "mazes-paper", "--settings"]) == 0
    shown = capsys.readouterr().out
    assert "--progressive-weight" in shown
    assert "0.01" in shown


@pytest.mark.posix
@pytest.mark.slow
def test_killed_and_taken_up_again(tmp_path: Path) -> None:
    """kill -9 in the middle; the weights at the end are bit for bit those of a run that was left alone."""
    flags = ["train", "prefix-sums", "--preset", "cpu", "--quiet", *SMALL, "--steps", "400"]
    command = [sys.executable, "-c", _RUN, *flags, "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    log = tmp_path / "killed" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.is_file() and len(log.read_text().splitlines()) >= 5) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    assert (tmp_path / "killed" / "checkpoint.pt").is_file()
    assert main([*flags, "--out", str(tmp_path / "killed")]) == 0
    assert main([*flags, "--out", str(tmp_path / "whole")]) == 0
    killed, whole = (load_file(tmp_path / name / "model.safetensors") for name in ("killed", "whole"))
    assert all(torch.equal(killed[name], whole[name]) for name in whole)
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == [*range(0, 400, 10), 399]


# The command with a checkpoint after every step, so that a test need not wait for one.
_RUN = """
import sys
from functools import partial
from easy_to_hard.baselines.deep_thinking import training_run
from easy_to_hard.cli import main
training_run.train = partial(training_run.train, checkpoint_seconds=0.0)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_by_torchrun(strings: Path, tmp_path: Path) -> None:
    """The weights of one process, but for the order in which sums are taken."""
    out = tmp_path / "joined"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"]
    command += ["easy_to_hard.cli", "train", "prefix-sums", "--preset", "cpu", "--quiet", *SMALL, "--steps", "6"]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained, 6 steps") == 1
    alone, joined = load_file(strings / "model.safetensors"), load_file(out / "model.safetensors")
    for name, weights in alone.items():
        torch.testing.assert_close(joined[name], weights, rtol=1e-3, atol=1e-4)


def test_evaluate_writes_a_result(strings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "result.json"
    flags = ["--difficulties", "16", "40", "--items", "12", "11", "--iterations", "9", "--run-all", "--quiet"]
    assert main(["evaluate", "--model", str(strings), *flags, "--out", str(out)]) == 0
    result = read_result(out)
    assert [(s["config"], s["num_items"]) for s in result["scores"]] == [("prefix_sums_16", 12), ("prefix_sums_40", 11)]
    assert result["scores"][0]["recorded_iterations"][-1] == 9
    assert (result["trained_on"], result["trained_iterations"]) == ("prefix_sums_32", 6)
    assert result["parameters"] > 0
    shown = capsys.readouterr().out
    assert "exact match" in shown
    assert str(out) in shown
    again = tmp_path / "again.json"
    assert main(["evaluate", "--model", str(strings), *flags, "--out", str(again)]) == 0
    assert read_result(again)["data_manifest_sha256"] == result["data_manifest_sha256"]
    assert main(["evaluate", "--model", str(strings), *flags, "--seed", "1", "--out", str(again)]) == 0
    assert read_result(again)["data_manifest_sha256"] != result["data_manifest_sha256"]


@pytest.mark.parametrize("exit_rule", ["settled", "max-confidence", "last", "validation"])
def test_every_exit(mazes: Path, exit_rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--difficulties", "9", "--items", "5", "--iterations", "8", "--quiet", "--variant", "looped"]
    assert main(["evaluate", "--model", str(mazes), "--task", "mazes", "--exit", exit_rule, *flags]) == 0
    assert "answer taken at" in capsys.readouterr().out


def test_think_perturb_align_curves(
    strings: Path, mazes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, name in ((strings, "strip.png"), (mazes, "film.gif")):
        assert main(["think", "--model", str(model), "--out", str(tmp_path / name), "--iterations", "5"]) == 0
        assert (tmp_path / name).stat().st_size > 0
    flags = ["--items", "4", "--quiet", "--iterations", "12"]
    assert main(["perturb", "--model", str(strings), "--at", "3", *flags]) == 0
    shown = capsys.readouterr().out
    assert all(kind in shown for kind in ("swap", "zero", "noise", "flip"))
    assert main(["perturb", "--model", str(mazes), "--at", "3", *flags]) == 0
    assert "flip" not in capsys.readouterr().out
    assert main(["align", "--model", str(mazes), *flags]) == 0
    assert "asymptotic alignment over 4 inputs" in capsys.readouterr().out
    results = [str(tmp_path / f"{number}.json") for number in range(2)]
    for path in results:
        main(["evaluate", "--model", str(strings), "--difficulties", "16", "--items", "3", "--quiet", "--out", path])
    picture = tmp_path / "curves.svg"
    assert main(["curves", *results, "--config", "prefix_sums_16", "--out", str(picture)]) == 0
    assert picture.stat().st_size > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["train", "chess"], "unknown preset 'chess': choose one of"),
        (["train", "prefix-sums", "--preset", "tiny"], "unknown preset 'tiny' of prefix-sums: choose one of"),
        (["train", "prefix-sums", "--steps", "0"], "steps must be at least 1, not 0"),
        (["train", "prefix-sums", "--stpes", "3"], "--stpes"),
        (["train", "mazes", "--difficulty", "2", "--quiet"], "size must be an odd number from 3"),
        (["train", "mazes", "--threads", "0"], "--threads must be at least 1, not 0"),
        (["train", "mazes", "--device", "tpu"], "device must be cpu or cuda, not 'tpu'"),
        (["train", "chess-puzzles"], "chess_puzzles are read from a folder: give its root"),
        (["train", "mazes", "--root", "x"], "mazes are made, not read: root must be left out, not 'x'"),
        (["evaluate", "--model", "nowhere"], "no net 'nowhere': give a folder"),
        (["evaluate", "--model", "."], "holds no net: it has no config.json"),
        (["evaluate", "--model", "{strings}", "--task", "mazes"], "trained on prefix_sums and cannot"),
        (["evaluate", "--model", "{strings}", "--task", "golf"], "unknown task 'golf'"),
        (["evaluate", "--model", "{strings}", "--iterations", "0"], "iterations must be at least 1, not 0"),
        (["evaluate", "--model", "{strings}", "--items", "0"], "items must be at least 1, not 0"),
        (["evaluate", "--model", "{mazes}", "--difficulties", "9", "--items", "2", "3"], "items must be one number"),
        (["evaluate", "--model", "{mazes}", "--difficulties", "2"], "size must be an odd number from 3"),
        (["evaluate", "--model", "{mazes}", "--exit", "best"], "exit_rule must be one of settled, max-confidence"),
        (["evaluate", "--model", "{mazes}", "--out", "result.txt"], "--out must be a file that ends in .json"),
        (["evaluate", "--model", "{mazes}", "--variant", "round"], "unknown variant 'round'"),
        (["think", "--model", "{mazes}", "--out", "film.mp4"], "cannot write a film as 'film.mp4'"),
        (["think", "--model", "{mazes}", "--index", "-1"], "--index must be at least 0 and below 2^63, not -1"),
        (["think", "--model", "{mazes}", "--difficulty", "1"], "size must be an odd number from 3"),
        (["perturb", "--model", "{mazes}", "--items", "0"], "--items must be at least 1, not 0"),
        (["align", "--model", "{mazes}", "--iterations", "0"], "iterations must be at least 1, not 0"),
        (["curves", "nothing.json", "--config", "mazes_9"], "nothing.json: there is no such file"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(
    flags: list[str],
    message: str,
    strings: Path,
    mazes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [flag.format(strings=strings, mazes=mazes) for flag in flags]
    capsys.readouterr()
    assert main(given) in (1, 2)
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.startswith("easy-to-hard: error: ")
    assert complaint.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_nets_on_puzzles_of_a_folder(
    lichess_folder: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained, gone on with from a moved folder, tested on the bands that the folder has."""
    folder, run = tmp_path / "lichess", str(tmp_path / "run")
    shutil.copytree(lichess_folder("rating"), folder)
    train = ["train", "chess-puzzles", "--width", "4", "--steps", "2", "--batch-size", "5", "--out", run, "--quiet"]
    assert main([*train, "--root", str(folder)]) == 0
    assert f"evaluate --model {run} --root {folder}" in capsys.readouterr().out
    moved = folder.rename(tmp_path / "moved")
    assert main([*train, "--root", str(moved)]) == 0
    assert "already trained" in capsys.readouterr().out
    assert main(["evaluate", "--model", run, "--items", "3", "--iterations", "2", "--quiet"]) == 2
    assert "chess_puzzles are read from a folder: give its root" in capsys.readouterr().err
    result = str(tmp_path / "result.json")
    flags = ["--root", str(moved), "--items", "3", "--iterations", "2", "--quiet", "--out", result]
    assert main(["evaluate", "--model", run, *flags]) == 0
    written = json.loads(Path(result).read_text(encoding="utf-8"))
    bands = sorted(int(path.parent.name.split("_")[-1]) for path in moved.glob("chess_puzzles_*/test-*.parquet"))
    assert [score["difficulty"] for score in written["scores"]] == bands
    assert "root" not in written["preset"]
    assert "data " in written["preset"]
    assert (
        main(
            ["evaluate", "--model", run, "--task", "chess_mates", "--items", "3", "--iterations", "2", "--out", result]
        )
        == 0
    )
    assert json.loads(Path(result).read_text(encoding="utf-8"))["task"] == "chess_mates"
    (moved / "manifest.json").write_text("{}")
    assert main([*train, "--root", str(moved)]) == 2
    assert "holds a run of another preset or with other settings (data" in capsys.readouterr().err
