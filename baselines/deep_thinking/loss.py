"""The progressive loss (Bansal et al. 2022, arXiv 2202.05826, algorithm 1)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.net import ThinkingNet


class Stretch(NamedTuple):
    """The iterations of the progressive term: n without a graph, then k with one."""

    n: int
    k: int


def draw_stretch(
    max_iterations: int, *, seed: int, step: int, hold_iterations: int = 0, hold_share: float = 0.0
) -> Stretch:
    """Draw n from {0, ..., T - 1}, then k from {1, ..., T - n}, both uniform; a function of (seed, step) alone.

    In a share of the steps n is then drawn again, from {0, ..., hold_iterations - 1}, far beyond T: the answer must be
    held from there. Without this (as in the paper), some seeds drift away from right answers after more than T
    iterations.

    Args:
        max_iterations: T, at least 1.
        seed, step: at least 0.
        hold_iterations: at least 1 if hold_share is above 0.
        hold_share: in [0, 1].
    """
    rng = np.random.default_rng((seed, step, 1))
    n = int(rng.integers(max_iterations))
    k = 1 + int(rng.integers(max_iterations - n))
    if rng.random() < hold_share:
        n = int(rng.integers(hold_iterations))
    return Stretch(n, k)


class CellLoss:
    """Mean cross-entropy over the cells that count.

    Args:
        targets: (batch, *size) int64 in {0, 1}.
        mask: (batch, *size) bool, the cells that count; None for all.
        num_cells: what the sum is divided by; None for the number of cells that count.
    """

    def __init__(self, targets: Tensor, mask: Tensor | None = None, num_cells: float | None = None) -> None:
        self._targets = targets if mask is None else targets.masked_fill(~mask, -100)
        self.num_cells = float(targets.numel() if mask is None else mask.sum()) if num_cells is None else num_cells

    def __call__(self, logits: Tensor) -> Tensor:
        """The loss () float, at least 0, of logits (batch, 2, *size) float; computed in float32 or float64."""
        precise = logits if logits.dtype == torch.float64 else logits.float()
        return F.cross_entropy(precise, self._targets, reduction="sum", ignore_index=-100) / self.num_cells


class Loss(NamedTuple):
    """A loss to differentiate, () or (batch,) float, and the last logits (batch, 2, *size) float that it is of."""

    value: Tensor
    logits: Tensor


def progressive_loss(
    model: ThinkingNet,
    inputs: Tensor,
    cell_loss: Callable[[Tensor], Tensor],
    stretch: Stretch,
    *,
    max_iterations: int,
    progressive_weight: float,
) -> Loss:
    """(1 - alpha) * loss of the full unroll + alpha * loss of a random stretch.

    The stretch runs n iterations without a graph, then k with one, so that the net learns to make progress from any
    features and not to count iterations. A term of weight zero is not run. If n is above 0, the projection gets no
    gradient from the stretch.

    Deviates: at alpha = 1 the authors still run the full unroll, only to print its accuracy.

    Args:
        model: the net.
        inputs: (batch, channels, *size) float.
        cell_loss: of logits, such as a `CellLoss`; () or, for a loss of each item, (batch,).
        stretch: n and k.
        max_iterations: T, at least 1.
        progressive_weight: alpha in [0, 1].

    Returns:
        The loss, with the logits of the stretch, or of the full unroll at alpha = 0.
    """
    value = inputs.new_zeros((), dtype=torch.float64 if inputs.dtype == torch.float64 else torch.float32)
    logits = inputs
    if progressive_weight < 1:
        logits, _ = model(inputs, max_iterations)
        value = value + (1 - progressive_weight) * cell_loss(logits)
    if progressive_weight > 0:
        state = None
        if stretch.n > 0:
            with torch.no_grad():
                state = model.step(model.initial_state(inputs), inputs, stretch.n)
            # PyTorch 2.4 keeps autocast's copies of the weights that were made without a graph, and takes them for the
            # others, so that these weights get no gradient. PyTorch 2.13 does not; there, this changes only in which
            # order gradients in bfloat16 are added up.
            torch.clear_autocast_cache()
        logits, _ = model(inputs, stretch.k, state, stretch.n)
        value = value + progressive_weight * cell_loss(logits)
    return Loss(value, logits)
