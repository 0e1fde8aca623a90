"""Poisons that are optimized: gradient matching and feature collision, the attacks in arXiv 2011.09527.

Both take items of the class that the attacker wants the target to be given, leave their labels, and change their pixels
by no more than a bound, so that a net trained on them from scratch takes the one target item for that class.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, check_budget, choose_items
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.generators.integers import check_field, check_integer_fields

Crafting = Literal["gradient_matching", "feature_collision"]

# Shares of the steps after which the step size falls to a tenth (poisoning-gradient-matching: 93, 156, 218 of 250).
_DROPS: Final = (1 / 2.667, 1 / 1.6, 1 / 1.142)


@dataclass(frozen=True, kw_only=True)
class CraftConfig:
    """How poisons are optimized: signed Adam, as in gradient matching (arXiv 2009.02276).

    Attributes:
        method: "gradient_matching" or "feature_collision".
        bound: no channel of a pixel is changed by more than this, of 255; from 1 to 255.
        steps: at least 1.
        step_size: of 255, above 0; falls to a tenth three times.
        restarts: number of random starts, at least 1; the one with the lowest loss is kept.

    Raises:
        ValueError: a value outside its range.
    """

    method: Crafting
    bound: int
    steps: int
    step_size: float
    restarts: int = 1

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "method", self.method in get_args(Crafting), f"one of {', '.join(get_args(Crafting))}")
        check_field(self, "bound", 1 <= self.bound <= 255, "from 1 to 255")
        for name in ("steps", "restarts"):
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


Objective: TypeAlias = Callable[[Tensor], Tensor]
"""Poison images (P, C, H, W) float in [0, 1] -> a loss () that the attacker minimizes."""


def craft_poisons(
    train: Poisoned,
    image: Tensor,
    intended: int,
    surrogate: Stacked,
    config: CraftConfig,
    *,
    share: float,
    seed: int,
) -> Targeted:
    """Poison a set against one test item.

    Args:
        train: the clean set.
        image: (C, H, W) uint8, the test item.
        intended: the class that the attacker wants it to be given; poisons are items of this class.
        surrogate: one net that was trained on the clean set, whose gradients or features are matched.
        config: how poisons are optimized.
        share: of the whole set to poison, in (0, 1]; at most all of the class's items.
        seed: decides the items and the random starts.

    Raises:
        ValueError: a share outside its range, no item of the intended class, or a stack of more than one net.
    """
    check_budget(share)
    if len(surrogate) != 1:
        raise ValueError(f"surrogate must be a stack of one net, not of {len(surrogate)}")
    device = next(iter(surrogate.weights.values())).device
    chosen = choose_items(train.labels, intended, share, seed=seed)
    base = train.images[chosen].to(device).float() / 255
    objective = OBJECTIVES[config.method](surrogate, image.to(device).float() / 255, intended)
    loss, best = min(
        (_optimize(objective, base, config, generator_of("craft", seed, number)) for number in range(config.restarts)),
        key=lambda found: found[0],
    )
    images = train.images.clone()
    images[chosen] = (255 * best).round().byte().cpu()
    poisoned = torch.zeros(len(images), dtype=torch.bool)
    poisoned[chosen] = True
    changed = Poisoned(images=images, labels=train.labels, poisoned=poisoned)
    return Targeted(train=changed, image=image[None], intended=intended, loss=loss)


def _optimize(
    objective: Objective, base: Tensor, config: CraftConfig, generator: torch.Generator
) -> tuple[float, Tensor]:
    """The final loss, and poisons (P, C, H, W) within the bound and in [0, 1]."""
    bound = config.bound / 255
    start = torch.randn(base.shape, generator=generator).to(base.device) * bound
    delta = within(start, base, bound).requires_grad_()
    optimizer = torch.optim.Adam([delta], lr=config.step_size / 255)
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = (
            config.step_size / 255 * 0.1 ** sum(step >= int(config.steps * share) for share in _DROPS)
        )
        (gradient,) = torch.autograd.grad(objective(base + delta), delta)
        delta.grad = gradient.sign()
        optimizer.step()
        with torch.no_grad():
            delta.copy_(within(delta, base, bound))
    poisons = (base + delta).detach()
    return float(objective(poisons).detach()), poisons


def within(delta: Tensor, base: Tensor, bound: float) -> Tensor:
    """Changes clamped to the bound, and so that base + delta stays in [0, 1]; same shape as delta."""
    cut = delta.detach().clamp(-bound, bound)
    return (base + cut).clamp(0, 1) - base


def match_gradients(surrogate: Stacked, image: Tensor, intended: int) -> Objective:
    """One minus the cosine between the poisons' loss gradient and the target's (arXiv 2009.02276).

    Args:
        surrogate: one net.
        image: (C, H, W) float in [0, 1], the target.
        intended: the class of the poisons, for which both losses are taken.
    """
    weights = {name: one[0] for name, one in surrogate.weights.items()}

    def loss_of(weights: Any, images: Tensor) -> Tensor:
        logits = surrogate.call(weights, images)
        return F.cross_entropy(logits, torch.full((len(images),), intended, device=images.device))

    gradient_of = torch.func.grad(loss_of)
    wanted = [one.detach() for one in gradient_of(weights, image[None]).values()]
    return lambda poisons: one_less_cosine(list(gradient_of(weights, poisons).values()), wanted)


def one_less_cosine(gradients: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """1 - <g, w> / (|g| |w|) over all tensors together: () in [0, 2], 0 if they point the same way."""
    inner = sum((one * other).sum() for one, other in zip(gradients, wanted, strict=True))
    norms = [torch.as_tensor(sum(one.square().sum() for one in these)).sqrt() for these in (gradients, wanted)]
    return 1 - torch.as_tensor(inner) / (norms[0] * norms[1]).clamp(min=1e-12)


def collide_features(surrogate: Stacked, image: Tensor, intended: int) -> Objective:
    """Squared distance of the poisons' mean feature from the target's feature (arXiv 1804.00792, taken over the mean).

    Args:
        surrogate: one net, whose features before the last layer are compared.
        image: (C, H, W) float in [0, 1], the target.
        intended: not used: the poisons keep their labels.
    """
    weights = {name: one[0] for name, one in surrogate.weights.items()}
    wanted = surrogate.call(weights, image[None], features=True)[0].detach()

    def objective(poisons: Tensor) -> Tensor:
        distance: Tensor = (surrogate.call(weights, poisons, features=True).mean(0) - wanted).square().sum()
        return distance

    return objective


OBJECTIVES: Final[dict[str, Callable[[Stacked, Tensor, int], Objective]]] = {
    "gradient_matching": match_gradients,
    "feature_collision": collide_features,
}
