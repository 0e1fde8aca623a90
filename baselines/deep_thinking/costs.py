"""What thinking costs, in multiply-accumulates."""

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch.utils.flop_counter import FlopCounterMode

from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.model import ThinkingNet


def count_macs(model: ThinkingNet, input_shape: Sequence[int], iterations: float) -> float:
    """Multiply-accumulates of the weights for one item, which is answered once, after the last iteration.

    Of a cellular net as if every position were a cell and were computed in every iteration: at most so many.

    Args:
        model: the net.
        input_shape: (channels, *size) of the item.
        iterations: how many, at least 0; a mean over items need not be whole.
    """
    if isinstance(model, CellularNet):
        positions = math.prod(side // model.patch + (model.patch > 1) for side in input_shape[1:])
        used = [sum(layer.weight.numel() for layer in layers) for layers in model.layers_by_use()]
        return positions * (used[0] + used[1] * iterations)
    # Tensors without values: nothing is computed, so that a maze of size 801 costs no more than one of size 9.
    empty = copy.deepcopy(model).to("meta")
    x = torch.empty((1, *input_shape), device="meta")
    with torch.inference_mode():
        state = empty.initial_state(x)
        once = _macs(lambda: (empty.initial_state(x), empty.iteration(x), empty.read_out(state)))
        iterate = empty.iteration(x)
        each = _macs(lambda: iterate(state, 0))
    return once + each * iterations


def _macs(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    operations: int = counter.get_total_flops()
    return operations / 2
