"""The evaluation script: scores a net, a file of predictions or a Python function on the benchmark's test instances.

``python leaderboard/evaluate.py --help``, which is ``easy-to-hard score --help``. A submission is scored whole or not
at all: what is wrong with it is said in one line, and no result is written.
"""

import hashlib
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from easy_to_hard import __version__
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model
from easy_to_hard.baselines.deep_thinking.data import Items, answer_rules
from easy_to_hard.baselines.deep_thinking.examination import Examination, describe_device, examine
from easy_to_hard.files import file_sha256
from easy_to_hard.leaderboard.ranking import ladder, variant_of
from easy_to_hard.leaderboard.submissions import configs_in, read_submission
from easy_to_hard.presets import PRESETS
from easy_to_hard.results import DifficultyScore, Provenance, Result, Submission, read_result, source_commit
from easy_to_hard.scoring import Tally
from easy_to_hard.tasks import DataSpec, get_task, parse_config

Solver = Callable[[Tensor, int], Any]

# Test items of each config of the frozen benchmark.
FROZEN_ROWS: Final = {part.config: part.rows for part in PRESETS["full"] if part.split == "test"}
# Items whose positions are held at a time: inputs of some 50 MB.
_CHUNK_POSITIONS: Final = 2**22


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How a submission is shown, and who stands behind it.

    Attributes:
        method, preset: its name; the preset tells several of one method apart, and may be empty.
        trained_on: config of the training data; "" for what was not trained.
        authors, link: for people; may be empty.
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

    def sign(self, result: Result) -> Result:
        """The result under this entry's name, where it gives one."""
        given = {name: value for name, value in vars(self).items() if value}
        return replace(result, **given)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Which instances are asked, of a callable.

    Attributes:
        task: name in `TASKS`.
        difficulties: none for the ladder of the benchmark.
        variant: "" for the task's default.
        items: the first so many of each difficulty, one number for all or one for each; none for all that the
            benchmark has.
        iterations: likewise; none for as many as an instance has positions.
        seed: 0 is the frozen benchmark; another seed gives instances that nobody has seen.
        root: the folder of a task that is read and not made.
        batch_size: instances at a time.

    Raises:
        ValueError: a value that is not allowed.
    """

    task: str
    difficulties: tuple[int, ...] = ()
    variant: str = ""
    items: tuple[int, ...] = ()
    iterations: tuple[int, ...] = ()
    seed: int = 0
    root: str = ""
    batch_size: int = 50

    def __post_init__(self) -> None:
        difficulties = tuple(sorted(self.difficulties)) or ladder(self.task, self.variant)
        if len(set(difficulties)) < len(difficulties):
            raise ValueError(f"--difficulties must be different, not {list(self.difficulties)}")
        for name in ("items", "iterations"):
            numbers = getattr(self, name)
            if len(numbers) not in (0, 1, len(difficulties)):
                raise ValueError(
                    f"--{name} must be one number, or one for each of the {len(difficulties)} difficulties, "
                    f"not {len(numbers)}"
                )
            if min(numbers, default=1) < 1:
                raise ValueError(f"--{name} must be at least 1, not {min(numbers)}")
        if self.batch_size < 1:
            raise ValueError(f"--batch-size must be at least 1, not {self.batch_size}")
        object.__setattr__(self, "difficulties", difficulties)
        for difficulty in difficulties:
            self.spec(difficulty)

    def spec(self, difficulty: int) -> DataSpec:
        """The instances of one difficulty."""
        return DataSpec(
            task=self.task,
            difficulty=difficulty,
            variant=self.variant,
            split="test",
            seed=self.seed,
            root=self.root,
        )

    def load(self, difficulty: int) -> Items:
        """Those that are asked."""
        spec = self.spec(difficulty)
        held = get_task(self.task).sample_count(spec, FROZEN_ROWS.get(spec.config))
        return Items(spec, min(held, self._at(self.items, difficulty) or held))

    def most_iterations(self, difficulty: int) -> int:
        """How long a callable may think."""
        return self._at(self.iterations, difficulty) or prod(get_task(self.task).shapes(difficulty)[1])

    def _at(self, numbers: tuple[int, ...], difficulty: int) -> int | None:
        return numbers[self.difficulties.index(difficulty)] if len(numbers) > 1 else next(iter(numbers), None)


def score_model(name: str, examination: Examination, entry: Entry, *, progress: bool = True) -> Result:
    """Score a net of the package: a folder, a net that comes with it, or a Hub repo.

    Args:
        name: as `load_model` takes it.
        examination: which instances, and how.
        entry: how it is shown.
        progress: whether to show bars.

    Raises:
        FileNotFoundError, ValueError, NotEnoughInstancesError: as `load_model` and `examine`.
    """
    model, facts = load_model(name, examination.device)
    *_, result = examine(model, facts, examination, progress=progress)
    digest = hashlib.sha256()
    for key, weights in sorted(model.state_dict().items()):
        digest.update(key.encode() + weights.detach().cpu().contiguous().numpy().tobytes())
    submission = Submission(kind="model", source=name, sha256=digest.hexdigest())
    return entry.sign(replace(result, submission=submission))


def score_predictions(path: Path, entry: Entry, *, task: str = "", progress: bool = True) -> Result:
    """Score a file of predictions (`easy_to_hard.leaderboard.submissions` says what is in it) on the frozen benchmark.

    Args:
        path: a .parquet or .npz.
        entry: how it is shown; without a method, the file's name is it.
        task: refuse a file of another; "" for whatever it is of.
        progress: whether to show a bar.

    Raises:
        ValueError: what is wrong with the file; it names the config and the item.
        OSError: it cannot be read.
    """
    started = time.perf_counter()
    kinds = {parse_config(config)[:2] for config in configs_in(path)}
    if len(kinds) > 1:
        known = ", ".join(sorted(" ".join(kind).rstrip() for kind in kinds))
        raise ValueError(f"{path.name}: a result is of one task and variant, not of {known}: split the file")
    scores, manifest = [], []
    with tqdm(desc=path.name, unit=" items", disable=None if progress else True, delay=2, leave=False) as bar:
        for answered in read_submission(path, task=task):
            name, variant, difficulty = parse_config(answered.config)
            spec = DataSpec(task=name, difficulty=difficulty, variant=variant, split="test")
            items = Items(spec, len(answered.predictions))
            tally = Tally(get_task(name), difficulty)
            for part in _parts(len(items), _chunk_size(spec)):
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


def load_callable(name: str) -> Solver:
    """The function "module:function".

    Raises:
        ValueError: there is none, or it cannot be called.
        ImportError: its module cannot be imported; the message says why.
    """
    module, colon, function = name.partition(":")
    if not (module and colon and function):
        raise ValueError(f"a callable is given as module:function, such as my_solver:solve, not {name!r}")
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, folder)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:
        raise ImportError(f"module {module!r} cannot be imported: {_one_line(error)}") from error
    if not callable(found):
        raise ValueError(f"module {module!r} has no function {function!r}")
    return found  # type: ignore[no-any-return]


def score_callable(name: str, questions: Questions, entry: Entry, *, progress: bool = True) -> Result:
    """Score any function of (inputs, iterations).

    It gets inputs (B, channels, *size) float32 as the PyTorch classes give them, and returns integers or booleans
    (B, *size) in {0, 1}, or logits (B, 2, *size), tensor or array; or a pair of that and the iterations used, (B,).
    It is called in this process, without gradients, with batches in the order of the test split.

    Args:
        name: "module:function".
        questions: which instances.
        entry: how it is shown; without a method, the function's name is it.
        progress: whether to show bars.

    Raises:
        ValueError: no such function, or an answer of another shape or type, NaN, or outside {0, 1}.
        RuntimeError: the function raised something; the message names the items.
    """
    function = load_callable(name)
    started = time.perf_counter()
    scores, manifest = [], []
    for difficulty in questions.difficulties:
        items = questions.load(difficulty)
        tally = Tally(get_task(questions.task), difficulty)
        used = []
        with tqdm(
            total=len(items), desc=items.spec.config, unit=" items", disable=None if progress else True, delay=1
        ) as bar:
            for part in _parts(len(items), min(questions.batch_size, _chunk_size(items.spec))):
                asked = _Asked(items, part, questions.most_iterations(difficulty))
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


@dataclass(frozen=True)
class _Asked:
    """A batch that a callable is asked."""

    items: Items
    part: slice
    iterations: int

    def ask(self, function: Solver, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Predictions (B, *size) and iterations (B,)."""
        inputs, targets = self.items[self.part]
        where = f"{name}, items {self.part.start} to {self.part.stop - 1} of {self.items.spec.config}"
        try:
            with torch.inference_mode():
                answer = function(inputs.clone(), self.iterations)
        except Exception as error:
            raise RuntimeError(f"{where}: raised {_one_line(error)}") from error
        used: Any = self.iterations
        if isinstance(answer, tuple) and len(answer) == 2:
            answer, used = answer
        return self._predictions(answer, inputs, targets, where), self._used(used, len(targets), where)

    def _predictions(self, answer: Any, inputs: Tensor, targets: Tensor, where: str) -> NDArray[np.uint8]:
        values = _as_tensor(answer, where)
        size = tuple(targets.shape)
        logits = (size[0], 2, *size[1:])
        if tuple(values.shape) not in (size, logits):
            raise ValueError(
                f"{where}: the answer must be of shape {size} or, as logits, {logits}, not {tuple(values.shape)}"
            )
        if values.is_floating_point() and bool(values.isnan().any()):
            raise ValueError(f"{where}: the answer has NaN in it")
        if tuple(values.shape) == logits:
            decoded = answer_rules(self.items.spec.task).decode(values.float(), inputs)
            return decoded.to(torch.uint8).numpy()
        if values.is_floating_point() or values.is_complex():
            raise ValueError(f"{where}: predictions of shape {size} must be integers or booleans, not {values.dtype}")
        if bool(((values != 0) & (values != 1)).any()):
            worst = int(values[(values != 0) & (values != 1)][0])
            raise ValueError(f"{where}: predictions must be 0 or 1, not {worst}")
        return values.to(torch.uint8).numpy()

    def _used(self, used: Any, count: int, where: str) -> NDArray[np.int64]:
        numbers = np.broadcast_to(np.asarray(used), (count,)) if np.ndim(used) == 0 else np.asarray(used)
        whole = np.issubdtype(numbers.dtype, np.integer)
        if numbers.shape != (count,) or not whole or numbers.min() < 0:
            raise ValueError(f"{where}: the iterations used must be {count} whole numbers of at least 0")
        return numbers.astype(np.int64)


def score_again(
    path: Path, *, seed: int | None = None, iterations: tuple[int, ...] = (), progress: bool = True
) -> tuple[Result, list[str]]:
    """Score again what a result file says was scored, on the same instances or on fresh ones.

    Args:
        path: a result file with a submission; files and modules are looked for from the current folder.
        seed: of fresh instances; None for those of the result.
        iterations: the most for a net or a callable; none for the default.
        progress: whether to show bars.

    Returns:
        The result, "re-scored" and otherwise as signed, and where it does not agree with the file, a line each: counts
        that are not the same, of a net (which rounds differently on other hardware) intervals that do not meet. On
        fresh instances there is nothing to agree with.

    Raises:
        ValueError: the result has no submission, or its file is another one; or as the functions above.
    """
    old = read_result(path)
    source = old.get("submission") or {}
    signed = {name: old.get(name) or "" for name in ("method", "preset", "trained_on", "authors", "link")}
    entry = Entry(**signed, provenance="re-scored")
    asked = {
        "task": old["task"],
        "difficulties": tuple(score["difficulty"] for score in old["scores"]),
        "variant": variant_of(old),
        "items": tuple(score["num_items"] for score in old["scores"]),
        "seed": old["data_seed"] if seed is None else seed,
    }
    kind = source.get("kind")
    if kind == "predictions":
        if seed is not None:
            raise ValueError(f"{path}: predictions are of the frozen instances; fresh ones need a net or a callable")
        result = score_predictions(Path(source["source"]), entry, progress=progress)
    elif kind == "callable":
        result = score_callable(source["source"], Questions(**asked, iterations=iterations), entry, progress=progress)
    elif kind == "model":
        examination = Examination(**asked, iterations=next(iter(iterations), None))
        result = score_model(source["source"], examination, entry, progress=progress)
    else:
        raise ValueError(f"{path} does not say what was scored: it has no submission")
    found = result.submission.sha256 if result.submission else None
    if source["sha256"] != found:
        raise ValueError(f"{path}: {source['source']} is another one: SHA-256 is {found}, not {source['sha256']}")
    return result, [] if seed is not None else _differences(old, result, exact=kind != "model")


def _differences(old: Mapping[str, Any], new: Result, *, exact: bool) -> list[str]:
    before = {score["config"]: score for score in old["scores"]}
    after = {score.config: score for score in new.scores}
    lines = [f"{config} is in one of the two only" for config in sorted(before.keys() ^ after.keys())]
    for config in sorted(before.keys() & after.keys()):
        was, now = before[config], after[config]
        apart = was["interval_95"][0] > now.interval[1] or now.interval[0] > was["interval_95"][1]
        same = (was["num_items"], was["num_correct"]) == (now.num_items, now.num_correct)
        if apart or (exact and not same):
            counts = f"{now.num_correct} of {now.num_items}, the file says {was['num_correct']} of {was['num_items']}"
            lines.append(f"{config}: {counts}")
    return lines


def _as_tensor(answer: Any, where: str) -> Tensor:
    if isinstance(answer, Tensor):
        return answer.detach().cpu()
    if isinstance(answer, np.ndarray) and answer.dtype.kind in "biuf":
        return torch.from_numpy(np.ascontiguousarray(answer))
    kind = f"an array of {answer.dtype}" if isinstance(answer, np.ndarray) else type(answer).__name__
    raise ValueError(f"{where}: the answer must be a tensor or an array of numbers, not {kind}")


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _parts(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


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
            data_manifest_sha256=hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest(),
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
