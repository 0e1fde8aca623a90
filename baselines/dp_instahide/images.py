"""The evaluation on images: what mixing, noise, both, and DP-SGD leave of a backdoor, of accuracy and of secrecy."""

import contextlib
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.dp_instahide.audits import audit_rows
from easy_to_hard.baselines.dp_instahide.claims import image_claims
from easy_to_hard.baselines.dp_instahide.comparing import comparisons
from easy_to_hard.baselines.dp_instahide.measuring import (
    METHOD,
    audit_measurements,
    image_measurements,
    reference_cell,
    result_of,
)
from easy_to_hard.baselines.dp_instahide.mechanism import Cell
from easy_to_hard.baselines.dp_instahide.pictures import draw_images
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe
from easy_to_hard.baselines.dp_instahide.stages import Row, Stages
from easy_to_hard.baselines.dp_instahide.study import Study
from easy_to_hard.baselines.dp_instahide.training import FixedReleases, FreshReleases, train_on
from easy_to_hard.baselines.kit.image_data import load_images
from easy_to_hard.baselines.kit.poisoning.attacks import Backdoor, Poisoned, accuracies, attack_success, clean_set
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.private_training import PrivacyConfig
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import train_victims
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import ReferenceResult

QUESTION: Final = (
    "What do mixing k images and adding noise of scale b leave of a backdoor, of clean accuracy and of secrecy, what "
    "epsilon is that, and does DP-SGD of the same accuracy do better?"
)
PICTURE: Final = "grid.png"

UNDEFENDED: Final = "none"
RELEASED: Final = "fixed releases"
ONLINE: Final = "fresh mixing"
PRIVATE: Final = "DP-SGD"


def run_on_images(
    recipe: ImageRecipe,
    *,
    preset: str,
    data: str,
    data_root: Path,
    download: bool,
    device: str,
    out: Path,
    progress: bool,
) -> ReferenceResult:
    """Train nets under each defence for each seed, with and without poison, attack the releases, and measure.

    A run that was stopped goes on in its folder `out`, which also gets the picture `PICTURE` where matplotlib is
    installed. Writing the result is the caller's; `data` is "mnist" or "cifar10" under `data_root`.

    Raises:
        ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with data, settings or folder.
    """
    study = _prepare(recipe, data, data_root, download, device, progress)
    stages = Stages(out, {**_settings(study), "data": data, "device": device, "method": METHOD})
    rows = [row for seed in recipe.seeds for row in _rows_of_seed(study, seed, stages)]
    audited = stages.get("audit", partial(audit_rows, recipe.trials))
    measurements = (
        *image_measurements(rows, study),
        *comparisons(rows, recipe),
        *audit_measurements(audited),
    )
    result = result_of(
        question=QUESTION,
        preset=preset,
        data=data,
        seeds=recipe.seeds,
        device=device,
        seconds=stages.seconds,
        settings=_settings(study),
        measurements=measurements,
        claims=image_claims(measurements, reference_cell(recipe.mix_counts, recipe.noise_scales)),
    )
    # Pictures are an extra, and so is what draws them.
    with contextlib.suppress(ImportError):
        save_figure(draw_images(result), out / PICTURE)
    return result


def _settings(study: Study) -> dict[str, Any]:
    """What decides the numbers, JSON-able."""
    return {
        **study.recipe.settings(),
        "train_images": len(study.train),
        "test_images": len(study.test),
        "diameter": study.diameter,
        "releases": len(study.train),
        "data_note": "; ".join(filter(None, (study.train.note, study.test.note))),
    }


def _prepare(recipe: ImageRecipe, data: str, root: Path, download: bool, device: str, progress: bool) -> Study:
    where = get_device(device)
    train, test = (load_images(data, root, train=split, download=download) for split in (True, False))
    train = train.first(recipe.train_images) if recipe.train_images else train
    test = test.first(min(len(test), recipe.test_images)) if recipe.test_images else test
    classes = int(train.labels.max()) + 1
    study = Study(recipe=recipe, train=train, test=test, classes=classes, device=where, progress=progress)
    # What does not fit is said before anything is trained.
    backdoor = study.backdoor(0)
    if not len(backdoor.attacked(test.images, test.labels)):
        raise ValueError(f"no test image of class {recipe.source}, the source of the backdoor")
    study.cells  # noqa: B018  # it checks k and b
    return study


def _rows_of_seed(study: Study, seed: int, stages: Stages) -> list[Row]:
    backdoor = study.backdoor(seed)
    clean = clean_set(study.train.images, study.train.labels)
    pair = backdoor.train, clean
    made = []
    made += stages.get(f"undefended-seed{seed}", partial(_undefended, study, backdoor, pair, seed))
    # The nets of one call share the machine's memory: their releases are made and dropped together.
    at_once = max(1, study.recipe.victim.at_once // 2)
    for start in range(0, len(study.cells), at_once):
        some = study.cells[start : start + at_once]
        made += stages.get(
            f"released-seed{seed}-{start}", partial(_released, study, backdoor, pair, seed, some, RELEASED)
        )
    if study.recipe.online:
        some = online_cells(study)
        made += stages.get(f"online-seed{seed}", partial(_released, study, backdoor, pair, seed, some, ONLINE))
    for multiplier in study.recipe.private:
        made += stages.get(
            f"private-seed{seed}-{multiplier:g}", partial(_private, study, backdoor, pair, seed, multiplier)
        )
    return made


def online_cells(study: Study) -> tuple[Cell, ...]:
    """Where fresh mixing is tried: the reference setting, and the same without noise."""
    cell = reference_cell(study.recipe.mix_counts, study.recipe.noise_scales)
    return Cell(mix_count=cell.mix_count, noise_scale=0.0), cell


def _undefended(study: Study, backdoor: Backdoor, pair: Sequence[Poisoned], seed: int) -> list[Row]:
    title = f"undefended, seed {seed}"
    nets = train_victims(pair, [seed] * 2, study.victim, device=study.device, progress=study.progress, title=title)
    return _judge(study, backdoor, nets, [{"defence": UNDEFENDED}], seed)


def _released(
    study: Study, backdoor: Backdoor, pair: Sequence[Poisoned], seed: int, cells: Sequence[Cell], kind: str
) -> list[Row]:
    make = FixedReleases if kind == RELEASED else FreshReleases
    source = make(
        [one for _ in cells for one in pair],
        [cell for cell in cells for _ in pair],
        [seed] * len(cells) * len(pair),
        releases=len(study.train),
        classes=study.classes,
        device=study.device,
    )
    nets = train_on(source, study.victim, device=study.device, progress=study.progress, title=f"{kind}, seed {seed}")
    facts = [{"defence": kind, "k": cell.mix_count, "b": cell.noise_scale} for cell in cells]
    return _judge(study, backdoor, nets, facts, seed)


def _private(study: Study, backdoor: Backdoor, pair: Sequence[Poisoned], seed: int, multiplier: float) -> list[Row]:
    recipe = study.recipe
    config = replace(
        study.victim,
        batch_size=recipe.private_batch,
        learning_rate=recipe.private_rate,
        momentum=0.0,
        weight_decay=0.0,
        crop=0,
        flip=False,
        private=PrivacyConfig(clip=recipe.private_clip, noise_multiplier=multiplier, delta=recipe.delta),
    )
    title = f"DP-SGD, noise {multiplier:g}, seed {seed}"
    nets = train_victims(pair, [seed] * 2, config, device=study.device, progress=study.progress, title=title)
    epsilon = config.epsilon(len(study.train))
    facts = {"defence": PRIVATE, "noise multiplier": multiplier}
    rows = _judge(study, backdoor, nets, [facts], seed)
    return [{**row, "epsilon": epsilon if math.isfinite(epsilon) else None} for row in rows]


def _judge(study: Study, backdoor: Backdoor, nets: Stacked, facts: Sequence[dict[str, Any]], seed: int) -> list[Row]:
    """A row for each pair of nets, the poisoned one before the clean one."""
    attacked = nets.predict(backdoor.attacked(study.test.images, study.test.labels))
    success = attack_success(attacked[::2], attacked[1::2], backdoor.target)
    right = accuracies(nets.predict(study.test.images), study.test.labels)
    secrets = membership_auc(
        losses_of(nets, study.train.images, study.train.labels)[1::2],
        losses_of(nets, study.test.images, study.test.labels)[1::2],
    )
    return [
        {
            **fact,
            "seed": seed,
            "accuracy": right[2 * number],
            "unpoisoned accuracy": right[2 * number + 1],
            "success": success.rates[number],
            "unpoisoned success": success.unpoisoned[number],
            "attacked": success.num_items,
            "membership AUC": secrets[number],
        }
        for number, fact in enumerate(facts)
    ]


def losses_of(nets: Stacked, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of S nets on items (N, C, H, W) uint8 of classes (N,): (S, N) float32."""
    logits = nets.logits(images)
    return F.cross_entropy(
        logits.float().movedim(-1, 1), labels.to(logits.device).expand(len(logits), -1), reduction="none"
    )


def membership_auc(members: Tensor, others: Tensor) -> list[float]:
    """How well a low loss tells training items from others, of each of S nets: area under the ROC curve, 0.5 by chance.

    Args:
        members: (S, N) losses; others: (S, M).
    """
    ranked = others.sort(dim=1).values.contiguous()
    above = others.shape[1] - torch.searchsorted(ranked, members.contiguous(), right=True)
    ties = torch.searchsorted(ranked, members.contiguous(), right=True) - torch.searchsorted(
        ranked, members.contiguous()
    )
    areas: list[float] = ((above + ties / 2) / others.shape[1]).double().mean(1).tolist()
    return areas
