"""Nets on disk and on the Hub: config.json and model.safetensors in a folder, with what they were trained on."""

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from easy_to_hard.baselines.deep_thinking.model import ThinkingNet
from easy_to_hard.baselines.deep_thinking.recipes import ARCHITECTURES

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
_SHIPPED: Final = Path(__file__).parent / "checkpoints"
_HUB_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a trained net.

    Attributes:
        recipe: its name in `RECIPES`.
        task, variant, difficulty: of the training data.
        max_iterations: T, the most iterations in training.
        seed: of weights, data and iteration counts.
        steps, batch_size: of training.
        training_seconds: wall time.
        device: what it was trained on.
        package_version: of easy-to-hard.
        commit: of its source; None where it is not known.
        changes: the recipe's settings that were changed, such as "width 8, not 64"; "" for none.
    """

    recipe: str
    task: str
    variant: str
    difficulty: int
    max_iterations: int
    seed: int
    steps: int
    batch_size: int
    training_seconds: float
    device: str
    package_version: str
    commit: str | None
    changes: str = ""

    @property
    def preset(self) -> str:
        """The recipe's name, with what was changed of it."""
        return f"{self.recipe} ({self.changes})" if self.changes else self.recipe


def shipped_models() -> list[str]:
    """Names of the nets that come with the package."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f"*/{CONFIG}"))


def save_model(model: ThinkingNet, folder: Path, facts: ModelFacts) -> None:
    """Write a net to a folder; config.json comes last, so a folder with one is whole.

    The folder can be pushed to the Hub as it is.

    Raises:
        ValueError: a model of another class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    architecture = next((name for name, kind in ARCHITECTURES.items() if type(model) is kind), None)
    if architecture is None:
        raise ValueError(f"model must be one of {', '.join(ARCHITECTURES)}, not a {type(model).__name__}")
    with tempfile.TemporaryDirectory(prefix=".model-", dir=folder) as temporary:
        model.save_pretrained(temporary)
        written = Path(temporary)
        config = {"architecture": architecture, **json.loads((written / CONFIG).read_text()), "facts": asdict(facts)}
        (written / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        # An older net's config must not stand beside new weights.
        (folder / CONFIG).unlink(missing_ok=True)
        mask = os.umask(0)
        os.umask(mask)
        for name in ("README.md", WEIGHTS, CONFIG):
            # safetensors keeps its files from everybody else.
            (written / name).chmod(0o666 & ~mask)
            (written / name).replace(folder / name)


def halve(folder: Path) -> None:
    """Store the weights of a folder as float16; `load_model` makes float32 of them again.

    For the nets that come with the package: measure them after this, not before.
    """
    weights = {name: values.half() for name, values in load_file(folder / WEIGHTS).items()}
    temporary = folder / f".{WEIGHTS}.tmp"
    save_file(weights, temporary, metadata={"format": "pt"})
    temporary.replace(folder / WEIGHTS)


def load_model(name: str, device: str = "cpu") -> tuple[ThinkingNet, ModelFacts]:
    """Read a net: a folder, the name of one that comes with the package, or the id of a Hub repo (owner/name).

    Returns:
        The net in evaluation mode, and what is known of it.

    Raises:
        FileNotFoundError: there is no such net; the message says what was looked for.
        ValueError: its files are damaged or are not such a net's.
    """
    source, paths = _locate(name)
    try:
        config: dict[str, Any] = json.loads(paths[0].read_text(encoding="utf-8"))
        known = {field.name for field in fields(ModelFacts)}
        facts = ModelFacts(**{name: value for name, value in config["facts"].items() if name in known})
        kind = ARCHITECTURES[config["architecture"]]
        skip = {"architecture", "facts"}
        model = kind(**{key: value for key, value in config.items() if key not in skip})
        model.load_state_dict(load_file(paths[1]))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{source} is not a net of deep_thinking: {type(error).__name__} {reason}") from error
    return model.eval().to(device), facts


def _locate(name: str) -> tuple[str, tuple[Path, Path]]:
    """What the name stands for, and its two files."""
    for folder in (Path(name).expanduser(), _SHIPPED / name):
        if folder.is_dir() and name:
            paths = folder / CONFIG, folder / WEIGHTS
            for path in paths:
                if not path.is_file():
                    raise FileNotFoundError(f"{folder} holds no net: it has no {path.name}")
            return str(folder), paths
    parent = Path(name).expanduser().parent
    if not _HUB_ID.fullmatch(name) or parent.is_dir():
        known = ", ".join(shipped_models()) or "none yet"
        raise FileNotFoundError(f"no net {name!r}: give a folder, the id of a Hub repo (owner/name) or one of {known}")
    try:
        return name, (Path(hf_hub_download(name, CONFIG)), Path(hf_hub_download(name, WEIGHTS)))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FileNotFoundError(f"{name!r} is neither a folder nor could it be had from the Hub: {first}") from error
