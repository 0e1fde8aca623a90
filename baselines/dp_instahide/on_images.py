"""The evaluation on images: how mixing, noise, both, and DP-SGD affect a backdoor, accuracy and privacy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from easy_to_hard.baselines.dp_instahide.accountant import image_diameter
from easy_to_hard.baselines.dp_instahide.audit import audit_rows
from easy_to_hard.baselines.dp_instahide.claims import claims
from easy_to_hard.baselines.dp_instahide.measurements import (
    FRESH,
    PRIVATE,
    RELEASED,
    UNDEFENDED,
    audit_measurements,
    image_measurements,
    reference_cell,
)
from easy_to_hard.baselines.dp_instahide.mechanism import Cell
from easy_to_hard.baselines.dp_instahide.pictures import draw_images
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe
from easy_to_hard.baselines.dp_instahide.releases import Releases, train_on
from easy_to_hard.baselines.kit.evaluation import result_of, save_picture
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.poisoning.attacks import (
    Backdoor,
    Poisoned,
    accuracies,
    attack_success,
    clean_set,
    patch_backdoor,
)
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.private_training import replacement_epsilon_of
from easy_to_hard.baselines.kit.run_folder import Row, RunFolder
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import VictimConfig, train_victims
from easy_to_hard.scores.reference import ReferenceResult

QUESTION: Final = (
    "What do mixing k images and adding noise of scale b leave of a backdoor, of clean accuracy and of secrecy, what "
    "epsilon is that, and does DP-SGD of the same accuracy do better?"
)
PICTURE: Final = "grid.png"


@dataclass(frozen=True, kw_only=True)
class _Study:
    """Data and settings of a run, with the recipe's settings adapted to the data."""

    recipe: ImageRecipe
    train: ImageSet
    test: ImageSet
    victim: VictimConfig
    diameter: float
    cells: tuple[Cell, ...]
    device: torch.device
    progress: bool

    def backdoor(self, seed: int) -> Backdoor:
        recipe, train = self.recipe, self.train
        return patch_backdoor(
            train.images, train.labels, source=recipe.source, target=recipe.target, share=recipe.budget, seed=seed
        )


def run(recipe: ImageRecipe, folder: Path, *, device: str, progress: bool) -> ReferenceResult:
    """Train nets under each defense for each seed, with and without poison, and attack releases; see `Baseline.run`.

    The folder gets a file for each part and, where matplotlib is installed, the picture `PICTURE`.
    """
    study = _prepare(recipe, get_device(device), progress)
    facts = {
        "train_images": len(study.train),
        "test_images": len(study.test),
        "diameter": study.diameter,
        "releases": len(study.train),
        "data_note": "; ".join(filter(None, (study.train.note, study.test.note))),
    }
    kept = RunFolder(folder, {**recipe.seed_settings(), **facts, "device": study.device.type})
    rows = [row for seed in recipe.seeds for row in _rows_of_seed(study, seed, kept)]
    measurements = (
        *image_measurements(
            rows, recipe, num_train=len(study.train), num_test=len(study.test), diameter=study.diameter
        ),
        *audit_measurements(kept.rows("audit", partial(audit_rows, recipe.trials))),
    )
    result = result_of(
        "dp_instahide",
        recipe,
        kept,
        question=QUESTION,
        device=device,
        measurements=measurements,
        claims=claims,
        more=facts,
    )
    save_picture(lambda: draw_images(result), folder / PICTURE)
    return result


def _prepare(recipe: ImageRecipe, device: torch.device, progress: bool) -> _Study:
    train, test = (
        load_images(recipe.data, recipe.data_root, train=part, download=recipe.download) for part in (True, False)
    )
    train = train.first(recipe.train_images or len(train))
    test = test.first(min(len(test), recipe.test_images or len(test)))
    classes = int(train.labels.max()) + 1
    channels, height, width = train.images.shape[1:]
    diameter = image_diameter(channels, height, width, classes)
    study = _Study(
        recipe=recipe,
        train=train,
        test=test,
        victim=replace(recipe.victim, classes=classes),
        diameter=diameter,
        cells=recipe.cells(len(train), diameter),
        device=device,
        progress=progress,
    )
    # Check this before anything is trained.
    if not len(study.backdoor(0).attacked(test.images, test.labels)):
        raise ValueError(f"no test image of class {recipe.source}, the source of the backdoor")
    return study


def _rows_of_seed(study: _Study, seed: int, folder: RunFolder) -> list[Row]:
    backdoor = study.backdoor(seed)
    clean = clean_set(study.train.images, study.train.labels)
    pair = backdoor.train, clean
    made = []
    made += folder.rows(f"undefended-seed{seed}", partial(_undefended, study, backdoor, pair, seed))
    # The nets of one call are in memory together: so are their releases, which are dropped after it.
    at_once = max(1, study.recipe.victim.at_once // 2)
    for start in range(0, len(study.cells), at_once):
        some = study.cells[start : start + at_once]
        made += folder.rows(
            f"released-seed{seed}-{start}", partial(_released, study, backdoor, pair, seed, some, RELEASED)
        )
    if study.recipe.online:
        some = _online_cells(study)
        made += folder.rows(f"online-seed{seed}", partial(_released, study, backdoor, pair, seed, some, FRESH))
    for multiplier in study.recipe.private:
        made += folder.rows(
            f"private-seed{seed}-{multiplier:g}", partial(_private, study, backdoor, pair, seed, multiplier)
        )
    return made


def _online_cells(study: _Study) -> tuple[Cell, ...]:
    """The cells in which fresh mixing is tried: the reference setting, without and with noise."""
    cell = reference_cell(study.recipe.mix_counts, study.recipe.noise_scales)
    return Cell(mix_count=cell.mix_count, noise_scale=0.0), cell


def _undefended(study: _Study, backdoor: Backdoor, pair: Sequence[Poisoned], seed: int) -> list[Row]:
    title = f"undefended, seed {seed}"
    nets = train_victims(pair, [seed] * 2, study.victim, device=study.device, progress=study.progress, title=title)
    return _judge(study, backdoor, nets, [{"defence": UNDEFENDED}], seed)


def _released(
    study: _Study, backdoor: Backdoor, pair: Sequence[Poisoned], seed: int, cells: Sequence[Cell], kind: str
) -> list[Row]:
    source = Releases(
        [one for _ in cells for one in pair],
        [cell for cell in cells for _ in pair],
        [seed] * len(cells) * len(pair),
        count=len(study.train),
        classes=study.victim.classes,
        device=study.device,
        fresh=kind == FRESH,
    )
    nets = train_on(source, study.victim, device=study.device, progress=study.progress, title=f"{kind}, seed {seed}")
    facts = [{"defence": kind, "k": cell.mix_count, "b": cell.noise_scale} for cell in cells]
    return _judge(study, backdoor, nets, facts, seed)


def _private(study: _Study, backdoor: Backdoor, pair: Sequence[Poisoned], seed: int, multiplier: float) -> list[Row]:
    victims = study.recipe.private_victims
    privacy = replace(victims.privacy, noise_multiplier=multiplier, delta=study.recipe.delta)
    config = replace(victims, privacy=privacy).of(study.victim)
    title = f"DP-SGD, noise {multiplier:g}, seed {seed}"
    nets = train_victims(pair, [seed] * 2, config, device=study.device, progress=study.progress, title=title)
    rows = _judge(study, backdoor, nets, [{"defence": PRIVATE, "noise multiplier": multiplier}], seed)
    # Without noise there is no guarantee.
    return [{**row, **private_epsilons(config, len(study.train))} for row in rows] if multiplier else rows


def private_epsilons(config: VictimConfig, records: int) -> dict[str, float]:
    """Epsilon of private training with noise on that many records, for both ways to count neighbors."""
    if config.private is None:
        raise ValueError("config.private must be set: training is not private")
    replaced = replacement_epsilon_of(
        sampling_rate=min(1.0, config.batch_size / records),
        noise_multiplier=config.private.noise_multiplier,
        steps=config.steps(records),
        delta=config.private.delta,
    )
    return {"epsilon": config.epsilon(records), "replacement epsilon": replaced}


def _judge(study: _Study, backdoor: Backdoor, nets: Stacked, facts: Sequence[dict[str, Any]], seed: int) -> list[Row]:
    """A row for each pair of nets; in each pair, the poisoned net comes before the clean one."""
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
    """Cross-entropy of S nets on images (N, C, H, W) uint8 with labels (N,): (S, N) float32."""
    logits = nets.logits(images)
    return F.cross_entropy(
        logits.float().movedim(-1, 1), labels.to(logits.device).expand(len(logits), -1), reduction="none"
    )


def membership_auc(members: Tensor, others: Tensor) -> list[float]:
    """How well a low loss identifies training items, for each of S nets: area under the ROC curve, 0.5 by chance.

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
