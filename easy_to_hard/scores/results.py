"""The file that holds a result: one method's scores on one task, and where they come from.

`leaderboard/result.schema.json` describes it key by key.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from easy_to_hard.scores.scoring import wilson_interval
from easy_to_hard.storage.json_files import check_schema, read_json
from easy_to_hard.storage.writing import write_atomically
from easy_to_hard.tasks import parse_config

RESULT_FORMAT: Final = 1

Provenance = Literal["self-reported", "re-scored"]
SubmissionKind = Literal["model", "predictions", "replies", "callable"]


def thin_curve(counts: Sequence[int]) -> tuple[list[int], list[int]]:
    """The iterations, from 1, and counts that describe a whole curve: first, last, and both sides of each change.

    Args:
        counts: counts[t - 1] is the number of items right after iteration t; at least one count.
    """
    last = len(counts) - 1
    kept = [t for t in range(last + 1) if t in (0, last) or counts[t] != counts[t - 1] or counts[t] != counts[t + 1]]
    return [t + 1 for t in kept], [counts[t] for t in kept]


@dataclass(frozen=True, kw_only=True)
class DifficultyScore:
    """A method's score at one difficulty.

    Attributes:
        difficulty: number of bits, size of the maze, ...
        config: name of the data's config.
        num_items: items evaluated, at least 1.
        num_correct: items answered exactly.
        mean_iterations: mean number of the iteration whose answer counts; None for a method without iterations.
        mean_first_solved: mean first correct iteration, over the items that were ever correct; None where not known.
        num_settled: items whose features stopped changing; None where not known.
        recorded_iterations: the iterations, from 1 and ascending, at which `recorded_correct` was counted; may be
            empty. Between two of them, the count is interpolated linearly.
        recorded_correct: items correct at each of them.
        cell_accuracy: share of the positions answered right, in [0, 1]; in mazes, of the positions that are not walls.
            None where not known.
        checks: name -> number of items that pass each of the task's other checks of an answer (`Task.judge`), such as
            a valid path or a legal move; empty where not known.
        macs_per_item: mean multiply-accumulates per item; None where not known.

    Raises:
        ValueError: the counts contradict one another.
    """

    difficulty: int
    config: str
    num_items: int
    num_correct: int
    mean_iterations: float | None = None
    mean_first_solved: float | None = None
    num_settled: int | None = None
    recorded_iterations: Sequence[int] = ()
    recorded_correct: Sequence[int] = ()
    cell_accuracy: float | None = None
    checks: Mapping[str, int] = field(default_factory=dict)
    macs_per_item: float | None = None

    def __post_init__(self) -> None:
        if self.num_items < 1:
            raise ValueError(f"num_items must be at least 1, not {self.num_items}")
        if len(self.recorded_iterations) != len(self.recorded_correct):
            raise ValueError(
                f"recorded_correct must have one count for each of the {len(self.recorded_iterations)} "
                f"recorded_iterations, not {len(self.recorded_correct)}"
            )
        for count in (self.num_correct, *self.recorded_correct, *self.checks.values()):
            if not 0 <= count <= self.num_items:
                raise ValueError(f"a count of right items must be from 0 to {self.num_items}, not {count}")
        if self.cell_accuracy is not None and not 0 <= self.cell_accuracy <= 1:
            raise ValueError(f"cell_accuracy must be from 0 to 1, not {self.cell_accuracy}")

    @property
    def accuracy(self) -> float:
        """Exact-match accuracy, in [0, 1]."""
        return self.num_correct / self.num_items

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % Wilson interval."""
        return wilson_interval(self.num_correct, self.num_items)

    @property
    def peak_accuracy(self) -> float | None:
        """The highest recorded accuracy, in [0, 1]; not a score, as it looks at targets. None without a record."""
        return max(self.recorded_correct) / self.num_items if self.recorded_correct else None

    def accuracy_at(self, iteration: int) -> float | None:
        """The recorded accuracy at an iteration, in [0, 1]; None where there is no record.

        Beyond the last recorded iteration, it is the last one's if every item had settled, and otherwise None.
        """
        if not self.recorded_correct:
            return None
        if iteration > self.recorded_iterations[-1] and self.num_settled != self.num_items:
            return None
        return float(np.interp(iteration, self.recorded_iterations, self.recorded_correct)) / self.num_items

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "difficulty": self.difficulty,
            "config": self.config,
            "num_items": self.num_items,
            "num_correct": self.num_correct,
            "accuracy": self.accuracy,
            "interval_95": list(self.interval),
            "mean_iterations": self.mean_iterations,
            "mean_first_solved": self.mean_first_solved,
            "num_settled": self.num_settled,
            "recorded_iterations": list(self.recorded_iterations),
            "recorded_accuracy": [count / self.num_items for count in self.recorded_correct],
            "cell_accuracy": self.cell_accuracy,
            "checks": dict(self.checks),
            "macs_per_item": self.macs_per_item,
        }


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What was scored.

    Attributes:
        kind: "model" (weights that the package loads), "predictions" or "replies" (a file of tensors or of texts), or
            "callable" (a Python function).
        source: name of the net, the file or the function.
        sha256: of the file, or of the net's weights; None where there is none.
    """

    kind: SubmissionKind
    source: str
    sha256: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(SubmissionKind):
            raise ValueError(f"kind must be one of {', '.join(get_args(SubmissionKind))}, not {self.kind!r}")


@dataclass(frozen=True, kw_only=True)
class Result:
    """A method's scores on one task.

    Attributes:
        method: name in `BASELINES`, or the name of a submission.
        preset: the set of sizes and settings used.
        task: name in `TASKS`.
        trained_on: config of the training data; "" for a method that was not trained.
        commit: of the code that produced the numbers; None where it is not known.
        package_version: of easy-to-hard.
        data_manifest_sha256: of the data folder's manifest.json, or of an equivalent for data generated on the spot.
        seed: of the whole run.
        split, data_seed: of the instances tested; the frozen benchmark has seed 0.
        parameters: number of weights; None where there are none.
        trained_iterations: the most iterations in training; None for a method without iterations.
        device: what it ran on.
        training_seconds, evaluation_seconds: wall time; None where it is not known.
        iterations_rule: how the iterations whose answer counts were chosen, in words; it must not look at targets.
        scores: one for each difficulty, at least one.
        provenance: "self-reported", or "re-scored" by the leaderboard's maintainers.
        submission: what was scored; None where it is not known.
        authors: who made it, as free text.
        link: URL of a paper or of code; may be empty.

    Raises:
        ValueError: there are no scores, a difficulty occurs twice, or the provenance is unknown.
    """

    method: str
    preset: str
    task: str
    trained_on: str
    commit: str | None
    package_version: str
    data_manifest_sha256: str
    seed: int
    split: str = "test"
    data_seed: int = 0
    parameters: int | None = None
    trained_iterations: int | None = None
    device: str
    training_seconds: float | None
    evaluation_seconds: float
    iterations_rule: str
    scores: Sequence[DifficultyScore]
    provenance: Provenance = "self-reported"
    submission: Submission | None = None
    authors: str = ""
    link: str = ""

    def __post_init__(self) -> None:
        configs = [score.config for score in self.scores]
        if not configs or len(set(configs)) < len(configs):
            raise ValueError(f"scores must be for at least one config, each only once, not {configs}")
        if self.provenance not in get_args(Provenance):
            raise ValueError(f"provenance must be one of {', '.join(get_args(Provenance))}, not {self.provenance!r}")

    def to_dict(self) -> dict[str, Any]:
        """The result as a JSON-serializable dictionary, with the scores in order of difficulty."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "scores"}
        scores = sorted(self.scores, key=lambda score: score.difficulty)
        submission = None if self.submission is None else asdict(self.submission)
        return {
            "format": RESULT_FORMAT,
            **plain,
            "submission": submission,
            "scores": [score.to_dict() for score in scores],
        }


_INTERVAL: Final = ("interval_95[0]", "interval_95[1]")
# How much the shares in a file may differ from those computed from its counts.
_ROUNDING: Final = 1e-6
_NUMBER_LIST: Final = re.compile(r"\[[\s\d.,e+-]+\]")


def write_result(result: Result, path: Path) -> None:
    """Write a result as JSON, whole or not at all; each list of numbers is one line."""
    text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, _NUMBER_LIST.sub(lambda found: " ".join(found[0].split()), text) + "\n")


def read_result(path: Path) -> dict[str, Any]:
    """Read a result back, as `Result.to_dict` gives it.

    Raises:
        ValueError: the file is not a result of this format; the message names it and the field.
    """
    result = read_json(path)
    if result.get("format") != RESULT_FORMAT:
        raise ValueError(f"{path} is not a result of format {RESULT_FORMAT}")
    check_schema(path, result, "result")
    try:
        _check_sense(result)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return result


def variant_of(result: Mapping[str, Any]) -> str:
    """The variant that a result belongs to, by the names of its configs; "" where the task has none.

    Raises:
        ValueError: a config is unknown, of another task or of a difficulty other than its score's, or the configs are
            of several variants.
    """
    variants = set()
    for score in result["scores"]:
        task, variant, difficulty = parse_config(score["config"])
        if (task, difficulty) != (result["task"], score["difficulty"]):
            named = f"task {result['task'][:60]!r} and difficulty {score['difficulty']}"
            raise ValueError(f"config {score['config'][:60]!r} is not of {named}")
        variants.add(variant)
    if len(variants) != 1:
        raise ValueError(f"a result must be of one variant, not of {', '.join(sorted(variants)) or 'none'}")
    return str(variants.pop())


def _check_sense(result: Mapping[str, Any]) -> None:
    """Raise ValueError for what no schema can check: counts and shares that contradict one another."""
    for number, score in enumerate(result["scores"]):
        where = f"scores[{number}]"
        total, right = score["num_items"], score["num_correct"]
        counts = {"num_correct": right, "num_settled": score.get("num_settled") or 0}
        counts |= {f"checks.{name}": count for name, count in score.get("checks", {}).items()}
        for name, count in counts.items():
            if count > total:
                raise ValueError(f"{where}.{name} is {count}, of {total} items")
        shares = {"accuracy": right / total, **dict(zip(_INTERVAL, wilson_interval(right, total), strict=True))}
        told = {"accuracy": score["accuracy"], **dict(zip(_INTERVAL, score["interval_95"], strict=True))}
        for name, share in shares.items():
            if abs(told[name] - share) > _ROUNDING:
                raise ValueError(f"{where}.{name} is {told[name]}, of {right} right answers of {total} it is {share}")
        iterations, curve = score["recorded_iterations"], score["recorded_accuracy"]
        if len(iterations) != len(curve):
            raise ValueError(f"{where}: {len(iterations)} recorded_iterations, {len(curve)} of recorded_accuracy")
        if any(one >= other for one, other in pairwise(iterations)):
            raise ValueError(f"{where}.recorded_iterations must ascend")
    configs = [score["config"] for score in result["scores"]]
    if len(set(configs)) < len(configs):
        raise ValueError(f"config {next(one for one in configs if configs.count(one) > 1)!r} has two scores")
    variant_of(result)


def curves_at(paths: Sequence[Path], config: str) -> dict[str, tuple[list[int], list[float]]]:
    """The recorded curves of several results at one config, for `plotting.plot_accuracy_curves`.

    Args:
        paths: result files; each gives one curve, named by the file.
        config: such as "mazes_33".

    Returns:
        label -> (iterations, accuracies).

    Raises:
        ValueError: a file is not a result or has no record for that config; the message says what it has.
    """
    if not paths:
        raise ValueError("give at least one result file")
    curves = {}
    for path in paths:
        recorded = {score["config"]: score for score in read_result(path)["scores"] if score["recorded_iterations"]}
        if config not in recorded:
            raise ValueError(f"{path} has no curve at {config!r}: it has {', '.join(recorded) or 'none'}")
        label = path.stem if [other.stem for other in paths].count(path.stem) == 1 else str(path)
        curves[label] = recorded[config]["recorded_iterations"], recorded[config]["recorded_accuracy"]
    return curves
