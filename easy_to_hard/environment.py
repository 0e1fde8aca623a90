"""The environment in which results are made: the package's version and commit, and the device."""

import subprocess
from pathlib import Path
from typing import Final

__version__: Final = "0.1.0"


def source_commit() -> str | None:
    """The commit of the checkout that the package runs from; None if it was installed from a wheel."""
    root = Path(__file__).parent.parent
    if not (root / "pyproject.toml").is_file():
        return None
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def check_device(device: str) -> None:
    """Raise ValueError unless torch can use that device here."""
    if device == "cpu":
        return
    if device != "cuda":
        raise ValueError(f"device must be cpu or cuda, not {device!r}")
    import torch

    if not torch.cuda.is_available():
        raise ValueError("device cuda is not available on this machine: use --device cpu")


def describe_device(device: str, threads: int | None) -> str:
    """The device as recorded in results: the GPU's name, or the number of CPU threads."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name())
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"
