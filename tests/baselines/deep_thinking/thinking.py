"""Small deep-thinking nets, items, settings and whole runs that the tests of that baseline share."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import TensorItems
from easy_to_hard.baselines.deep_thinking.batches import Batches, draw_batches
from easy_to_hard.baselines.deep_thinking.distributed import place, process_group
from easy_to_hard.baselines.deep_thinking.lipschitz import LipschitzNet
from easy_to_hard.baselines.deep_thinking.net import ConvolutionalNet, Iteration
from easy_to_hard.baselines.deep_thinking.recipes import NetConfig
from easy_to_hard.baselines.deep_thinking.training import TrainingConfig, train
from easy_to_hard.datasets.items import Items
from easy_to_hard.tasks import DataSpec
from easy_to_hard.tasks.mazes import corridor_mask
from easy_to_hard.tasks.pieces import Mask

KINDS: Final = ("recurrent", "feed_forward", "lipschitz")


def make_net(
    architecture: str = "recurrent", *, seed: int = 0, in_channels: int = 1, dimensions: int = 1, **sizes: Any
) -> Any:
    """A net of a few weights; untyped, since tests reach for what only one kind has."""
    shape = {"architecture": architecture, "width": 6, "head_widths": (5, 4), "depth": 8, **sizes}
    return NetConfig(**shape).build(in_channels=in_channels, dimensions=dimensions, seed=seed)


def make_lipschitz(*, contraction: float, scale: float = 1.0, seed: int = 0, **sizes: Any) -> LipschitzNet:
    """A DT-L net with weights `scale` times as large as they start, in evaluation mode."""
    shape = {"in_channels": 1, "width": 6, "head_widths": (5, 4), "dimensions": 1, **sizes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = LipschitzNet(contraction=contraction, **shape)
    with torch.no_grad():
        for weights in net.parameters():
            weights *= scale
    return net.eval()


def strings(num_items: int, num_bits: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random bit strings as a net sees them, and their prefix sums."""
    bits = np.random.default_rng(seed).integers(0, 2, (num_items, num_bits))
    return torch.tensor(bits - 0.5, dtype=torch.float32)[:, None], torch.tensor(bits.cumsum(axis=1) % 2)


def mazes(num_items: int, size: int = 7, **which: Any) -> tuple[Tensor, Tensor]:
    """Pictures of mazes and their paths."""
    return Items(DataSpec(task="mazes", difficulty=size, **which), num_items)[:]


def training_config(**changes: Any) -> TrainingConfig:
    """Five steps, unless told otherwise."""
    return replace(
        TrainingConfig(steps=5, max_iterations=4, progressive_weight=1.0, learning_rate=1e-3, log_every=1), **changes
    )


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def same_weights(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts hold the same names and bits."""
    return one.keys() == two.keys() and all(torch.equal(values, two[name]) for name, values in one.items())


# Nets whose every answer is known, for perturbations and alignment.

BITS_LENGTH: Final = 6


def parities(x: Tensor) -> Tensor:
    """(batch, length) float in {0, 1}."""
    return (x[:, 0] > 0).cumsum(dim=1).remainder(2).float()


class Scripted(ConvolutionalNet):
    """A net whose features are the probability of parity 1 in one channel; the answers start out right."""

    def __init__(self) -> None:
        super().__init__(in_channels=1, width=1, head_widths=(), dimensions=1)

    def initial_state(self, x: Tensor) -> Tensor:
        return parities(x)[:, None]

    def read_out(self, state: Tensor) -> Tensor:
        return torch.cat([torch.full_like(state, 0.5), state], dim=1)


class Keeps(Scripted):
    """Without recall: what it thinks it goes on thinking."""

    def iteration(self, x: Tensor) -> Iteration:
        return lambda features, number: features


class Recalls(Scripted):
    """Ignores its features: each iteration solves what it sees."""

    def iteration(self, x: Tensor) -> Iteration:
        return lambda features, number: parities(x)[:, None]


def bit_items(num_items: int = 5) -> TensorItems:
    """Strings with different bits, so that each item's answer differs from its neighbors'."""
    bits = torch.tensor([[(number >> place) & 1 for place in range(BITS_LENGTH)] for number in range(1, num_items + 1)])
    return TensorItems(bits.float()[:, None] - 0.5, bits.cumsum(dim=1) % 2)


# Runs that a test starts in another process, and repeats in its own to compare.


def killed_run(folder: Path, after_step: Callable[[int], None] | None = None) -> Mapping[str, Tensor]:
    """Train on strings for 40 steps with a checkpoint after each; the weights."""
    net = make_net()
    batches = draw_batches(*strings(50, 8), batch_size=10, seed=0)
    config = training_config(steps=40, gradient_clip=1.0)
    train(net, batches, config, folder=folder, checkpoint_seconds=0, progress=False, after_step=after_step)
    return net.state_dict()


def run_to_be_killed(folder: str) -> None:
    """The same, slowly, so that there is time to kill it."""
    torch.set_num_threads(1)
    killed_run(Path(folder), after_step=lambda step: time.sleep(0.02))


def _joint_runs() -> dict[str, tuple[Any, Batches, Mask | None]]:
    # Five items for two ranks, and pictures with unlike numbers of free pixels: a mean of the ranks' means is wrong.
    images, paths = mazes(20)
    for item in range(20):
        images[item, ..., 5 + item % 10 :] = paths[item, ..., 5 + item % 10 :] = 0
    return {
        "strings": (make_net(), draw_batches(*strings(40, 8), batch_size=5, seed=0), None),
        "mazes": (
            make_net(in_channels=3, dimensions=2, patch=2),
            draw_batches(images, paths, batch_size=5, seed=0),
            corridor_mask,
        ),
        "untied": (
            make_net("feed_forward", recall=True),
            draw_batches(*strings(40, 8), batch_size=5, seed=0),
            None,
        ),
        "lipschitz": (make_net("lipschitz"), draw_batches(*strings(40, 8), batch_size=5, seed=0), None),
    }


def joint_runs(folder: Path) -> dict[str, Mapping[str, Tensor]]:
    """Train a net of several kinds in this process's group, if it has one; the weights of each by name."""
    weights = {}
    for name, (net, batches, mask_of) in _joint_runs().items():
        config = training_config(steps=8, progressive_weight=0.5, gradient_clip=1.0, learning_rate=3e-3)
        train(net, batches, config, mask_of=mask_of, folder=folder / name, progress=False)
        weights[name] = net.state_dict()
    return weights


def run_rank(folder: str) -> None:
    """`joint_runs` as one of the processes that torchrun would have started."""
    torch.set_num_threads(1)
    with process_group("cpu"):
        rank = place()[0]
        torch.save(joint_runs(Path(folder)), Path(folder) / f"rank{rank}.pt")
    # Python does not see these threads.
    names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
    (Path(folder) / f"threads{rank}.txt").write_text("\n".join(names))
