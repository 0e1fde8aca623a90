"""The evaluation on images: train or load nets, show their neurons, and measure what the paper claims."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.evaluation import figures_of_seed, result_of
from easy_to_hard.baselines.kit.precision import full_float32, get_device
from easy_to_hard.baselines.kit.pretrained import EfficientNetLite0
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import seeded
from easy_to_hard.baselines.kit.small_nets import SmallConvNet
from easy_to_hard.baselines.kit.statistics import Figure, summarize
from easy_to_hard.baselines.kit.training import train_classifier
from easy_to_hard.baselines.kit.victims import crop_and_flip
from easy_to_hard.baselines.vit_visualization.accuracies import (
    CHANGED,
    CONV_NET,
    VIT,
    Net,
    change_figures,
    token_figures,
)
from easy_to_hard.baselines.vit_visualization.activation_maximization import FeatureNet, scaled
from easy_to_hard.baselines.vit_visualization.claims import claims
from easy_to_hard.baselines.vit_visualization.features import (
    NeuronImages,
    image_figures,
    local_figures,
    reach_figures,
)
from easy_to_hard.baselines.vit_visualization.pictures import save_curves, save_sheet
from easy_to_hard.baselines.vit_visualization.prepared_images import (
    CHOSEN_ON,
    PreparedImages,
    in_fixed_order,
    prepare_images,
    to_unit_interval,
)
from easy_to_hard.baselines.vit_visualization.pretrained import EFFICIENTNET, load_conv_net, load_pretrained, tokens_of
from easy_to_hard.baselines.vit_visualization.probed_nets import AFTER, ProbedNets, show_inversions, show_parts
from easy_to_hard.baselines.vit_visualization.recipes import PATCHES, SIDES, TINY_VIT, VIT_SMALL, ImageRecipe
from easy_to_hard.baselines.vit_visualization.tokens import TokenNet
from easy_to_hard.baselines.vit_visualization.vit import VitConfig, freeze
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "What do a vision transformer's features answer to, what do its tokens hold, and what of an image does it need?"
)
CURVES: Final = "frequencies.png"
DEPTH: Final = "depth.png"

# Side in pixels of a patch of the paper's main model.
_PATCH: Final = 16


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
    tested = recipe.test_images if recipe.model == VIT_SMALL else len(images.test)
    looked_at = _ImageEvaluation(recipe=recipe, images=images, device=place, folder=run, progress=progress)
    with full_float32():
        figures = [figures_of_seed(run, seed, looked_at.examine, settings=sizes) for seed in recipe.seeds]
        if recipe.model == VIT_SMALL and recipe.pictures:
            # Of the first seed only, and last, since pictures take the longest.
            figures.append(figures_of_seed(run, recipe.seeds[0], looked_at.show, settings=sizes, part="pictures"))
    measurements = summarize(figures)
    title = f"frequencies below (low-pass) or above (high-pass) a cutoff alone: {recipe.data}"
    across = "cutoff / highest frequency of a side"
    save_curves(_curve_points(measurements), folder / CURVES, across=across, up="accuracy", title=title)
    progress_points = [
        (str(one.condition["net"]), float(one.condition["share of depth"]), one)
        for one in measurements
        if one.name == AFTER
    ]
    save_curves(
        progress_points,
        folder / DEPTH,
        across="share of the blocks",
        up="accuracy of a linear probe",
        title=f"what can be read linearly from a net's features: {recipe.data}",
    )
    return result_of(
        "vit_visualization",
        recipe,
        run,
        question=QUESTION,
        device=device,
        measurements=measurements,
        claims=claims,
        more={**sizes, "test_images": tested, "data_note": images.note},
    )


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
        ways = {TINY_VIT: self._trained_here, VIT_SMALL: self._probed, EFFICIENTNET: self._of_efficientnet}
        return ways.get(self.recipe.model, self._downloaded)(seed)

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
            "augmentation": [recipe.crop, recipe.flip],
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
                augment=lambda shown, rng: crop_and_flip(shown[None], recipe.crop, recipe.flip, [rng])[0],
            )
            freeze(net, self.device)
        with torch.no_grad():
            found = self._of_tokens(vit)
            found += self._of_changes({VIT: vit, CONV_NET: conv_net}, shape.grid, shape.side, seed)
        untrained = shape.build(seed).to(self.device).requires_grad_(False)
        found += local_figures({"trained": vit, "untrained": untrained}, images.test)
        return found + self._of_neurons(vit, seed, vit, side=images.test.shape[-1], channels=channels)

    def _probed(self, seed: int) -> list[Figure]:
        """Fit probes on the features of the ViT-S and the convolutional net, and measure; see `ProbedNets`."""
        with torch.no_grad():
            return self.probed_nets.examine(seed)

    def show(self, seed: int) -> list[Figure]:
        """Make pictures of the ViT-S: for neurons, for keys, queries and values, and by inversion."""
        vit, draws = self.probed_nets.vit, self.probed_nets.draw(seed)
        items = torch.cat([draws.train, draws.test])
        found = self._of_neurons(vit, seed, None, side=self.recipe.side, channels=3, items=items)
        found += show_parts(vit, self.recipe, self.folder, items, seed, progress=self.progress)
        return found + show_inversions(vit, self.recipe, self.folder, draws.test, seed, progress=self.progress)

    @cached_property
    def probed_nets(self) -> ProbedNets:
        """The nets on which probes are fitted."""
        return ProbedNets.load(self.recipe, self.images, self.device)

    def _of_efficientnet(self, seed: int) -> list[Figure]:
        """Show the neurons of the convolutional net, whose classes are not those of the data."""
        net = EfficientNetLite0(self.recipe.side).to(self.device).requires_grad_(False)
        found = local_figures({"trained": net}, self.images.test, layers=self.recipe.choose(net).layers)
        return found + self._of_neurons(net, seed, None, side=self.recipe.side, channels=3)

    def _downloaded(self, seed: int) -> list[Figure]:
        """Show the neurons of a downloaded net; if it has the data's classes, also measure accuracies."""
        model, images = self.recipe.model, self.images
        net = load_pretrained(model, self.device)
        found = local_figures({"trained": net}, images.test, layers=self.recipe.choose(net).layers)
        with torch.no_grad():
            fits = net(images.test[:1]).shape[-1] == images.classes
            if fits:
                nets: dict[str, nn.Module] = {VIT: net, CONV_NET: load_conv_net(self.recipe.conv_net, self.device)}
                found += self._of_changes(nets, net.side // _PATCH, net.side // _PATCH * _PATCH, seed)
                tokens = tokens_of(model, net)
                found += [] if tokens is None else self._of_tokens(tokens)
        return found + self._of_neurons(net, seed, net if fits else None, side=net.side, channels=3)

    def _of_tokens(self, vit: TokenNet) -> list[Figure]:
        images = self.images
        some = in_fixed_order(images.train).first(min(CHOSEN_ON, len(images.train)))
        chosen_on = to_unit_interval(some.images.to(self.device)), some.labels.to(self.device)
        return token_figures(vit, images.test, images.labels, chosen_on=chosen_on, classes=images.classes)

    def _of_changes(self, nets: Mapping[str, Net], grid: int, side: int, seed: int) -> list[Figure]:
        images = self.images
        return change_figures(nets, images.test, images.labels, classes=images.classes, grid=grid, side=side, seed=seed)

    def _of_neurons(
        self,
        net: FeatureNet,
        seed: int,
        classify: Net | None,
        *,
        side: int,
        channels: int,
        items: Tensor | None = None,
    ) -> list[Figure]:
        """Make images for neurons, draw them for the first seed, and measure on the items, by default the test images.

        The roll of their shifts is that of the items' side.
        """
        ascent, test = self.recipe.ascent, self.images.test if items is None else items
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


def _curve_points(measurements: Sequence[Measurement]) -> list[tuple[str, float, Measurement]]:
    return [
        (f"{one.condition['net']}, {one.condition['kept']}", float(one.condition["cutoff"]), one)
        for one in measurements
        if one.name == CHANGED and "cutoff" in one.condition
    ]
