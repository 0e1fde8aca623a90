"""The words of a card: what a task says of itself, and the papers that are cited."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, kw_only=True)
class TaskText:
    """A task in the words of a card.

    Attributes:
        question: what is given and what is asked.
        tags: for the Hub's search.
        columns: what each column of the files holds.
        generator: how instances are made.
        limits: what is missing or one-sided, a paragraph each.
        dataset: the PyTorch class, and its argument for the difficulty; none where `load` does.
        decoder: Markdown on how to make tensors of columns that are none; empty where `input` and `target` are columns.
    """

    question: str
    tags: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    generator: str = ""
    limits: tuple[str, ...] = ()
    dataset: tuple[str, str] | None = None
    decoder: str = ""


# Title, authors and year as on arXiv.
PAPERS: Final = (
    (
        "schwarzschild2021algorithm",
        "2106.04537",
        "2021",
        "Can You Learn an Algorithm? Generalizing from Easy to Hard Problems with Recurrent Networks",
        "Schwarzschild, Avi and Borgnia, Eitan and Gupta, Arjun and Huang, Furong and Vishkin, Uzi and "
        "Goldblum, Micah and Goldstein, Tom",
    ),
    (
        "schwarzschild2021datasets",
        "2108.06011",
        "2021",
        "Datasets for Studying Generalization from Easy to Hard Examples",
        "Schwarzschild, Avi and Borgnia, Eitan and Gupta, Arjun and Bansal, Arpit and Emam, Zeyad and "
        "Huang, Furong and Goldblum, Micah and Goldstein, Tom",
    ),
    (
        "bansal2022endtoend",
        "2202.05826",
        "2022",
        "End-to-end Algorithm Synthesis with Recurrent Networks: Logical Extrapolation Without Overthinking",
        "Bansal, Arpit and Schwarzschild, Avi and Borgnia, Eitan and Emam, Zeyad and Huang, Furong and "
        "Goldblum, Micah and Goldstein, Tom",
    ),
)
