"""Reference methods, one folder per paper."""

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the registry knows of a reference method.

    Attributes:
        title: what it is, in a line.
        papers: arXiv ids, the main one first.
        module: import name of its folder.
    """

    title: str
    papers: tuple[str, ...]
    module: str

    def load(self) -> ModuleType:
        """Import the folder; the registry itself stays light."""
        return import_module(self.module)


BASELINES: Final = MappingProxyType(
    {
        "deep_thinking": Baseline(
            title="Recurrent nets with recall and progressive loss",
            papers=("2202.05826", "2106.04537"),
            module="easy_to_hard.baselines.deep_thinking",
        ),
        "cold_diffusion": Baseline(
            title="Inverting arbitrary transforms without noise",
            papers=("2208.09392",),
            module="easy_to_hard.baselines.cold_diffusion",
        ),
    }
)


def get_baseline(name: str) -> Baseline:
    """The registered method of that name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}: choose one of {', '.join(BASELINES)}")
    return BASELINES[name]
