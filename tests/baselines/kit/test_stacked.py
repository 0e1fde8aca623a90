"""Many small nets as one."""

import torch
from torch import nn

from easy_to_hard.baselines.kit.stacked import clip_each


def test_clipping_goes_by_net() -> None:
    weights = {"first": nn.Parameter(torch.zeros(2, 3)), "second": nn.Parameter(torch.zeros(2))}
    weights["first"].grad = torch.tensor([[3.0, 0, 0], [0.1, 0, 0]])
    weights["second"].grad = torch.tensor([4.0, 0.0])
    clip_each(weights, 1.0)
    torch.testing.assert_close(weights["first"].grad, torch.tensor([[0.6, 0, 0], [0.1, 0, 0]]))
    torch.testing.assert_close(weights["second"].grad, torch.tensor([0.8, 0.0]))
    # One net alone, its kernel with channels last.
    kernel = nn.Parameter(torch.zeros(1, 2, 3, 2, 2))
    kernel.grad = torch.ones(1, 2, 2, 2, 3).movedim(-1, 2)
    clip_each({"kernel": kernel}, 1.0)
    torch.testing.assert_close(kernel.grad, torch.full((1, 2, 3, 2, 2), 24**-0.5))
