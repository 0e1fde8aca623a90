"""The evaluation on images: nets are trained or loaded, their neurons shown, and what the paper says is measured."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.precision import get_device
from easy_to_hard.baselines.kit.statistics import Figure, summarise
from easy_to_hard.baselines.vit_visualization.changes import (
    count_right,
    high_pass,
    low_pass,
    only_border,
    only_centre,
)
from easy_to_hard.baselines.vit_visualization.claims import KEPT, decide_image_claims
from easy_to_hard.baselines.vit_visualization.feature_figures import (
    Shown,
    image_figures,
    local_figures,
    reach_figures,
)
from easy_to_hard.baselines.vit_visualization.figures import plain, share
from easy_to_hard.baselines.vit_visualization.maximising import Subject
from easy_to_hard.baselines.vit_visualization.pictures import save_curves, save_sheet
from easy_to_hard.baselines.vit_visualization.pretrained import TorchvisionTokens, is_known, load_pretrained
from easy_to_hard.baselines.vit_visualization.recipes import CUTOFFS, PATCHES, SIDES
from easy_to_hard.baselines.vit_visualization.runs import METHOD, Run, choose, scaled
from easy_to_hard.baselines.vit_visualization.token_experiments import (
    TokenNet,
    early_right,
    heads_right,
    isolation_right,
)
from easy_to_hard.baselines.vit_visualization.training import build_conv_net, train_on_images
from easy_to_hard.baselines.vit_visualization.vit import VitConfig
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "What do a vision transformer's features answer to, what do its tokens hold, and what of an image does it need?"
)
SHEET: Final = "neurons.png"
CURVES: Final = "frequencies.png"

# Images among the training images by which the best place of a patch is chosen.
_CHOICE: Final = 2000

Net = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """Images on the device: float in [0, 1] but for the training set's, which stay bytes."""

    train: ImageSet
    test: Tensor
    labels: Tensor
    classes: int
    note: str


def run_on_images(run: Run, out: Path, *, progress: bool) -> ReferenceResult:
    """Train a ViT and a convolutional net for each seed, or load a trained ViT, and measure.

    In the folder are each seed's checkpoints, from which a run that was stopped goes on, and where matplotlib is
    installed the pictures `SHEET`, of the first seed, and `CURVES`.

    Args:
        run: what.
        out: the folder, made when missing.
        progress: whether to show progress bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with data, settings or folder.
    """
    if run.model != "tiny_vit" and not is_known(run.model):
        raise ValueError(
            "model must be one of tiny_vit, vit_b_16, vit_b_32, swin_t, timm:NAME, clip:NAME on images, "
            f"not {run.model!r}"
        )
    started = time.perf_counter()
    if run.model == "tiny_vit":
        # What does not fit is said before anything is read or trained.
        choose(run, _tiny(run, channels=1, classes=2).build(0))
    prepared = _prepare(run)
    out.mkdir(parents=True, exist_ok=True)
    if run.model == "tiny_vit":
        seeds = [_run_seed(run, prepared, seed, out, progress, first=n == 0) for n, seed in enumerate(run.all_seeds)]
    else:
        seeds = [_run_trained(run, prepared, seed, out, progress) for seed in run.all_seeds]
    measurements = summarise(seeds)
    with contextlib.suppress(ImportError):
        _draw_curves(run, measurements, out / CURVES)
    return ReferenceResult(
        method=METHOD,
        preset=run.preset,
        data=run.data,
        question=QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=run.all_seeds,
        device=run.device,
        seconds=round(time.perf_counter() - started, 1),
        settings={
            **run.settings(),
            "train_images": len(prepared.train),
            "test_images": len(prepared.test),
            "data_note": prepared.note,
        },
        measurements=measurements,
        claims=decide_image_claims(measurements),
    )


def _prepare(run: Run) -> _Prepared:
    train, test = (
        load_images(run.data, run.data_root, train=split, download=run.download).resized(SIDES[run.data])
        if run.model == "tiny_vit"
        else load_images(run.data, run.data_root, train=split, download=run.download)
        for split in (True, False)
    )
    note = "; ".join(filter(None, (train.note, test.note)))
    count = min(len(test), run.recipe.test_images) if run.recipe.test_images else len(test)
    test, device = _mixed(test).first(count), get_device(run.device)
    return _Prepared(
        train=train,
        test=test.images.float().to(device) / 255,
        labels=test.labels.to(device),
        classes=int(train.labels.max()) + 1,
        note=note,
    )


def _mixed(images: ImageSet) -> ImageSet:
    """In an order drawn once: folders hold their classes one after another."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return replace(images, images=images.images[order], labels=images.labels[order])


def _tiny(run: Run, *, channels: int, classes: int) -> VitConfig:
    return VitConfig(
        side=SIDES[run.data],
        channels=channels,
        patch=PATCHES[run.data],
        classes=classes,
        depth=run.recipe.depth,
        width=run.recipe.width,
    )


def _run_seed(run: Run, prepared: _Prepared, seed: int, out: Path, progress: bool, *, first: bool) -> list[Figure]:
    """Train the two nets of a seed and measure."""
    recipe, device = run.recipe, get_device(run.device)
    shape = _tiny(run, channels=prepared.test.shape[1], classes=prepared.classes)
    vit = shape.build(seed)
    conv_net = build_conv_net(prepared.test.shape[1], prepared.classes, recipe.conv_width, seed)
    settings = {"data": run.data, "shape": asdict(shape), "conv_width": recipe.conv_width}
    for name, net in (("vit", vit), ("conv net", conv_net)):
        train_on_images(
            net,
            prepared.train.images,
            prepared.train.labels,
            replace(recipe.loop, seed=seed),
            batch_size=recipe.batch_size,
            settings=settings,
            folder=out / f"seed{seed}" / name.replace(" ", "-"),
            device=device,
            progress=progress,
        )
    with torch.no_grad():
        found = _token_figures(vit, prepared)
        found += _change_figures({"ViT": vit, "conv net": conv_net}, prepared)
    untrained = shape.build(seed).to(device).requires_grad_(False)
    found += local_figures({"trained": vit, "untrained": untrained}, prepared.test)
    shown = _show(run, vit, prepared, out, seed, progress, sheet=first)
    return found + reach_figures(shown) + image_figures(shown, _most_shift(run, prepared), seed, vit)


def _run_trained(run: Run, prepared: _Prepared, seed: int, out: Path, progress: bool) -> list[Figure]:
    """Show the neurons of a net that was trained elsewhere; where it has the data's classes, measure accuracies too."""
    subject = load_pretrained(run.model, get_device(run.device))
    chosen = choose(run, subject)
    found = local_figures({"trained": subject}, prepared.test, layers=chosen.layers)
    shown = _show(run, subject, prepared, out, seed, progress, sheet=True)
    with torch.no_grad():
        classes = subject(prepared.test[:1]).shape[-1]
        if classes == prepared.classes:
            found += _change_figures({"ViT": subject}, prepared)
            # Those of torchvision; its Swin, and what other packages have, has no CLS or hides it otherwise.
            if run.model.startswith("vit_"):
                found += _token_figures(TorchvisionTokens(subject), prepared)
    classify = subject if classes == prepared.classes else None
    return found + reach_figures(shown) + image_figures(shown, _most_shift(run, prepared), seed, classify)


def _most_shift(run: Run, prepared: _Prepared) -> int:
    most: int = scaled(run.recipe.ascent, prepared.test.shape[-1]).roll
    return most


def _show(
    run: Run, subject: Subject, prepared: _Prepared, out: Path, seed: int, progress: bool, *, sheet: bool
) -> Shown:
    side = getattr(subject, "side", prepared.test.shape[-1])
    channels = 3 if hasattr(subject, "side") else prepared.test.shape[1]
    shown = Shown.make(
        run,
        subject,
        prepared.test,
        out / f"seed{seed}" / "made.pt",
        (channels, side, side),
        scaled(run.recipe.ascent, side),
        seed,
        progress,
    )
    if sheet:
        # Pictures are an extra, and so is what draws them.
        with contextlib.suppress(ImportError):
            columns, maps = shown.columns()
            save_sheet(columns, out / SHEET, layer_name="block", maps=maps)
    return shown


def _token_figures(vit: TokenNet, prepared: _Prepared) -> list[Figure]:
    """CLS kept apart, the head on patches, the head after fewer blocks."""
    test, labels = prepared.test, prepared.labels
    total, device = len(test), test.device
    some = _mixed(prepared.train).first(min(_CHOICE, len(prepared.train)))
    choice = heads_right(vit, some.images.to(device).float() / 255, some.labels.to(device))
    best = int(choice.patches.float().mean(dim=0).argmax())
    heads = heads_right(vit, test, labels)
    natural = int(heads.cls.sum())
    isolated = isolation_right(vit, test, labels)
    found = [share("accuracy with CLS apart", right, total, blocks=k) for k, right in enumerate(isolated)]
    found += [share("accuracy after blocks", n, total, blocks=k) for k, n in enumerate(early_right(vit, test, labels))]
    of_heads = {
        "CLS": heads.cls,
        "mean of patches": heads.patch_mean,
        "mean of all tokens": heads.all_mean,
        "most confident patch": heads.confident,
        "middle patch": heads.patches[:, _middle(heads.patches.shape[1])],
        "best patch, chosen in training": heads.patches[:, best],
    }
    found += [share("accuracy of the head", int(right.sum()), total, token=name) for name, right in of_heads.items()]
    single = float(heads.patches.float().mean())
    found.append(plain("accuracy of the head", single, total, token="single patch, mean over places"))
    kept = {
        "CLS apart but for the last block": isolated[-2],
        "single patch, mean over places": single * total,
        "best patch, chosen in training": int(heads.patches[:, best].sum()),
    }
    return found + [
        plain(KEPT, kept_share(right, natural, total / prepared.classes), total, way=way) for way, right in kept.items()
    ]


def kept_share(right: float, natural: float, chance: float) -> float:
    """How much of the accuracy above chance is left, from numbers of right answers; 1 for all of it.

    Deviates: the paper divides accuracies; of 1000 classes chance is next to nothing, of ten it is not.
    """
    return (right - chance) / max(natural - chance, 1.0)


def _middle(patches: int) -> int:
    side = int(patches**0.5)
    return (side // 2) * side + side // 2


def _change_figures(nets: dict[str, nn.Module], prepared: _Prepared) -> list[Figure]:
    """Accuracies on changed images, and how much they are of that on the images as they are."""
    test, labels = prepared.test, prepared.labels
    half = test.shape[-1] / 2
    changes: dict[tuple[str, float], Net] = {("centre", 0.0): only_centre, ("border", 0.0): only_border}
    for cutoff in CUTOFFS:
        changes["low-pass", cutoff] = lambda images, r=cutoff * half: low_pass(images, r)  # type: ignore[misc]
        changes["high-pass", cutoff] = lambda images, r=cutoff * half: high_pass(images, r)  # type: ignore[misc]
    found, means = [], dict[tuple[str, str], list[float]]()
    for name, net in nets.items():
        natural = count_right(net, test, labels)
        found.append(share("accuracy", natural, len(test), net=name))
        for (kind, cutoff), change in changes.items():
            right = count_right(net, test, labels, change)
            where: dict[str, str | float] = {"net": name, "kept": kind, **({"cutoff": cutoff} if cutoff else {})}
            found.append(share("accuracy on changed images", right, len(test), **where))
            means.setdefault((kind, name), []).append(kept_share(right, natural, len(test) / prepared.classes))
    averages = {key: sum(values) / len(values) for key, values in means.items()}
    found += [plain(KEPT, value, len(test), net=name, kept=kind) for (kind, name), value in averages.items()]
    if len(nets) == 2:
        for kind in dict.fromkeys(kind for kind, _ in changes):
            difference = averages[kind, "ViT"] - averages[kind, "conv net"]
            found.append(plain("share kept, ViT less conv net", difference, len(test), kept=kind))
    return found


def _draw_curves(run: Run, measurements: Sequence[Measurement], path: Path) -> None:
    curves: dict[str, list[tuple[float, float, float | None, float | None]]] = {}
    for one in measurements:
        if one.name == "accuracy on changed images" and "cutoff" in one.condition:
            label = f"{one.condition['net']}, {one.condition['kept']}"
            curves.setdefault(label, []).append((float(one.condition["cutoff"]), one.value, one.low, one.high))
    if curves:
        title = f"frequencies below (low-pass) or above (high-pass) a cutoff alone: {run.data}"
        save_curves(curves, path, across="cutoff / highest frequency of a side", up="accuracy", title=title)
