"""The YAML at the head of README.md: what `load_dataset` and the Hub read."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import yaml

from easy_to_hard.cards.tables import split_counts
from easy_to_hard.storage.columns import Column

# (upper limit on the number of rows, exclusive; the Hub's name for the size).
_SIZES: Final = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
_MORE: Final = "1B<n<10B"


def front_matter(
    files: Sequence[dict[str, Any]],
    columns_of: Callable[[dict[str, Any]], Sequence[Column]],
    described: Mapping[str, Any],
) -> str:
    """The YAML, between its two lines of dashes.

    Args:
        files: entries of the manifest.
        columns_of: maps an entry to the columns of its file.
        described: license, pretty_name, tags, and anything else about the dataset as a whole.
    """
    counts = split_counts(files)
    total = sum(sum(splits.values()) for splits in counts.values())
    entries = {config: [entry for entry in files if entry["config"] == config] for config in counts}
    front = {
        **described,
        "task_categories": ["other"],
        "size_categories": [next((name for bound, name in _SIZES if total < bound), _MORE)],
        "configs": [
            {
                "config_name": config,
                "description": f"data {_fingerprint(entries[config])}",
                **({"default": True} if number == 0 else {}),
                "data_files": [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits],
            }
            for number, (config, splits) in enumerate(counts.items())
        ],
        "dataset_info": [_dataset_info(config, entries[config], columns_of) for config in counts],
    }
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n"


def _fingerprint(entries: Sequence[dict[str, Any]]) -> str:
    """A hash of a config's files. `load_dataset` tells folders apart by this YAML alone, so without it a rebuilt
    folder would be read from the cache of the old one."""
    hashes = "".join(entry["sha256"] for entry in entries)
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def _dataset_info(
    config: str, entries: Sequence[dict[str, Any]], columns_of: Callable[[dict[str, Any]], Sequence[Column]]
) -> dict[str, Any]:
    """The columns and sizes of a config; sizes are in bytes, both of the rows in memory and of the files."""
    sizes: dict[str, int] = {}
    for entry in entries:
        sizes[entry["split"]] = sizes.get(entry["split"], 0) + entry["num_bytes"]
    rows = split_counts(entries)[config]
    return {
        "config_name": config,
        "features": [column.to_yaml() for column in columns_of(entries[0])],
        "splits": [{"name": split, "num_bytes": size, "num_examples": rows[split]} for split, size in sizes.items()],
        "download_size": sum(entry["bytes"] for entry in entries),
        "dataset_size": sum(sizes.values()),
    }
