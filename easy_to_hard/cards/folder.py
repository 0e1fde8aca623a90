"""Everything beside the parquet files of a built folder, except its manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from easy_to_hard.cards.benchmark import EVAL, benchmark_draft
from easy_to_hard.cards.dataset import dataset_card
from easy_to_hard.cards.images import card_images
from easy_to_hard.cards.statistics import folder_statistics
from easy_to_hard.storage.manifest import README


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
