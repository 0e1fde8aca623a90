"""The evaluation of a ViT-S that others trained, beside a conv net: linear probes, and pictures of features."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.pretrained import EfficientNetLite0, VitSmall
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import Figure
from easy_to_hard.baselines.vit_visualization.accuracies import (
    CONV_NET,
    VIT,
    Net,
    change_figures,
    composed_figures,
    token_figures,
)
from easy_to_hard.baselines.vit_visualization.activation_maximization import Neurons, scaled
from easy_to_hard.baselines.vit_visualization.composed import ComposedPictures, compose
from easy_to_hard.baselines.vit_visualization.features import NeuronImages, local_figures, reach_figures
from easy_to_hard.baselines.vit_visualization.inversion import invert
from easy_to_hard.baselines.vit_visualization.pictures import save_rows
from easy_to_hard.baselines.vit_visualization.prepared_images import PreparedImages, to_unit_interval
from easy_to_hard.baselines.vit_visualization.probes import (
    AttentionPart,
    ProbedConvNet,
    ProbedVit,
    Stages,
    fit_probe,
)
from easy_to_hard.baselines.vit_visualization.recipes import ImageRecipe
from easy_to_hard.scores.reference import Condition

AFTER: Final = "accuracy of a probe"
PARTS: Final = "parts.png"
INVERSIONS: Final = "inversions.png"
_STRIDE: Final = 32
# Training images by which the best place of a patch is chosen: a part of those of the probe.
_CHOICE: Final = 60
# Numbers of blocks in which CLS is kept apart, among those of the paper's log.
_APART: Final = (0, 6, 9, 11, 12)


@dataclass(frozen=True, kw_only=True)
class Draws:
    """A seed's images (N, C, H, W) float in [0, 1] and their classes (N,) int64, on the device."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


@dataclass(frozen=True, kw_only=True)
class ProbedNets:
    """The nets, and the images on which probes are fitted and tested.

    Attributes:
        recipe: settings of the run.
        images: of the run.
        vit, conv_net: on the device, with weights that require no gradient.
        device: of the run.
    """

    recipe: ImageRecipe
    images: PreparedImages
    vit: VitSmall
    conv_net: EfficientNetLite0
    device: torch.device

    @classmethod
    def load(cls, recipe: ImageRecipe, images: PreparedImages, device: torch.device) -> Self:
        """Load the nets from their packages. Raises their errors."""
        conv_side = max(round(recipe.side / _STRIDE), 1) * _STRIDE
        vit = VitSmall(recipe.side).to(device).requires_grad_(False)
        conv_net = EfficientNetLite0(conv_side).to(device).requires_grad_(False)
        return cls(recipe=recipe, images=images, vit=vit, conv_net=conv_net, device=device)

    def draw(self, seed: int) -> "Draws":
        """The images of a seed."""
        recipe, images = self.recipe, self.images
        train, test = (
            torch.randperm(count, generator=generator_of("probe", split, seed))[:wanted]
            for split, count, wanted in (
                ("train", len(images.train), recipe.probe_images),
                ("test", len(images.test), recipe.test_images),
            )
        )
        return Draws(
            train=to_unit_interval(images.train.images[train].to(self.device)),
            train_labels=images.train.labels[train].to(self.device),
            test=images.test[test.to(self.device)],
            test_labels=images.labels[test.to(self.device)],
        )

    def examine(self, seed: int) -> list[Figure]:
        """The figures of a seed, which draws the training images of the probes and the test images."""
        recipe, images, draws = self.recipe, self.images, self.draw(seed)
        held, answers = draws.test, draws.test_labels
        found, (vit, conv_net) = self._probe(draws)
        few = draws.train[:_CHOICE], draws.train_labels[:_CHOICE]
        found += token_figures(vit, held, answers, chosen_on=few, classes=images.classes, apart=_APART, early=False)
        found += change_figures(
            {VIT: vit, CONV_NET: conv_net},
            held,
            answers,
            classes=images.classes,
            grid=recipe.side // VitSmall.patch,
            side=recipe.side,
            seed=seed,
            only={"all but positions": {VIT: vit.without_positions()}},
        )
        found += local_figures({"trained": self.vit}, held)
        return found + self._of_composed(seed)

    def _probe(self, draws: "Draws") -> tuple[list[Figure], tuple[ProbedVit, ProbedConvNet]]:
        """The accuracies of probes on all blocks of both nets, and the nets with a probe on their last features."""
        found, heads = [], []
        for name, net in ((VIT, self.vit), (CONV_NET, self.conv_net)):
            fitted, tested = Stages.of(net, draws.train), Stages.of(net, draws.test)
            for number, (features, others) in enumerate(zip(fitted.after, tested.after, strict=True), start=1):
                probe = fit_probe(features, draws.train_labels, self.images.classes)
                right = int((probe(others).argmax(dim=1) == draws.test_labels).sum())
                condition: Condition = {"net": name, "blocks": number, "share of depth": round(number / net.depth, 4)}
                found.append(Figure.of_count(AFTER, right, len(draws.test), condition))
            heads.append(fit_probe(fitted.last, draws.train_labels, self.images.classes))
        return found, (ProbedVit(self.vit, heads[0]), ProbedConvNet(self.conv_net, heads[1]))

    def _of_composed(self, seed: int) -> list[Figure]:
        """Foreground and background of composed pictures, with probes of their own; nothing where there are none."""
        if self.images.composable is None:
            return []
        counts = self.recipe.probe_images, self.recipe.test_images
        train, test = (
            compose(digits, photographs, count, generator_of("composed", split, seed)).to(self.device)
            for split, (digits, photographs), count in zip(
                ("train", "test"), self.images.composable, counts, strict=True
            )
        )
        nets: dict[str, Net] = {
            VIT: ProbedVit(self.vit, self._head(self.vit, train)),
            CONV_NET: ProbedConvNet(self.conv_net, self._head(self.conv_net, train)),
        }
        return composed_figures(nets, test, classes=self.images.classes)

    def _head(self, net: VitSmall | EfficientNetLite0, pictures: ComposedPictures) -> torch.nn.Linear:
        return fit_probe(Stages.of(net, pictures.full).last, pictures.labels, self.images.classes)


def show_parts(
    net: VitSmall, recipe: ImageRecipe, folder: RunFolder, items: Tensor, seed: int, *, progress: bool
) -> list[Figure]:
    """Make images for keys, queries and values of a block, draw them below those of features as `PARTS`, and count.

    The block is the second of those that are examined.

    Args:
        net: the ViT.
        recipe, folder: settings and folder of the run.
        items: (N, C, H, W) float in [0, 1], with which the made images are compared.
        seed: of the images.
        progress: whether to show progress bars.
    """
    chosen = recipe.choose(net)
    layer = chosen.layers[min(1, len(chosen.layers) - 1)]
    rows, found = {}, []
    for part in ("features", *recipe.parts) if recipe.parts else ():
        of_part = AttentionPart(net, part)  # type: ignore[arg-type]
        neurons = chosen.of_layer[layer] if part == "features" else _draw(of_part, layer, recipe.neurons)
        shown = NeuronImages.make(
            of_part,
            Neurons(layers=(layer,), of_layer={layer: neurons}),
            items,
            folder,
            shape=(3, recipe.side, recipe.side),
            ascent=scaled(recipe.ascent, recipe.side),
            seed=seed,
            progress=progress,
            part="made" if part == "features" else part,
        )
        rows[f"{part}, block {layer + 1}"] = shown.made[layer].cpu()
        if part != "features":
            found += reach_figures(shown, {"part": part})
    if rows:
        save_rows(rows, folder.path / PARTS)
    return found


def _draw(net: AttentionPart, layer: int, count: int) -> tuple[int, ...]:
    order = torch.randperm(net.neurons(layer), generator=generator_of("neurons", net.part, layer)).tolist()
    return tuple(sorted(order[:count]))


def show_inversions(
    net: VitSmall, recipe: ImageRecipe, folder: RunFolder, items: Tensor, seed: int, *, progress: bool
) -> list[Figure]:
    """Recover images from their features in some blocks, draw them as `INVERSIONS`, and measure how far off they are.

    Args:
        net: the ViT.
        recipe, folder: settings and folder of the run.
        items: (N, C, H, W) float in [0, 1]; the last of them are inverted.
        seed: of the initial images.
        progress: whether to show progress bars.
    """
    count = recipe.inversion.images
    if not count:
        return []
    images = net.fit.scaled(items[-count:])
    rows, found = {"image": images.cpu()}, []
    for layer in recipe.choose(net).layers:

        def make(layer: int = layer) -> dict[str, Tensor]:
            inverted = invert(net, images, layer, recipe.inversion, seed=seed, progress=progress)
            return {"images": inverted.cpu()}

        name = f"seed{seed}/inverted/layer{layer}"
        inverted = folder.tensors(name, make, settings={"seed": seed})["images"].to(images.device)
        rows[f"from block {layer + 1}"] = inverted.cpu()
        found.append(_distance(inverted, images, {"layer": layer + 1, "to": "its image"}))
    found.append(_distance(images.roll(1, dims=0), images, {"layer": 0, "to": "another image"}))
    save_rows(rows, folder.path / INVERSIONS)
    return found


def _distance(inverted: Tensor, images: Tensor, condition: dict[str, str | float]) -> Figure:
    values: Iterable[float] = (inverted - images).square().mean(dim=(1, 2, 3)).sqrt().tolist()
    return Figure.of_items("RMSE of an inverted image", list(values), unit="", condition=condition)
