"""Which numbers nets compute with: bfloat16 where the device has instructions for it, float32 elsewhere.

A CPU without them emulates bfloat16 and takes four to ten times as long as with float32. "auto" is resolved once, when
a run begins, and recorded with it: a run that is resumed on another machine continues as it began.
"""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args

import torch

from easy_to_hard.storage.files import write_json

Precision = Literal["auto", "float32", "bfloat16"]
Settled = Literal["float32", "bfloat16"]
Config = TypeVar("Config")

_RECORD: Final = "precision.json"


def get_device(name: str) -> torch.device:
    """The device of that name.

    On a GPU, float32 is then float32 in all operations: TF32, which torch's convolutions use by default, is turned off.

    Raises:
        ValueError: neither "cpu" nor "cuda" (with or without a number), or a GPU that is not there.
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ValueError(f"device must be cpu, cuda or cuda:NUMBER, not {name!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name!r} does not exist: torch sees {torch.cuda.device_count()} CUDA devices")
    if kind == "cuda":
        torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)


def fast_precision(device: torch.device | str) -> Settled:
    """The precision that a device trains fastest in, by the instructions it has: the same at every call.

    A GPU: bfloat16 if its cores support it (compute capability 8.0 or higher), else float32. A CPU: bfloat16 with
    AVX512-BF16 (or AMX, which implies it); float32 without, or if torch does not say.
    """
    if torch.device(device).type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    # Not in every supported version of torch.
    has_bfloat16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bfloat16" if has_bfloat16() else "float32"


def settle(config: Config, precision: Settled) -> Config:
    """A copy of a frozen dataclass in which every `precision` that is "auto", nested ones too, is the given one."""
    changes: dict[str, Any] = {}
    for one in fields(cast(Any, config)):
        value = getattr(config, one.name)
        if one.name == "precision" and value == "auto":
            changes[one.name] = precision
        elif is_dataclass(value):
            changes[one.name] = settle(value, precision)
    return cast(Config, replace(cast(Any, config), **changes))


def recorded_precision(folder: Path, device: torch.device | str) -> Settled:
    """The precision recorded in a run's folder; if there is none yet, it is chosen and recorded now.

    Args:
        folder: of the run; it must exist, and no other process may use it.
        device: of the run.

    Raises:
        ValueError: the record is damaged; the message names it.
    """
    path = folder / _RECORD
    if not path.is_file():
        write_json(path, {"precision": fast_precision(device)})
    try:
        precision = json.loads(path.read_text(encoding="utf-8"))["precision"]
        if precision not in get_args(Settled):
            raise ValueError(f"precision must be one of {', '.join(get_args(Settled))}, not {precision!r}")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): remove {folder} to start over") from error
    return cast(Settled, precision)


def autocast(device: torch.device | str, precision: Precision) -> AbstractContextManager[Any]:
    """A context in which convolutions and the like run in that precision; "auto" is the device's fastest."""
    device = torch.device(device)
    settled = fast_precision(device) if precision == "auto" else precision
    return torch.autocast(device.type, torch.bfloat16, enabled=settled == "bfloat16")


@contextmanager
def full_float32() -> Iterator[None]:
    """A context in which a GPU computes in full float32, without rounding to the 10 bits of TF32."""
    products = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = products
