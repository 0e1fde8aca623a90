"""A run: the experiments on every seed's net, kept as they are made, and what they come to."""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from easy_to_hard.baselines.parameter_saliency.claims import decide_claims
from easy_to_hard.baselines.parameter_saliency.examined import Examined
from easy_to_hard.baselines.parameter_saliency.experiments import Mapped, NothingToExamineError, examine
from easy_to_hard.baselines.parameter_saliency.input_saliency import POINTED
from easy_to_hard.baselines.parameter_saliency.pictures import (
    INPUTS_PICTURE,
    plot_inputs,
    save_figures,
)
from easy_to_hard.baselines.parameter_saliency.recipes import TASKS, Recipe
from easy_to_hard.baselines.parameter_saliency.records import Record, summarise, without_gaps
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import ReferenceResult
from easy_to_hard.storage.files import write_atomically

METHOD: Final = "parameter_saliency"
QUESTION: Final = "Are the filters whose weights pull most at the loss of a wrong answer the ones that are to blame?"

_SETTINGS: Final = "settings.json"
_RECORDS: Final = "records.json"


class Nets(Protocol):
    """Where a run's nets and items come from."""

    def count_filters(self) -> int:
        """Filters of a net, before anything is trained."""

    def examine(self, seed: int, folder: Path, *, progress: bool) -> Examined:
        """The seed's net, with its checkpoint in the folder, and its items."""


def run_saliency(
    nets: Nets, recipe: Recipe, out: Path, *, preset: str, data: str, model: str, device: str, progress: bool
) -> ReferenceResult:
    """Look into the net of every seed.

    In the folder are each seed's net and records, from which a run that was stopped goes on, and the pictures where
    matplotlib is installed.

    Args:
        nets: of the recipe.
        recipe: sizes, and the seeds.
        out: the folder, made when missing.
        preset, data, model, device: as they were asked for.
        progress: whether to show progress bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError: a k above the number of filters, or a folder of another run.
        RuntimeError: a training diverged, or no net gets some items wrong and some right. A net that does not is left
            out where others do, and named in the settings.
        OSError: the folder cannot be written.
    """
    started = time.perf_counter()
    filters = nets.count_filters()
    if max(recipe.counts) > filters:
        raise ValueError(f"k must be at most {filters}, the filters of the net, not {max(recipe.counts)}")
    settings = {"data": data, "model": model, "preset": preset, "device": device, **recipe.settings()}
    _open(out, settings)
    of_nets, earlier, note = {}, 0.0, ""
    left_out: dict[int, str] = {}
    with exact_convolutions():
        for seed in recipe.seeds:
            try:
                found = _examine_seed(nets, recipe, out, data=data, seed=seed, progress=progress)
            except NothingToExamineError as error:
                left_out[seed] = str(error)
                continue
            of_nets[seed] = [Record(**record) for record in found["records"]]
            earlier += found["earlier"]
            note = found["note"]
    if not of_nets:
        raise NothingToExamineError(next(iter(left_out.values())))
    measurements = summarise(list(of_nets.values()), resampled=(POINTED, f"{POINTED}, difference"))
    with contextlib.suppress(ImportError):
        save_figures(measurements, out, k=recipe.k)
    return ReferenceResult(
        method=METHOD,
        preset=preset,
        data=data,
        question=QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=tuple(of_nets),
        device=device,
        seconds=round(earlier + time.perf_counter() - started, 1),
        settings={
            **settings,
            "filters": filters,
            "data_note": note,
            "left_out": list(left_out.values()),
        },
        measurements=measurements,
        claims=decide_claims(measurements, k=recipe.k, puzzles=data in TASKS),
    )


@contextlib.contextmanager
def exact_convolutions() -> Iterator[None]:
    """Convolutions in float32 as such: a GPU would round to 10 bits (TF32), which second derivatives do not bear."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def _open(out: Path, settings: Mapping[str, Any]) -> None:
    """Take the folder for these settings.

    Raises:
        ValueError: it is of a run with others.
    """
    path, wanted = out / _SETTINGS, json.loads(json.dumps(settings))
    if not path.is_file():
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(wanted, indent=2) + "\n")
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: remove {out} to start anew") from error
    different = [name for name, value in wanted.items() if not isinstance(stored, dict) or stored.get(name) != value]
    if different:
        raise ValueError(f"{out} holds a run that differs in {', '.join(different)}: choose another --out")


def _examine_seed(nets: Nets, recipe: Recipe, out: Path, *, data: str, seed: int, progress: bool) -> dict[str, Any]:
    """Records, a note on the data, and the seconds that they took in an earlier run, 0 where they are made now."""
    folder, started = out / f"seed{seed}", time.perf_counter()
    path = folder / _RECORDS
    if path.is_file():
        try:
            stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return {**stored, "earlier": stored["seconds"]}
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path} is damaged: remove it to measure again") from error
    examined = nets.examine(seed, folder, progress=progress)
    records, mapped = examine(examined, data, recipe, seed)
    if mapped is not None and seed == recipe.seeds[0]:
        _draw_inputs(mapped, out, data)
    found = {
        "records": [without_gaps(record).to_dict() for record in records],
        "note": examined.note,
        "seconds": round(time.perf_counter() - started, 1),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(found, allow_nan=False))
    return {**found, "earlier": 0.0}


def _draw_inputs(mapped: Mapped, out: Path, data: str) -> None:
    # Pictures are an extra, and so is what draws them.
    with contextlib.suppress(ImportError):
        save_figure(plot_inputs(mapped, data), out / INPUTS_PICTURE)
