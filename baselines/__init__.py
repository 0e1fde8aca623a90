"""Reference methods, one folder per paper."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from easy_to_hard.baselines.kit.evaluation import ReferenceRecipe
    from easy_to_hard.baselines.kit.work import Work
    from easy_to_hard.scores.reference import Claim, ReferenceResult


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the registry knows of a reference method.

    Attributes:
        title: what it is, in a line.
        papers: arXiv ids, the main one first.
        module: import name of its folder.
        makes_claims: whether its results are reference results, which say whether the paper's claims held. The nets of
            this field's own papers are scored on the leaderboard instead.
    """

    title: str
    papers: tuple[str, ...]
    module: str
    makes_claims: bool = True

    def load(self) -> ModuleType:
        """Import the folder; the registry itself stays light."""
        return import_module(self.module)

    def run(
        self, recipe: "ReferenceRecipe", folder: Path, *, device: str = "cpu", progress: bool = True
    ) -> "ReferenceResult":
        """Evaluate the method; a run that was stopped goes on when it is called again.

        Args:
            recipe: one of the method's.
            folder: of the run, made when missing: checkpoints, figures, pictures. Writing the result is the caller's.
            device: "cpu", "cuda" or "cuda:NUMBER".
            progress: whether to show progress bars.

        Raises:
            ValueError, RuntimeError, OSError, ImportError: one line on what is wrong with recipe, data or folder.
        """
        from easy_to_hard.baselines.kit.evaluation import IMAGES
        from easy_to_hard.baselines.kit.run_folder import refuse_other_runs

        if not self.makes_claims:
            raise ValueError(f"the nets of {self.module} are trained by its own `run`, and scored by the leaderboard")
        if f"{self.module}.recipes" not in {kind.__module__ for kind in type(recipe).__mro__}:
            raise ValueError(f"recipe must be one of {self.module}.recipes, not {type(recipe).__name__}")
        refuse_other_runs(folder, self.module.rpartition(".")[2], recipe.data)
        half = import_module(f"{self.module}.{'on_images' if recipe.data in IMAGES else 'on_puzzles'}")
        result: ReferenceResult = half.run(recipe, folder, device=device, progress=progress)
        return result

    def plan(self, recipe: "ReferenceRecipe") -> "list[Work]":
        """The steps that a run would take, to be timed by `kit.work.estimate`.

        Raises:
            ValueError: the method has no plan, or not for this recipe.
        """
        try:
            module = import_module(f"{self.module}.plan")
        except ModuleNotFoundError as error:
            if error.name != f"{self.module}.plan":
                raise
            raise ValueError("there is no dry run for this method") from None
        from easy_to_hard.baselines.kit.evaluation import IMAGES

        if recipe.data not in IMAGES:
            raise ValueError(f"a dry run is for images, not for {recipe.data}, which takes minutes")
        works: list[Work] = module.plan(recipe)
        return works

    def claims(self, result: "ReferenceResult") -> "tuple[Claim, ...]":
        """The paper's claims, judged from a result's measurements and settings alone."""
        claims: tuple[Claim, ...] = import_module(f"{self.module}.claims").claims(result)
        return claims


BASELINES: Final = MappingProxyType(
    {
        "deep_thinking": Baseline(
            title="Recurrent nets with recall and progressive loss",
            papers=("2202.05826", "2106.04537", "2410.23451"),
            module="easy_to_hard.baselines.deep_thinking",
            makes_claims=False,
        ),
        "cold_diffusion": Baseline(
            title="Inverting arbitrary transforms without noise",
            papers=("2208.09392",),
            module="easy_to_hard.baselines.cold_diffusion",
        ),
        "canary": Baseline(
            title="Membership inference by likelihood ratios and optimized queries",
            papers=("2210.10750", "2112.03570"),
            module="easy_to_hard.baselines.canary",
        ),
        "parameter_saliency": Baseline(
            title="Which filters a wrong answer comes from",
            papers=("2108.01335",),
            module="easy_to_hard.baselines.parameter_saliency",
        ),
        "vit_visualization": Baseline(
            title="What the features of vision transformers stand for",
            papers=("2212.06727",),
            module="easy_to_hard.baselines.vit_visualization",
        ),
        "augmentation_defense": Baseline(
            title="Strong augmentation against poisoned training data",
            papers=("2011.09527",),
            module="easy_to_hard.baselines.augmentation_defense",
        ),
        "dp_instahide": Baseline(
            title="Mixing and Laplace noise, with what privacy they give",
            papers=("2103.02079",),
            module="easy_to_hard.baselines.dp_instahide",
        ),
    }
)


def get_baseline(name: str) -> Baseline:
    """The registered method of that name.

    Raises:
        ValueError: unknown name; the message lists the known ones.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}: choose one of {', '.join(BASELINES)}")
    return BASELINES[name]
