"""One training run on several processes: each takes a part of every batch, and gradients are summed.

Started by ``torchrun --nproc-per-node N -m easy_to_hard.cli train ...``. `DistributedDataParallel` is not used: an
iteration's weights take part in several calls a step, some without a graph, and one sum of all gradients at the end
does the same.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes of torchrun, where it started this one; yields the device of this process.

    Args:
        device: "cpu" (gloo) or "cuda" (nccl, a GPU a process).
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def process_rank() -> int:
    """Rank that torchrun gave this process; 0 for one alone."""
    return int(os.environ.get("RANK", "0"))


def place() -> tuple[int, int]:
    """Rank and number of the processes; (0, 1) for one alone."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum over processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its sum over the processes; one without a gradient counts as zero.

    That is for weights which took no part: they took none in any process, since all draw the same n and k.
    """
    if not dist.is_initialized():
        return
    gradients = [weights.grad for weights in parameters if weights.grad is not None]
    joined = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(joined, [gradient.numel() for gradient in gradients])
    for gradient, summed in zip(gradients, parts, strict=True):
        gradient.copy_(summed.view_as(gradient))
