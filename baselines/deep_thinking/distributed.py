"""One training run in several processes: each takes a part of every batch, and gradients are summed.

Started by ``torchrun --nproc-per-node N -m easy_to_hard.cli train ...``. `DistributedDataParallel` is not used: an
iteration's weights take part in several calls per step, some without a graph, and one sum of all gradients at the end
has the same effect.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

# Its functions have the process group that exists when it is imported, as by an optimizer, as a default argument:
# imported later, it would keep that group's threads alive, which may abort the process when it ends.
import torch.distributed.nn
from torch import Tensor


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the process group of torchrun if it started this process; yields the device of this process.

    Args:
        device: "cpu" (gloo) or "cuda" (nccl, one GPU per process).
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
    """The rank that torchrun gave this process; 0 for a single process."""
    return int(os.environ.get("RANK", "0"))


def place() -> tuple[int, int]:
    """The rank of this process and the number of processes; (0, 1) for a single process."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum over processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its sum over the processes; weights without a gradient are left out.

    Such weights took no part in any process, since all processes draw the same n and k.
    """
    if not dist.is_initialized():
        return
    gradients = [weights.grad for weights in parameters if weights.grad is not None]
    joined = sum_over_processes(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(joined, [gradient.numel() for gradient in gradients])
    for gradient, summed in zip(gradients, parts, strict=True):
        gradient.copy_(summed.view_as(gradient))
