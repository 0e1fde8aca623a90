"""A new task is one file and one `register`: build, verify, load, show, score and the page take it from there."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from easy_to_hard.cli import main
from easy_to_hard.datasets.graded import GradedDataset, load
from easy_to_hard.datasets.streaming import StreamingDataset
from easy_to_hard.leaderboard.page.site import write_site
from easy_to_hard.leaderboard.ranking import ladder, overview, standings
from easy_to_hard.leaderboard.submissions import write_template
from easy_to_hard.scores.results import read_result
from easy_to_hard.storage.building import build
from easy_to_hard.storage.presets import PRESETS, get_preset
from easy_to_hard.storage.verification import verify
from easy_to_hard.tasks import TASKS, Task, get_task, parse_config, register
from easy_to_hard.tasks import task as registry

TOY = '''
"""Reversed bit strings as a task, and a function that solves it."""

from types import MappingProxyType

import numpy as np

from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.random import mix64, stream_key
from easy_to_hard.generators.splits import split_of
from easy_to_hard.tasks import AnswerRules, DataSpec, Instances, PresetRows, Task, TaskText
from easy_to_hard.tasks.pictures import picture_of_pixels


def likelier_of_both_classes(logits, inputs):
    return logits.argmax(dim=1)


class Reversal(Task):
    name = "reversal"
    title = "Reversal: a bit string from its end to its start"
    description = "`input` is the bit string, `target` the string reversed; `ones` counts its ones."
    reference = "a test of easy-to-hard"
    difficulty_name = "length"
    difficulties = (16, 24, 32)
    train_difficulty = 16
    input_channels = 1
    input_offset = -0.5
    columns = MappingProxyType({"ones": "int32"})
    answers = AnswerRules(decode=likelier_of_both_classes, local=True)
    ladder = (16, 32)
    presets = MappingProxyType(
        {
            "tiny": (PresetRows(difficulties=(16,), train=30, validation=10, test=10),),
            "full": (PresetRows(difficulties=(16, 24, 32), test=40),),
        }
    )
    card = TaskText(
        question="A bit string is given, and it is asked for backwards.",
        tags=("reversal",),
        columns={"input": "the bits", "target": "the bits backwards", "ones": "how many are 1"},
        generator="Neighbors in a walk through all strings.",
        limits=("Nobody needs it.",),
    )

    def check_difficulty(self, difficulty):
        return check_integer("length", difficulty, 8, 60)

    def default_samples(self, difficulty, split, variant):
        return 100

    def count_instances(self, spec):
        return None

    def generate(self, spec, indices, num_threads):
        size = 2**spec.difficulty
        value = stream_key(self.name, spec.variant, spec.difficulty, "", spec.seed) % size
        wanted, found = set(np.asarray(indices).tolist()), {}
        number = 0
        while len(found) < len(wanted):
            value = (value + 1) % size
            if _split(value) == spec.split:
                if number in wanted:
                    found[number] = [int(bit) for bit in f"{value:0{spec.difficulty}b}"]
                number += 1
        rows = [found[number] for number in np.asarray(indices).tolist()]
        data = np.array(rows, dtype=np.uint8).reshape(len(rows), spec.difficulty)
        return Instances(data=data, columns={"ones": data.sum(axis=1, dtype=np.int32)})

    def shapes(self, difficulty):
        return (difficulty,), (difficulty,)

    def encode(self, data, difficulty, num_threads):
        return data, np.ascontiguousarray(data[:, ::-1])

    def decode(self, inputs, targets):
        return inputs

    def splits_of(self, data, difficulty):
        return [_split(int("".join(map(str, row)), 2)) for row in data.tolist()]

    def solve(self, inputs, difficulty):
        return inputs[:, ::-1]

    def open_positions(self, inputs):
        # As if the first bit were plain.
        return np.arange(inputs.shape[1])[None] > np.zeros((len(inputs), 1))

    def judge(self, instances, predictions, difficulty):
        return {"as_many_ones": predictions.sum(axis=1) == instances.columns["ones"]}

    def text(self, item, target, data):
        return "forwards  " + "".join(map(str, item)) + "\\nbackwards " + "".join(map(str, target))

    def picture(self, variant, difficulty):
        spec = DataSpec(task=self.name, difficulty=difficulty, split="test")
        pixels = np.stack(self.example(spec)[:2])
        return picture_of_pixels(spec.config, pixels, ((0, 0, 0, 255), (255, 255, 255, 255)), "bits, and backwards")

    def card_picture(self):
        return self.picture("", 16).png


def _split(value):
    return split_of(int(mix64(np.array([value], dtype=np.uint64))[0]))


def backwards(inputs, iterations):
    """Logits: sure of the string backwards."""
    import torch

    sure = inputs.squeeze(1).flip(1) * 2
    return torch.stack([-sure, sure], dim=1)
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Task]:
    """The task, registered as long as a test takes."""
    (tmp_path / "toy_reversal.py").write_text(TOY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(importlib.sys.modules, "toy_reversal", raising=False)  # type: ignore[attr-defined]
    task: Task = importlib.import_module("toy_reversal").Reversal()
    register(task)
    yield task
    del registry._REGISTERED[task.name]


def test_it_is_a_task_like_all_others(toy: Task) -> None:
    assert get_task("reversal") is toy
    assert list(TASKS)[-1] == "reversal"
    assert parse_config("reversal_24") == ("reversal", "", 24)
    assert get_task("reversal").answers is toy.answers
    assert toy.tested_difficulties() == (16, 32)
    assert ladder("reversal", "") == (16, 24, 32)
    with pytest.raises(ValueError, match="there is a task 'reversal' already: prefix_sums, mazes"):
        register(toy)


def test_it_leaves_with_its_test() -> None:
    assert "reversal" not in TASKS
    assert {part.task for preset in PRESETS.values() for part in preset} == set(TASKS) - {"chess_puzzles"}
    with pytest.raises(ValueError, match="unknown task 'reversal'"):
        get_task("reversal").answers


def test_what_lacks_something_is_no_task(toy: Task) -> None:
    class Nameless(type(toy)):  # type: ignore[misc]
        name = "nameless"

        def __getattribute__(self, name: str) -> object:
            if name in ("title", "input_channels"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    with pytest.raises(ValueError, match="Nameless has no title, input_channels"):
        register(Nameless())
    with pytest.raises(TypeError, match="abstract"):
        Task()  # type: ignore[abstract]


def test_it_is_built_verified_and_loaded(
    toy: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [part for part in get_preset("tiny") if part.task == toy.name]
    assert [(part.config, part.split, part.rows) for part in parts] == [
        ("reversal_16", "train", 30),
        ("reversal_16", "validation", 10),
        ("reversal_16", "test", 10),
    ]
    root = tmp_path / "data"
    build(root, preset="tiny", parts=parts, progress=False)
    assert main(["verify", str(root), "--quiet"]) == 0
    assert "50 rows in 3 files" in capsys.readouterr().out

    card = (root / "README.md").read_text(encoding="utf-8")
    assert f"### {toy.title}" in card
    assert toy.card is not None
    for words in (toy.card.question, *toy.card.columns.values(), toy.card.generator, *toy.card.limits):
        assert words in card
    assert "\n- reversal\n" in card
    assert 'from easy_to_hard import load\n\nload("reversal", 16, split="test", source="hub"' in card
    assert "![Solved instances](images/reversal.png)" in card
    assert (root / "images" / "reversal.png").read_bytes() == toy.card_picture()
    assert "| `ones` | int32 | how many are 1 |" in card

    read = load("reversal", 16, split="test", source="folder", root=root)
    made = load("reversal", 16, split="test", num_samples=10)
    assert isinstance(read, GradedDataset)
    for ours, theirs in zip(read, made, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
        assert torch.equal((ours[0][0] > 0).flip(0), ours[1] > 0)
    inputs, _ = StreamingDataset("reversal", 16, batch_size=10, split="test").batch(0)
    assert torch.equal(inputs, torch.stack([item for item, _ in made]))  # type: ignore[attr-defined]

    # What is not the solution, or of another split, does not pass.
    with monkeypatch.context() as changed:
        changed.setattr(type(toy), "solve", lambda self, inputs, difficulty: inputs)
        assert any("the target is not the solution" in problem for problem in verify(root, progress=False).problems)
    monkeypatch.setattr(type(toy), "splits_of", lambda self, data, difficulty: ["train"] * len(data))
    assert any("belongs to split train" in problem for problem in verify(root, progress=False).problems)


def test_it_is_shown(toy: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "reversal", "24", "--index", "2"]) == 0
    forwards, backwards, facts = capsys.readouterr().out.splitlines()
    assert forwards.split()[1] == backwards.split()[1][::-1]
    assert facts == f"reversal_24, split train, seed 0, item 2, ones {forwards.count('1')}"
    assert main(["show", "reversal", "24", "--out", str(tmp_path / "toy.png")]) == 0
    assert (tmp_path / "toy.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert main(["info"]) == 0
    assert f"reversal: {toy.title}\n  {toy.reference}\n  difficulty    length: 16, 24, 32" in capsys.readouterr().out


def test_it_is_scored_and_has_its_place_on_the_page(
    toy: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    solved = tmp_path / "solved.json"
    arguments = ["score", "--callable", "toy_reversal:backwards", "--task", "reversal", "--quiet"]
    assert main([*arguments, "--trained-on", "reversal_16", "--out", str(solved)]) == 0
    result = read_result(solved)
    assert [(score["config"], score["num_correct"], score["num_items"]) for score in result["scores"]] == [
        ("reversal_16", 40, 40),
        ("reversal_24", 40, 40),
        ("reversal_32", 40, 40),
    ]
    assert all(score["checks"] == {"as_many_ones": 40} for score in result["scores"])

    answers, zeros = tmp_path / "zeros.npz", tmp_path / "zeros.json"
    assert write_template(["reversal_16", "reversal_24"], answers) == 80
    assert main(["score", "--predictions", str(answers), "--quiet", "--out", str(zeros)]) == 0
    guessed = read_result(zeros)
    assert [score["num_correct"] for score in guessed["scores"]] == [0, 0]
    inputs = torch.stack([item for item, _ in load("reversal", 16, split="test", num_samples=40)])  # type: ignore[attr-defined]
    # Of the open positions, which are all but the first.
    right = float((inputs[:, 0].flip(1)[:, 1:] < 0).float().mean())
    assert guessed["scores"][0]["cell_accuracy"] == pytest.approx(right)
    for name in ("zeros", "random"):
        assert main(["score", "--callable", f"easy_to_hard.leaderboard.solvers:{name}", *arguments[3:]]) == 0
    capsys.readouterr()

    ranking = standings([result, guessed])
    assert [standing.score for standing in ranking] == [100.0, 0.0]
    assert overview(ranking)[0].scores["reversal"] == 100.0
    page = write_site([result, guessed], tmp_path / "site").read_text(encoding="utf-8")
    assert '<section id="reversal"' in page
    assert "A bit string from its end to its start." in page
    assert "over the four tasks that the benchmark makes" in page
    (section,) = json.loads(page.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])[
        "sections"
    ]
    assert section["id"] == "reversal"
    for difficulty in (16, 24, 32):
        name = f"reversal_{difficulty}.png"
        picture = toy.picture("", difficulty)
        assert picture is not None
        assert f'src="assets/pictures/{name}"' in page
        assert (tmp_path / "site" / "assets" / "pictures" / name).read_bytes() == picture.png
    assert np.frombuffer(picture.png[16:24], dtype=">u4").tolist() == [32, 2]
