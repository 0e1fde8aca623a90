"""Everything beside the parquet files of a built folder, except its manifest.

This includes a draft of eval.yaml, with which the Hub's owners can make a dataset repo a benchmark with a leaderboard
on its page. The Hub checks a file of that name when it is pushed, and refuses one that names a framework that is not on
its list, so the draft has another name.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from easy_to_hard.cards.croissant import CROISSANT, croissant
from easy_to_hard.cards.dataset import bibtex, dataset_card, text_of
from easy_to_hard.cards.images import card_images
from easy_to_hard.cards.statistics import folder_statistics
from easy_to_hard.cards.tables import split_counts
from easy_to_hard.storage.columns import columns_of
from easy_to_hard.storage.manifest import README
from easy_to_hard.tasks import get_task

EVAL: Final = "eval.draft.yaml"
_NOTE: Final = """\
# A draft: this dataset is no registered benchmark of the Hub.
# Before it can be one, `evaluation_framework` must be on the Hub's list of frameworks (EVALUATION_FRAMEWORKS in
# packages/tasks/src/eval.ts of huggingface.js, by a pull request) and the repo on its list of benchmarks, which is for
# the Hub's owners to do (https://huggingface.co/docs/hub/eval-results). Then this file, renamed, becomes eval.yaml.
"""
_DESCRIPTION: Final = (
    "Draft, not registered. Train on an easy config, be tested on harder ones. The score of a task is exact match: the "
    "share of its test rows for which every position of the target is predicted right. easy-to-hard {version}, preset "
    "{preset}, seed {seed}, split rule {rule}."
)
_QUESTION: Final = (
    "Instances of algorithmic tasks at graded difficulties, to train on easy ones and be tested on harder ones. A "
    "prediction counts if every position of the target is right."
)
# For the fields on responsible use, see https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.
_COLLECTION: Final = (
    "Nothing was collected: every instance is generated as a function of task, variant, difficulty, split, seed and "
    "item number."
)
_NOT_SHOWN: Final = (
    "A net that solves harder instances extrapolates along one axis of difficulty, on instances from the same "
    "generator; that says nothing of another distribution, another task, or language."
)
_BIASES: Final = (
    "Instances have the distribution of their generator (see rai:dataPreprocessingProtocol), not one of mazes, strings "
    "or chess positions that people make."
)
_USES: Final = (
    "Training on easy instances and testing on harder ones of the same task. Settings are chosen on validation, not on "
    "test."
)
_IMPACT: Final = "None is known: the instances are puzzles, and are about nobody."
_MAINTENANCE: Final = (
    "A published version never changes: another one gets another tag. manifest.json holds the SHA-256 of every file, "
    "and any row can be generated again."
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


def dataset_croissant(header: dict[str, Any], files: Sequence[dict[str, Any]]) -> str:
    """The text of croissant.json.

    Args:
        header: package_version, preset, seed and split_rule of the build.
        files: the manifest's entries.
    """
    tasks = [get_task(name) for name in dict.fromkeys(entry["task"] for entry in files)]
    texts = [text_of(task) for task in tasks]
    described = {
        "name": "easy-to-hard",
        "description": f"{_QUESTION} Preset {header['preset']}, seed {header['seed']}, split rule "
        f"{header['split_rule']}.",
        "version": header["package_version"],
        "license": "https://spdx.org/licenses/MIT.html",
        "creator": {"@type": "sc:Organization", "name": "The easy-to-hard authors"},
        "citeAs": bibtex(),
        "keywords": ["easy-to-hard", "extrapolation", *(tag for text in texts for tag in text.tags)],
        "rai:dataCollection": _COLLECTION,
        "rai:dataCollectionType": ["Synthetic"],
        "rai:dataAnnotationProtocol": ["Targets are computed by a solver, not by people."],
        "rai:machineAnnotationTools": [f"easy-to-hard {header['package_version']}"],
        "rai:dataPreprocessingProtocol": [
            f"{task.name}: {text.generator}" for task, text in zip(tasks, texts, strict=True)
        ],
        "rai:dataLimitations": [*(limit for text in texts for limit in text.limits), _NOT_SHOWN],
        "rai:dataBiases": [_BIASES],
        "rai:dataUseCases": [_USES],
        "rai:dataSocialImpact": _IMPACT,
        "rai:personalSensitiveInformation": ["None: no data of people or of third parties is in it."],
        "rai:dataReleaseMaintenancePlan": _MAINTENANCE,
    }
    return croissant(
        files,
        lambda entry: columns_of(get_task(entry["task"]), entry["difficulty"]),
        lambda entry: {**text_of(get_task(entry["task"])).columns, "index": "number of the instance in its stream"},
        described,
    )


def card_files(root: Path, header: dict[str, Any], files: Sequence[dict[str, Any]]) -> dict[str, bytes]:
    """README.md, croissant.json, the draft of eval.yaml, and the pictures, by their paths in the folder.

    Nothing is written.

    Args:
        root: the folder, with all its parquet files.
        header: package_version, preset, seed and split_rule of the build.
        files: entries of the manifest.
    """
    images = card_images(dict.fromkeys(entry["task"] for entry in files))
    return {
        **images,
        CROISSANT: dataset_croissant(header, files).encode(),
        EVAL: benchmark_draft(header, files).encode(),
        README: dataset_card(header, files, folder_statistics(root, files)).encode(),
    }
