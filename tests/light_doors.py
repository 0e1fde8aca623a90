"""What works without any extra, and what the rest says: a script that takes a folder to write to.

`test_light.py` runs it where the packages of all extras cannot be imported, and `test_package.py` where they are not
installed.
"""

import contextlib
import io
import json
import pickle
import sys
from pathlib import Path

import numpy as np

import easy_to_hard
from easy_to_hard.cli import main
from easy_to_hard.extras import EXTRAS


def run(*arguments: object, code: int = 0) -> str:
    """What a command prints, on standard error if it fails."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        found = main([str(argument) for argument in arguments])
    assert found == code, (arguments, found, errors.getvalue())
    return errors.getvalue() if code else out.getvalue()


def check_package() -> None:
    """The names that need no torch are there, and the others say what they need."""
    assert (
        {"arrays", "ArrayStream", "build", "generate", "publish"} <= set(dir(easy_to_hard)) < set(easy_to_hard.__all__)
    )
    assert all(hasattr(easy_to_hard, name) for name in dir(easy_to_hard))
    assert not hasattr(easy_to_hard, "MazeDatasets")
    spec = easy_to_hard.DataSpec(task="mazes", difficulty=9)
    assert pickle.loads(pickle.dumps((spec, easy_to_hard.TASKS["mazes"]))) == (spec, easy_to_hard.TASKS["mazes"])
    for name in set(easy_to_hard.__all__) - set(dir(easy_to_hard)):
        found = ""
        try:
            getattr(easy_to_hard, name)
        except ImportError as error:
            found = str(error)
        assert found == f'{name} needs PyTorch: pip install "easy-to-hard[torch]"', (name, found)


def check_arrays() -> None:
    """A set of instances and a batch of a stream, as arrays."""
    images, paths = easy_to_hard.arrays("mazes", 9, indices=[5, 3])
    assert (images.shape, paths.shape, images.dtype, paths.dtype) == ((2, 3, 24, 24), (2, 24, 24), np.uint8, np.uint8)
    bits, parities = easy_to_hard.ArrayStream("prefix_sums", 40, batch_size=3).batch(7)
    assert (np.cumsum(bits, axis=1) % 2 == parities).all()


def check_commands(folder: Path) -> None:
    """The commands that need no extra."""
    assert "mazes" in run("info")
    assert 'nets need PyTorch: pip install "easy-to-hard[torch]"' in run("info")
    assert "mazes_9, split train, seed 0, item 0" in run("show", "mazes", 9)
    run("generate", "mazes", 9, "--num", 3, "--out", folder / "mazes.npz")
    run("generate", "mazes", 9, "--num", 3, "--out", folder / "mazes.parquet")
    run("generate", "mazes", 9, "--num", 20, "--split", "test", "--out", folder / "data")
    assert "all is well" in run("verify", folder / "data", "--quiet")
    run("text", "mazes", 9, "--num", 2, "--out", folder / "prompts.jsonl")
    prompts = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    replies = [{"id": prompt["id"], "reply": f"Answer: {prompt['answer']}"} for prompt in prompts]
    (folder / "replies.jsonl").write_text("".join(json.dumps(reply) + "\n" for reply in replies))
    assert "100.0 %" in run("score", "--replies", folder / "replies.jsonl")
    run("score", "--template", "prefix_sums_32", "--out", folder / "mine.npz")
    told = run("score", "--predictions", folder / "mine.npz", "--out", folder / "mine.json", "--quiet")
    assert "prefix sums" in told
    assert json.loads((folder / "mine.json").read_text())["method"] == "mine"


def check_refusals(folder: Path) -> None:
    """Commands that need an extra say which, in one line."""
    told = 'easy-to-hard: error: {} {}: pip install "easy-to-hard[{}]"\n'
    for arguments in (("train", "mazes"), ("evaluate", "--model", "mazes-cpu")):
        assert run(*arguments, code=1) == told.format("nets need", "PyTorch", "torch")
    wanted = told.format("the Hub needs", "huggingface_hub", "hub")
    assert run("publish", folder / "data", "--repo-id", "a/b", "--dry-run", code=1) == wanted
    assert run("verify", "nobody/nothing", code=1) == wanted
    assert run("score", "--callable", "json:dumps", "--task", "mazes", code=1) == told.format(
        "scoring a function needs", "PyTorch", "torch"
    )
    wanted = told.format("plots need", "matplotlib", "plot")
    assert run("show", "mazes", 9, "--out", folder / "maze.png", code=1) == wanted
    wanted = told.format("checking result files needs", "jsonschema", "leaderboard")
    assert run("score", "--again", folder / "mine.json", code=1) == wanted
    assert "needs PyTorch" in run("reference", "canary", code=1)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    check_package()
    check_arrays()
    check_commands(place)
    check_refusals(place)
    assert not EXTRAS.keys() & {name.partition(".")[0] for name in sys.modules}
    print("all doors work")
