"""Poisons that are optimized against one test item: gradient matching, feature collision and Bullseye Polytope.

All take items of the class that the attacker wants the target to be given, leave their labels, and change their pixels
by no more than a bound, so that a net trained on them takes the one target item for that class.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, check_budget, choose_items
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import HEAD, Augment, VictimConfig, crop_and_flip, soft_losses, worst_of_draws
from easy_to_hard.generators.integers import check_field, check_integer_fields

Crafting = Literal["gradient_matching", "bullseye", "feature_collision"]
Params: TypeAlias = Mapping[str, Tensor]

# Shares of the steps after which the step size falls to a tenth (poisoning-gradient-matching: 93, 156, 218 of 250).
_DROPS: Final = (1 / 2.667, 1 / 1.6, 1 / 1.142)


@dataclass(frozen=True, kw_only=True)
class CraftConfig:
    """How poisons are optimized: signed Adam, as in gradient matching (arXiv 2009.02276).

    Attributes:
        method: "gradient_matching"; "bullseye", which brings the poisons' mean feature to the target's (arXiv
            2005.00191); or "feature_collision", which brings every poison's feature there (arXiv 1804.00792).
        bound: no channel of a pixel is changed by more than this, of 255; from 1 to 255.
        steps: at least 1.
        step_size: of 255, above 0; falls to a tenth three times.
        restarts: number of random starts, at least 1; the one with the lowest loss is kept.
        surrogates: number of nets whose gradients or features are matched at once, at least 1.
        chunk: poisons at a time in a backward pass through a gradient, at least 1; fewer need less memory.

    Raises:
        ValueError: a value outside its range.
    """

    method: Crafting
    bound: int
    steps: int
    step_size: float
    restarts: int = 1
    surrogates: int = 1
    chunk: int = 512

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "method", self.method in get_args(Crafting), f"one of {', '.join(get_args(Crafting))}")
        check_field(self, "bound", 1 <= self.bound <= 255, "from 1 to 255")
        for name in ("steps", "restarts", "surrogates", "chunk"):
            check_field(self, name, getattr(self, name) >= 1, "at least 1")
        check_field(self, "step_size", self.step_size > 0, "above 0")


@dataclass(frozen=True, kw_only=True)
class Targeted:
    """A set with poisons for one test item.

    Attributes:
        train: the poisoned set.
        image: (1, C, H, W) uint8, the target: the item that the attacker wants misclassified.
        intended: class that the attacker wants it to be given.
        loss: of the poisons at the end, lowest over the restarts.
    """

    train: Poisoned
    image: Tensor
    intended: int
    loss: float


Objective: TypeAlias = Callable[[Tensor, Tensor], tuple[float, Tensor]]
"""Images (M, B, C, H, W) float in [0, 1], M versions of B poisons as the victim sees them, and their soft targets
(M, B, K) -> the loss that the attacker minimizes, and its gradient with respect to the images."""

View: TypeAlias = Callable[[Tensor, torch.Generator], tuple[Tensor, Tensor]]
"""Poisons (P, C, H, W) float in [0, 1] -> images and targets as in `Objective`, differentiable in the poisons."""


def view_of(victim: VictimConfig, intended: int, augment: Augment | None = None) -> View:
    """What a victim sees of poisons: cropped and mirrored as in its training, then augmented if its defense is known.

    Args:
        victim: gives crops, mirrors, and the number of classes.
        intended: class of the poisons.
        augment: the defense that the attack adapts to; None for none. Poisons are mixed with each other only, while a
            victim mixes them with clean items, too.
    """

    def view(poisons: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        images = crop_and_flip(poisons[None], victim.crop, victim.flip, [generator])
        labels = torch.full((1, len(poisons)), intended, device=poisons.device)
        targets = F.one_hot(labels, victim.classes).float()
        if augment is None:
            return images, targets
        # Near the end of training, when all parts of a defense are at work.
        images, targets = augment(images, targets, generators=[generator], progress=1.0)
        return images[0], targets[0]

    return view


def craft_poisons(
    train: Poisoned,
    image: Tensor,
    intended: int,
    surrogate: Stacked,
    config: CraftConfig,
    *,
    share: float,
    seed: int,
    view: View,
    head_only: bool = False,
) -> Targeted:
    """Poison a set against one test item.

    Args:
        train: the clean set.
        image: (C, H, W) uint8, the test item.
        intended: the class that the attacker wants it to be given; poisons are items of this class.
        surrogate: nets that were trained on clean images, whose gradients or features are matched: `config.surrogates`.
        config: how poisons are optimized.
        share: of the whole set to poison, in (0, 1]; at most all of the class's items.
        seed: decides the items, the random starts, and what is drawn for views.
        view: what the victim sees of the poisons, see `view_of`.
        head_only: whether the victim trains only its last layer: then the gradients of that layer are matched.

    Raises:
        ValueError: a share outside its range, no item of the intended class, or another number of surrogates.
    """
    check_budget(share)
    if len(surrogate) != config.surrogates:
        raise ValueError(f"surrogate must be a stack of {config.surrogates} nets, not of {len(surrogate)}")
    device = next(iter(surrogate.weights.values())).device
    chosen = choose_items(train.labels, intended, share, seed=seed)
    base = train.images[chosen].to(device).float() / 255
    objective = objective_of(surrogate, image.to(device).float() / 255, intended, config, head_only=head_only)
    found = []
    for number in range(config.restarts):
        # All starts are judged by the same view.
        judging = generator_of("craft", seed, "judged")
        found.append(_optimize(objective, base, config, view, generator_of("craft", seed, number), judging))
    loss, best = min(found, key=lambda one: one[0])
    images = train.images.clone()
    images[chosen] = (255 * best).round().byte().cpu()
    poisoned = torch.zeros(len(images), dtype=torch.bool)
    poisoned[chosen] = True
    changed = Poisoned(images=images, labels=train.labels, poisoned=poisoned)
    return Targeted(train=changed, image=image[None], intended=intended, loss=loss)


def _optimize(
    objective: Objective,
    base: Tensor,
    config: CraftConfig,
    view: View,
    generator: torch.Generator,
    judging: torch.Generator,
) -> tuple[float, Tensor]:
    """The final loss, and poisons (P, C, H, W) within the bound, in multiples of 1 / 255.

    Args:
        objective, base, config, view: what is minimized, from where, how, and as seen by whom.
        generator: of the start, and of what views draw.
        judging: of the view that the final loss is of.
    """
    bound = config.bound / 255
    start = torch.randn(base.shape, generator=generator).to(base.device) * bound
    delta = within(start, base, bound).requires_grad_()
    optimizer = torch.optim.Adam([delta], lr=config.step_size / 255)
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = (
            config.step_size / 255 * 0.1 ** sum(step >= int(config.steps * share) for share in _DROPS)
        )
        images, targets = view(base + delta, generator)
        _, gradient = objective(images.detach(), targets)
        (gradient,) = torch.autograd.grad(images, delta, gradient)
        delta.grad = gradient.sign()
        optimizer.step()
        with torch.no_grad():
            delta.copy_(within(delta, base, bound))
    poisons = (255 * (base + delta).detach()).round() / 255
    return objective(*view(poisons, judging))[0], poisons


def objective_of(
    surrogate: Stacked, image: Tensor, intended: int, config: CraftConfig, *, head_only: bool = False
) -> Objective:
    """What the poisons of a method minimize; arguments as for `match_gradients`. Nets are put in evaluation mode."""
    surrogate.set_training(False)
    if config.method == "gradient_matching":
        return match_gradients(surrogate, image, intended, head_only=head_only, chunk=config.chunk)
    return collide_features(surrogate, image, of_mean=config.method == "bullseye")


def within(delta: Tensor, base: Tensor, bound: float) -> Tensor:
    """Changes clamped to the bound, and so that base + delta stays in [0, 1]; same shape as delta."""
    cut = delta.detach().clamp(-bound, bound)
    return (base + cut).clamp(0, 1) - base


def match_gradients(
    surrogate: Stacked, image: Tensor, intended: int, *, head_only: bool = False, chunk: int = 512
) -> Objective:
    """One minus the cosine between the poisons' loss gradient and the target's (arXiv 2009.02276), mean over nets.

    Args:
        surrogate: at least one net, in evaluation mode.
        image: (C, H, W) float in [0, 1], the target.
        intended: the class whose loss is taken of the target.
        head_only: whether the gradients of the last layer alone are compared.
        chunk: poisons at a time in the second backward pass.
    """
    nets = [_GradientsOfLoss(surrogate, number, head_only) for number in range(len(surrogate))]
    classes = surrogate.weights[f"{HEAD}weight"].shape[1]
    wish = F.one_hot(torch.tensor([[intended]], device=image.device), classes).float()
    wanted = [net.of(image[None, None], wish) for net in nets]

    def objective(images: Tensor, targets: Tensor) -> tuple[float, Tensor]:
        total, gradient = 0.0, torch.zeros_like(images)
        for net, one in zip(nets, wanted, strict=True):
            loss, part = net.match(images, targets, one, chunk)
            total, gradient = total + loss / len(nets), gradient + part / len(nets)
        return total, gradient

    return objective


class _GradientsOfLoss:
    """The gradient of one net's mean loss with respect to its weights, and how it depends on the images."""

    def __init__(self, surrogate: Stacked, number: int, head_only: bool) -> None:
        weights, buffers = surrogate.one(number)
        self._surrogate = surrogate
        self._matched = {name: one for name, one in weights.items() if not head_only or name.startswith(HEAD)}
        self._fixed = buffers | {name: one for name, one in weights.items() if name not in self._matched}
        self._gradient = torch.func.grad(self._loss)

    def _loss(self, matched: Any, images: Tensor, targets: Tensor) -> Tensor:
        logits = self._surrogate.call({**self._fixed, **matched}, images.flatten(0, 1))
        return worst_of_draws(soft_losses(logits, targets.flatten(0, 1)).view(targets.shape[:2]))

    def of(self, images: Tensor, targets: Tensor) -> list[Tensor]:
        """The gradient, one tensor per weight, for images and targets as in `Objective`; differentiable."""
        return list(self._gradient(self._matched, images, targets).values())

    def match(self, images: Tensor, targets: Tensor, wanted: Sequence[Tensor], chunk: int) -> tuple[float, Tensor]:
        """One less the cosine to the wanted gradient, and its gradient with respect to the images.

        The loss is a mean over poisons, so both passes can go through them in chunks.
        """
        parts = list(_chunks(images, targets, chunk))
        if len(parts) == 1:
            leaf = images.clone().requires_grad_()
            loss = one_less_cosine(self.of(leaf, targets), wanted)
            return float(loss.detach()), torch.autograd.grad(loss, leaf)[0]
        found = [torch.zeros_like(one) for one in wanted]
        for some, wishes, share in parts:
            for total, one in zip(found, self.of(some, wishes), strict=True):
                total += share * one.detach()
        for one in found:
            one.requires_grad_()
        loss = one_less_cosine(found, wanted)
        directions = torch.autograd.grad(loss, found)
        gradients = []
        for some, wishes, share in parts:
            leaf = some.clone().requires_grad_()
            along = sum((one * other).sum() for one, other in zip(self.of(leaf, wishes), directions, strict=True))
            gradients.append(share * torch.autograd.grad(torch.as_tensor(along), leaf)[0])
        return float(loss.detach()), torch.cat(gradients, dim=1)


def _chunks(images: Tensor, targets: Tensor, chunk: int) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Some of the poisons at a time, and their share of all."""
    for some, wishes in zip(torch.split(images, chunk, dim=1), torch.split(targets, chunk, dim=1), strict=True):
        yield some, wishes, some.shape[1] / images.shape[1]


def one_less_cosine(gradients: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """1 - <g, w> / (|g| |w|) over all tensors together: () in [0, 2], 0 if they point the same way."""
    inner = sum((one * other).sum() for one, other in zip(gradients, wanted, strict=True))
    norms = [torch.as_tensor(sum(one.square().sum() for one in these)).sqrt() for these in (gradients, wanted)]
    return 1 - torch.as_tensor(inner) / (norms[0] * norms[1]).clamp(min=1e-12)


def collide_features(surrogate: Stacked, image: Tensor, *, of_mean: bool) -> Objective:
    """Squared distance of the poisons' features from the target's, mean over nets.

    Args:
        surrogate: at least one net, in evaluation mode, whose features before the last layer are compared.
        image: (C, H, W) float in [0, 1], the target.
        of_mean: whether the poisons' mean feature is compared (arXiv 2005.00191, which divides by the square of the
            target's feature: another scale of the same loss), or each one's (arXiv 1804.00792), then the mean distance
            is taken.
    """
    nets = [{**weights, **buffers} for weights, buffers in map(surrogate.one, range(len(surrogate)))]
    wanted = [surrogate.call(net, image[None], features=True)[0].detach() for net in nets]

    def objective(images: Tensor, targets: Tensor) -> tuple[float, Tensor]:
        leaf = images.clone().requires_grad_()
        distances = []
        for net, feature in zip(nets, wanted, strict=True):
            found = surrogate.call(net, leaf.flatten(0, 1), features=True)
            away = found.mean(0, keepdim=True) - feature if of_mean else found - feature
            distances.append(away.square().sum(1).mean())
        loss = torch.stack(distances).mean()
        return float(loss.detach()), torch.autograd.grad(loss, leaf)[0]

    return objective
