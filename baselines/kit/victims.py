"""Nets that are trained on poisoned images: many small ones at once, each with a set and a seed of its own.

Nets of one shape are kept in a stack whose weights have a leading dimension (`Stacked`), so that a GPU works on all of
them in one call. All random draws of a net's training depend on its own seed: which other nets are trained beside it
changes nothing but the last bits of a sum.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, clean_set
from easy_to_hard.baselines.kit.precision import autocast
from easy_to_hard.baselines.kit.private_training import PrivacyConfig, draw_poisson, epsilon_of, set_private_gradients
from easy_to_hard.baselines.kit.seeds import generator_of, seeded
from easy_to_hard.baselines.kit.small_nets import SmallConvNet
from easy_to_hard.baselines.kit.stacked import Stacked, descend, join
from easy_to_hard.generators.integers import check_field, check_integer_fields
from easy_to_hard.progress import progress_bar

Architecture = Literal["small", "resnet18"]
_BODY: Final = "body."
HEAD: Final = "head."
"""What the names of the last layer's weights begin with."""
Generators: TypeAlias = Sequence[torch.Generator]


class Augment(Protocol):
    """A defense by augmentation, applied to the batches of S nets at once."""

    def __call__(
        self, images: Tensor, targets: Tensor, *, generators: Generators, progress: float
    ) -> tuple[Tensor, Tensor]:
        """Make M versions of every item; the net learns from the one with the highest loss (M may be 1).

        Args:
            images: (S, B, C, H, W) float32 in [0, 1].
            targets: (S, B, K) float32, one-hot classes.
            generators: one for each of the S nets, on the CPU; all that is drawn comes from them.
            progress: share of the training that is done, in [0, 1].

        Returns:
            images (S, M, B, C, H, W) and soft targets (S, M, B, K), whose loss is linear in the targets.
        """


@dataclass(frozen=True, kw_only=True)
class VictimConfig:
    """How a victim is built and trained: SGD with Nesterov's momentum, from scratch.

    Attributes:
        architecture: "small", convolutions of stride 2 without normalization, or torchvision's "resnet18" with a first
            layer for small images; in private training with GroupNorm, since with BatchNorm an example's gradient
            depends on the others.
        widths: channels of the small architecture's layers, at least one layer.
        classes: at least 2.
        epochs, batch_size: at least 1.
        learning_rate: above 0.
        drops: shares of the epochs after which the learning rate falls to a tenth, each in (0, 1).
        momentum, weight_decay: in [0, 1).
        crop: images are padded by this many pixels and cropped at random; 0 for no cropping.
        flip: whether images are mirrored half the time.
        at_once: nets that are trained in one call, at least 1; nets with BatchNorm take turns in it.
        private: train by DP-SGD, with batches by Poisson sampling and no augmentation but crops and flips; None for
            plain SGD.

    Raises:
        ValueError: a value outside its range.
    """

    architecture: Architecture = "small"
    widths: tuple[int, ...] = (16, 32)
    classes: int = 10
    epochs: int
    batch_size: int = 64
    learning_rate: float = 0.05
    drops: tuple[float, ...] = (0.75,)
    momentum: float = 0.9
    weight_decay: float = 5e-4
    crop: int = 0
    flip: bool = False
    at_once: int = 24
    private: PrivacyConfig | None = None

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "architecture", self.architecture in get_args(Architecture), "one of small, resnet18")
        check_field(self, "widths", bool(self.widths) and min(self.widths) >= 1, "at least one, each at least 1")
        for name, least in (("classes", 2), ("epochs", 1), ("batch_size", 1), ("crop", 0), ("at_once", 1)):
            check_field(self, name, getattr(self, name) >= least, f"at least {least}")
        check_field(self, "learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite")
        check_field(self, "drops", all(0 < share < 1 for share in self.drops), "between 0 and 1")
        for name in ("momentum", "weight_decay"):
            check_field(self, name, 0 <= getattr(self, name) < 1, "from 0 to below 1")

    def build(self, channels: int, seed: int) -> "Classifier":
        """A net before training; its weights are a function of the seed."""
        with seeded("victim", seed):
            if self.architecture == "resnet18":
                return Classifier(_resnet18(channels, private=self.private is not None), nn.Linear(512, self.classes))
            strides = [2] * len(self.widths)
            net = SmallConvNet(channels, self.classes, widths=self.widths, strides=strides, grid=4, he_normal=True)
            return Classifier(net.body, net.head)

    def steps(self, count: int) -> int:
        """Total number of batches for a set of `count` items."""
        return self.epochs * math.ceil(count / self.batch_size)

    def epsilon(self, count: int) -> float:
        """Epsilon of private training on `count` items (add or remove one); infinite if training is not private."""
        if self.private is None:
            return math.inf
        return epsilon_of(
            sampling_rate=min(1.0, self.batch_size / count),
            noise_multiplier=self.private.noise_multiplier,
            steps=self.steps(count),
            delta=self.private.delta,
        )

    def rate_at(self, epoch: int) -> float:
        """Learning rate in an epoch, counted from 0."""
        return self.learning_rate * float(0.1 ** sum(epoch >= int(self.epochs * share) for share in self.drops))


@dataclass(frozen=True, kw_only=True)
class PrivateVictims:
    """What is different when victims are trained by DP-SGD.

    The defaults were chosen on 2,000 digits that were not trained on, for an epsilon of 3.6 with 3,000 digits: among
    batches of 64 to 512, 8 to 16 epochs and rates of 0.5 to 4, these gave the highest accuracy for one seed (91.4 %),
    and 89.6 % over four others. Larger rates do as well for some seeds, and much worse for others.

    Attributes:
        batch_size: average size of a batch, at least 1.
        learning_rate: above 0; constant.
        longer: how many times as many epochs as without DP-SGD, at least 1.
        privacy: clip and noise.
    """

    batch_size: int = 256
    learning_rate: float = 2.0
    longer: int = 2
    privacy: PrivacyConfig = field(default_factory=lambda: PrivacyConfig(clip=1.0, noise_multiplier=1.75))

    def of(self, victim: VictimConfig) -> VictimConfig:
        """A victim's settings for private training: without momentum, decay and drops, which would hurt it."""
        return replace(
            victim,
            private=self.privacy,
            epochs=self.longer * victim.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            momentum=0.0,
            weight_decay=0.0,
            drops=(),
        )


class Classifier(nn.Module):
    """A classifier: logits (B, classes) of images (B, C, H, W) float in [0, 1]."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """The features (B, width) that the last layer sees."""
        found: Tensor = self.body(2 * images - 1)
        return found

    def forward(self, images: Tensor, features: bool = False) -> Tensor:
        """Logits, or the features if `features` is set."""
        found = self.features(images)
        logits: Tensor = found if features else self.head(found)
        return logits


def _resnet18(channels: int, *, private: bool) -> nn.Module:
    norm = (lambda width: nn.GroupNorm(32, width)) if private else nn.BatchNorm2d
    net = import_torchvision().models.resnet18(norm_layer=norm)
    # Images of 32 pixels keep their size in the first layer, as in the usual ResNet for CIFAR.
    net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    net.maxpool, net.fc = nn.Identity(), nn.Identity()
    body: nn.Module = net
    return body


def train_victims(
    sets: Sequence[Poisoned],
    seeds: Sequence[int],
    config: VictimConfig,
    *,
    augment: Augment | None = None,
    body: Mapping[str, Tensor] | None = None,
    device: torch.device,
    progress: bool = False,
    title: str = "victims",
) -> Stacked:
    """Train one net for each pair of a set and a seed, all with the same settings.

    Args:
        sets: one per net, all with the same number of items of the same shape; a set may occur several times.
        seeds: of initial weights, batches, and augmentation; nets with the same seed start from the same weights and
            see the same batches.
        config: how to train.
        augment: a defense that changes batches; None for none, as private training requires. Clipping bounds what an
            item adds to a gradient; where a batch's items are mixed, or colored by its mean, one record is in many.
        body: weights and buffers of one trained net (see `Stacked.one`), whose body all nets have and keep: only the
            last layer is trained, as in transfer learning. None to train the whole net from scratch.
        device: where; on a GPU that supports it, forward passes run in bfloat16, except in private training.
        progress: whether to show a progress bar.
        title: of the bar.

    Raises:
        ValueError: sets that do not fit together, or a defense in private training.
        RuntimeError: a loss is no longer finite.
    """
    if len(sets) != len(seeds) or not sets or len({one.images.shape for one in sets}) > 1:
        raise ValueError(f"there must be a set of the same shape for each seed, not {len(sets)} for {len(seeds)}")
    if config.private is not None and augment is not None:
        raise ValueError(
            f"private training takes no augmentation but crops and flips, not {augment!r}: "
            "its guarantee needs items that each depend on one record"
        )
    parts = []
    cuts = range(0, len(sets), config.at_once)
    count, channels = sets[0].images.shape[:2]
    with progress_bar(total=len(cuts) * config.steps(count), desc=title, show=progress) as bar:
        for start in cuts:
            chosen = slice(start, start + config.at_once)
            stacked = Stacked([config.build(channels, seed) for seed in seeds[chosen]], device)
            if body is not None:
                _give_body(stacked, body)
            # The statistics of a body that is kept are kept, too.
            stacked.set_training(body is None)
            gradients = _Gradients(stacked, sets[chosen], seeds[chosen], config, augment, device)
            trained = {name: one for name, one in stacked.weights.items() if body is None or not name.startswith(_BODY)}
            descend_victims(trained, config, count, gradients.set, on_step=bar.update)
            stacked.set_training(False)
            parts.append(stacked)
    return join(parts)


def timed_step(
    config: VictimConfig,
    shape: tuple[int, int, int],
    items: int,
    *,
    augment: Augment | None = None,
    device: torch.device,
) -> Callable[[], object]:
    """A function that computes the gradients of one net on a batch of random images, to be timed.

    Args:
        config: how the net is trained.
        shape: (C, H, W) of an image.
        items: in the batch.
        augment: a defense that changes batches, for the end of training; None for none.
        device: where.
    """
    images = torch.randint(0, 256, (items, *shape), generator=generator_of("timed")).byte()
    one = clean_set(images, torch.arange(items) % config.classes)
    stacked = Stacked([config.build(shape[0], 0)], device)
    for weights in stacked.weights.values():
        weights.requires_grad_()
    config = replace(config, batch_size=items)
    gradients = _Gradients(stacked, [one], [0], config, augment, device)
    return lambda: gradients.set(config.epochs - 1, 0)


def _give_body(stacked: Stacked, body: Mapping[str, Tensor]) -> None:
    """Replace the body of every net of a stack by that of one net."""
    for part in (stacked.weights, stacked.buffers):
        for name, one in part.items():
            if name.startswith(_BODY):
                one.copy_(body[name].expand_as(one))


def descend_victims(
    weights: Mapping[str, Tensor],
    config: VictimConfig,
    count: int,
    backward: Callable[[int, int], Tensor],
    *,
    on_step: Callable[[], object],
) -> None:
    """Train weights in place by SGD, as `VictimConfig` says.

    Args:
        weights: name -> (S, ...), of a stack of victims.
        config: how to train.
        count: items in an epoch.
        backward: (epoch, number of the batch in it) -> a scalar, as in `descend`.
        on_step: called after each step.

    Raises:
        RuntimeError: a loss is no longer finite.
    """
    per_epoch = math.ceil(count / config.batch_size)
    optimizer = torch.optim.SGD(
        weights.values(),
        lr=config.learning_rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )
    descend(
        weights,
        optimizer,
        lambda step: backward(*divmod(step, per_epoch)),
        steps=config.steps(count),
        rate_at=lambda step: config.rate_at(step // per_epoch),
        check_every=per_epoch,
        on_step=on_step,
    )


def set_gradients(stacked: Stacked, images: Tensor, targets: Tensor) -> Tensor:
    """Leave the gradients of a batch in the weights of a stack; each item counts by its draw with the highest loss.

    Args:
        stacked: S victims.
        images: (S, M, B, C, H, W) float32 in [0, 1], M draws of B items.
        targets: (S, M, B, K) float32, soft.

    Returns:
        the sum of the nets' losses, ().
    """

    def loss_of(weights: Any, images: Tensor, targets: Tensor) -> Tensor:
        logits = stacked.call(weights, images.flatten(0, 1))
        return worst_of_draws(soft_losses(logits, targets.flatten(0, 1)).view(targets.shape[:2]))

    with autocast(images.device, "auto" if images.device.type == "cuda" else "float32"):
        losses = stacked.map(loss_of, images, targets)
    losses.sum().backward()
    total: Tensor = losses.detach().sum()
    return total


def generators_by_epoch(purpose: str, seeds: Sequence[int]) -> Callable[[int], Generators]:
    """A function from an epoch to one generator per seed, used throughout the epoch; call it with epochs in order."""
    return lru_cache(maxsize=1)(lambda epoch: [generator_of(purpose, seed, epoch) for seed in seeds])


class _Gradients:
    """The steps of nets that are trained together, each on its own set."""

    def __init__(
        self,
        stacked: Stacked,
        sets: Sequence[Poisoned],
        seeds: Sequence[int],
        config: VictimConfig,
        augment: Augment | None,
        device: torch.device,
    ) -> None:
        self._stacked, self._config, self._augment = stacked, config, augment
        self._device, self._count = device, len(sets[0])
        moved = {id(one.images): one.images.to(device) for one in sets}
        self._images = [moved[id(one.images)] for one in sets]
        self._labels = [one.labels for one in sets]
        self._draws = generators_by_epoch("augment", seeds)
        self._choices = generators_by_epoch("batches", seeds)
        self._order = lru_cache(maxsize=1)(self._shuffle)

    def _shuffle(self, epoch: int) -> Tensor:
        """Each net's items in its own order, (S, N) int64."""
        return torch.stack([torch.randperm(self._count, generator=one) for one in self._choices(epoch)])

    def set(self, epoch: int, number: int) -> Tensor:
        """Leave the gradients of a batch in the weights; see `descend`."""
        config = self._config
        # Drawn before anything else in an epoch, also in private training.
        order = self._order(epoch)
        if config.private is None:
            chosen = order[:, number * config.batch_size : (number + 1) * config.batch_size]
            return set_gradients(self._stacked, *self._take(chosen, epoch, number))
        choices = self._choices(epoch)
        chosen, taken = draw_poisson(self._count, min(1.0, config.batch_size / self._count), choices)
        images, targets = self._take(chosen, epoch, number)

        def loss_of(weights: Any, image: Tensor, target: Tensor) -> Tensor:
            return soft_losses(self._stacked.call(weights, image[None]), target[None]).sum()

        items, expected = (images[:, 0], targets[:, 0]), config.batch_size
        return set_private_gradients(
            self._stacked, loss_of, items, taken, config.private, expected=expected, generators=choices
        )

    def _take(self, chosen: Tensor, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        """Items (S, B) of each net's set, augmented: images (S, M, B, C, H, W) and targets (S, M, B, K)."""
        config, draws = self._config, self._draws(epoch)
        rows = [own[indices] for own, indices in zip(self._images, chosen.to(self._device), strict=True)]
        labels = torch.stack([own[indices] for own, indices in zip(self._labels, chosen, strict=True)])
        targets = F.one_hot(labels.to(self._device), config.classes).float()
        images = crop_and_flip(torch.stack(rows).float() / 255, config.crop, config.flip, draws)
        if self._augment is None:
            return images[:, None], targets[:, None]
        done = (epoch + number / math.ceil(self._count / config.batch_size)) / config.epochs
        return self._augment(images, targets, generators=draws, progress=done)


def soft_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each item, linear in the targets: logits and soft targets (B, K) to (B,) float32."""
    return -(targets * F.log_softmax(logits.float(), dim=-1)).sum(-1)


def worst_of_draws(losses: Tensor) -> Tensor:
    """MaxUp's loss (arXiv 2002.09024): (M, B) losses of M draws of B items -> the mean of each item's highest."""
    return losses.amax(0).mean()


def crop_and_flip(images: Tensor, crop: int, flip: bool, generators: Generators) -> Tensor:
    """Pad each image by `crop` black pixels and crop it at random, and mirror it half the time if `flip` is set.

    Args:
        images: (S, B, C, H, W) float.
        crop: at least 0.
        flip: whether to mirror.
        generators: one for each of the S nets.

    Returns:
        (S, B, C, H, W).
    """
    if not crop and not flip:
        return images
    nets, batch, _, height, width = images.shape
    draws = [torch.rand(3, batch, generator=one) for one in generators]
    top, left, mirrored = torch.stack(draws, dim=1).to(images.device)
    rows = (top * (2 * crop + 1)).long()[..., None] + torch.arange(height, device=images.device)
    columns = (left * (2 * crop + 1)).long()[..., None] + torch.arange(width, device=images.device)
    columns = torch.where((mirrored < 0.5)[..., None] & flip, columns.flip(-1), columns)
    padded = F.pad(images, (crop, crop, crop, crop)).movedim(2, -1)
    nets_at = torch.arange(nets, device=images.device)[:, None, None, None]
    items_at = torch.arange(batch, device=images.device)[None, :, None, None]
    return padded[nets_at, items_at, rows[..., :, None], columns[..., None, :]].movedim(-1, 2)
