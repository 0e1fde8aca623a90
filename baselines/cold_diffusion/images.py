"""The evaluation on images: train, restore, generate, measure, over several seeds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from easy_to_hard.baselines.cold_diffusion.claims import compare, decide_claims
from easy_to_hard.baselines.cold_diffusion.classifier import TrainedClassifier, train_classifier
from easy_to_hard.baselines.cold_diffusion.degradations import Degradation
from easy_to_hard.baselines.cold_diffusion.generation import BROKEN_SYMMETRY, generate, last_states
from easy_to_hard.baselines.cold_diffusion.metrics import (
    Features,
    frechet_distance,
    inception_features,
    kernel_distance,
)
from easy_to_hard.baselines.cold_diffusion.pictures import save_grid
from easy_to_hard.baselines.cold_diffusion.recipes import Recipe
from easy_to_hard.baselines.cold_diffusion.registry import get_degradation
from easy_to_hard.baselines.cold_diffusion.restoring import (
    Job,
    as_restore,
    build_loop,
    measure,
    middle,
    restore_all,
)
from easy_to_hard.baselines.cold_diffusion.sampling import Restore
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images, to_unit_range
from easy_to_hard.baselines.kit.precision import get_device, recorded_precision, settle
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.statistics import of_share, over_seeds
from easy_to_hard.baselines.kit.training import count_parameters
from easy_to_hard.environment import __version__, source_commit
from easy_to_hard.generators.integers import check_integer_fields
from easy_to_hard.scores.reference import Measurement, ReferenceResult

QUESTION: Final = (
    "Does restoring images step by step with Algorithm 2 beat restoring them at once, and what becomes of Algorithm 1?"
)
METHOD: Final = "cold_diffusion"
GRID: Final = "grid.png"
GENERATED_GRID: Final = "generated.png"

_SHOWN: Final = 8
_UNITS: Final = {"RMSE": "pixel value", "SSIM": "", "FID": "squared distance", "KID": "squared distance"}


@dataclass(frozen=True, kw_only=True)
class ImageRun:
    """What to run.

    Attributes:
        recipe: how; see `get_preset`.
        preset: its name.
        degradation: name in `DEGRADATIONS`.
        data: "mnist", "cifar10" or "folder".
        data_root: where they are.
        others: a second set under the same root, for animorphosis; "" for none.
        download: fetch data that are missing.
        severities: T; 0 for the recipe's.
        seeds: one run each; empty for the recipe's.
        generate: how many images to make from nothing as well, 0 for none.
        components: of the Gaussian mixture that their last states are drawn from.
        inception_weights: file of the Inception net for FID and KID; None for features of a classifier trained here.
        device: "cpu" or "cuda".

    Raises:
        ValueError: a name or number that is not allowed.
    """

    recipe: Recipe
    preset: str
    degradation: str = "blur"
    data: str = "mnist"
    data_root: Path
    others: str = ""
    download: bool = False
    severities: int = 0
    seeds: Sequence[int] = ()
    generate: int = 0
    components: int = 1
    inception_weights: Path | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_integer_fields(self)
        get_degradation(self.degradation)
        get_device(self.device)
        for name, least in (("severities", 0), ("generate", 0), ("components", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        seeds = self.all_seeds
        if len(set(seeds)) < len(seeds) or min(seeds) < 0:
            raise ValueError(f"seeds must be at least 0, and each another, not {list(seeds)}")

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds, given or the recipe's."""
        return tuple(self.seeds) or self.recipe.seeds

    @property
    def steps(self) -> int:
        """T."""
        if self.severities:
            return self.severities
        recipe = self.recipe
        steps = get_degradation(self.degradation).steps(recipe.side, gentle=recipe.gentle)
        return min(steps, recipe.most_severities) if recipe.most_severities else steps

    def described(self) -> dict[str, Any]:
        """The degradation in words that a checkpoint is compared by."""
        return {
            "name": self.degradation,
            "steps": self.steps,
            "gentle": self.recipe.gentle,
            "others": self.others,
        }


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """Data, degradation and features of a run."""

    train: ImageSet
    test: ImageSet
    degradation: Degradation
    features: Features
    classifier: TrainedClassifier | None


def run_on_images(run: ImageRun, out: Path, *, progress: bool) -> ReferenceResult:
    """Train a restorer for each seed, restore the test images in every way, and measure.

    In the folder are each seed's checkpoint, from which a run that was stopped goes on, and of the first seed the
    pictures `grid.png` and, with images made from nothing, `generated.png`.

    Args:
        run: what.
        out: the folder, made when missing.
        progress: whether to show progress bars.

    Returns:
        the result; writing it is the caller's.

    Raises:
        ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with data, settings or folder.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    prepared = _prepare(run, out, progress)
    run = settle(run, recorded_precision(out, run.device))
    values: dict[str, dict[str, list[float]]] = {}
    earlier, parameters = 0.0, 0
    for number, seed in enumerate(run.all_seeds):
        before = time.perf_counter()
        net, seconds = _train(run, prepared, seed, out / f"seed{seed}", progress)
        earlier += seconds - (time.perf_counter() - before)
        parameters = count_parameters(net)
        restore = as_restore(net, run.recipe.loop.precision)
        states = _restore(run, prepared, restore, seed, out / GRID if number == 0 else None)
        if run.generate:
            states |= _generate(run, prepared, restore, seed, out / GENERATED_GRID if number == 0 else None)
        for state, measured in states.items():
            for name, value in measured.items():
                values.setdefault(name, {}).setdefault(state, []).append(value)
    measurements = _summarise(run, prepared, values)
    return ReferenceResult(
        method=METHOD,
        preset=run.preset,
        data=run.data,
        question=QUESTION,
        commit=source_commit(),
        package_version=__version__,
        seeds=run.all_seeds,
        device=run.device,
        seconds=round(max(0.0, earlier) + time.perf_counter() - started, 1),
        settings=_settings(run, prepared, parameters),
        measurements=measurements,
        claims=decide_claims(measurements),
    )


def _prepare(run: ImageRun, out: Path, progress: bool) -> _Prepared:
    recipe, root = run.recipe, run.data_root
    wide = round(recipe.side * recipe.margin)
    train, test = (
        load_images(run.data, root, train=split, download=run.download).resized(wide) for split in (True, False)
    )
    others = None
    if run.others:
        found = load_images(run.others, root, train=True, download=run.download).resized(recipe.side).images
        others = _with_channels(to_unit_range(found), train.images.shape[1])
    degradation = get_degradation(run.degradation).make(run.steps, recipe.side, others, gentle=recipe.gentle)
    # What does not fit is said before anything is trained.
    degradation.freeze((1, train.images.shape[1], recipe.side, recipe.side), generator_of("check"))
    if run.generate:
        last_states(degradation, train.images[:2], components=1, seed_rng=generator_of("check"))
    train_middle, test = (replace(part, images=middle(part.images, recipe.side)) for part in (train, test))
    shown = test.first(min(len(test), recipe.test_images)) if recipe.test_images else test
    classifier = None
    if run.inception_weights is None:
        classifier = train_classifier(
            train_middle, test, steps=recipe.classifier_steps, seed=0, folder=out / "classifier", progress=progress
        )
        features = classifier.features
    else:
        features = inception_features(run.inception_weights)
    return _Prepared(train=train, test=shown, degradation=degradation, features=features, classifier=classifier)


def _with_channels(images: Tensor, channels: int) -> Tensor:
    if images.shape[1] == channels:
        return images
    return images.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)


def _train(run: ImageRun, prepared: _Prepared, seed: int, folder: Path, progress: bool) -> tuple[nn.Module, float]:
    """The net with the averaged weights, and the seconds it took in all."""
    job = Job(
        recipe=run.recipe,
        degradation=prepared.degradation,
        described=run.described(),
        images=prepared.train.images,
        seed=seed,
        device=get_device(run.device),
    )
    loop = build_loop(job)
    report = loop.run(folder, progress=progress)
    return loop.average, report.seconds


def _restore(
    run: ImageRun, prepared: _Prepared, restore: Restore, seed: int, picture: Path | None
) -> dict[str, dict[str, float]]:
    """State -> name -> value."""
    originals = prepared.test.images.float() / 255
    restored = restore_all(
        restore, prepared.degradation, prepared.test.images, seed=seed, device=get_device(run.device)
    )
    if picture is not None:
        save_grid({name: part[:_SHOWN] for name, part in {**restored, "original": originals}.items()}, picture)
    return {name: measure(part, originals, prepared.features) for name, part in restored.items()}


def _generate(
    run: ImageRun, prepared: _Prepared, restore: Restore, seed: int, picture: Path | None
) -> dict[str, dict[str, float]]:
    """As `_restore`, for images from nothing, with and without noise that breaks the symmetry."""
    images = middle(prepared.train.images, run.recipe.side)
    draw = last_states(prepared.degradation, images, components=run.components, seed_rng=generator_of("mixture", seed))
    originals, found, rows = prepared.test.images.float() / 255, {}, {}
    for name, noise in (("generated, perfect symmetry", 0.0), ("generated, broken symmetry", BROKEN_SYMMETRY)):
        made = generate(
            restore,
            prepared.degradation,
            draw,
            run.generate,
            noise=noise,
            rng=generator_of("generate", seed),
            device=get_device(run.device),
        )
        found[name] = measure_generated(made, originals, prepared.features)
        rows[name] = made[:_SHOWN]
    if picture is not None:
        save_grid(rows, picture)
    return found


def measure_generated(made: Tensor, originals: Tensor, features: Features) -> dict[str, float]:
    """FID and KID against real images, and how much the images differ among themselves.

    "diversity" is the standard deviation of a pixel over the images, its mean removed from each image first so that
    images of one shape and several brightnesses do not count as different; mean over the pixels.
    """
    ours, real = features.of(made), features.of(originals)
    shapes = made - made.mean(dim=(2, 3), keepdim=True)
    return {
        "FID": frechet_distance(ours, real),
        "KID": kernel_distance(ours, real),
        "diversity": float(shapes.std(dim=0).mean()),
    }


def _summarise(
    run: ImageRun, prepared: _Prepared, values: Mapping[str, Mapping[str, list[float]]]
) -> tuple[Measurement, ...]:
    num_test = len(prepared.test)
    found = [
        over_seeds(
            name,
            of_seeds,
            unit=_UNITS.get(name, "pixel value"),
            condition={"state": state},
            num_items=run.generate if state.startswith("generated") else num_test,
        )
        for name, states in values.items()
        for state, of_seeds in states.items()
    ]
    found += compare(values, num_test)
    if prepared.classifier is not None:
        right, total = prepared.classifier.num_right, prepared.classifier.num_test
        found.append(of_share("accuracy of the classifier whose features are compared", right, total))
    return tuple(found)


def _settings(run: ImageRun, prepared: _Prepared, parameters: int) -> dict[str, Any]:
    recipe = {name: value for name, value in asdict(run.recipe).items() if name not in ("title", "seeds")}
    recipe["loop"].pop("seed")
    degradation = {name: getattr(prepared.degradation, name) for name in vars(prepared.degradation) if name != "others"}
    return {
        "degradation": {"name": run.degradation, "others": run.others, **degradation},
        "features": prepared.features.name,
        "train_images": len(prepared.train),
        "test_images": len(prepared.test),
        "data_note": "; ".join(filter(None, (prepared.train.note, prepared.test.note))),
        "parameters": parameters,
        "generate": run.generate,
        "mixture_components": run.components,
        **recipe,
    }
