"""Differentially private training: per-example clipping and noise (DP-SGD, arXiv 1607.00133), and its accountant.

The guarantee of `epsilon_of` is for adding or removing one record, that of `replacement_epsilon_of` for replacing one,
both with Poisson sampling: in each step every record takes part independently with the same probability.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.generators.integers import check_field, check_integer_fields

ORDERS: Final = (*range(2, 64), 72, 80, 96, 128, 160, 192, 256, 320, 384, 512)

Weights: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class PrivacyConfig:
    """The parameters of DP-SGD.

    Attributes:
        clip: largest L2 norm of one example's gradient, C, above 0.
        noise_multiplier: standard deviation of the noise on the sum of gradients, in units of C; at least 0.
        delta: the guarantee may fail with this probability, in (0, 1).
        chunk: examples at a time whose gradients are in memory, at least 1.

    Raises:
        ValueError: a value outside its range.
    """

    clip: float
    noise_multiplier: float
    delta: float = 1e-5
    chunk: int = 512

    def __post_init__(self) -> None:
        check_integer_fields(self)
        check_field(self, "chunk", self.chunk >= 1, "at least 1")
        check_field(self, "clip", 0 < self.clip < math.inf, "above 0 and finite")
        check_field(self, "noise_multiplier", 0 <= self.noise_multiplier < math.inf, "at least 0 and finite")
        check_field(self, "delta", 0 < self.delta < 1, "between 0 and 1")


def renyi_divergence(sampling_rate: float, noise_multiplier: float, order: int) -> float:
    """Rényi differential privacy of one step of DP-SGD at an integer order (arXiv 1908.10530, section 3.3).

    Args:
        sampling_rate: probability q that a record takes part, in (0, 1].
        noise_multiplier: above 0.
        order: alpha, at least 2.

    Returns:
        log(sum_k C(alpha, k) (1 - q)^(alpha - k) q^k exp(k (k - 1) / (2 sigma^2))) / (alpha - 1), summed in logs so
        that no term overflows.

    Raises:
        ValueError: a value outside its range.
    """
    if not 0 < sampling_rate <= 1:
        raise ValueError(f"sampling_rate must be above 0 and at most 1, not {sampling_rate}")
    if not 0 < noise_multiplier < math.inf:
        raise ValueError(f"noise_multiplier must be above 0 and finite, not {noise_multiplier}")
    if order < 2:
        raise ValueError(f"order must be at least 2, not {order}")
    if sampling_rate == 1:
        return order / (2 * noise_multiplier**2)
    terms = []
    for k in range(order + 1):
        chosen = math.lgamma(order + 1) - math.lgamma(k + 1) - math.lgamma(order - k + 1)
        term = chosen + (order - k) * math.log1p(-sampling_rate) + k * math.log(sampling_rate)
        terms.append(term + k * (k - 1) / (2 * noise_multiplier**2))
    top = max(terms)
    return (top + math.log(math.fsum(math.exp(term - top) for term in terms))) / (order - 1)


def epsilon_of(
    *,
    sampling_rate: float,
    noise_multiplier: float,
    steps: int,
    delta: float,
    orders: Sequence[int] = ORDERS,
) -> float:
    """Epsilon of a number of steps of DP-SGD for adding or removing one record; infinite without noise.

    Rényi privacy is converted to (epsilon, delta) by arXiv 2004.00010, proposition 12, at the order that gives the
    smallest epsilon.

    Args:
        sampling_rate: of a record in a step, in (0, 1].
        noise_multiplier: at least 0.
        steps: at least 1.
        delta: in (0, 1).
        orders: integer Rényi orders to try.

    Raises:
        ValueError: a value outside its range.
    """

    def divergence(order: int) -> float:
        return renyi_divergence(sampling_rate, noise_multiplier, order)

    return _converted(divergence, orders, 1.0, noise_multiplier, steps, delta)


def replacement_epsilon_of(
    *, sampling_rate: float, noise_multiplier: float, steps: int, delta: float, orders: Sequence[int] = ORDERS
) -> float:
    """Epsilon of a number of steps of DP-SGD for replacing one record; infinite without noise.

    A replacement is a removal followed by an addition. By the weak triangle inequality of Rényi divergences (arXiv
    1702.07476, with p = 2), its divergence at order alpha is at most (alpha - 1/2) / (alpha - 1) times
    the removal's at 2 alpha, plus the addition's at 2 alpha - 1. It is an upper bound, which is loose for little noise.

    Args:
        sampling_rate, noise_multiplier, steps, delta: as in `epsilon_of`.
        orders: integer orders 2 alpha to try, of which those below 3 are left out.

    Raises:
        ValueError: a value outside its range.
    """

    def divergence(doubled: int) -> float:
        removal, addition = (renyi_divergence(sampling_rate, noise_multiplier, one) for one in (doubled, doubled - 1))
        return (doubled - 1) / (doubled - 2) * removal + addition

    return _converted(divergence, [one for one in orders if one > 2], 0.5, noise_multiplier, steps, delta)


def _converted(
    divergence: Callable[[int], float],
    orders: Sequence[int],
    unit: float,
    noise_multiplier: float,
    steps: int,
    delta: float,
) -> float:
    """The smallest epsilon, at least 0, of a number of steps by arXiv 2004.00010, proposition 12.

    Args:
        divergence: Rényi divergence of a step at an order, which is given in units of `unit`.
        orders, unit: the orders to try.
        noise_multiplier, steps, delta: as in `epsilon_of`.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if not 0 < delta < 1:
        raise ValueError(f"delta must be between 0 and 1, not {delta}")
    if noise_multiplier == 0:
        return math.inf
    found = []
    for number in orders:
        total, order = steps * divergence(number), unit * number
        found.append(total + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1))
    return max(0.0, min(found))


def draw_poisson(count: int, rate: float, generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
    """Draw one batch for each generator; a batch contains each record with the same probability.

    Returns:
        indices (S, B) int64 and weights (S, B) float32: 1 for a record, 0 for the padding of shorter batches; B >= 1.
    """
    drawn = [torch.nonzero(torch.rand(count, generator=one) < rate).flatten() for one in generators]
    longest = max(1, *(len(indices) for indices in drawn))
    chosen = torch.zeros(len(drawn), longest, dtype=torch.int64)
    weights = torch.zeros(len(drawn), longest)
    for row, indices in enumerate(drawn):
        chosen[row, : len(indices)] = indices
        weights[row, : len(indices)] = 1
    return chosen, weights


def clipped_sum(
    loss_of: Callable[..., Tensor],
    weights: Weights,
    items: Sequence[Tensor],
    taken: Tensor,
    clip: float,
    chunk: int = 512,
) -> dict[str, Tensor]:
    """The sum of the examples' gradients, each shrunk to norm `clip` where it is longer.

    Args:
        loss_of: (weights, one item of each of `items`) -> its loss ().
        weights: of one net, by name.
        items: tensors (B, ...), each item made from one record: what is clipped is an item's gradient.
        taken: (B,) float, 1 or 0: an example with 0 adds nothing.
        clip: C.
        chunk: examples at a time.

    Returns:
        name -> sum, of the shape of the weights. Works under `torch.func.vmap`.
    """
    gradient_of = torch.func.vmap(torch.func.grad(loss_of), in_dims=(None, *(0 for _ in items)))
    sums: dict[str, Tensor] = {}
    for start in range(0, len(taken), chunk):
        part = slice(start, start + chunk)
        gradients = gradient_of(dict(weights), *(item[part] for item in items))
        squares = sum(gradient.flatten(1).square().sum(1) for gradient in gradients.values())
        factors = taken[part] * (clip / torch.as_tensor(squares).sqrt().clamp(min=1e-12)).clamp(max=1)
        for name, gradient in gradients.items():
            one = torch.tensordot(factors, gradient, dims=1)
            sums[name] = sums[name] + one if start else one
    return sums


def add_noise(
    sums: dict[str, Tensor], config: PrivacyConfig, expected: float, generators: Sequence[torch.Generator]
) -> dict[str, Any]:
    """Private mean gradients of several nets: (sum + N(0, (sigma C)^2)) / expected batch.

    Args:
        sums: name -> (S, ...), the sums of S nets.
        config: gives clip and noise.
        expected: average number of items in a batch.
        generators: one for each of the S nets, on the CPU. On another device the noise is drawn there, from generators
            that these seed.
    """
    scale = config.clip * config.noise_multiplier
    device = next(iter(sums.values())).device
    drawing = [_on(device, one) for one in generators]
    noisy = {}
    for name, total in sums.items():
        noise = torch.stack([torch.randn(total.shape[1:], generator=one, device=device) for one in drawing])
        noisy[name] = (total + scale * noise) / expected
    return noisy


def _on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """The generator itself on the CPU; on another device one that it seeds."""
    if device.type == "cpu":
        return generator
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))


def set_private_gradients(
    stacked: Stacked,
    loss_of: Callable[..., Tensor],
    items: Sequence[Tensor],
    taken: Tensor,
    config: PrivacyConfig,
    *,
    expected: float,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Leave the private mean gradients of a batch in the weights of a stack.

    Args:
        stacked: S nets.
        loss_of: as in `clipped_sum`.
        items: tensors (S, B, ...).
        taken: (S, B), the weights from `draw_poisson`.
        config, expected, generators: as in `add_noise`.

    Returns:
        the sum of all weights (), which stays finite as long as training goes well; the loss is not returned, since it
        is not private.
    """

    def sums_of(weights: Weights, taken: Tensor, *items: Tensor) -> dict[str, Tensor]:
        return clipped_sum(loss_of, weights, items, taken, config.clip, config.chunk)

    sums = stacked.map(sums_of, taken.to(items[0].device), *items)
    for name, gradient in add_noise(sums, config, expected, generators).items():
        stacked.weights[name].grad = gradient.detach()
    return torch.stack([weights.detach().sum() for weights in stacked.weights.values()]).sum()
