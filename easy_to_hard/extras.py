"""The packages that `pip install easy-to-hard` leaves out, and the extras that install them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

# Name of an import -> how its package is called, and the extra that installs it.
EXTRAS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "torch": ("PyTorch", "torch"),
        "safetensors": ("safetensors", "torch"),
        "datasets": ("datasets", "hub"),
        "huggingface_hub": ("huggingface_hub", "hub"),
        "jsonschema": ("jsonschema", "leaderboard"),
        "matplotlib": ("matplotlib", "plot"),
        "chess": ("python-chess", "chess"),
        "torchvision": ("torchvision", "vision"),
        "opacus": ("opacus", "privacy"),
        "gymnasium": ("gymnasium", "gymnasium"),
        "inspect_ai": ("inspect-ai", "inspect-ai"),
        "reasoning_gym": ("reasoning-gym", "reasoning-gym"),
        "verifiers": ("verifiers", "verifiers"),
    }
)


class MissingExtraError(ModuleNotFoundError):
    """A package that an extra installs is missing; the message, one line, says which extra."""


@contextmanager
def naming_extra(needing: str) -> Iterator[None]:
    """Raise `MissingExtraError` where an import inside fails because a package of an extra is missing.

    Args:
        needing: how its message begins, such as "plots need"; an error that names its extra already is left as it is.

    Raises:
        MissingExtraError: a package is missing, and an extra has it.
    """
    try:
        yield
    except MissingExtraError:
        raise
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        package, extra = EXTRAS[module]
        line = f'{needing} {package}: pip install "easy-to-hard[{extra}]"'
        raise MissingExtraError(line, name=error.name) from error
