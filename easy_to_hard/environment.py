"""The environment in which results are made: the package's version and commit, the memory, and the device."""

import contextlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

__version__: Final = "0.1.0"


def checkout() -> Path | None:
    """The checkout that the package runs from; None if it was installed from a wheel."""
    root = Path(__file__).parent.parent
    return root if (root / "pyproject.toml").is_file() else None


def source_commit() -> str | None:
    """The commit of the checkout that the package runs from; None if there is none."""
    root = checkout()
    if root is None:
        return None
    try:
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def describe_versions() -> str:
    """The versions that a report of a fault needs, one a line: of the package, Python, the system, and packages."""
    # These take longer than the rest of the package's import.
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"easy-to-hard": __version__, "python": platform.python_version(), "system": platform.platform()}
    for name in ("numpy", "numba", "pyarrow", "torch", "datasets", "huggingface_hub"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    commit = source_commit()
    if commit is not None:
        found["easy-to-hard"] += f", commit {commit}"
    return "\n".join(f"{name} {told}" for name, told in found.items())


def peak_memory() -> int | None:
    """The most memory, in bytes, that this process has held so far; None where the system does not say (Windows)."""
    with contextlib.suppress(OSError):
        # Linux, where the figure from `getrusage` starts from the memory of the parent process.
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


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
