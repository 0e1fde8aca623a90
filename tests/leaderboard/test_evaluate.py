"""The evaluation script: what is scored, how, and what is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from easy_to_hard.baselines.deep_thinking.checkpoint import local_files
from easy_to_hard.cli import main
from easy_to_hard.leaderboard.collect import shipped_results
from easy_to_hard.leaderboard.evaluate import Entry, Questions, score_callable, score_predictions
from easy_to_hard.leaderboard.rescoring import score_again
from easy_to_hard.scores.results import read_result
from easy_to_hard.scores.scoring import wilson_interval
from easy_to_hard.tasks import DataSpec, generate, get_task

ROOT = Path(__file__).parent.parent.parent
SOLVERS = "easy_to_hard.leaderboard.solvers"


def _targets(task: str, difficulty: int, rows: int, seed: int = 0) -> NDArray[np.uint8]:
    spec = DataSpec(task=task, difficulty=difficulty, split="test", seed=seed)
    return get_task(task).encode(generate(spec, rows)[1].data, difficulty, None)[1]


@pytest.fixture
def solver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The body of a function of (inputs, iterations) to its name, in a module of the current folder."""
    monkeypatch.chdir(tmp_path)
    made = []

    def make(body: str) -> str:
        name = f"solver_{len(made)}"
        made.append(name)
        (tmp_path / f"{name}.py").write_text(f"import numpy, torch\ndef solve(inputs, iterations):\n    {body}\n")
        return f"{name}:solve"

    yield make  # type: ignore[misc]
    for name in made:
        sys.modules.pop(name, None)


def _score(name: str, **asked: Any) -> Any:
    settings = {"task": "prefix_sums", "difficulties": (16, 33), "items": (40,), **asked}
    return score_callable(name, Questions(**settings), Entry(), progress=False)


# --- callables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "return ((inputs[:, 0] > 0).cumsum(1) % 2)",
        "return ((inputs[:, 0] > 0).cumsum(1) % 2).numpy().astype(bool)",
        "parity = (inputs[:, 0] > 0).cumsum(1) % 2; return torch.stack([1.0 - parity, parity * 1.0], 1)",
        "inputs = inputs.add_(0.5); return inputs[:, 0].long().cumsum(1) % 2, 7",
        "assert iterations == inputs.shape[-1]; return (inputs[:, 0] > 0).cumsum(1) % 2, torch.arange(len(inputs))",
    ],
)
def test_a_callable_may_answer_in_several_ways(solver: Callable[[str], str], body: str) -> None:
    result = _score(solver(body))
    assert [(score.num_items, score.num_correct, score.cell_accuracy) for score in result.scores] == [(40, 40, 1.0)] * 2
    iterations = {"7": [7.0, 7.0], "arange(len(inputs))": [19.5, 19.5]}
    wanted = next((value for key, value in iterations.items() if f", {key}" in body or f".{key}" in body), [16.0, 33.0])
    assert [score.mean_iterations for score in result.scores] == wanted
    assert (result.method, result.trained_on, result.data_seed) == ("solve", "", 0)
    assert result.submission is not None
    assert result.submission.kind == "callable"


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "uint16", "uint64", ">i4", ">i8", "float16", "float32", ">f8", "longdouble"],
)
def test_a_callable_may_answer_in_any_real_type(solver: Callable[[str], str], dtype: str) -> None:
    """Integers and booleans as predictions, all others as logits."""
    logits = np.dtype(dtype).kind == "f"
    shaped = "numpy.stack([1 - parity, parity], 1)" if logits else "parity"
    body = f"parity = ((inputs[:, 0] > 0).cumsum(1) % 2).numpy(); return {shaped}.astype('{dtype}')"
    assert [score.num_correct for score in _score(solver(body)).scores] == [40, 40]


def test_wrong_answers_are_counted(solver: Callable[[str], str]) -> None:
    body = "answer = (inputs[:, 0] > 0).cumsum(1) % 2; answer[::2, -1] ^= 1; return answer"
    (score, _) = _score(solver(body), batch_size=10).scores
    assert (score.num_correct, score.cell_accuracy) == (20, 1 - 20 / (40 * 16))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return inputs[:, 0, :-1].long()", r"shape \(40, 16\) or, as logits, \(40, 2, 16\), not \(40, 15\)"),
        ("return (inputs[:, 0] > 0) * 1.0", "must be integers or booleans, not floating-point"),
        ("return torch.full((len(inputs), 2, 16), float('nan'))", "the answer contains NaN"),
        ("return inputs[:, 0].long() + 3", "predictions must be 0 or 1, not 3"),
        ("return inputs[:, 0].long() - 1", "predictions must be 0 or 1, not -1"),
        ("return None", "must be a dense tensor or an array of real numbers, not NoneType"),
        ("return numpy.array([None] * len(inputs))", "not ndarray of object"),
        ("return inputs[:, 0].long().abs(), [1]", "iterations used must be 40 whole numbers from 0 to 1,000,"),
        ("return inputs[:, 0].long().abs(), 0.5", "iterations used must be 40 whole numbers from 0 to 1,000,"),
        ("return inputs[:, 0].long().abs(), 10**15", "iterations used must be 40 whole numbers from 0 to 1,000,"),
        ("return inputs[:, 0].long().abs(), [1, [2]]", "iterations used must be 40 whole numbers from 0 to 1,000,"),
        ("return inputs[:, 0].long().abs(), 2j", "iterations used must be 40 whole numbers from 0 to 1,000,"),
        ("return torch.zeros(40, 2, 16, dtype=torch.complex64)", "of real numbers, not Tensor of torch.complex64"),
        ("return numpy.zeros((40, 2, 16), complex)", "of real numbers, not ndarray of complex128"),
        ("return torch.zeros(40, 2, 16, device='meta')", "the answer cannot be read: "),
        ("return torch.nested.nested_tensor([torch.zeros(2, 16)] * 40)", "must be a dense tensor or"),
        ("return torch.zeros(40, 2, 16).to_sparse()", "must be a dense tensor or an array"),
        ("return numpy.zeros((40, 2, 16), 'M8[s]')", "not ndarray of datetime64"),
    ],
)
def test_answers_of_another_kind_are_refused(solver: Callable[[str], str], body: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"solver_0:solve, items 0 to 39 of prefix_sums_16: .*{message}"):
        _score(solver(body))


def test_a_callable_that_raises(solver: Callable[[str], str]) -> None:
    body = "if len(inputs) < 25: raise KeyError('a\\nb')\n    return inputs[:, 0].long().abs()"
    with pytest.raises(RuntimeError, match="items 25 to 39 of prefix_sums_16: raised KeyError: "):
        _score(solver(body), batch_size=25)


@pytest.mark.parametrize("ending", ["sys.exit(0)", "sys.exit(3)", "raise SystemExit", "raise GeneratorExit", "exit()"])
def test_a_callable_does_not_end_the_scoring(
    ending: str, solver: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To end early is no success: exit code 0 without a result would be taken for one."""
    asked = ["--task", "prefix_sums", "--difficulties", 16, "--items", 5, "--quiet", "--out", tmp_path / "mine.json"]
    Path("ends_when_imported.py").write_text(f"import sys\n{ending}\n", encoding="utf-8")
    for name, told in (
        (solver(f"import sys; {ending}"), "raised "),
        ("ends_when_imported:solve", "cannot be imported"),
    ):
        code, _, err = _run(capsys, "--callable", name, *asked)
        assert (code, err.count("\n")) == (1, 1)
        assert told in err
        assert "Exit" in err
    assert not (tmp_path / "mine.json").exists()


def test_functions_that_are_not_there(solver: Callable[[str], str]) -> None:
    solver("return 1 / 0")
    with pytest.raises(ValueError, match="given as module:function, such as my_solver:solve, not 'solver_0'"):
        _score("solver_0")
    with pytest.raises(ValueError, match="module 'solver_0' has no function 'other'"):
        _score("solver_0:other")
    with pytest.raises(ImportError, match="module 'no_such_module' cannot be imported: ModuleNotFoundError"):
        _score("no_such_module:solve")
    Path("broken_solver.py").write_text("def solve(:", encoding="utf-8")
    with pytest.raises(ImportError, match="module 'broken_solver' cannot be imported: SyntaxError"):
        _score("broken_solver:solve")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"difficulties": (16, 16)}, "--difficulties must be different"),
        ({"items": (1, 2, 3)}, "--items must be one number, or one for each of the 2 difficulties, not 3"),
        ({"items": (0,)}, "--items must be from 1 to 1000000000, not 0"),
        ({"iterations": (-1,)}, "--iterations must be from 1 to 1000000000, not -1"),
        ({"iterations": (10**15,)}, "--iterations must be from 1 to 1000000000, not 1000000000000000"),
        ({"batch_size": 0}, "--batch-size must be at least 1, not 0"),
        ({"task": "sudoku"}, "unknown task 'sudoku'"),
        ({"task": "mazes", "difficulties": (10,)}, "size must be an odd number"),
        ({"variant": "looped"}, "unknown variant 'looped' of prefix_sums"),
    ],
)
def test_questions_that_cannot_be_asked(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Questions(**{"task": "prefix_sums", "difficulties": (16, 33), **asked})


def test_checks_of_mazes() -> None:
    asked = {"task": "mazes", "difficulties": (9,), "items": (50,)}
    (right,) = _score(f"{SOLVERS}:dead_end_filling", **asked).scores
    (wrong,) = _score(f"{SOLVERS}:zeros", **asked).scores
    assert (right.num_correct, right.checks) == (50, {"valid_path": 50})
    assert (wrong.num_correct, wrong.checks) == (0, {"valid_path": 0})
    assert 0.3 < (wrong.cell_accuracy or 0) < 0.9, "walls do not count"


def test_fresh_instances_are_others_and_always_the_same() -> None:
    asked = {"difficulties": (64,), "items": (200,), "seed": 7}
    once, again = (_score(f"{SOLVERS}:random", **asked) for _ in range(2))
    frozen = _score(f"{SOLVERS}:random", **{**asked, "seed": 0})
    assert once.data_manifest_sha256 == again.data_manifest_sha256 != frozen.data_manifest_sha256
    assert once.scores == again.scores
    assert once.scores[0].cell_accuracy != frozen.scores[0].cell_accuracy
    assert (once.data_seed, frozen.data_seed) == (7, 0)


def test_instances_are_read_from_a_built_folder(tiny_folder: Path, tmp_path: Path) -> None:
    solver, asked = f"{SOLVERS}:random", {"difficulties": (16,), "items": (20,)}
    made, read = _score(solver, **asked), _score(solver, **asked, place=str(tiny_folder))
    assert (read.scores, read.data_manifest_sha256) == (made.scores, made.data_manifest_sha256)
    mates = {"task": "chess_mates", "difficulties": (2,), "items": (20,), "place": str(tiny_folder)}
    (score,) = _score(f"{SOLVERS}:mate_search", **mates).scores
    assert (score.num_correct, score.checks) == (20, {"legal": 20, "winning_key": 20})
    path = _write_npz(tmp_path / "mine.npz", prefix_sums_16=np.zeros((5000, 16), np.uint8))
    with pytest.raises(ValueError, match="holds only 20 test items of prefix_sums_16: it is not the benchmark"):
        score_predictions(path, Entry(), place=str(tiny_folder), progress=False)


# --- prediction files ------------------------------------------------------------------------------------------------


def _write_npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_predictions_are_scored(tmp_path: Path) -> None:
    rows = 5000
    answers = _targets("prefix_sums", 24, rows)
    answers[:100, 3] ^= 1
    path = _write_npz(tmp_path / "mine.npz", prefix_sums_24=answers)
    result = score_predictions(path, Entry(trained_on="prefix_sums_16", authors="A. Nonymous"), progress=False)
    (score,) = result.scores
    assert (result.method, result.authors, result.trained_on) == ("mine", "A. Nonymous", "prefix_sums_16")
    assert (score.num_items, score.num_correct) == (rows, rows - 100)
    assert score.cell_accuracy == pytest.approx(1 - 100 / (rows * 24))
    assert result.submission is not None
    assert len(result.submission.sha256 or "") == 64


def test_predictions_of_two_variants_are_refused(tmp_path: Path) -> None:
    names = {"mazes_33": 33, "mazes_looped_33": 33}
    zeros = {name: np.zeros((1000, 72, 72), np.uint8) for name in names}
    path = _write_npz(tmp_path / "two.npz", **zeros)
    with pytest.raises(ValueError, match="for one task and variant, not for mazes depth_first, mazes looped: split"):
        score_predictions(path, Entry(), progress=False)


# --- the command -----------------------------------------------------------------------------------------------------


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in ("score", *arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.slow
def test_a_template_is_filled_in_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template, out = tmp_path / "mine.parquet", tmp_path / "results" / "mine.json"
    code, told, _ = _run(capsys, "--template", "mazes_201", "--out", template)
    assert code == 0
    assert "1,000 answers of zeros" in told
    code, told, err = _run(capsys, "--predictions", template, "--method", "none", "--out", out, "--quiet")
    assert (code, err) == (0, "")
    result = read_result(out)
    assert (result["method"], result["scores"][0]["num_correct"]) == ("none", 0)
    assert result["provenance"] == "self-reported"
    assert "score 0.0 of 100" in told
    assert "valid path 0" in told


@pytest.mark.slow
def test_a_net_is_scored_and_scored_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, again = tmp_path / "net.json", tmp_path / "again.json"
    asked = ["--difficulties", 16, 40, "--items", 20, "--quiet"]
    code, told, _ = _run(capsys, "--model", "prefix-sums-cpu", *asked, "--out", out)
    assert code == 0
    assert "deep_thinking prefix-sums-cpu on prefix sums: frozen instances" in told
    result = read_result(out)
    assert result["trained_on"] == "prefix_sums_32"
    assert [score["num_correct"] for score in result["scores"]] == [20, 20]
    assert all(score["cell_accuracy"] == 1 and score["macs_per_item"] > 1e6 for score in result["scores"])
    code, told, err = _run(capsys, "--again", out, "--quiet", "--out", again)
    assert (code, err) == (0, "")
    assert f"agrees with {out}" in told
    assert read_result(again)["provenance"] == "re-scored"
    code, told, _ = _run(capsys, "--again", out, "--fresh-seed", 5, "--quiet", "--out", again)
    assert code == 0
    assert "fresh instances, seed 5" in told
    fresh = read_result(again)
    assert (fresh["data_seed"], fresh["preset"]) == (5, result["preset"])
    assert fresh["data_manifest_sha256"] != result["data_manifest_sha256"]


def test_where_a_net_lies_is_not_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    shipped = local_files("prefix-sums-cpu")
    assert shipped is not None
    shutil.copytree(shipped[0], tmp_path / "runs" / "mine")
    out = tmp_path / "runs" / "net.json"
    asked = ["--difficulties", 16, "--items", 5, "--quiet", "--out", out]
    assert _run(capsys, "--model", tmp_path / "runs" / "mine", *asked)[0] == 0
    assert read_result(out)["submission"]["source"] == "mine"
    # It is found beside the result, and in the current folder.
    assert _run(capsys, "--again", out, "--quiet")[0] == 0
    moved = out.rename(tmp_path / "net.json")
    told = f"{moved}: its net, the folder mine, is neither here nor beside the result"
    assert _run(capsys, "--again", moved, "--quiet") == (1, "", f"easy-to-hard: error: {told}\n")
    monkeypatch.chdir(tmp_path / "runs" / "mine")
    assert _run(capsys, "--model", ".", *asked)[0] == 0
    assert read_result(out)["submission"]["source"] == "mine"


def test_a_result_that_does_not_hold_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "claim.json"
    solver = f"{SOLVERS}:prefix_parity"
    asked = ["--task", "prefix_sums", "--difficulties", 16, "--items", 30, "--quiet"]
    assert _run(capsys, "--callable", solver, *asked, "--out", out)[0] == 0
    claim = json.loads(out.read_text())
    claim["scores"][0] |= {"num_correct": 29, "accuracy": 29 / 30, "interval_95": list(wilson_interval(29, 30))}
    out.write_text(json.dumps(claim))
    code, _, err = _run(capsys, "--again", out, "--callable", solver, "--quiet")
    assert (code, err) == (1, f"{out}: prefix_sums_16: 30 of 30, the file says 29 of 30\n")
    claim["submission"] = None
    out.write_text(json.dumps(claim))
    with pytest.raises(ValueError, match="does not say what was scored"):
        score_again(out)


@pytest.mark.parametrize("named", ["", "other:solve"])
def test_a_result_file_does_not_say_what_is_imported(tmp_path: Path, named: str, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for module in ("trap", "other"):
        Path(f"{module}.py").write_text(
            f"open('{module}-was-imported', 'w')\ndef solve(inputs, iterations): pass\n", encoding="utf-8"
        )
    result = read_result(shipped_results() / "zeros-prefix-sums.json")
    result["submission"]["source"] = "trap:solve"
    Path("mine.json").write_text(json.dumps(result), encoding="utf-8")
    code, _, err = _run(capsys, "--again", "mine.json", "--quiet", *(["--callable", named] if named else []))
    assert code == 2
    assert "mine.json is of the function trap:solve: give --callable with it" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.json", "other.py", "trap.py"]


def test_a_submission_that_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = _write_npz(Path("mine.npz"), prefix_sums_128=np.zeros((10_000, 128), np.uint8))
    main(["score", "--predictions", str(path), "--out", "mine.json", "--quiet"])
    answers = np.zeros((10_000, 128), np.uint8)
    answers[0, 0] = 1
    _write_npz(path, prefix_sums_128=answers)
    with pytest.raises(ValueError, match=r"mine.json: mine.npz is another one: SHA-256 is [0-9a-f]{64}, not"):
        score_again(Path("mine.json"), progress=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --predictions, --replies, --model, --callable, --again, --template, not none"),
        (["--model", "a", "--callable", "a:b"], "not --model and --callable"),
        (["--callable", "a:b"], "--callable needs --task"),
        (["--model", "prefix-sums-cpu", "--fresh-seed", "0"], "--fresh-seed must not be 0"),
        (["--predictions", "a.npz", "--fresh-seed", "1"], "--fresh-seed needs a net or a callable"),
        (["--model", "mazes-cpu", "--fresh-seed", "1", "--data", "d"], "--data holds the frozen instances"),
        (["--model", "mazes-cpu", "--root", "r", "--data", "d"], "--root is for chess_puzzles, --data for the other"),
        (
            ["--model", "mazes-cpu", "--provenance", "sure"],
            "--provenance must be self-reported or re-scored, not 'sure'",
        ),
        (
            ["--callable", "a:b", "--task", "mazes", "--provenance", "re-scored"],
            "--provenance re-scored cannot be claimed: score the result file with --again",
        ),
        (["--predictions", "a.npz", "--out", "a.txt"], "--out must be a file that ends in .json, not 'a.txt'"),
        (["--template", "mazes_59"], "--template needs --out"),
        (["--template", "mazes_60", "--out", "a.npz"], "mazes_60"),
        (["--model", "prefix-sums-cpu", "--task", "mazes"], "trained on prefix_sums and cannot be tested on mazes"),
        (["--model", "prefix-sums-cpu", "--trained-on", "mazes"], "unknown config 'mazes'"),
        (["--model", "prefix-sums-cpu", "--iterations", "1", "2"], "--iterations must be one number here, not 2"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err


def test_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--predictions", "nothing.npz"], ["--again", "nothing.json"]):
        code, out, err = _run(capsys, *arguments)
        assert code in (1, 2)
        assert out == ""
        assert err.count("\n") == 1
        assert "nothing." in err


def test_nothing_is_written_of_what_fails(solver: Callable[[str], str], tmp_path: Path, capsys: Any) -> None:
    body = "assert inputs.shape[-1] == 16; return inputs[:, 0].long().abs()"
    asked = ["--task", "prefix_sums", "--difficulties", 16, 33, "--items", 10, "--quiet"]
    code, out, err = _run(capsys, "--callable", solver(body), *asked, "--out", tmp_path / "result.json")
    assert (code, out) == (1, "")
    assert "items 0 to 9 of prefix_sums_33: raised AssertionError" in err
    assert not (tmp_path / "result.json").exists()


@pytest.mark.slow
def test_the_script_explains_itself() -> None:
    command = [sys.executable, str(ROOT / "leaderboard" / "evaluate.py"), "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    for word in ("--predictions", "--callable", "--template", "--fresh-seed", "whole or not at all"):
        assert word in " ".join(told.split())


# --- what it stands on -----------------------------------------------------------------------------------------------

# Scores each way one after the other, and prints which baselines are loaded after each.
_LOADED = """
import importlib, io, json, pkgutil, sys
from contextlib import redirect_stdout

import easy_to_hard.leaderboard.evaluate

loaded = {}

def note(name):
    loaded[name] = sorted(module for module in sys.modules if module.startswith("easy_to_hard.baselines"))

note("evaluate")
for module in pkgutil.walk_packages(easy_to_hard.leaderboard.__path__, "easy_to_hard.leaderboard."):
    importlib.import_module(module.name)
note("leaderboard")
from easy_to_hard.cli import main

for name, arguments in json.loads(sys.argv[1]).items():
    with redirect_stdout(io.StringIO()):
        assert main(["score", *arguments, "--quiet"]) == 0, name
    note(name)
print(json.dumps(loaded))
"""


def test_the_scorer_stands_on_no_baseline(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\ndef solve(inputs, iterations): return torch.zeros(len(inputs), 2, *inputs.shape[2:])\n"
    )
    _write_npz(tmp_path / "mine.npz", prefix_sums_16=np.zeros((5000, 16), np.uint8))
    asked = ["--callable", "mine:solve", "--task", "mazes", "--difficulties", "9", "--items", "10"]
    doors = {
        "--template": ["--template", "prefix_sums_16", "--out", "empty.npz"],
        "--predictions": ["--predictions", "mine.npz", "--out", "predictions.json"],
        "--callable": [*asked, "--out", "callable.json"],
        "--again predictions": ["--again", "predictions.json"],
        "--again callable": ["--again", "callable.json", "--callable", "mine:solve"],
    }
    command = [sys.executable, "-c", _LOADED, json.dumps(doors)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded.keys() > doors.keys()
    assert [name for name, baselines in loaded.items() if baselines] == []
