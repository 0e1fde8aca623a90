"""Everything beside the parquet files of a built folder, except its manifest.

This includes a draft of eval.yaml, with which the Hub's owners can make a dataset repo a benchmark with a leaderboard
on its page. The Hub checks a file of that name when it is pushed, so the draft has another name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from easy_to_hard.cards.dataset import dataset_card
from easy_to_hard.cards.images import card_images
from easy_to_hard.cards.statistics import folder_statistics
from easy_to_hard.cards.tables import split_counts
from easy_to_hard.storage.manifest import README

EVAL: Final = "eval.draft.yaml"
_NOTE: Final = """\
# A draft: this dataset is no registered benchmark of the Hub.
# Before it can be one, `evaluation_framework` must be on the Hub's list of frameworks, and the repo on its list of
# benchmarks; both are for the Hub's owners to do (https://huggingface.co/docs/hub/eval-results).
# Then this file, with the name of that framework, becomes eval.yaml.
"""
_DESCRIPTION: Final = (
    "Draft, not registered. Train on an easy config, be tested on harder ones. The score of a task is exact match: the "
    "share of its test rows for which every position of the target is predicted right. easy-to-hard {version}, preset "
    "{preset}, seed {seed}, split rule {rule}."
)


def benchmark_draft(header: dict[str, Any], files: Sequence[dict[str, Any]]) -> str:
    """The text of the draft: a task for every config with a test split, named after the config.

    Args:
        header: package_version, preset, seed and split_rule of the build.
        files: the manifest's entries.
    """
    tested = [config for config, splits in split_counts(files).items() if "test" in splits]
    draft = {
        "name": "Easy-to-hard",
        "description": _DESCRIPTION.format(
            version=header["package_version"], preset=header["preset"], seed=header["seed"], rule=header["split_rule"]
        ),
        "evaluation_framework": "easy-to-hard",
        "tasks": [{"id": config, "config": config, "split": "test"} for config in tested],
    }
    return _NOTE + yaml.safe_dump(draft, sort_keys=False, width=120)


def card_files(root: Path, header: dict[str, Any], files: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """README.md, the draft of eval.yaml, and the pictures, by their paths in the folder; nothing is written.

    Args:
        root: the folder, with all its parquet files.
        header: package_version, preset, seed and split_rule of the build.
        files: entries of the manifest.
    """
    images = card_images(dict.fromkeys(entry["task"] for entry in files))
    return {
        **images,
        EVAL: benchmark_draft(header, files).encode(),
        README: dataset_card(header, files, folder_statistics(root, files)).encode(),
    }
