"""What runs on images and on mazes have in common: their settings, and the images made for neurons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.vit_visualization.figures import keep, kept
from easy_to_hard.baselines.vit_visualization.maximising import Ascent, Subject, check_neurons, maximise
from easy_to_hard.baselines.vit_visualization.recipes import Recipe

METHOD: Final = "vit_visualization"
_PAPER_SIDE: Final = 224


@dataclass(frozen=True, kw_only=True)
class Run:
    """What to run.

    Attributes:
        recipe: how; see `get_preset`.
        preset: its name.
        data: "mnist", "cifar10", "folder" or "mazes".
        model: "tiny_vit", a trained model's name, or for mazes "recurrent".
        data_root: where images are.
        download: fetch data that are missing.
        layers, neurons: looked at; empty for the recipe's.
        seeds: one run each; empty for the recipe's.
        device: "cpu" or "cuda".

    Raises:
        ValueError: a name or number that is not allowed.
    """

    recipe: Recipe
    preset: str
    data: str
    model: str = "tiny_vit"
    data_root: Path = Path("data")
    download: bool = False
    layers: Sequence[int] = ()
    neurons: Sequence[int] = ()
    seeds: Sequence[int] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        get_device(self.device)
        for name in ("seeds", "layers", "neurons"):
            values = self.all_seeds if name == "seeds" else getattr(self, name)
            if len(set(values)) < len(values) or min(values, default=0) < 0:
                raise ValueError(f"{name} must be at least 0, and each another, not {list(values)}")
        if self.model != "tiny_vit" and len(self.seeds) > 1:
            raise ValueError(f"seeds must be one for a net that is not trained here, not {list(self.seeds)}")

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds, given or the recipe's; nets that are not trained here have one."""
        return tuple(self.seeds) or (self.recipe.seeds if self.model == "tiny_vit" else self.recipe.seeds[:1])

    def settings(self) -> dict[str, Any]:
        """What decides the numbers, but for the data."""
        recipe = {name: value for name, value in asdict(self.recipe).items() if name not in ("title", "seeds")}
        recipe["loop"].pop("seed")
        return {"model": self.model, "layers": list(self.layers), "neurons_given": list(self.neurons), **recipe}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The neurons that a run looks at.

    Attributes:
        layers: in rising order.
        neurons: layer -> its neurons.
    """

    layers: tuple[int, ...]
    neurons: dict[int, tuple[int, ...]]


def choose(run: Run, subject: Subject) -> Chosen:
    """Those that were given, or the recipe's: layers evenly spread, neurons drawn at random, the same for all seeds.

    Raises:
        ValueError: a layer or neuron that the net does not have.
    """
    layers = tuple(sorted(run.layers)) or spread_layers(subject.depth, run.recipe.layers)
    check_neurons(subject, layers, run.neurons)
    neurons = {}
    for layer in layers:
        order = torch.randperm(subject.neurons(layer), generator=generator_of("neurons", layer)).tolist()
        neurons[layer] = tuple(run.neurons) or tuple(sorted(order[: run.recipe.neurons]))
    return Chosen(layers=layers, neurons=neurons)


def spread_layers(depth: int, count: int) -> tuple[int, ...]:
    """So many layers, the first and the last among them; all where the count is 0 or not below the depth."""
    if not 0 < count < depth:
        return tuple(range(depth))
    return tuple(sorted({round(k * (depth - 1) / max(count - 1, 1)) for k in range(count)} | {depth - 1}))[-count:]


def scaled(ascent: Ascent, side: int) -> Ascent:
    """Its roll for images of another side than 224 pixels, in the same proportion, at least a pixel."""
    return replace(ascent, roll=max(1, round(ascent.roll * side / _PAPER_SIDE))) if ascent.roll else ascent


def optimised(
    subject: Subject,
    chosen: Chosen,
    path: Path,
    *,
    shape: tuple[int, int, int],
    ascent: Ascent,
    seed: int,
    device: torch.device,
    border: int = 0,
    settings: dict[str, Any],
    progress: bool,
) -> dict[int, Tensor]:
    """Images made for the chosen neurons, layer by layer, or those of an earlier run.

    Args:
        subject, shape, ascent, seed, device, border, progress: as `maximise` has them.
        chosen: layers and neurons.
        path: the file in which they are left.
        settings: whatever else decides them.

    Returns:
        layer -> (neurons, C, H, W) float32 in [0, 1] on the device.
    """
    described = {"ascent": asdict(ascent), "seed": seed, "shape": shape, **settings}
    described["neurons"] = {str(layer): list(chosen.neurons[layer]) for layer in chosen.layers}
    done = kept(path, described) or {}
    for layer in chosen.layers:
        if str(layer) not in done:
            done[str(layer)] = maximise(
                subject,
                layer,
                chosen.neurons[layer],
                shape=shape,
                ascent=ascent,
                seed=seed,
                device=device,
                border=border,
                progress=progress,
            )
            keep(path, described, done)
    return {layer: done[str(layer)].to(device) for layer in chosen.layers}
