"""From easy to hard in a few minutes on a CPU: ``python -m easy_to_hard.baselines.deep_thinking.demo``.

Makes graded prefix sums, reads them back with `datasets`, trains a small net with recall and the progressive
loss on strings of 16 bits, has it solve strings of up to 1,024, and writes the leaderboard page.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor
from tyro.conf import arg

from easy_to_hard import __version__
from easy_to_hard.baselines.deep_thinking.evaluation import (
    ITERATIONS_RULE,
    SETTLED_CHANGE,
    Evaluation,
    evaluate,
)
from easy_to_hard.baselines.deep_thinking.model import RecurrentNet, initialise, preset
from easy_to_hard.baselines.deep_thinking.training import TRAINING, TrainingReport, draw_batches, train
from easy_to_hard.files import file_sha256
from easy_to_hard.plotting import new_figure, plot_accuracy_curves, save_figure
from easy_to_hard.scoring import DifficultyScore, Result, source_commit, write_result
from easy_to_hard.storage import MANIFEST, build

TRAIN_BITS: Final = 16
TEST_BITS: Final = (16, 32, 64, 128, 256, 512, 1024)
_BATCH_SIZE: Final = 100
# So many positions at a time stay in the caches of a small CPU.
_BATCH_POSITIONS: Final = 8192
# And so many are tested at each length: 1,000 strings of 64 bits, 200 of 512, 100 of 1,024.
_TEST_POSITIONS: Final = 102_400
_FEWEST_ITERATIONS: Final = 100
_PRESET: Final = "demo"


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Train on 16-bit prefix sums, test on up to 1,024 bits, and write the leaderboard page."""

    out: Annotated[Path, arg(help="the folder to write")] = Path("demo")
    seed: Annotated[int, arg(help="of the weights, the batches and the iteration counts")] = 0
    steps: Annotated[int, arg(help="batches of 100 strings to train on")] = TRAINING[_PRESET].steps
    test_items: Annotated[int, arg(help="strings tested at each length at most; long ones are fewer")] = 1000
    threads: Annotated[int, arg(help="test batches solved at a time; training uses one thread")] = 2
    device: Annotated[str, arg(help="cpu or cuda")] = "cpu"

    def __post_init__(self) -> None:
        for name in ("steps", "test_items", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, not {self.seed}")


def load_strings(data: Path, num_bits: int, split: str, cache: Path) -> tuple[Tensor, Tensor]:
    """Read a split of a built folder as anybody would, with `datasets.load_dataset`, a column at a time.

    Args:
        data: the folder.
        num_bits: length of the strings.
        split: "train", "validation" or "test".
        cache: where `datasets` may keep its copy; made anew, so that it is never a stale one.

    Returns:
        inputs (num_items, 1, num_bits) float32 in {-0.5, 0.5} and targets (num_items, num_bits) int64 in {0, 1}.
    """
    import datasets

    dataset = datasets.load_dataset(
        str(data), f"prefix_sums_{num_bits}", split=split, cache_dir=str(cache), download_mode="force_redownload"
    )
    table = dataset.with_format("arrow")[:]
    bits, parities = (_matrix(table[name], num_bits) for name in ("input", "target"))
    return torch.from_numpy(bits - np.float32(0.5))[:, None], torch.from_numpy(parities.astype(np.int64))


def _matrix(column: object, num_bits: int) -> NDArray[np.uint8]:
    values: NDArray[np.uint8] = column.combine_chunks().flatten().to_numpy()  # type: ignore[attr-defined]
    return values.reshape(-1, num_bits)


def train_net(config: DemoConfig, data: Path, cache: Path) -> tuple[RecurrentNet, TrainingReport]:
    """Train on the easy strings; the log goes beside the results."""
    inputs, targets = load_strings(data, TRAIN_BITS, "train", cache)
    model = initialise(preset(_PRESET), config.seed).to(config.device)
    settings = replace(TRAINING[_PRESET], steps=config.steps, seed=config.seed)
    count = sum(weights.numel() for weights in model.parameters())
    print(f"  {len(inputs):,} strings, {count:,} weights, at most {settings.max_iterations} iterations")
    batches = draw_batches(inputs, targets, batch_size=_BATCH_SIZE, seed=config.seed)
    return model, train(model, batches, settings, log_path=config.out / "training.jsonl")


def evaluate_net(model: RecurrentNet, config: DemoConfig, data: Path, cache: Path) -> dict[int, Evaluation]:
    """Evaluate at every length, letting the net think for at most one iteration a bit (100 for short strings)."""
    evaluations = {}
    for num_bits in TEST_BITS:
        inputs, targets = load_strings(data, num_bits, "test", cache)
        items = min(config.test_items, _TEST_POSITIONS // num_bits)
        evaluations[num_bits] = evaluate(
            model,
            inputs[:items],
            targets[:items],
            max_iterations=max(_FEWEST_ITERATIONS, num_bits),
            batch_size=_BATCH_POSITIONS // num_bits,
            stop_when_settled=True,
            threads=config.threads if config.device == "cpu" else None,
            description=f"  {num_bits:>5,} bits",
        )
    return evaluations


def make_result(
    config: DemoConfig, manifest: Path, report: TrainingReport, evaluations: dict[int, Evaluation]
) -> Result:
    """Gather what the leaderboard wants to know."""
    scores = [
        DifficultyScore(
            difficulty=num_bits,
            config=f"prefix_sums_{num_bits}",
            num_items=evaluation.num_items,
            num_correct=evaluation.num_correct,
            mean_iterations=evaluation.mean_iterations,
            recorded_iterations=range(1, len(evaluation.correct) + 1),
            recorded_correct=evaluation.correct,
        )
        for num_bits, evaluation in evaluations.items()
    ]
    return Result(
        method="deep_thinking",
        preset=_PRESET,
        task="prefix_sums",
        trained_on=f"prefix_sums_{TRAIN_BITS}",
        commit=source_commit(),
        package_version=__version__,
        data_manifest_sha256=file_sha256(manifest),
        seed=config.seed,
        device=f"{config.device}, trained on 1 thread, tested on {config.threads}",
        training_seconds=round(report.seconds, 1),
        evaluation_seconds=round(sum(evaluation.seconds for evaluation in evaluations.values()), 1),
        iterations_rule=ITERATIONS_RULE.format(
            settled_change=SETTLED_CHANGE, max_iterations=f"{_FEWEST_ITERATIONS} or the number of bits, if larger"
        ),
        scores=scores,
    )


def format_table(result: Result, evaluations: dict[int, Evaluation]) -> str:
    """The scores as plain text."""
    lines = ["    bits  x training  strings  exact match   95 % interval   iterations (mean, most)"]
    for score in result.scores:
        low, high = score.interval
        evaluation = evaluations[score.difficulty]
        lines.append(
            f"  {score.difficulty:>6,}  {score.difficulty // TRAIN_BITS:>10}  {score.num_items:>7,}"
            f"  {score.accuracy:>11.1%}  {low:>6.1%} - {high:<6.1%}"
            f"  {evaluation.mean_iterations:>16,.0f}, {evaluation.last_iteration:,}"
        )
    return "\n".join(lines)


def _write_plots(result: Result, folder: Path) -> list[Path]:
    curves = {
        f"{score.difficulty:,} bits": (
            score.recorded_iterations,
            [correct / score.num_items for correct in score.recorded_correct],
        )
        for score in result.scores
    }
    figure = plot_accuracy_curves(
        curves,
        title=f"Trained on {TRAIN_BITS} bits, tested on up to {TEST_BITS[-1]:,}",
        trained_iterations=TRAINING[_PRESET].max_iterations,
    )
    return [save_figure(figure, folder / f"accuracy.{kind}") for kind in ("png", "svg")]


def run(config: DemoConfig) -> Result:
    """Do all of it, and say what is happening."""
    # A program is above the layers that the package's imports otherwise keep to.
    from easy_to_hard.leaderboard.page import write_page

    started = time.perf_counter()
    new_figure(1, 1)  # Without matplotlib, say so now and not after the training.
    # Two threads would train in two thirds of the time on an idle machine, and take ten times as long on a busy one.
    torch.set_num_threads(1)
    out, data, cache = config.out, config.out / "data", config.out / "cache"
    out.mkdir(parents=True, exist_ok=True)

    print(f"1/4 Making prefix sums of {TRAIN_BITS} to {TEST_BITS[-1]:,} bits in {data}", flush=True)
    build(data, preset="demo")
    print(f"2/4 Training on {TRAIN_BITS} bits, a minute or two on one core", flush=True)
    model, report = train_net(config, data, cache)
    model.save_pretrained(out / "model")
    print(f"3/4 Testing on up to {TEST_BITS[-1]:,} bits, {TEST_BITS[-1] // TRAIN_BITS} times as long", flush=True)
    evaluations = evaluate_net(model, config, data, cache)
    print("4/4 Writing the results", flush=True)
    result = make_result(config, data / MANIFEST, report, evaluations)
    write_result(result, out / "result.json")
    plots = _write_plots(result, out)
    write_page([result.to_dict()], out / "index.html")

    print(f"\n{format_table(result, evaluations)}\n")
    places = {
        "data": data,
        "weights": out / "model",
        "training log": out / "training.jsonl",
        "result": out / "result.json",
        "plot": plots[0],
    }
    for name, path in places.items():
        print(f"  {name:<13} {path}")
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Open {(out / 'index.html').resolve()} in a browser.")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    config = tyro.cli(DemoConfig, args=arguments, prog="python -m easy_to_hard.baselines.deep_thinking.demo")
    try:
        run(config)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
