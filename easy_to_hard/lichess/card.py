"""The README.md of a converted folder."""

from typing import Any, Final

from easy_to_hard.cards.front_matter import front_matter
from easy_to_hard.cards.tables import counts_table, split_counts
from easy_to_hard.lichess.bands import FILE_SCHEMA, TASK
from easy_to_hard.storage.columns import Column
from easy_to_hard.tasks import config_name

_CARD: Final = """\
# Lichess puzzles in bands of {bands}

Each config is one band of the puzzles of the Lichess database: pick an easy one to train on and harder ones to test on.

```python
from datasets import load_dataset
data = load_dataset("PATH OR HUB ID", "{example}", split="{example_split}")
```

## Configs

`{middle}` holds {meaning}; the last band is open.

{counts}

## Columns

- `fen`: the position to solve, after the opponent's move that the database begins with
- `move`: the solution's first move, UCI; `line`: the whole solution, both sides' moves, from `move` on
- `rating`, `rating_deviation`, `popularity`, `plays`: as in the database; null where it has none
- `themes`, `puzzle_id`, `game_url`, `opening_tags`: as in the database; empty where it has none
- `rank`: place among all puzzles in the order of their ratings, ties in the order of the file, from 0
- `index`: place within the split of the band, from 0

## How it was made

By `easy-to-hard` {package_version} from `{name}` (SHA-256 `{sha256}`): {rows_in:,} rows read, {rows_out:,} written.
The {rejected:,} others are no puzzles and stand in `rejects.csv` with their line numbers and the reasons.

The hash of the position, the same for the mirrored one and for colors exchanged, decides which split a puzzle belongs
to, so no placement of pieces is in two splits, whatever the band.

`manifest.json` holds the SHA-256 of every file and of its decoded tensors.

The Lichess puzzle database is in the public domain (Creative Commons CC0): https://database.lichess.org.
"""
_MEANINGS: Final = {
    "rating": "the puzzles rated 1200 or more, below the next edge",
    "rank": "the puzzles from rank 1200 on (0 is the easiest), before the next edge",
}


def puzzle_card(header: dict[str, Any], bands: str, files: list[dict[str, Any]]) -> str:
    """The text of README.md.

    Args:
        header: package_version and source of the manifest.
        bands: "rating" or "rank".
        files: entries of the manifest.
    """
    counts = split_counts(files)
    example = next(iter(counts))
    source = header["source"]
    body = _CARD.format(
        bands=f"{bands}s",
        middle=config_name(TASK, 1200, bands),
        meaning=_MEANINGS[bands],
        example=example,
        example_split=next(iter(counts[example])),
        counts=counts_table(counts),
        package_version=header["package_version"],
        rejected=source["rows_in"] - source["rows_out"],
        **{key: source[key] for key in ("name", "sha256", "rows_in", "rows_out")},
    )
    front = {
        "license": "cc0-1.0",
        "pretty_name": "Lichess puzzles, graded",
        "tags": ["easy-to-hard", "extrapolation", "chess", "lichess"],
    }
    columns = [Column(name=field.name, dtype=str(field.type)) for field in FILE_SCHEMA]
    return f"{front_matter(files, lambda entry: columns, front)}\n{body}"
