"""The README.md and croissant.json of a converted folder."""

from typing import Any, Final

from easy_to_hard.cards.croissant import croissant
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

{columns}

## How it was made

By `easy-to-hard` {package_version} from `{name}` (SHA-256 `{sha256}`): {rows_in:,} rows read, {rows_out:,} written.
The {rejected:,} others are no puzzles and stand in `rejects.csv` with their line numbers and the reasons.

{splits}

`manifest.json` holds the SHA-256 of every file and of its decoded tensors; `croissant.json` describes the data in
Croissant 1.1.

The Lichess puzzle database is in the public domain (Creative Commons CC0): {database}.
"""
_SPLITS: Final = """\
The hash of the position, the same for the mirrored one and for colors exchanged, decides which split a puzzle belongs
to, so no placement of pieces is in two splits, whatever the band."""
_COLUMNS: Final = {
    "fen": "the position to solve, after the opponent's move that the database begins with",
    "move": "the solution's first move, UCI",
    "line": "the whole solution, both sides' moves, from `move` on",
    **dict.fromkeys(
        ("rating", "rating_deviation", "popularity", "plays"), "as in the database; null where it has none"
    ),
    **dict.fromkeys(("themes", "puzzle_id", "game_url", "opening_tags"), "as in the database; empty where it has none"),
    "rank": "place among all puzzles in the order of their ratings, ties in the order of the file, from 0",
    "index": "place within the split of the band, from 0",
}
_DATABASE: Final = "https://database.lichess.org"
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
        columns="\n".join(f"- `{name}`: {meaning}" for name, meaning in _COLUMNS.items()),
        splits=_SPLITS,
        package_version=header["package_version"],
        database=_DATABASE,
        rejected=source["rows_in"] - source["rows_out"],
        **{key: source[key] for key in ("name", "sha256", "rows_in", "rows_out")},
    )
    front = {
        "license": "cc0-1.0",
        "pretty_name": "Lichess puzzles, graded",
        "tags": ["easy-to-hard", "extrapolation", "chess", "lichess"],
    }
    return f"{front_matter(files, _columns, front)}\n{body}"


def puzzle_croissant(header: dict[str, Any], bands: str, files: list[dict[str, Any]]) -> str:
    """The text of croissant.json; the arguments are those of `puzzle_card`."""
    source = header["source"]
    described = {
        "name": "lichess-puzzles-graded",
        "description": f"Lichess puzzles in bands of {bands}s, to train on easy ones and be tested on harder ones.",
        "version": header["package_version"],
        "license": "https://creativecommons.org/publicdomain/zero/1.0/",
        "creator": {"@type": "sc:Organization", "name": "Lichess", "url": _DATABASE},
        "isBasedOn": _DATABASE,
        "citeAs": f"Lichess puzzle database, {_DATABASE}",
        "keywords": ["easy-to-hard", "chess", "lichess"],
        "rai:dataCollection": f"The Lichess puzzle database, made from games of its players: {source['name']}, SHA-256 "
        f"{source['sha256']}.",
        "rai:dataCollectionType": ["Others"],
        "rai:dataCollectionMissingData": f"{source['rows_in'] - source['rows_out']:,} of {source['rows_in']:,} rows "
        "are no puzzles and stand in rejects.csv with the reasons.",
        "rai:dataPreprocessingProtocol": [" ".join(_SPLITS.split())],
        "rai:dataUseCases": ["Training on puzzles of low ratings and testing on those of higher ones."],
        "rai:dataBiases": ["Puzzles are from games on one website, and are rated by the players who try them there."],
        "rai:dataLimitations": ["Other moves than the database's may win too; the target is its first move alone."],
        "rai:personalSensitiveInformation": ["`game_url` leads to a public game, where its players' names are shown."],
    }
    return croissant(files, _columns, lambda entry: _COLUMNS, described)


def _columns(entry: dict[str, Any]) -> list[Column]:
    return [Column(name=field.name, dtype=str(field.type)) for field in FILE_SCHEMA]
