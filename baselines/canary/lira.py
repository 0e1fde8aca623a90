"""Statistics of a net's answer, and the likelihood-ratio attack that compares them (LiRA, arXiv 2112.03570)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles

# A spread of exactly 0 would make any difference infinite.
_LEAST_SPREAD: Final = 1e-6
_LEAST_PROBABILITY: Final = 1e-300


def class_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """phi = log p_y - log sum over c != y of p_c, without the loss of precision of probabilities near 1.

    Args:
        logits: (..., C) float, C at least 2.
        labels: (...) int64.

    Returns:
        (...) float64.
    """
    precise = logits.double()
    right = precise.gather(-1, labels[..., None])[..., 0]
    others = precise.scatter(-1, labels[..., None], -math.inf)
    return right - others.logsumexp(-1)


def answer_log_odds(logits: Tensor, items: Puzzles) -> Tensor:
    """phi = S - log(1 - exp(S)), where S is the log-probability of the whole answer: (B,) float64.

    Args:
        logits: (B, 2, *size) float.
        items: B puzzles.
    """
    # By log-sigmoid: log-softmax rounds to 0 where the right class leads by more than the precision can hold.
    losses = -F.logsigmoid(_leads(logits, items)) * items.mask
    likelihoods = -losses.flatten(1).sum(1).clamp_min(_LEAST_PROBABILITY)
    return likelihoods - torch.where(
        likelihoods > -math.log(2), torch.log(-torch.expm1(likelihoods)), torch.log1p(-likelihoods.exp())
    )


def answer_margins(logits: Tensor, items: Puzzles) -> Tensor:
    """The right class's logit minus the other's, averaged over the positions that count: (B,) float64."""
    leads = _leads(logits, items) * items.mask
    return leads.flatten(1).sum(1) / items.mask.flatten(1).sum(1)


def _leads(logits: Tensor, items: Puzzles) -> Tensor:
    """The right class's logit minus the other's at each position, (B, *size) float64."""
    precise = logits.double()
    return (precise[:, 1] - precise[:, 0]) * (2 * items.targets - 1)


@dataclass(frozen=True, kw_only=True)
class GaussianFit:
    """Normal distributions fitted to the statistics of nets with and without each point.

    Attributes:
        mean_in, mean_out: (P, Q) float64, medians over the nets.
        spread_in, spread_out: (P, Q) float64 where per point, () where fixed.
    """

    mean_in: Tensor
    mean_out: Tensor
    spread_in: Tensor
    spread_out: Tensor


def fit_gaussians(phi: Tensor, keep: Tensor, *, fixed: bool) -> GaussianFit:
    """Fit both distributions of each point and query.

    The same number of nets is used with and without each point, the smallest available over all points, so that the
    number reveals nothing about the target.

    Args:
        phi: (M, P, Q) float64, of M nets.
        keep: (M, P) bool.
        fixed: whether one standard deviation is for all points, queries, and nets (one for in and one for out);
            otherwise each point and query has its own.

    Raises:
        ValueError: a point has fewer than two nets with, or without, it.
    """
    count = int(torch.minimum(keep.sum(0), (~keep).sum(0)).min())
    if count < 2:
        raise ValueError(f"each point needs at least 2 nets with and without it, not {count}: train more shadow nets")
    parts = []
    for chosen in (keep, ~keep):
        order = (~chosen).int().argsort(dim=0, stable=True)[:count]
        parts.append(phi.gather(0, order[..., None].expand(-1, -1, phi.shape[2])))
    inside, outside = parts
    spreads = [part.std() if fixed else part.std(dim=0) for part in parts]
    return GaussianFit(
        mean_in=_median(inside),
        mean_out=_median(outside),
        spread_in=spreads[0].clamp_min(_LEAST_SPREAD),
        spread_out=spreads[1].clamp_min(_LEAST_SPREAD),
    )


def _median(values: Tensor) -> Tensor:
    """Median over the first axis; for an even number the mean of the middle two, unlike `torch.median`."""
    ordered = values.sort(dim=0).values
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def lira_scores(phi: Tensor, fit: GaussianFit) -> dict[str, Tensor]:
    """Scores, higher for members, from the target's statistics; each is the mean over the queries.

    "online": log N(phi; in) - log N(phi; out). "offline": -log P(at least phi; out), one-sided.
    "offline, two-sided": -log N(phi; out), as in the authors' code.

    Args:
        phi: (P, Q) float64, of the target.
        fit: to the other nets.

    Returns:
        name -> (P,) float64.
    """
    inside = _log_normal(phi, fit.mean_in, fit.spread_in)
    outside = _log_normal(phi, fit.mean_out, fit.spread_out)
    tail = torch.special.log_ndtr((fit.mean_out - phi) / fit.spread_out)
    found = {"online": inside - outside, "offline": -tail, "offline, two-sided": -outside}
    return {name: scores.mean(dim=1) for name, scores in found.items()}


def _log_normal(phi: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    return -((phi - mean) ** 2) / (2 * spread**2) - spread.log() - math.log(2 * math.pi) / 2


def leave_one_out(
    phi: Tensor,
    keep: Tensor,
    *,
    fixed: bool,
    targets: Sequence[int] | None = None,
    helpers: Sequence[int] | None = None,
) -> dict[str, Tensor]:
    """Scores with nets as the target in turn, and the distributions fitted to the helpers other than the target.

    Args:
        phi: (M, P, Q) float64.
        keep: (M, P) bool.
        fixed: see `fit_gaussians`.
        targets: numbers of nets; None for all.
        helpers: numbers of the nets that are fitted; None for all.

    Returns:
        name of the score -> (number of targets, P) float64.
    """
    rows = []
    for target in range(len(phi)) if targets is None else targets:
        others = [number for number in (range(len(phi)) if helpers is None else helpers) if number != target]
        rows.append(lira_scores(phi[target], fit_gaussians(phi[others], keep[others], fixed=fixed)))
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def against_other_nets(phi: Tensor, fitted: Tensor, keep: Tensor, *, fixed: bool) -> dict[str, Tensor]:
    """Scores of all targets by one fit to other nets; arguments and result as in `leave_one_out`.

    Args:
        phi: (M, P, Q) float64, of the targets.
        fitted: (K, P, Q) float64, of the other nets.
        keep: (K, P) bool, of the other nets.
        fixed: see `fit_gaussians`.
    """
    fit = fit_gaussians(fitted, keep, fixed=fixed)
    rows = [lira_scores(of_target, fit) for of_target in phi]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
