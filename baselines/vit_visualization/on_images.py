"""The evaluation on images: train or load nets, show their neurons, and measure what the paper claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.evaluation import figures_of_seed, result_of
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import seeded
from easy_to_hard.baselines.kit.small_nets import SmallConvNet
from easy_to_hard.baselines.kit.statistics import Figure, summarize
from easy_to_hard.baselines.kit.training import train_classifier
from easy_to_hard.baselines.vit_visualization.activation_maximization import FeatureNet, scaled
from easy_to_hard.baselines.vit_visualization.changes import (
    CUTOFFS,
    count_right,
    high_pass,
    low_pass,
    only_border,
    only_center,
)
from easy_to_hard.baselines.vit_visualization.claims import KEPT, KEPT_MORE, claims
from easy_to_hard.baselines.vit_visualization.features import (
    NeuronImages,
    image_figures,
    local_figures,
    reach_figures,
)
from easy_to_hard.baselines.vit_visualization.pictures import save_curves, save_sheet
from easy_to_hard.baselines.vit_visualization.pretrained import TorchvisionTokens, load_pretrained
from easy_to_hard.baselines.vit_visualization.recipes import PATCHES, SIDES, TINY_VIT, ImageRecipe
from easy_to_hard.baselines.vit_visualization.tokens import TokenNet, early_right, heads_right, isolation_right
from easy_to_hard.baselines.vit_visualization.vit import VitConfig, freeze
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "What do a vision transformer's features answer to, what do its tokens hold, and what of an image does it need?"
)
CURVES: Final = "frequencies.png"

# Number of training images by which the best place of a patch is chosen.
_CHOICE: Final = 2000
_CHANGED: Final = "accuracy on changed images"

Net = Callable[[Tensor], Tensor]


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train a ViT and a convolutional net for each seed, or load a trained ViT, and measure.

    See `Baseline.run`. The folder gets each seed's checkpoints and figures and, if matplotlib is installed, the
    pictures `SHEET`, for the first seed, and `CURVES`.
    """
    place = get_device(device)
    if recipe.model == TINY_VIT:
        # Check this before anything is read or trained.
        recipe.choose(tiny_shape(recipe, channels=1, classes=2).build(0))
    images = prepare_images(recipe, place)
    run = RunFolder(folder, recipe.seed_settings())
    sizes = {"train_images": len(images.train), "test_images": len(images.test)}
    looked_at = _ImageEvaluation(recipe=recipe, images=images, device=place, folder=run, progress=progress)
    measurements = summarize([figures_of_seed(run, seed, looked_at.examine, settings=sizes) for seed in recipe.seeds])
    title = f"frequencies below (low-pass) or above (high-pass) a cutoff alone: {recipe.data}"
    across = "cutoff / highest frequency of a side"
    save_curves(_curve_points(measurements), folder / CURVES, across=across, up="accuracy", title=title)
    return result_of(
        "vit_visualization",
        recipe,
        run,
        question=QUESTION,
        device=device,
        measurements=measurements,
        claims=claims,
        more={**sizes, "data_note": images.note},
    )


@dataclass(frozen=True, kw_only=True)
class PreparedImages:
    """The images of a run: test images float in [0, 1] on the device, training images as bytes."""

    train: ImageSet
    test: Tensor
    labels: Tensor
    classes: int
    note: str


def prepare_images(recipe: ImageRecipe, device: torch.device) -> PreparedImages:
    """Read the images, and put the test images in a fixed random order. Raises the errors of `load_images`."""
    train, test = (
        load_images(recipe.data, recipe.data_root, train=split, download=recipe.download) for split in (True, False)
    )
    if recipe.model == TINY_VIT:
        train, test = train.resized(SIDES[recipe.data]), test.resized(SIDES[recipe.data])
    note = "; ".join(filter(None, (train.note, test.note)))
    count = min(len(test), recipe.test_images) if recipe.test_images else len(test)
    test = _mixed(test).first(count)
    return PreparedImages(
        train=train,
        test=to_unit_interval(test.images.to(device)),
        labels=test.labels.to(device),
        classes=int(train.labels.max()) + 1,
        note=note,
    )


def _mixed(images: ImageSet) -> ImageSet:
    """The images in a fixed random order, since folders have their classes one after another."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return replace(images, images=images.images[order], labels=images.labels[order])


def tiny_shape(recipe: ImageRecipe, *, channels: int, classes: int) -> VitConfig:
    """The shape of the tiny ViT."""
    return VitConfig(
        side=SIDES[recipe.data],
        channels=channels,
        patch=PATCHES[recipe.data],
        classes=classes,
        depth=recipe.depth,
        width=recipe.width,
    )


class CenteredConvNet(SmallConvNet):
    """The convolutional net with which ViTs are compared; it takes images in [0, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float in [0, 1] -> logits (B, classes)."""
        return super().forward(2 * images - 1)


def build_conv_net(channels: int, classes: int, width: int, seed: int) -> CenteredConvNet:
    """Four 3 x 3 convolutions with batch norm, the last two twice as wide, and a mean; the seed decides the weights."""
    widths = (width, width, 2 * width, 2 * width)
    with seeded("small conv net", seed):
        return CenteredConvNet(channels, classes, widths=widths, strides=(1, 2, 2, 1), norm=True)


def to_unit_interval(images: Tensor) -> Tensor:
    """Convert uint8 to float32 in [0, 1]."""
    return images.float() / 255


@dataclass(frozen=True, kw_only=True)
class _ImageEvaluation:
    """What the seeds of a run share."""

    recipe: ImageRecipe
    images: PreparedImages
    device: torch.device
    folder: RunFolder
    progress: bool

    def examine(self, seed: int) -> list[Figure]:
        """All figures for a seed."""
        return self._trained_here(seed) if self.recipe.model == TINY_VIT else self._trained_elsewhere(seed)

    def _trained_here(self, seed: int) -> list[Figure]:
        """Train the two nets of a seed, and measure."""
        recipe, images = self.recipe, self.images
        channels, classes = images.test.shape[1], images.classes
        shape = tiny_shape(recipe, channels=channels, classes=classes)
        vit, conv_net = shape.build(seed), build_conv_net(channels, classes, recipe.conv_width, seed)
        settings = {
            "images": len(images.train),
            "data": recipe.data,
            "shape": asdict(shape),
            "conv_width": recipe.conv_width,
        }
        for name, net in (("vit", vit), ("conv-net", conv_net)):
            train_classifier(
                net.to(self.device),
                images.train.images,
                images.train.labels,
                replace(recipe.loop, seed=seed),
                batch_size=recipe.batch_size,
                as_input=to_unit_interval,
                settings=settings,
                folder=self.folder,
                name=f"seed{seed}/{name}",
                progress=self.progress,
            )
            freeze(net, self.device)
        with torch.no_grad():
            found = _token_figures(vit, images)
            found += _change_figures({"ViT": vit, "conv net": conv_net}, images)
        untrained = shape.build(seed).to(self.device).requires_grad_(False)
        found += local_figures({"trained": vit, "untrained": untrained}, images.test)
        return found + self._of_neurons(vit, seed, vit, side=images.test.shape[-1], channels=channels)

    def _trained_elsewhere(self, seed: int) -> list[Figure]:
        """Show the neurons of a trained net; if it has the data's classes, also measure accuracies."""
        model, images = self.recipe.model, self.images
        net = load_pretrained(model, self.device)
        found = local_figures({"trained": net}, images.test, layers=self.recipe.choose(net).layers)
        with torch.no_grad():
            classes = net(images.test[:1]).shape[-1]
            if classes == images.classes:
                found += _change_figures({"ViT": net}, images)
                # Only torchvision's ViTs: its Swin has no CLS, and other packages have none or keep it elsewhere.
                if model.startswith("vit_"):
                    found += _token_figures(TorchvisionTokens(net), images)
        classify = net if classes == images.classes else None
        return found + self._of_neurons(net, seed, classify, side=net.side, channels=3)

    def _of_neurons(
        self, net: FeatureNet, seed: int, classify: Net | None, *, side: int, channels: int
    ) -> list[Figure]:
        """Make images for neurons, draw them for the first seed, and measure."""
        ascent, test = self.recipe.ascent, self.images.test
        shown = NeuronImages.make(
            net,
            self.recipe.choose(net),
            test,
            self.folder,
            shape=(channels, side, side),
            ascent=scaled(ascent, side),
            seed=seed,
            progress=self.progress,
        )
        if seed == self.recipe.seeds[0]:
            save_sheet(shown, self.folder.path, layer_name="block")
        return reach_figures(shown) + image_figures(shown, scaled(ascent, test.shape[-1]).roll, seed, classify)


def _token_figures(vit: TokenNet, images: PreparedImages) -> list[Figure]:
    """Figures with CLS kept apart, with the head on patches, and with the head after fewer blocks."""
    test, labels = images.test, images.labels
    total, device = len(test), test.device
    some = _mixed(images.train).first(min(_CHOICE, len(images.train)))
    choice = heads_right(vit, to_unit_interval(some.images.to(device)), some.labels.to(device))
    best = int(choice.patches.float().mean(dim=0).argmax())
    heads = heads_right(vit, test, labels)
    natural = int(heads.cls.sum())
    isolated = isolation_right(vit, test, labels)
    by_blocks = {"accuracy with CLS apart": isolated, "accuracy after blocks": early_right(vit, test, labels)}
    found = [
        Figure.of_count(name, right, total, {"blocks": k})
        for name, counts in by_blocks.items()
        for k, right in enumerate(counts)
    ]
    of_heads = {
        "CLS": heads.cls,
        "mean of patches": heads.patch_mean,
        "mean of all tokens": heads.all_mean,
        "most confident patch": heads.confident,
        "middle patch": heads.patches[:, _middle(heads.patches.shape[1])],
        "best patch, chosen in training": heads.patches[:, best],
    }
    name = "accuracy of the head"
    found += [Figure.of_count(name, int(right.sum()), total, {"token": token}) for token, right in of_heads.items()]
    single, any_place = float(heads.patches.float().mean()), "single patch, mean over places"
    found.append(Figure(name=name, value=single, num_items=total, condition={"token": any_place}))
    kept = {
        "CLS apart but for the last block": isolated[-2],
        any_place: single * total,
        "best patch, chosen in training": int(heads.patches[:, best].sum()),
    }
    chance = total / images.classes
    return found + [
        Figure(name=KEPT, value=kept_share(right, natural, chance), num_items=total, condition={"way": way})
        for way, right in kept.items()
    ]


def kept_share(right: float, natural: float, chance: float) -> float:
    """The share of the accuracy above chance that is left, from numbers of right answers; 1 if all of it is.

    Deviates: the paper divides accuracies; with 1000 classes chance is almost nothing, but not with ten.
    """
    return (right - chance) / max(natural - chance, 1.0)


def _middle(patches: int) -> int:
    side = int(patches**0.5)
    return (side // 2) * side + side // 2


def _change_figures(nets: Mapping[str, nn.Module], images: PreparedImages) -> list[Figure]:
    """Accuracies on changed images, and which share of the accuracy on the original images they are."""
    test, labels = images.test, images.labels
    half = test.shape[-1] / 2
    changes: dict[tuple[str, float], Net] = {("centre", 0.0): only_center, ("border", 0.0): only_border}
    for cutoff in CUTOFFS:
        changes["low-pass", cutoff] = partial(low_pass, radius=cutoff * half)
        changes["high-pass", cutoff] = partial(high_pass, radius=cutoff * half)
    found, means = [], dict[tuple[str, str], list[float]]()
    for name, net in nets.items():
        natural = count_right(net, test, labels)
        found.append(Figure.of_count("accuracy", natural, len(test), {"net": name}))
        for (kind, cutoff), change in changes.items():
            right = count_right(net, test, labels, change)
            where: dict[str, str | float] = {"net": name, "kept": kind, **({"cutoff": cutoff} if cutoff else {})}
            found.append(Figure.of_count(_CHANGED, right, len(test), where))
            means.setdefault((kind, name), []).append(kept_share(right, natural, len(test) / images.classes))
    averages = {key: sum(values) / len(values) for key, values in means.items()}
    found += [
        Figure(name=KEPT, value=value, num_items=len(test), condition={"net": name, "kept": kind})
        for (kind, name), value in averages.items()
    ]
    if len(nets) == 2:
        for kind in dict.fromkeys(kind for kind, _ in changes):
            difference = averages[kind, "ViT"] - averages[kind, "conv net"]
            found.append(Figure(name=KEPT_MORE, value=difference, num_items=len(test), condition={"kept": kind}))
    return found


def _curve_points(measurements: Sequence[Measurement]) -> list[tuple[str, float, Measurement]]:
    return [
        (f"{one.condition['net']}, {one.condition['kept']}", float(one.condition["cutoff"]), one)
        for one in measurements
        if one.name == _CHANGED and "cutoff" in one.condition
    ]
