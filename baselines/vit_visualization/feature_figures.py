"""Figures of neurons: how local they are, and what the images made for them reach beside real ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.vit_visualization.claims import LOCAL
from easy_to_hard.baselines.vit_visualization.features import (
    best_items,
    local_shares,
    mean_activations,
    shift_ratio,
)
from easy_to_hard.baselines.vit_visualization.figures import plain, share
from easy_to_hard.baselines.vit_visualization.maximising import Ascent, Subject
from easy_to_hard.baselines.vit_visualization.runs import Chosen, Run, choose, optimised

_BEST: Final = 9
_SHOWN_ITEMS: Final = 4
_SHOWN_NEURONS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Neurons with the images made for them and the real ones that they answer most to.

    Attributes:
        subject: the net.
        chosen: which neurons.
        items: (N, C, H, W), the real images, on the device.
        made: layer -> (neurons, C, h, w).
        activations: layer -> (N, neurons of the layer), of the real images.
        best: layer -> (neurons, 9) int64, the best first.
    """

    subject: Subject
    chosen: Chosen
    items: Tensor
    made: Mapping[int, Tensor]
    activations: Mapping[int, Tensor]
    best: Mapping[int, Tensor]

    @classmethod
    def make(
        cls,
        run: Run,
        subject: Subject,
        items: Tensor,
        path: Path,
        shape: tuple[int, int, int],
        ascent: Ascent,
        seed: int,
        progress: bool,
        border: int = 0,
    ) -> "Shown":
        """Choose neurons, make their images (`path` keeps them) and find their best items.

        Raises:
            ValueError: a layer or neuron that the net does not have, or a file of another run.
        """
        chosen = choose(run, subject)
        settings: dict[str, Any] = {"data": run.data, **run.settings()}
        made = optimised(
            subject,
            chosen,
            path,
            shape=shape,
            ascent=ascent,
            seed=seed,
            device=get_device(run.device),
            border=border,
            settings=settings,
            progress=progress,
        )
        found = mean_activations(subject, items, chosen.layers)
        activations = dict(zip(chosen.layers, found, strict=True))
        count = min(_BEST, len(items))
        best = {layer: best_items(activations[layer], chosen.neurons[layer], count) for layer in chosen.layers}
        return cls(
            subject=subject,
            chosen=chosen,
            items=items,
            made=made,
            activations=activations,
            best=best,
        )

    def columns(self) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """What `save_sheet` draws: for each layer the image made and the best items, and the map on the best one."""
        columns, maps = {}, {}
        for layer in self.chosen.layers:
            made = self.made[layer][:_SHOWN_NEURONS]
            rows = self.best[layer][:_SHOWN_NEURONS, :_SHOWN_ITEMS]
            real = self.items[rows.to(self.items.device)]
            if real.shape[2:] != made.shape[1:]:
                real = real.expand(-1, -1, made.shape[1], -1, -1)
                flat = torch.nn.functional.interpolate(real.flatten(0, 1), made.shape[2:], mode="bilinear")
                real = flat.reshape(*rows.shape, *made.shape[1:])
            columns[layer] = torch.cat([made[:, None], real], dim=1).cpu()
            neurons = torch.tensor(self.chosen.neurons[layer][:_SHOWN_NEURONS], device=self.items.device)
            with torch.no_grad():
                (local,) = self.subject.maps(self.items[rows[:, 0].to(self.items.device)], [layer])
            maps[layer] = local[torch.arange(len(neurons), device=local.device), neurons].cpu()
        return columns, maps


def local_figures(
    subjects: Mapping[str, Subject], images: Tensor, *, layers: Sequence[int] | None = None
) -> list[Figure]:
    """How much of the features' variance is within images, layer by layer; see `local_shares`.

    Args:
        subjects: "trained" and, as the null, "untrained".
        images: (N, C, H, W) float in [0, 1].
        layers: from 0; None for all.
    """
    found = []
    for name, subject in subjects.items():
        these = range(subject.depth) if layers is None else layers
        shares = local_shares(subject, images, these)
        found += [
            plain("variance within images", value, len(images), net=name, layer=layer + 1)
            for layer, value in zip(these, shares, strict=True)
        ]
        if len(shares) > 1:
            # The last against the most uniform one before it.
            difference = shares[-1] - min(shares[:-1])
            found.append(plain(LOCAL, difference, len(images), net=name))
    return found


def reach_figures(shown: Shown, **condition: str) -> list[Figure]:
    """How many of the made images their neurons answer more to than to any real one, layer by layer."""
    found = []
    for layer in shown.chosen.layers:
        neurons, made = shown.chosen.neurons[layer], shown.made[layer]
        reached = mean_activations(shown.subject, made, [layer])[0]
        rows, chosen = torch.arange(len(neurons), device=made.device), torch.tensor(neurons, device=made.device)
        above = int((reached[rows, chosen] > shown.activations[layer][:, chosen].amax(dim=0)).sum())
        found.append(share("made image above every real one", above, len(neurons), layer=layer + 1, **condition))
    return found


def image_figures(shown: Shown, most: int, seed: int, classify: Callable[[Tensor], Tensor] | None) -> list[Figure]:
    """What shifts leave of activations, and whether made images show what the best items show, layer by layer.

    Args:
        shown: the neurons.
        most: the largest shift, in pixels.
        seed: of the shifts, and of the neurons that a made image is compared with as the null.
        classify: images to logits; None for no classes. The class that the net gives the made image is compared with
            the one it gives most of the neuron's best items; as the null, with that of another neuron of the layer.
    """
    found = []
    for layer in shown.chosen.layers:
        neurons, best = shown.chosen.neurons[layer], shown.items[shown.best[layer][:, 0]]
        kept = shift_ratio(shown.subject, best, layer, neurons, most=most, seed=seed)
        found.append(plain("activation left by shifts", kept, len(neurons), layer=layer + 1))
        if classify is not None and len(neurons) > 1:
            found += _same_class(shown, layer, classify, seed)
    return found


def _same_class(shown: Shown, layer: int, classify: Callable[[Tensor], Tensor], seed: int) -> list[Figure]:
    with torch.no_grad():
        of_made = classify(shown.made[layer]).argmax(dim=1)
        best = shown.best[layer]
        answers = classify(shown.items[best.flatten()]).argmax(dim=1).view(best.shape)
    most = answers.mode(dim=1).values
    step = int(torch.randint(1, len(most), (), generator=generator_of("another neuron", seed, layer)))
    name = "class of the made image is that of the best items"
    return [
        share(name, int((of_made == others).sum()), len(most), layer=layer + 1, items=of)
        for of, others in (("of the same neuron", most), ("of another neuron", most.roll(step)))
    ]
