"""Does thinking end in the same features wherever it starts (Anil et al. 2022, arXiv 2211.09961)?"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.progress import progress_bar

# Features that differ from the mean by less than this share of their size differ only by rounding.
_ROUNDING: Final = 1e-5


@dataclass(frozen=True, kw_only=True)
class AlignmentResult:
    """How similar the final features are for different starts; each value is in [-1, 1].

    Attributes:
        num_items: number of inputs compared, B.
        iterations: run from each start.
        alignment: mean over the B (B - 1) pairs of different inputs.
        centered_alignment: the same without what all inputs have in common: the mean of the B fixed points is
            subtracted. Features that do not depend on the input score 1 before and 0 after. If the final features
            depend on the start alone, about -1 / (B - 1) remains.
        self_alignment: mean over the B pairs of an input with itself: how little the same number of further iterations
            changes.
        centered_self_alignment: the same, centered.
    """

    num_items: int
    iterations: int
    alignment: float
    centered_alignment: float
    self_alignment: float
    centered_self_alignment: float


def _cosines(ends: Tensor, fixed_points: Tensor, center: Tensor) -> Tensor:
    """Cosine similarities after subtracting the center: (B,) float; 0 if only rounding is left of either vector."""
    products = ((ends - center) * (fixed_points - center)).sum(dim=1)
    norms = [torch.linalg.vector_norm(each - center, dim=1) for each in (ends, fixed_points)]
    sizes = [torch.linalg.vector_norm(each, dim=1) for each in (ends, fixed_points)]
    is_rounding = (norms[0] <= _ROUNDING * sizes[0]) | (norms[1] <= _ROUNDING * sizes[1])
    cosines: Tensor = torch.where(is_rounding, 0, products / (norms[0] * norms[1])).clamp(-1, 1)
    return cosines


def asymptotic_alignment(
    model: ThinkingNet, inputs: Tensor, iterations: int, *, progress: bool = True
) -> AlignmentResult:
    """Whether thinking ends in the same features wherever it starts (Anil et al. 2022, arXiv 2211.09961).

    Let fp_j be the features after K iterations on x_j from the usual start, and fp_ij those after K iterations on x_j
    from fp_i. The alignment is the mean cosine similarity of fp_j and fp_ij, flattened; a net whose final features
    depend on the input alone scores 1. So does one whose features depend on nothing: also check the centered alignment
    and the accuracy. It runs B (B + 1) times K iterations, B inputs at a time.

    Deviates: the authors' code averages over all B^2 pairs; here pairs of an input with itself are kept separate, and
    the centered alignment is added.

    Args:
        model: the net; its device is used.
        inputs: (B, channels, *size) float, B at least 2.
        iterations: K, at least 1.
        progress: whether to show a progress bar.

    Raises:
        ValueError: fewer than 2 inputs or 1 iteration, or more iterations than a feed-forward net has.
    """
    if len(inputs) < 2:
        raise ValueError(f"there must be at least two inputs to compare, not {len(inputs)}")
    check_integer("iterations", iterations, 1)
    model.eval()
    inputs = inputs.to(next(model.parameters()).device)
    rows, centered_rows = [], []
    with torch.inference_mode():
        states = model.step(model.initial_state(inputs), inputs, iterations)
        fixed_points = states.flatten(1).float()
        center = fixed_points.mean(dim=0)
        for start in progress_bar(states, desc="aligning", unit="starts", show=progress):
            ends = model.step(start.expand_as(states).contiguous(), inputs, iterations).flatten(1).float()
            rows.append(_cosines(ends, fixed_points, torch.zeros_like(center)))
            centered_rows.append(_cosines(ends, fixed_points, center))
    means = [_pair_means(torch.stack(cosines).double().cpu()) for cosines in (rows, centered_rows)]
    (different, same), (centered_different, centered_same) = means
    return AlignmentResult(
        num_items=len(inputs),
        iterations=iterations,
        alignment=different,
        centered_alignment=centered_different,
        self_alignment=same,
        centered_self_alignment=centered_same,
    )


def _pair_means(cosines: Tensor) -> tuple[float, float]:
    """Means over the entries off and on the diagonal of (B, B)."""
    on = cosines.diagonal().sum()
    num_items = len(cosines)
    return float((cosines.sum() - on) / (num_items * (num_items - 1))), float(on / num_items)
