"""The commands of `easy-to-hard` that train, test and look at nets.

Commands are above all layers: they load the baselines when they are run, and not before.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from tyro.conf import Positional, Suppress, arg

from easy_to_hard.commands.data import Root

if TYPE_CHECKING:
    from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
    from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
    from easy_to_hard.baselines.deep_thinking.recipes import Recipe
    from easy_to_hard.baselines.deep_thinking.scoring import Examination
    from easy_to_hard.datasets.items import Items
    from easy_to_hard.tasks import DataSpec

Model: TypeAlias = Annotated[
    str, arg(help="a folder, a net that comes with the package, or a Hub repo: owner/name or owner/name@revision")
]
TaskOfModel: TypeAlias = Annotated[str, arg(help="such as mazes; by default what the net was trained on")]
Difficulty: TypeAlias = Annotated[int | None, arg(help="number of bits, size of the maze, ...; by default the net's")]
Variant: TypeAlias = Annotated[
    str, arg(help="mazes: depth_first, wilson, kruskal, open_start or looped; by default the net's")
]
Split: TypeAlias = Annotated[str, arg(help="train, validation or test")]
DataSeed: TypeAlias = Annotated[int, arg(help="of the instances")]
Iterations: TypeAlias = Annotated[int | None, arg(help="the most iterations; by default enough for the difficulty")]
Device: TypeAlias = Annotated[str, arg(help="cpu or cuda")]
Threads: TypeAlias = Annotated[int, arg(help="batches at a time on a CPU")]
Precision: TypeAlias = Annotated[str, arg(help="float32 or bfloat16")]
Quiet: TypeAlias = Annotated[bool, arg(help="show no progress bar")]

# Of perturbations and alignment, for nets of any depth.
_DEFAULT_AT: Final = 50
_DEFAULT_ITERATIONS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a net, or go on with a training that was stopped.

    Every setting of the preset can be changed by a flag of its own, such as --steps 500 --width 32 --seed 3;
    `easy-to-hard train NAME --settings` lists them. On several processes:
    torchrun --nproc-per-node 2 -m easy_to_hard.cli train NAME
    """

    name: Annotated[
        Positional[str],
        arg(help="such as prefix-sums, mazes or chess-mates, or a whole name (easy-to-hard info)", metavar="NAME"),
    ]
    preset: Annotated[str, arg(help="such as fast, cpu or paper; by default cpu")] = ""
    out: Annotated[Path | None, arg(help="the folder of the run; by default runs/NAME-seedSEED")] = None
    device: Device = "cpu"
    threads: Annotated[int | None, arg(help="of a CPU; by default one for narrow nets, all for wide ones")] = None
    settings: Annotated[bool, arg(help="list the preset's settings, and do no more")] = False
    quiet: Quiet = False
    overrides: Suppress[tuple[str, ...]] = ()

    def when_stopped(self) -> str:
        """What an interrupt leaves."""
        return "give the same command again, it goes on from its last checkpoint"

    def run(self) -> int:
        """Train, and say how to go on."""
        from easy_to_hard.baselines import deep_thinking
        from easy_to_hard.baselines.deep_thinking.distributed import process_rank

        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, not {self.threads}")
        recipe = self._recipe()
        if recipe is None:
            return 0
        out = self.out if self.out is not None else Path("runs") / f"{recipe.name}-seed{recipe.training.seed}"
        report = deep_thinking.run(recipe, out, device=self.device, threads=self.threads, progress=not self.quiet)
        if process_rank() == 0:
            if report is None:
                print(f"{out}: was trained already")
            else:
                print(f"{out}: trained, {report.steps:,} steps in {report.seconds:,.0f} s, last loss {report.loss:.5f}")
            data = f" --root {recipe.root}" if recipe.root else ""
            print(f"try it: easy-to-hard evaluate --model {out}{data}")
        return 0

    def _recipe(self) -> "Recipe | None":
        """The preset with its overrides; None if only its settings were asked for."""
        from tyro.conf import AvoidSubcommands, OmitArgPrefixes

        from easy_to_hard.baselines.deep_thinking.recipes import Recipe, get_recipe, recipe_name
        from easy_to_hard.commands.parsing import parse

        name = recipe_name(self.name, self.preset)
        default = get_recipe(name)
        recipe: Recipe | None = parse(
            Recipe,
            ["--help"] if self.settings else self.overrides,
            see=f"easy-to-hard train {name} --settings",
            markers=(AvoidSubcommands, OmitArgPrefixes),
            default=default,
            prog=f"easy-to-hard train {name}",
            description=default.title,
        )
        return recipe


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Test a net on instances it has not seen, at graded difficulties, at every iteration."""

    model: Model
    task: TaskOfModel = ""
    difficulties: Annotated[tuple[int, ...], arg(help="by default a ladder of the task")] = ()
    variant: Variant = ""
    split: Split = "test"
    seed: DataSeed = 0
    root: Root = ""
    items: Annotated[
        tuple[int, ...], arg(help="instances, for all or for each; by default about a minute's worth, 10 to 1,000")
    ] = ()
    iterations: Iterations = None
    exit: Annotated[str, arg(help="which iteration's answer counts: settled, max-confidence, last or validation")] = (
        "settled"
    )
    run_all: Annotated[bool, arg(help="run every iteration, even when nothing changes any more")] = False
    out: Annotated[Path | None, arg(help="a result file to write (.json)")] = None
    device: Device = "cpu"
    threads: Threads = 2
    precision: Precision = "float32"
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What an interrupt leaves."""
        kept = "it kept nothing" if self.out is None else f"{self.out} has the difficulties that came to their end"
        return f"{kept}, and the same command begins anew"

    def run(self) -> int:
        """Evaluate, print the table, write the result."""
        from easy_to_hard.baselines.deep_thinking.scoring import examine, load_for
        from easy_to_hard.commands.net_tables import describe_model, format_score, score_heading
        from easy_to_hard.leaderboard.fresh import seen_lines
        from easy_to_hard.scores.results import write_result

        if self.out is not None and (self.out.suffix != ".json" or self.out.is_dir()):
            raise ValueError(f"--out must be a file that ends in .json, not {self.out.name!r}")
        model, facts = load_for(self.model, self.task)
        own = self.task in ("", facts.task)
        examination = self._examination(self.task or facts.task, facts.variant if own else "")
        if self.out is not None:
            self.out.parent.mkdir(parents=True, exist_ok=True)
        for number, result in enumerate(examine(model, facts, examination, progress=not self.quiet)):
            if number == 0:
                print(describe_model(self.model, model, facts))
                print(score_heading(result.trained_iterations))
            print(format_score(result.scores[-1], result.trained_iterations), flush=True)
            if self.out is not None:
                # After each difficulty, so that an interrupt leaves what there is.
                write_result(result, self.out)
        print(f"answer taken at: {result.iterations_rule}")
        for line in seen_lines(result.to_dict()):
            print(line)
        if self.out is not None:
            print(self.out)
        return 0

    def _examination(self, task: str, variant: str) -> "Examination":
        from easy_to_hard.baselines.deep_thinking.scoring import Examination
        from easy_to_hard.tasks import get_task

        return Examination(
            task=task,
            difficulties=self.difficulties
            or get_task(task).tested_difficulties(root=self.root, variant=self.variant or variant, split=self.split),
            variant=self.variant or variant,
            split=self.split,
            seed=self.seed,
            root=self.root,
            items=self.items,
            iterations=self.iterations,
            exit_rule=self.exit,  # type: ignore[arg-type]  # checked there
            run_all=self.run_all,
            device=self.device,
            threads=self.threads,
            precision=self.precision,  # type: ignore[arg-type]  # checked there
        )


@dataclass(frozen=True, kw_only=True)
class _AtOneDifficulty:
    """A net, and the instances of one difficulty."""

    model: Model
    task: TaskOfModel = ""
    difficulty: Difficulty = None
    variant: Variant = ""
    split: Split = "test"
    seed: DataSeed = 0
    root: Root = ""
    device: Device = "cpu"

    def load(self) -> "tuple[ThinkingNet, ModelFacts, DataSpec]":
        """The net, what is known of it, and which instances."""
        from easy_to_hard.baselines.deep_thinking.scoring import load_for
        from easy_to_hard.tasks import DataSpec, get_task

        model, facts = load_for(self.model, self.task, self.device)
        own = self.task in ("", facts.task)
        easy = facts.difficulty if own else get_task(self.task).train_difficulty
        spec = DataSpec(
            task=self.task or facts.task,
            difficulty=easy if self.difficulty is None else self.difficulty,
            variant=self.variant or (facts.variant if own else ""),
            split=self.split,
            seed=self.seed,
            root=self.root,
        )
        return model, facts, spec

    def load_items(self, num_items: int) -> "tuple[ThinkingNet, Items]":
        """The net and the first of the instances."""
        from easy_to_hard.datasets.items import Items

        if num_items < 1:
            raise ValueError(f"--items must be at least 1, not {num_items}")
        model, _, spec = self.load()
        return model, Items(spec, num_items)


@dataclass(frozen=True, kw_only=True)
class Think(_AtOneDifficulty):
    """Show how a net solves one instance: an animation (.gif), or a strip of pictures (.png, .svg, .pdf)."""

    out: Annotated[Path, arg(help="the file; its ending says as what")] = Path("think.png")
    index: Annotated[int, arg(help="number of the instance")] = 0
    iterations: Iterations = None
    frames: Annotated[int | None, arg(help="pictures; by default 40 in an animation, 12 in a strip")] = None

    def run(self) -> int:
        """Draw."""
        from easy_to_hard.baselines.deep_thinking.film import film_instance

        model, facts, spec = self.load()
        shown = film_instance(
            model, facts, self.out, spec=spec, index=self.index, iterations=self.iterations, frames=self.frames
        )
        solved = "solved" if shown.num_correct else "not solved"
        print(f"{self.out}: {spec.config}, item {self.index}, {solved} after {shown.last_iteration:,} iterations")
        return 0


@dataclass(frozen=True, kw_only=True)
class Perturb(_AtOneDifficulty):
    """Disturb a net while it thinks (swap, zero, noise, flip a bit), and see whether it comes back."""

    at: Annotated[int | None, arg(help="iterations before it happens; by default 50, if there are as many")] = None
    iterations: Annotated[int | None, arg(help="all, before and after; by default 300, if there are as many")] = None
    items: Annotated[int, arg(help="instances")] = 100
    quiet: Quiet = False

    def run(self) -> int:
        """Perturb, print a table."""
        from easy_to_hard.baselines.deep_thinking.perturbation import PerturbationConfig, defined_kinds, perturb
        from easy_to_hard.commands.net_tables import format_perturbations
        from easy_to_hard.tasks import get_task

        model, items = self.load_items(self.items)
        rules = get_task(items.spec.task).answers
        at = (_DEFAULT_AT if model.depth is None else model.depth // 2) if self.at is None else self.at
        iterations = (model.depth or _DEFAULT_ITERATIONS) if self.iterations is None else self.iterations
        configs = [PerturbationConfig(kind=kind, at=at, iterations=iterations) for kind in defined_kinds(model)]
        results = [perturb(model, items, rules, config, progress=not self.quiet) for config in configs]
        print(format_perturbations(results))
        return 0


@dataclass(frozen=True, kw_only=True)
class Align(_AtOneDifficulty):
    """Asymptotic alignment: does thinking end in the same features from wherever it starts (arXiv 2211.09961)?"""

    iterations: Annotated[int | None, arg(help="from each start; by default 300, or all there are")] = None
    items: Annotated[int, arg(help="instances; each is started from each other's end")] = 16
    quiet: Quiet = False

    def run(self) -> int:
        """Align, print the scores."""
        from easy_to_hard.baselines.deep_thinking.alignment import asymptotic_alignment
        from easy_to_hard.commands.net_tables import describe_alignment

        model, items = self.load_items(self.items)
        inputs, _ = items[:]
        iterations = (model.depth or _DEFAULT_ITERATIONS) if self.iterations is None else self.iterations
        print(describe_alignment(asymptotic_alignment(model, inputs, iterations, progress=not self.quiet)))
        return 0


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Plot accuracy against iterations of several nets at one difficulty, from their result files."""

    results: Annotated[Positional[tuple[Path, ...]], arg(help="files that `evaluate --out` wrote", metavar="RESULT")]
    config: Annotated[str, arg(help="such as prefix_sums_48 or mazes_33")]
    out: Annotated[Path, arg(help="a picture: .png, .svg or .pdf")] = Path("curves.png")

    def run(self) -> int:
        """Plot."""
        from easy_to_hard.plotting import plot_accuracy_curves, save_figure
        from easy_to_hard.scores.results import curves_at

        figure = plot_accuracy_curves(curves_at(self.results, self.config), title=self.config.replace("_", " "))
        print(save_figure(figure, self.out))
        return 0
