"""Nets on disk and on the Hub: config.json and model.safetensors in a folder, with facts about their training."""

import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file, save_file

from easy_to_hard.baselines.deep_thinking.model import ARCHITECTURES
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts, model_card
from easy_to_hard.baselines.deep_thinking.model_files import (
    CONFIG,
    WEIGHTS,
    check_types,
    files_from_hub,
    files_in,
    make_net,
    net_arguments,
    one_line,
)
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.hub.retrying import split_revision
from easy_to_hard.storage.json_files import read_json
from easy_to_hard.storage.manifest import README
from easy_to_hard.storage.writing import (
    clear_leftovers,
    put,
    remove,
    replacing,
    telling,
    temporary_of,
    write_atomically,
    write_json,
)

# Where the files of a net are written before any of them is moved to its place.
_PARTS: Final = "model"
_SHIPPED: Final = Path(__file__).parent / "checkpoints"


def shipped_models() -> list[str]:
    """Names of the nets that come with the package."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CONFIG}"))


def save_model(model: ThinkingNet, folder: Path, facts: ModelFacts) -> None:
    """Write a net and its card to a folder; config.json comes last, so a folder that has one is complete.

    Raises:
        ValueError: a model of another class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    architecture = next((name for name, kind in ARCHITECTURES.items() if type(model) is kind), None)
    if architecture is None:
        raise ValueError(f"model must be one of {', '.join(ARCHITECTURES)}, not a {type(model).__name__}")
    clear_leftovers(folder, of=_PARTS)
    written = temporary_of(folder / _PARTS)
    try:
        with telling(folder / WEIGHTS, needed=sum(values.nbytes for values in model.state_dict().values())):
            written.mkdir()
            model.save_pretrained(written)
        write_atomically(written / README, model_card(model, facts))
        config = {"architecture": architecture, **read_json(written / CONFIG), "facts": asdict(facts)}
        write_json(written / CONFIG, config)
        # An older net's config must not stand beside new weights.
        (folder / CONFIG).unlink(missing_ok=True)
        mask = os.umask(0)
        os.umask(mask)
        for name in (README, WEIGHTS, CONFIG):
            # safetensors writes files that only their owner can read.
            (written / name).chmod(0o666 & ~mask)
            put(written / name, folder / name)
    finally:
        remove(written)


def halve(folder: Path) -> None:
    """Store the weights in a folder as float16; `load_model` converts them back to float32.

    For the nets that come with the package: evaluate them after this, not before.
    """
    # Copies, as Windows replaces no file that is mapped into memory.
    weights = {name: values.to(torch.float16, copy=True) for name, values in load_file(folder / WEIGHTS).items()}
    with replacing(folder / WEIGHTS, needed=sum(values.nbytes for values in weights.values())) as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})


def shipped_facts(name: str) -> ModelFacts:
    """The facts about a net that comes with the package, without loading it."""
    return _facts_in(read_json(_SHIPPED / name / CONFIG))


def _facts_in(config: Mapping[str, Any]) -> ModelFacts:
    known = {field.name for field in fields(ModelFacts)}
    if not isinstance(config["facts"], dict):
        raise TypeError(f"facts is {str(config['facts'])[:60]!r}: expected an object")
    told = {name: value for name, value in config["facts"].items() if name in known}
    check_types(ModelFacts, told)
    return ModelFacts(**told)


def load_model(name: str, device: str = "cpu") -> tuple[ThinkingNet, ModelFacts]:
    """Load a net from a folder, by the name of a shipped one, or from a Hub repo (owner/name, owner/name@v1).

    Returns:
        The net in evaluation mode, and the facts about it.

    Raises:
        FileNotFoundError: there is no such net; the message says what was looked for.
        ValueError: its files are damaged or do not belong to such a net.
    """
    source, paths = _locate(name)
    with one_line(source):
        config = read_json(paths[0])
        facts = _facts_in(config)
        model = make_net(ARCHITECTURES[config["architecture"]], net_arguments(config), paths[1], strict=True)
    return model.to(device), facts


def local_files(name: str) -> tuple[str, tuple[Path, Path]] | None:
    """The folder that a name stands for, and its config.json and model.safetensors; None if there is none.

    Args:
        name: a folder, or a net that comes with the package.

    Raises:
        FileNotFoundError: one of the files is missing.
    """
    for folder in (Path(name).expanduser(), _SHIPPED / name):
        if folder.is_dir() and name:
            return str(folder), files_in(folder)
    return None


def _locate(name: str) -> tuple[str, tuple[Path, Path]]:
    """What the name stands for, and its two files."""
    local = local_files(name)
    if local is not None:
        return local
    try:
        repo_id, revision = split_revision(name)
    except ValueError:
        repo_id, revision = "", None
    if not repo_id or Path(name).expanduser().parent.is_dir():
        known = ", ".join(shipped_models()) or "none yet"
        raise FileNotFoundError(
            f"no net {name!r}: give a folder, the ID of a Hub repo (owner/name, owner/name@version) or one of {known}"
        )
    return name, files_from_hub(name, repo_id, revision, hf_hub_download)
