"""Results in the Hub's format for model repos, ``.eval_results/*.yaml``: a list of a dataset's tasks with values."""

from collections.abc import Mapping
from typing import Any

import yaml

from easy_to_hard.leaderboard.page.sections import row_id
from easy_to_hard.leaderboard.ranking import Standing


def eval_results(standing: Standing, dataset_id: str) -> str:
    """The file for the model repo of a net; each config is a task of the dataset, as in its `eval.yaml`.

    Args:
        standing: the net's standing; only its results on the frozen benchmark are used, as fresh instances are in no
            dataset.
        dataset_id: of the benchmark's dataset on the Hub, "owner/name".

    Returns:
        YAML, or "" if there is no result on the frozen benchmark's test split. A value is the exact-match accuracy, in
        [0, 1]. For a config in several results, the ranked one's value is used.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    scores: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for result in (standing.result, *standing.also):
        if result["data_seed"] == 0 and result["split"] == "test":
            for score in result["scores"]:
                scores.setdefault(score["config"], (score, result))
    if not scores:
        return ""
    entries = [
        EvalResultEntry(dataset_id=dataset_id, task_id=config, value=score["accuracy"], notes=_notes(score, result))
        for config, (score, result) in sorted(scores.items(), key=lambda item: item[1][0]["difficulty"])
    ]
    return f"# {row_id(standing)}\n{yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, width=120)}"


def _notes(score: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    low, high = score["interval_95"]
    return (
        f"exact match of {score['num_items']} items, 95 % interval {low:.4f} to {high:.4f}; "
        f"{result.get('provenance', 'self-reported')}; easy-to-hard {result['package_version']}"
    )
