"""The two files of a net, config.json and model.safetensors: found in a folder or on the Hub, and read safely.

The contents of config.json are compared with the header of model.safetensors before memory is allocated.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar, get_args, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from easy_to_hard.hub.content import check_cached
from easy_to_hard.hub.retrying import DOWNLOAD_PATIENCE, HubError, retrying
from easy_to_hard.storage.json_files import read_json

CONFIG: Final = "config.json"
# Of a run folder, which has it from the beginning, and the other two at the end.
RECIPE: Final = "recipe.json"
WEIGHTS: Final = "model.safetensors"
Fetch = Callable[..., str]
Net = TypeVar("Net", bound=nn.Module)
# Errors that config.json and weights can cause if they are damaged or belong to something else.
_UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OverflowError, SafetensorError)
_DTYPES: Final = ("F16", "BF16", "F32", "F64")
# Limits on the layers of a net, and on missing weights if not all have to be there.
_MOST_LAYERS: Final = 2**10
_MOST_MISSING: Final = 2**24


def check_types(owner: Any, values: Mapping[str, Any]) -> None:
    """Raise a TypeError that names the first value whose type differs from what a function or dataclass declares.

    Args:
        owner: a function or class whose parameters are of type str, int, float, bool, None, or sequences of int.
        values: by the names of its parameters; others are ignored.
    """
    for name, kind in get_type_hints(owner).items():
        if name in values and not _fits(values[name], kind):
            wanted = kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]
            raise TypeError(f"{name} is {str(values[name])[:60]!r}: expected {wanted}")


def _fits(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (str, bool, NoneType):
        return isinstance(value, kind)
    if kind == Sequence[int]:
        return isinstance(value, list) and all(_fits(each, int) for each in value)
    return any(_fits(value, each) for each in get_args(kind))


class Header:
    """Shapes of the weights in a safetensors file, by name.

    Raises:
        SafetensorError: the file is damaged or not a safetensors file.
        ValueError: weights that are not floating-point numbers.
    """

    def __init__(self, path: Path) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118  # it is not a mapping
                part = file.get_slice(name)
                self.shapes[name] = tuple(part.get_shape())
                if part.get_dtype() not in _DTYPES:
                    raise ValueError(f"{name} is of type {part.get_dtype()}: {', '.join(_DTYPES)} are allowed")

    def check(self, planned: Mapping[str, torch.Tensor], *, strict: bool) -> None:
        """Raise a ValueError that names what differs from the plan.

        Args:
            planned: weights by name; only their shapes count.
            strict: whether all must be there, and no others.
        """
        missing, others = planned.keys() - self.shapes.keys(), self.shapes.keys() - planned.keys()
        if strict and (missing or others):
            told = [
                f"{word} {', '.join(sorted(names)[:5])}"
                for word, names in (("lack", missing), ("hold", others))
                if names
            ]
            raise ValueError(f"the weights {' and '.join(told)}, contrary to config.json")
        for name, values in planned.items():
            wanted = tuple(values.shape)
            if self.shapes.get(name, wanted) != wanted:
                raise ValueError(f"{name} has shape {self.shapes[name]}, but config.json requires {wanted}")
        absent = sum(planned[name].numel() for name in missing)
        if absent > _MOST_MISSING:
            raise ValueError(f"{absent:,} weights of the net that config.json describes are missing")


def make_net(kind: type[Net], arguments: Mapping[str, Any], weights: Path, *, strict: bool) -> Net:
    """A net from its class, its arguments, and a file of weights, in evaluation mode.

    Args:
        kind: the class.
        arguments: of the class, as in config.json.
        weights: a safetensors file.
        strict: whether all weights must be there, and no others.

    Raises:
        TypeError: an argument of another type, or one that the class does not have.
        ValueError: an argument that is not allowed, weights of another net, or weights that are not finite.
        SafetensorError: the file is damaged.
    """
    check_types(kind.__init__, arguments)
    header = Header(weights)
    layers = max(_MOST_LAYERS, len(header.shapes))
    for name, count in (("depth", arguments.get("depth", 1)), ("head_widths", len(arguments.get("head_widths", ())))):
        if count > layers:
            raise ValueError(f"{name} asks for {count:,} layers, but the weights are of {len(header.shapes):,}")
    # On the meta device this takes no memory, whatever the sizes.
    with torch.device("meta"):
        planned = kind(**arguments).state_dict()
    header.check(planned, strict=strict)
    model = kind(**arguments)
    model.load_state_dict(load_file(weights), strict=strict)
    for name, values in model.state_dict().items():
        if not bool(values.isfinite().all()):
            count = int((~values.isfinite()).sum())
            raise ValueError(f"{count:,} of {values.numel():,} weights of {name} are NaN or infinite")
    return model.eval()


def read_net(
    kind: type[Net],
    architectures: Mapping[str, type[nn.Module]],
    name: str | Path,
    revision: str | None,
    fetch: Fetch,
    *,
    strict: bool,
) -> Net:
    """Load a net of a class; see `ThinkingNet.from_pretrained`.

    Args:
        kind: the requested class; config.json may name a subclass.
        architectures: the classes that config.json may name.
        name: a folder, or "owner/name".
        revision: tag, branch, or commit of the repo.
        fetch: (repo id, file, revision=...) -> path of the file.
        strict: whether all weights must be there, and no others.

    Raises:
        FileNotFoundError: there is no such net, or it cannot be downloaded.
        ValueError: its files are damaged, or it is of another class.
    """
    folder = Path(name).expanduser()
    paths = files_in(folder) if folder.is_dir() else files_from_hub(str(name), str(name), revision, fetch)
    with one_line(str(name)):
        config = read_json(paths[0])
        # A net that was saved by its own class does not record its architecture.
        named = architectures[config["architecture"]] if "architecture" in config else kind
        if not issubclass(named, kind):
            raise ValueError(f"it is a {named.__name__}, not a {kind.__name__}")
        return make_net(named, net_arguments(config), paths[1], strict=strict)


def net_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the net's class in its config.json."""
    return {key: value for key, value in config.items() if key not in ("architecture", "facts")}


@contextmanager
def one_line(source: str) -> Iterator[None]:
    """A context that turns any error in the files of a net into a ValueError of one line."""
    try:
        yield
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{source} is not a net of deep_thinking: {type(error).__name__} {reason}") from error


def files_in(folder: Path) -> tuple[Path, Path]:
    """A folder's config.json and model.safetensors.

    Raises:
        FileNotFoundError: one of them is missing.
    """
    paths = folder / CONFIG, folder / WEIGHTS
    for path in paths:
        if not path.is_file():
            unfinished = path.name == CONFIG and (folder / RECIPE).is_file()
            hint = "; its training is not finished: `easy-to-hard train` goes on with it" if unfinished else ""
            raise FileNotFoundError(f"{folder} holds no net: it has no {path.name}{hint}")
    return paths


def files_from_hub(name: str, repo_id: str, revision: str | None, fetch: Fetch) -> tuple[Path, Path]:
    """The two files of a repo, from the cache or the Hub.

    Args:
        name: as the user gave it, for messages.
        repo_id: "owner/name".
        revision: tag, branch, or commit; None for the newest.
        fetch: as for `read_net`.

    Raises:
        FileNotFoundError: they cannot be downloaded.
    """

    def get(file: str, revision: str | None) -> Path:
        for last in (False, True):
            path = retrying(
                lambda: Path(fetch(repo_id, file, revision=revision)),
                what=f"get {file} of {name}",
                patience=DOWNLOAD_PATIENCE,
            )
            try:
                return check_cached(path, f"{file} of {name}")
            except HubError:
                if last:
                    raise
        raise AssertionError("the second attempt returns or raises")

    try:
        config = get(CONFIG, revision)
        # The weights at the same commit as the configuration, whatever is pushed meanwhile.
        return config, get(WEIGHTS, config.parent.name)
    except (HubError, OSError) as error:
        raise FileNotFoundError(f"{name!r} is not a folder and could not be read from the Hub: {error}") from error
