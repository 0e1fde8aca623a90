"""From easy to hard in a few minutes on a CPU: ``python -m easy_to_hard.demo``.

Makes graded prefix sums, reads them back with `datasets`, trains a small cellular net on strings of
32 bits, has it solve strings of up to 1,024, shows how a net that comes with the package solves a
maze of size 59, and writes the leaderboard page.
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

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.batches import draw_batches
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, save_model
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig
from easy_to_hard.baselines.deep_thinking.film import film_instance
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.recipes import Recipe, get_recipe
from easy_to_hard.baselines.deep_thinking.scoring import Tested, to_result
from easy_to_hard.baselines.deep_thinking.training import train
from easy_to_hard.baselines.deep_thinking.training_run import make_facts
from easy_to_hard.commands.net_tables import format_scores
from easy_to_hard.commands.parsing import wide_enough
from easy_to_hard.environment import check_device, describe_device
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.leaderboard.page import Figure, write_site
from easy_to_hard.plotting import new_figure, plot_accuracy_curves, save_figure
from easy_to_hard.scores.results import Result, write_result
from easy_to_hard.storage.building import build
from easy_to_hard.storage.files import file_sha256
from easy_to_hard.storage.manifest import MANIFEST
from easy_to_hard.tasks import DataSpec, get_task

_RECIPE: Final = "prefix-sums-cellular"
TRAIN_BITS: Final = get_recipe(_RECIPE).difficulty
TEST_BITS: Final = (32, 64, 128, 256, 512, 1024)
# Positions per batch: few enough for the caches of a small CPU.
_BATCH_POSITIONS: Final = 8192
# Positions tested at each length: 1,000 strings of 64 bits, 200 of 512, 100 of 1,024.
_TEST_POSITIONS: Final = 102_400
# A bit learns its parity from its neighbor, one or two iterations later.
_ITERATIONS_A_BIT: Final = 4
_MAZE_NET: Final = "mazes-cellular"
_MAZE_SIZE: Final = 59
# Pictures of the maze, while it is being solved.
_MAZE_FRAMES: Final = 6


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Train on 32-bit prefix sums, test on up to 1,024 bits, and write the leaderboard page."""

    out: Annotated[Path, arg(help="the folder to write")] = Path("demo")
    seed: Annotated[int, arg(help="seed of the weights, the batches and the iteration counts")] = 0
    steps: Annotated[int, arg(help="batches to train on")] = get_recipe(_RECIPE).training.steps
    test_items: Annotated[int, arg(help="most strings tested at each length; fewer of the long ones")] = 1000
    threads: Annotated[int, arg(help="test batches solved in parallel; training uses one thread")] = 2
    device: Annotated[str, arg(help="cpu or cuda")] = "cpu"

    def __post_init__(self) -> None:
        check_integer_fields(self)
        for name in ("steps", "test_items", "threads"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        check_field(self, "seed", self.seed >= 0, "at least 0")
        check_device(self.device)

    @property
    def recipe(self) -> Recipe:
        """The training, with this seed and number of steps."""
        recipe = get_recipe(_RECIPE)
        training = replace(recipe.training, steps=self.steps, seed=self.seed)
        return replace(recipe, training=training)


def load_strings(data: Path, num_bits: int, split: str, cache: Path) -> tuple[Tensor, Tensor]:
    """Read a split of a built folder as any user would, with `datasets.load_dataset`.

    Args:
        data: the folder.
        num_bits: length of the strings.
        split: "train", "validation" or "test".
        cache: where `datasets` may keep its copy, which is made again on each call, so that it is never stale.

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


def train_net(config: DemoConfig, data: Path, cache: Path) -> tuple[ThinkingNet, ModelFacts]:
    """Train on the easy strings; the log and the checkpoint are written next to the results."""
    inputs, targets = load_strings(data, TRAIN_BITS, "train", cache)
    recipe = config.recipe
    model = recipe.build_net().to(config.device)
    print(
        f"  {len(inputs):,} strings, {model.count_parameters():,} weights, "
        f"{recipe.training.max_iterations} iterations on average"
    )
    batches = draw_batches(inputs, targets, batch_size=recipe.batch_size, seed=config.seed)
    report = train(model, batches, recipe.training, folder=config.out / "training")
    facts = make_facts(recipe, report, describe_device(config.device, 1))
    save_model(model, config.out / "model", facts)
    return model, facts


def evaluate_net(model: ThinkingNet, config: DemoConfig, data: Path, cache: Path) -> list[Tested]:
    """Evaluate at every length, with at most four iterations per bit."""
    evaluations = []
    for num_bits in TEST_BITS:
        inputs, targets = load_strings(data, num_bits, "test", cache)
        count = min(config.test_items, _TEST_POSITIONS // num_bits)
        settings = EvaluationConfig(
            max_iterations=_ITERATIONS_A_BIT * num_bits,
            batch_size=_BATCH_POSITIONS // num_bits,
            stop_when_settled=True,
            threads=config.threads,
        )
        items = TensorItems(inputs[:count], targets[:count])
        rules = get_task("prefix_sums").answers
        evaluation = evaluate(model, items, rules, settings, description=f"  {num_bits:>5,} bits")
        spec = DataSpec(task="prefix_sums", difficulty=num_bits, split="test")
        evaluations.append(Tested(spec=spec, evaluation=evaluation))
    return evaluations


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
        trained_iterations=result.trained_iterations,
    )
    return [save_figure(figure, folder / f"accuracy.{kind}") for kind in ("png", "svg")]


def _solve_maze(folder: Path) -> Figure:
    """Draw a maze being solved by a net that was trained on small ones."""
    model, facts = load_model(_MAZE_NET)
    spec = DataSpec(task="mazes", difficulty=_MAZE_SIZE, split="test")
    picture = folder / "maze.png"
    solved = film_instance(model, facts, picture, spec=spec, index=0, frames=_MAZE_FRAMES)
    outcome = "solved" if solved.num_correct else "not solved"
    return Figure(
        picture.name,
        f"A maze of size {_MAZE_SIZE}, {outcome} in {solved.last_iteration:,} iterations by {_MAZE_NET}, a net of "
        f"{model.count_parameters():,} weights that was trained on mazes of size {facts.difficulty} and comes with "
        "the package.",
    )


def run(config: DemoConfig) -> Result:
    """Run the whole demo, reporting progress."""
    started = time.perf_counter()
    new_figure(1, 1)  # If matplotlib is missing, fail now and not after training.
    # Two threads would train in two thirds of the time on an idle machine, and take ten times as long on a busy one.
    torch.set_num_threads(1)
    out, data, cache = config.out, config.out / "data", config.out / "cache"
    out.mkdir(parents=True, exist_ok=True)

    print(f"1/5 Making prefix sums of {TRAIN_BITS} to {TEST_BITS[-1]:,} bits in {data}", flush=True)
    build(data, preset="demo")
    print(f"2/5 Training on {TRAIN_BITS} bits: a few minutes at most on one core", flush=True)
    model, facts = train_net(config, data, cache)
    print(f"3/5 Testing on up to {TEST_BITS[-1]:,} bits, {TEST_BITS[-1] // TRAIN_BITS} times as long", flush=True)
    evaluations = evaluate_net(model, config, data, cache)
    print(f"4/5 Solving a maze of size {_MAZE_SIZE} with {_MAZE_NET}, which comes with the package", flush=True)
    maze = _solve_maze(out)
    print("5/5 Writing the results", flush=True)
    result = to_result(
        model,
        facts,
        evaluations,
        data_manifest_sha256=file_sha256(data / MANIFEST),
        tested_on=describe_device(config.device, config.threads),
    )
    write_result(result, out / "result.json")
    plots = _write_plots(result, out)
    write_site([result.to_dict()], out, shown=[maze])

    print(f"\n{format_scores(result)}\n")
    places = {
        "data": data,
        "weights": out / "model",
        "training log": out / "training" / "log.jsonl",
        "result": out / "result.json",
        "plot": plots[0],
        "maze": out / maze.name,
    }
    for name, path in places.items():
        print(f"  {name:<13} {path}")
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Open {(out / 'index.html').resolve()} in a browser.")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code, or ends with code 2 after wrong usage."""
    try:
        with wide_enough():
            config = tyro.cli(DemoConfig, args=arguments, prog="python -m easy_to_hard.demo")
    except ValueError as error:  # What the settings' own checks say, which newer versions of tyro report themselves.
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    try:
        run(config)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
