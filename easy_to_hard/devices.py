"""Devices: which there are, and what records call them."""

import torch


def check_device(device: str) -> None:
    """ValueError unless torch can use that device here."""
    if device == "cpu":
        return
    if device != "cuda":
        raise ValueError(f"device must be cpu or cuda, not {device!r}")
    if not torch.cuda.is_available():
        raise ValueError("device cuda is not available on this machine: use --device cpu")


def describe_device(device: str, threads: int | None) -> str:
    """For the records: the GPU's name, or the number of threads."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name())
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"
