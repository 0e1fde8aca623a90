"""The README.md of a built folder: the YAML that `load_dataset` needs, and what a reader should know."""

import hashlib
from typing import Any

import yaml

from easy_to_hard.tasks import Task, get_task

_CARD = """\
# Easy-to-hard: train on easy instances, be tested on harder ones

Each config is one task at one difficulty; pick an easy one to train on and harder ones to test on.

```python
from datasets import load_dataset
data = load_dataset("PATH OR HUB ID", "{example}", split="{example_split}")
```

{tasks}

## Configs

| config | {splits} |
|---|{rules}|
{rows}

## How it was made

By `easy-to-hard` {package_version}, preset `{preset}`, seed {seed}, split rule `{split_rule}`. Column `index` is the
item number: the package makes row `index` again from (task, variant, difficulty, split, seed, index) alone.

{leakage} No instance occurs twice in a split.

`manifest.json` holds the SHA-256 of every file and of its decoded tensors; `easy-to-hard verify FOLDER` checks them,
makes a sample of the rows again and solves it from what a network would see.
"""

_LEAKAGE = {
    "hash": "The hash of an instance (of a maze: of its walls, up to the symmetries of the square; of a chess puzzle:\n"
    "of its pieces, up to exchange of colours and of left and right) decides which split it belongs to, so no string,\n"
    "no maze layout and no placement of pieces is in two splits.",
    "original": "Every split was drawn from all instances, as in the original datasets, so splits may share some.",
}


def dataset_card(header: dict[str, Any], files: list[dict[str, Any]]) -> str:
    """The text of README.md.

    Args:
        header: package_version, preset, seed and split_rule of the build.
        files: entries of the manifest.
    """
    counts: dict[str, dict[str, int]] = {}
    for entry in files:
        splits = counts.setdefault(entry["config"], {})
        splits[entry["split"]] = splits.get(entry["split"], 0) + entry["rows"]
    names = [split for split in ("train", "validation", "test") if any(split in splits for splits in counts.values())]
    tasks = dict.fromkeys(entry["task"] for entry in files)
    example = next(iter(counts))
    body = _CARD.format(
        **{key: header[key] for key in ("package_version", "preset", "seed", "split_rule")},
        example=example,
        example_split=next(iter(counts[example])),
        tasks="\n\n".join(_paragraph(get_task(task)) for task in tasks),
        splits=" | ".join(names),
        rules="|".join("---:" for _ in names),
        rows="\n".join(
            f"| `{config}` | " + " | ".join(f"{splits[name]:,}" if name in splits else "" for name in names) + " |"
            for config, splits in counts.items()
        ),
        leakage=_LEAKAGE[header["split_rule"]],
    )
    return f"---\n{yaml.safe_dump(front_matter(counts, files), sort_keys=False)}---\n\n{body}"


def _paragraph(task: Task) -> str:
    return f"**{task.title}** (`{task.name}`). {task.description} From {task.reference}."


def _fingerprint(files: list[dict[str, Any]], config: str) -> str:
    """A hash of a config's files. `load_dataset` tells folders apart by this YAML alone, so without it a folder
    that was built anew would be read from the cache of the old one."""
    hashes = "".join(entry["sha256"] for entry in files if entry["config"] == config)
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def front_matter(counts: dict[str, dict[str, int]], files: list[dict[str, Any]]) -> dict[str, Any]:
    """The YAML at the head of README.md: what `load_dataset` and the Hub read.

    Args:
        counts: config to split to rows.
        files: entries of the manifest.
    """
    total = sum(sum(splits.values()) for splits in counts.values())
    bounds = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")]
    return {
        "license": "mit",
        "pretty_name": "Easy-to-hard",
        "tags": ["easy-to-hard", "extrapolation", "reasoning", "algorithmic"],
        "task_categories": ["other"],
        "size_categories": [next((name for bound, name in bounds if total < bound), "1M<n<10M")],
        "configs": [
            {
                "config_name": config,
                "description": f"data {_fingerprint(files, config)}",
                **({"default": True} if i == 0 else {}),
                "data_files": [{"split": split, "path": f"{config}/{split}-*.parquet"} for split in splits],
            }
            for i, (config, splits) in enumerate(counts.items())
        ],
    }
