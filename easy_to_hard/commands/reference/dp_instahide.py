"""`easy-to-hard reference dp-instahide`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from tyro.conf import arg

from easy_to_hard.commands.reference.method import MethodCommand, refuse_others, require_known

if TYPE_CHECKING:
    from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe, PuzzleRecipe

_PUZZLES: Final = ("mazes", "prefix_sums")
_IMAGES: Final = ("mnist", "cifar10")
_ONLY_FOR_ACCOUNT: Final = ("n", "diameter", "releases")


@dataclass(frozen=True, kw_only=True)
class DpInstaHide(MethodCommand):
    """DP-InstaHide (arXiv 2103.02079): mix k records, add Laplace noise of scale b, and account for the privacy lost.

    On images, it measures backdoor success and accuracy over the grid of k and b, compares them with noise alone, mixup
    alone and DP-SGD, and attacks the releases; on mazes and prefix sums, it tests whether nets can learn from mixtures.
    With --account, it only prints a privacy guarantee. An interrupted run continues when the same command is run again.
    """

    METHOD: ClassVar[str] = "dp_instahide"

    preset: Annotated[str, arg(help="smoke (under a minute), small (minutes) or paper (days on a GPU)")] = "smoke"
    data: Annotated[str, arg(help="images: mnist or cifar10; puzzles: mazes or prefix_sums")] = "mazes"
    k: Annotated[
        tuple[int, ...], arg(help="numbers of records to mix; by default the preset's; 1 is always tried")
    ] = ()
    b: Annotated[
        tuple[float, ...],
        arg(help="scales of the noise, for data in [0, 1]; by default the preset's; 0 is always tried"),
    ] = ()
    seeds: Annotated[tuple[int, ...], arg(help="one run for each seed; by default the preset's")] = ()
    budget: Annotated[float | None, arg(help="share of the images that is poisoned; by default the preset's")] = None
    out: Annotated[Path | None, arg(help="the run folder; by default runs/dp-instahide-DATA-PRESET")] = None
    account: Annotated[bool, arg(help="only print epsilon for one --k, one --b, --n, --diameter and --releases")] = (
        False
    )
    n: Annotated[int | None, arg(help="for --account: number of records; by default 50,000")] = None
    diameter: Annotated[
        float | None, arg(help="for --account: largest L1 distance between two records with their labels; by default 1")
    ] = None
    releases: Annotated[
        int | None, arg(help="for --account: number of mixtures released; by default the number of records")
    ] = None
    delta: Annotated[float, arg(help="the guarantee may fail with this probability")] = 1e-5

    def run(self) -> int:
        """With --account, print a guarantee; otherwise train, attack, and write and print the result."""
        return self._account() if self.account else super().run()

    def recipe(self) -> "ImageRecipe | PuzzleRecipe":
        """See `MethodCommand`."""
        from easy_to_hard.baselines.dp_instahide.recipes import get_image_recipe, get_puzzle_recipe

        for name in _ONLY_FOR_ACCOUNT:
            if getattr(self, name) is not None:
                raise ValueError(f"--{name} is for --account, not for a run")
        require_known("data", self.data, (*_IMAGES, *_PUZZLES))
        given = {"mix_counts": self.k, "noise_scales": self.b, "seeds": self.seeds}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value} | {"delta": self.delta}
        if self.data in _PUZZLES:
            refuse_others("images", self.data, {"budget": self.budget})
            return replace(get_puzzle_recipe(self.preset, self.data), **changes)
        if self.budget is not None:
            changes["budget"] = self.budget
        recipe = get_image_recipe(self.preset, self.data)
        return replace(recipe, data_root=self.root, download=self.download, **changes)

    def _account(self) -> int:
        from easy_to_hard.baselines.dp_instahide.accountant import Account, MixingMechanism

        if len(self.k) != 1 or len(self.b) != 1:
            raise ValueError(f"--account needs one --k and one --b, not {list(self.k)} and {list(self.b)}")
        records = 50_000 if self.n is None else self.n
        diameter = 1.0 if self.diameter is None else self.diameter
        mixing = MixingMechanism(records=records, mix_count=self.k[0], noise_scale=self.b[0], diameter=diameter)
        releases = records if self.releases is None else self.releases
        print(Account(mixing=mixing, releases=releases, delta=self.delta).describe())
        return 0
