"""The evaluation script: scores a net, a file of predictions or a Python function on the benchmark's test instances.

See ``python leaderboard/evaluate.py --help``, the same as ``easy-to-hard score --help``. A submission is scored whole
or not at all: if anything is wrong with it, one line says what, and no result is written.
"""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.datasets.items import Items, manifest_sha256, slices
from easy_to_hard.environment import __version__, describe_device, source_commit
from easy_to_hard.extras import naming_extra
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.leaderboard.ranking import ladder
from easy_to_hard.leaderboard.submissions import configs_in, read_submission
from easy_to_hard.leaderboard.submissions.checks import MOST_ITERATIONS
from easy_to_hard.progress import progress_bar
from easy_to_hard.scores.results import DifficultyScore, Provenance, Result, Submission
from easy_to_hard.scores.scoring import Tally
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.presets import benchmark_tests
from easy_to_hard.tasks import DataSpec, get_task, parse_config
from easy_to_hard.text.jsonl import score_verdicts, verify_replies, write_verdicts

if TYPE_CHECKING:
    from easy_to_hard.baselines.deep_thinking.scoring import Examination

# Positions of items held at a time: about 50 MB of inputs.
_CHUNK_POSITIONS: Final = 2**22


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How a submission is shown, and who made it.

    Attributes:
        method, preset: its name; the preset distinguishes entries with the same method, and may be empty.
        trained_on: config of the training data; "" if it was not trained.
        authors, link: free text and a URL for display; may be empty.
        provenance: who scored it.
    """

    method: str = ""
    preset: str = ""
    trained_on: str = ""
    authors: str = ""
    link: str = ""
    provenance: Provenance = "self-reported"

    def __post_init__(self) -> None:
        if self.trained_on:
            parse_config(self.trained_on)
        if self.provenance not in get_args(Provenance):
            raise ValueError(f"--provenance must be {' or '.join(get_args(Provenance))}, not {self.provenance!r}")

    def sign(self, result: Result) -> Result:
        """The result with the fields that this entry gives."""
        given = {name: value for name, value in vars(self).items() if value}
        return replace(result, **given)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Which instances a callable is scored on.

    Attributes:
        task: name in `TASKS`.
        difficulties: empty for the ladder of the benchmark.
        variant: "" for the task's default.
        items: how many items to take from the start of each test split, one number for all difficulties or one for
            each; empty for all that the benchmark has.
        iterations: likewise, the most iterations; empty for as many as an instance has positions.
        seed: 0 is the frozen benchmark; another seed gives fresh instances (see `easy_to_hard.leaderboard.fresh`).
        root: the folder of a task that is read from files rather than generated.
        place: a built folder or a Hub repo that the instances are read from; "" to generate them.
        batch_size: instances at a time.

    Raises:
        ValueError: a value is not allowed.
    """

    task: str
    difficulties: tuple[int, ...] = ()
    variant: str = ""
    items: tuple[int, ...] = ()
    iterations: tuple[int, ...] = ()
    seed: int = 0
    root: str = ""
    place: str = ""
    batch_size: int = 50

    def __post_init__(self) -> None:
        # Of the ladder even if difficulties are given: without one there is no score, and that is said at once.
        rungs = ladder(self.task, self.variant)
        difficulties = tuple(sorted(self.difficulties)) or rungs
        if len(set(difficulties)) < len(difficulties):
            raise ValueError(f"--difficulties must be different, not {list(self.difficulties)}")
        for name in ("items", "iterations"):
            numbers = getattr(self, name)
            if len(numbers) not in (0, 1, len(difficulties)):
                raise ValueError(
                    f"--{name} must be one number, or one for each of the {len(difficulties)} difficulties, "
                    f"not {len(numbers)}"
                )
            for number in numbers:
                check_integer(f"--{name}", number, 1, MOST_ITERATIONS)
        check_integer("--batch-size", self.batch_size, 1)
        object.__setattr__(self, "difficulties", difficulties)
        for difficulty in difficulties:
            self.spec(difficulty)

    def spec(self, difficulty: int) -> DataSpec:
        """The specification of the instances of one difficulty."""
        return DataSpec(
            task=self.task,
            difficulty=difficulty,
            variant=self.variant,
            split="test",
            seed=self.seed,
            root=self.root,
        )

    def load(self, difficulty: int) -> Items:
        """The items of one difficulty to score on."""
        spec = self.spec(difficulty)
        frozen = benchmark_tests().get(spec.config)
        held = get_task(self.task).sample_count(spec, frozen.rows if frozen else None)
        return Items(spec, min(held, self._at(self.items, difficulty) or held), self.place)

    def most_iterations(self, difficulty: int) -> int:
        """The most iterations that a callable may use."""
        return self._at(self.iterations, difficulty) or prod(get_task(self.task).shapes(difficulty)[1])

    def _at(self, numbers: tuple[int, ...], difficulty: int) -> int | None:
        return numbers[self.difficulties.index(difficulty)] if len(numbers) > 1 else next(iter(numbers), None)


def score_model(name: str, examination: "Examination", entry: Entry, *, progress: bool = True) -> Result:
    """Score a net: a run folder, a net that comes with the package, or a Hub repo.

    Args:
        name: as in `load_model`; of a folder, only its own name is recorded, not where it is.
        examination: which instances, and how.
        entry: how it is shown.
        progress: whether to show bars.

    Raises:
        FileNotFoundError, ValueError, NotEnoughInstancesError: as in `load_model` and `examine`.
    """
    # Only scoring a net needs the baselines.
    from easy_to_hard.baselines.deep_thinking.checkpoint import load_model
    from easy_to_hard.baselines.deep_thinking.scoring import examine

    model, facts = load_model(name, examination.device)
    *_, result = examine(model, facts, examination, progress=progress)
    digest = hashlib.sha256()
    for key, weights in sorted(model.state_dict().items()):
        digest.update(key.encode() + weights.detach().cpu().contiguous().numpy().tobytes())
    folder = Path(name).expanduser()
    source = folder.resolve().name if folder.is_dir() else name
    submission = Submission(kind="model", source=source, sha256=digest.hexdigest())
    return entry.sign(replace(result, submission=submission))


def score_predictions(path: Path, entry: Entry, *, task: str = "", place: str = "", progress: bool = True) -> Result:
    """Score a file of predictions (`easy_to_hard.leaderboard.submissions` describes it) on the frozen benchmark.

    Args:
        path: a .parquet or .npz file.
        entry: how it is shown; if it names no method, the file's name is used.
        task: reject files for other tasks; "" to accept any.
        place: a built folder or a Hub repo that the instances are read from; "" to generate them, which takes minutes
            for mates in 4 and 5.
        progress: whether to show a bar.

    Raises:
        ValueError: something is wrong with the file; the message names the config and the item.
        OSError: the file cannot be read.
    """
    started = time.perf_counter()
    kinds = {parse_config(config)[:2] for config in configs_in(path)}
    if len(kinds) > 1:
        known = ", ".join(sorted(" ".join(kind).rstrip() for kind in kinds))
        raise ValueError(f"{path.name}: a result is for one task and variant, not for {known}: split the file")
    scores, manifest = [], []
    with progress_bar(desc=path.name, unit="items", delay=2, leave=False, show=progress) as bar:
        for answered in read_submission(path, task=task):
            name, variant, difficulty = parse_config(answered.config)
            spec = DataSpec(task=name, difficulty=difficulty, variant=variant, split="test")
            items = Items(spec, len(answered.predictions), place)
            if len(items) < len(answered.predictions):
                raise ValueError(
                    f"{place} holds only {len(items)} test items of {spec.config}: it is not the benchmark"
                )
            tally = Tally(get_task(name), difficulty)
            for part in slices(len(items), _chunk_size(spec)):
                tally.add(items.instances(part), answered.predictions[part])
                bar.update(part.stop - part.start)
            scores.append(_to_score(spec, tally, answered.iterations))
            manifest.append(items.manifest_entry())
    return _result(
        entry if entry.method else replace(entry, method=path.stem),
        scores,
        manifest,
        spec=spec,
        submission=Submission(kind="predictions", source=path.name, sha256=file_sha256(path)),
        device="not known: scored from a file",
        iterations_rule="as the submission says" if scores[0].mean_iterations else "not known",
        seconds=time.perf_counter() - started,
    )


def score_replies(path: Path, entry: Entry, *, task: str = "", verdicts_out: Path | None = None) -> Result:
    """Score a file of a language model's replies (`easy_to_hard.text.jsonl`) to the first test items of a task.

    Args:
        path: a .jsonl file, with an id and a reply in each line.
        entry: how it is shown; if it names no method, the file's name is used.
        task: reject files for other tasks; "" to accept any.
        verdicts_out: a .jsonl file to write the verdict on each reply to; None for none.

    Raises:
        ValueError: something is wrong with the file, it is for another task or for another split than test, it does not
            have all of the first items of each difficulty, or the verdicts would overwrite it.
        OSError: a file cannot be read or written.
    """
    started = time.perf_counter()
    if verdicts_out is not None and verdicts_out.resolve() == path.resolve():
        raise ValueError(f"the verdicts need another file than the replies, {path}")
    verdicts = verify_replies(path)
    scores = score_verdicts(verdicts)
    specs = [item.spec for item, _ in verdicts]
    if task and specs[0].task != task:
        raise ValueError(f"{path.name} is for {specs[0].task}, not for {task}")
    if specs[0].split != "test":
        raise ValueError(f"{path.name} is for the {specs[0].split} split: results are for test")
    if verdicts_out is not None:
        write_verdicts(verdicts_out, verdicts)
    of_config = {spec.config: spec for spec in specs}
    manifest = [Items(of_config[score.config], score.num_items).manifest_entry() for score in scores]
    return _result(
        entry if entry.method else replace(entry, method=path.stem),
        scores,
        manifest,
        spec=specs[0],
        submission=Submission(kind="replies", source=path.name, sha256=file_sha256(path)),
        device="not known: scored from a file",
        iterations_rule="not known",
        seconds=time.perf_counter() - started,
    )


def score_callable(name: str, questions: Questions, entry: Entry, *, progress: bool = True) -> Result:
    """Score any function of (inputs, iterations).

    It gets inputs (B, channels, *size) float32 as the PyTorch classes give them, and returns integers or booleans
    (B, *size) in {0, 1}, or logits (B, 2, *size), as a tensor or array; or a pair of these and the iterations used,
    (B,). It is called in this process, without gradients, with batches in the order of the test split.

    Args:
        name: "module:function".
        questions: which instances.
        entry: how it is shown; if it names no method, the function's name is used.
        progress: whether to show bars.

    Raises:
        ValueError: there is no such function, or an answer has a wrong shape or type, is NaN, or is outside {0, 1}.
        RuntimeError: the function raised an exception; the message names the items.
    """
    with naming_extra("scoring a function needs"):
        # It is given tensors.
        import torch

    from easy_to_hard.leaderboard.callables import Asked, load_callable

    function = load_callable(name)
    started = time.perf_counter()
    scores, manifest = [], []
    for difficulty in questions.difficulties:
        items = questions.load(difficulty)
        tally = Tally(get_task(questions.task), difficulty)
        used = []
        with progress_bar(total=len(items), desc=items.spec.config, unit="items", delay=1, show=progress) as bar:
            for part in slices(len(items), min(questions.batch_size, _chunk_size(items.spec))):
                asked = Asked(items, part, questions.most_iterations(difficulty))
                predictions, iterations = asked.ask(function, name)
                tally.add(items.instances(part), predictions)
                used.append(iterations)
                bar.update(len(predictions))
        scores.append(_to_score(items.spec, tally, np.concatenate(used)))
        manifest.append(items.manifest_entry())
    return _result(
        entry if entry.method else replace(entry, method=name.partition(":")[2]),
        scores,
        manifest,
        spec=items.spec,
        submission=Submission(kind="callable", source=name),
        device=describe_device("cpu", torch.get_num_threads()),
        iterations_rule="the function's own, within what it was allowed",
        seconds=time.perf_counter() - started,
    )


def _chunk_size(spec: DataSpec) -> int:
    task = get_task(spec.task)
    return max(1, _CHUNK_POSITIONS // prod(task.shapes(spec.difficulty)[0]))


def _to_score(spec: DataSpec, tally: Tally, iterations: NDArray[np.int64] | None) -> DifficultyScore:
    return DifficultyScore(
        difficulty=spec.difficulty,
        config=spec.config,
        num_items=tally.num_items,
        num_correct=tally.num_correct,
        mean_iterations=None if iterations is None else float(iterations.mean()),
        cell_accuracy=tally.cell_accuracy,
        checks=dict(tally.checks),
    )


def _result(
    entry: Entry,
    scores: Sequence[DifficultyScore],
    manifest: Sequence[Mapping[str, Any]],
    *,
    spec: DataSpec,
    submission: Submission,
    device: str,
    iterations_rule: str,
    seconds: float,
) -> Result:
    return entry.sign(
        Result(
            method=entry.method,
            preset=entry.preset,
            task=spec.task,
            trained_on=entry.trained_on,
            commit=source_commit(),
            package_version=__version__,
            data_manifest_sha256=manifest_sha256(manifest),
            seed=0,
            data_seed=spec.seed,
            device=device,
            training_seconds=None,
            evaluation_seconds=round(seconds, 1),
            iterations_rule=iterations_rule,
            scores=scores,
            submission=submission,
        )
    )


if __name__ == "__main__":
    from easy_to_hard.cli import main

    sys.exit(main(["score", *sys.argv[1:]]))
