"""Markdown tables for a card."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from easy_to_hard.generators.splits import SPLITS

# Longer tables are folded away.
_SHOWN_ROWS: Final = 12


def split_counts(files: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Config -> split -> number of rows, summed over the split's files; all in the order of the manifest."""
    counts: dict[str, dict[str, int]] = {}
    for entry in files:
        splits = counts.setdefault(entry["config"], {})
        splits[entry["split"]] = splits.get(entry["split"], 0) + entry["rows"]
    return counts


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A Markdown table.

    Args:
        names: the column headings.
        rows: the cells, as many per row as there are names.
        texts: how many columns, from the left, hold text; the others are right-aligned.
    """
    rules = ["---" if place < texts else "---:" for place in range(len(names))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, rules, *rows])


def folded(title: str, table: str) -> str:
    """The table, folded behind its title if it is long."""
    if table.count("\n") - 1 <= _SHOWN_ROWS:
        return f"{title}:\n\n{table}"
    return f"<details>\n<summary>{title}</summary>\n\n{table}\n\n</details>"


def counts_table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """A table of each config's number of rows per split; splits that no config has are left out."""
    names = [split for split in SPLITS if any(split in splits for splits in counts.values())]
    rows = [
        [f"`{config}`", *(f"{splits[name]:,}" if name in splits else "" for name in names)]
        for config, splits in counts.items()
    ]
    return markdown_table(["config", *names], rows)
