"""What activates the features of a net in real and in made images, how local they are, and what shifts change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.vit_visualization.activation_maximization import Ascent, FeatureNet, Neurons, maximize
from easy_to_hard.baselines.vit_visualization.claims import LOCAL
from easy_to_hard.scores.reference import Condition

# A feature whose variance is below this share of the layer's mean is practically dead, and is left out of means.
_DEAD: Final = 1e-6
_BATCH: Final = 100
_SHIFTS: Final = 16
_BEST: Final = 9
_SHOWN_ITEMS: Final = 4
_SHOWN_NEURONS: Final = 4


def mean_activations(net: FeatureNet, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
    """Each feature's mean over the tokens of each image (Ghiasi et al. 2022, section 3), without CLS.

    Args:
        net: the net of the features.
        images: (N, C, H, W) float in [0, 1].
        layers: from 0.

    Returns:
        (N, neurons) for each layer.
    """
    with torch.no_grad():
        parts = [[maps.mean(dim=(2, 3)) for maps in net.maps(some, layers)] for some in torch.split(images, _BATCH)]
    return [torch.cat(of_layer) for of_layer in zip(*parts, strict=True)]


def local_shares(net: FeatureNet, images: Tensor, layers: Sequence[int]) -> list[float]:
    """How much of a feature's variance is within images, between their tokens; 0 if maps are uniform over space.

    Args:
        net: the net of the features.
        images: (N, C, H, W) float in [0, 1].
        layers: from 0.

    Returns:
        in [0, 1] for each layer: the variance over the tokens of an image (averaged over images) divided by the
        variance over all tokens of all images, averaged over the features.
    """
    within = [torch.zeros(()) for _ in layers]
    total, squares = list(within), list(within)
    with torch.no_grad():
        for some in torch.split(images, _BATCH):
            for number, maps in enumerate(net.maps(some, layers)):
                tokens = maps.double().flatten(2)
                within[number] = within[number] + tokens.var(dim=2, correction=0).sum(dim=0)
                total[number] = total[number] + tokens.mean(dim=2).sum(dim=0)
                squares[number] = squares[number] + tokens.square().mean(dim=2).sum(dim=0)
    shares = []
    for inside, summed, squared in zip(within, total, squares, strict=True):
        variance = squared / len(images) - (summed / len(images)).square()
        alive = variance > _DEAD * variance.mean()
        ratios = (inside / len(images))[alive] / variance[alive]
        shares.append(float(ratios.mean()) if len(ratios) else 0.0)
    return shares


def best_items(activations: Tensor, neurons: Sequence[int], count: int) -> Tensor:
    """The items that activate each of some neurons most.

    Args:
        activations: (N, neurons), from `mean_activations`.
        neurons: the neurons' numbers.
        count: items per neuron, at most N.

    Returns:
        (len(neurons), count) int64, the best first.
    """
    return activations[:, list(neurons)].topk(count, dim=0).indices.T


def shift_ratio(net: FeatureNet, images: Tensor, layer: int, neurons: Sequence[int], *, most: int, seed: int) -> float:
    """The share of its activation that a neuron keeps when its best image is rolled: mean over 16 shifts and neurons.

    Args:
        net: the net of the features.
        images: (n, C, H, W), the best image of each neuron.
        layer: from 0.
        neurons: n neurons; those whose activation is not above 0 are left out.
        most: the largest shift, in pixels.
        seed: seed of the shifts.
    """
    rng = generator_of("shifts", seed)
    shifts = torch.randint(-most, most + 1, (_SHIFTS, 2), generator=rng).tolist()
    rows = torch.arange(len(neurons), device=images.device)
    chosen = torch.tensor(list(neurons), device=images.device)
    with torch.no_grad():
        found = [
            net.maps(images.roll(shift, dims=(-2, -1)), [layer])[0].mean(dim=(2, 3))[rows, chosen]
            for shift in [[0, 0], *shifts]
        ]
    unshifted = found[0]
    ratios = torch.stack(found[1:]).mean(dim=0)[unshifted > 0] / unshifted[unshifted > 0]
    return float(ratios.mean()) if len(ratios) else 0.0


@dataclass(frozen=True, kw_only=True)
class NeuronImages:
    """Neurons with the images made for them and the real images that activate them most.

    Attributes:
        net: the net of the neurons.
        neurons: the neurons that are examined.
        items: (N, C, H, W), the real images, on the device.
        made: layer -> (neurons, C, h, w), the images made for the neurons, on the device.
        activations: layer -> (N, neurons of the layer), on the real images.
        best: layer -> (neurons, 9) int64, the best items, the best first.
    """

    net: FeatureNet
    neurons: Neurons
    items: Tensor
    made: Mapping[int, Tensor]
    activations: Mapping[int, Tensor]
    best: Mapping[int, Tensor]

    @classmethod
    def make(
        cls,
        net: FeatureNet,
        neurons: Neurons,
        items: Tensor,
        folder: RunFolder,
        *,
        shape: tuple[int, int, int],
        ascent: Ascent,
        seed: int,
        border: int = 0,
        progress: bool,
        part: str = "made",
    ) -> "NeuronImages":
        """Make images for neurons, layer by layer, or load them from the run folder, and find their best items.

        Args:
            net, neurons, items: as in the attributes.
            folder: the run folder, whose settings decide the ascent.
            shape, ascent, seed, border, progress: see `maximize`.
            part: name of the part of the run that keeps the images, within that of the seed.

        Raises:
            ValueError: a file is from another run.
        """

        def images_of(layer: int) -> Tensor:
            of_layer = neurons.of_layer[layer]

            def make() -> dict[str, Tensor]:
                images = maximize(
                    net,
                    layer,
                    of_layer,
                    shape=shape,
                    ascent=ascent,
                    seed=seed,
                    device=items.device,
                    border=border,
                    progress=progress,
                )
                return {"images": images}

            settings = {"seed": seed, "shape": shape, "neurons": of_layer}
            return folder.tensors(f"seed{seed}/{part}/layer{layer}", make, settings=settings)["images"].to(items.device)

        made = {layer: images_of(layer) for layer in neurons.layers}
        found = mean_activations(net, items, neurons.layers)
        activations = dict(zip(neurons.layers, found, strict=True))
        count = min(_BEST, len(items))
        best = {layer: best_items(activations[layer], neurons.of_layer[layer], count) for layer in neurons.layers}
        return cls(net=net, neurons=neurons, items=items, made=made, activations=activations, best=best)

    def columns(self) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """The arguments of `plot_sheet`: for each layer, made images with best items, and maps on the best item."""
        columns, maps = {}, {}
        for layer in self.neurons.layers:
            made = self.made[layer][:_SHOWN_NEURONS]
            rows = self.best[layer][:_SHOWN_NEURONS, :_SHOWN_ITEMS]
            real = self.items[rows.to(self.items.device)]
            if real.shape[2:] != made.shape[1:]:
                real = real.expand(-1, -1, made.shape[1], -1, -1)
                flat = torch.nn.functional.interpolate(real.flatten(0, 1), made.shape[2:], mode="bilinear")
                real = flat.reshape(*rows.shape, *made.shape[1:])
            columns[layer] = torch.cat([made[:, None], real], dim=1).cpu()
            neurons = torch.tensor(self.neurons.of_layer[layer][:_SHOWN_NEURONS], device=self.items.device)
            with torch.no_grad():
                (local,) = self.net.maps(self.items[rows[:, 0].to(self.items.device)], [layer])
            maps[layer] = local[torch.arange(len(neurons), device=local.device), neurons].cpu()
        return columns, maps


def local_figures(
    nets: Mapping[str, FeatureNet], images: Tensor, *, layers: Sequence[int] | None = None
) -> list[Figure]:
    """How much of the features' variance is within images, layer by layer; see `local_shares`.

    Args:
        nets: "trained" and, as the baseline, "untrained".
        images: (N, C, H, W) float in [0, 1].
        layers: from 0; None for all.
    """
    found, count = [], len(images)
    for name, net in nets.items():
        these = range(net.depth) if layers is None else layers
        shares = local_shares(net, images, these)
        for layer, value in zip(these, shares, strict=True):
            condition: Condition = {"net": name, "layer": layer + 1}
            found.append(Figure(name="variance within images", value=value, num_items=count, condition=condition))
        if len(shares) > 1:
            # The last layer, compared with the most uniform one before it.
            difference = shares[-1] - min(shares[:-1])
            found.append(Figure(name=LOCAL, value=difference, num_items=count, condition={"net": name}))
    return found


def reach_figures(shown: NeuronImages, condition: Condition | None = None) -> list[Figure]:
    """How many of the made images activate their neuron more than any real image does, layer by layer.

    Args:
        shown: the neurons.
        condition: of the figures, besides the layer.
    """
    found = []
    for layer, neurons in shown.neurons.of_layer.items():
        made = shown.made[layer]
        reached = mean_activations(shown.net, made, [layer])[0]
        rows, chosen = torch.arange(len(neurons), device=made.device), torch.tensor(neurons, device=made.device)
        above = int((reached[rows, chosen] > shown.activations[layer][:, chosen].amax(dim=0)).sum())
        where: Condition = {"layer": layer + 1, **(condition or {})}
        found.append(Figure.of_count("made image above every real one", above, len(neurons), where))
    return found


def image_figures(
    shown: NeuronImages, most: int, seed: int, classify: Callable[[Tensor], Tensor] | None
) -> list[Figure]:
    """How much activation is left after shifts, and whether made images have the class of the best items, by layer.

    Args:
        shown: the neurons.
        most: the largest shift, in pixels.
        seed: seed of the shifts, and of the other neurons with which a made image is compared.
        classify: images -> logits; None for a net without classes. The predicted class of the made image is compared
            with the most frequent one of the neuron's best items and, as the baseline, with that of another neuron.
    """
    found = []
    for layer, neurons in shown.neurons.of_layer.items():
        best = shown.items[shown.best[layer][:, 0]]
        kept = shift_ratio(shown.net, best, layer, neurons, most=most, seed=seed)
        name, condition = "activation left by shifts", {"layer": layer + 1}
        found.append(Figure(name=name, value=kept, num_items=len(neurons), condition=condition))
        if classify is not None and len(neurons) > 1:
            found += _same_class(shown, layer, classify, seed)
    return found


def _same_class(shown: NeuronImages, layer: int, classify: Callable[[Tensor], Tensor], seed: int) -> list[Figure]:
    with torch.no_grad():
        of_made = classify(shown.made[layer]).argmax(dim=1)
        best = shown.best[layer]
        answers = classify(shown.items[best.flatten()]).argmax(dim=1).view(best.shape)
    most = answers.mode(dim=1).values
    step = int(torch.randint(1, len(most), (), generator=generator_of("another neuron", seed, layer)))
    name = "class of the made image is that of the best items"
    return [
        Figure.of_count(name, int((of_made == others).sum()), len(most), {"layer": layer + 1, "items": of})
        for of, others in (("of the same neuron", most), ("of another neuron", most.roll(step)))
    ]
