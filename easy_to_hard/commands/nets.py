"""The commands of `easy-to-hard` that train, test and inspect nets.

Commands are above all layers, and import the baselines only when they run.
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
    str,
    arg(
        help="the net: a folder that `train` made, a net that comes with the package, or a Hub repo (owner/name or "
        "owner/name@revision)"
    ),
]
TaskOfModel: TypeAlias = Annotated[str, arg(help="such as mazes; by default the task the net was trained on")]
Difficulty: TypeAlias = Annotated[
    int | None, arg(help="number of bits, size of the maze, ...; by default that of training")
]
Variant: TypeAlias = Annotated[
    str,
    arg(
        help="mazes: depth_first, wilson, kruskal, open_start or looped; chess_mates: random or balanced; by default "
        "that of training"
    ),
]
Split: TypeAlias = Annotated[str, arg(help="train, validation or test")]
DataSeed: TypeAlias = Annotated[int, arg(help="data seed; each seed gives different instances")]
Iterations: TypeAlias = Annotated[int | None, arg(help="most iterations; by default enough for the difficulty")]
Device: TypeAlias = Annotated[str, arg(help="cpu or cuda")]
Threads: TypeAlias = Annotated[int, arg(help="batches run in parallel on a CPU")]
Precision: TypeAlias = Annotated[str, arg(help="float32 or bfloat16")]
Quiet: TypeAlias = Annotated[bool, arg(help="show no progress bar")]

# For perturbations and alignment, with nets that can run any number of iterations.
_DEFAULT_AT: Final = 50
_DEFAULT_ITERATIONS: Final = 300


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a net, or resume training that was interrupted.

    Every setting of the preset has a flag of its own, such as --steps 500 --width 32 --seed 3;
    `easy-to-hard train NAME --settings` lists them. With several processes:
    torchrun --nproc-per-node 2 -m easy_to_hard.cli train NAME
    """

    name: Annotated[
        Positional[str],
        arg(
            help="such as prefix-sums, mazes or chess-mates, or a full name that `easy-to-hard info` lists",
            metavar="NAME",
        ),
    ]
    preset: Annotated[str, arg(help="such as fast, cpu or paper; by default cpu")] = ""
    out: Annotated[Path | None, arg(help="the run folder; by default runs/NAME-seedSEED")] = None
    device: Device = "cpu"
    threads: Annotated[int | None, arg(help="CPU threads; by default one for narrow nets, all for wide ones")] = None
    settings: Annotated[bool, arg(help="list the preset's settings and exit")] = False
    quiet: Quiet = False
    overrides: Suppress[tuple[str, ...]] = ()

    def when_stopped(self) -> str:
        """What to do after an interrupt."""
        return "run the same command again to resume from the last checkpoint"

    def run(self) -> int:
        """Train, and print how to evaluate the net."""
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
                print(f"{out}: already trained")
            else:
                print(f"{out}: trained, {report.steps:,} steps in {report.seconds:,.0f} s, last loss {report.loss:.5f}")
            data = f" --root {recipe.root}" if recipe.root else ""
            print(f"try it: easy-to-hard evaluate --model {out}{data}")
        return 0

    def _recipe(self) -> "Recipe | None":
        """The preset with its overrides; None if only a list of its settings was requested."""
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
    """Test a net on unseen instances of increasing difficulty, at every iteration."""

    model: Model
    task: TaskOfModel = ""
    difficulties: Annotated[
        tuple[int, ...], arg(help="difficulties to test; by default a graded list for the task")
    ] = ()
    variant: Variant = ""
    split: Split = "test"
    seed: DataSeed = 0
    root: Root = ""
    items: Annotated[
        tuple[int, ...],
        arg(
            help="number of instances: one number, or one for each difficulty; by default about a minute's worth, "
            "10 to 1,000"
        ),
    ] = ()
    iterations: Iterations = None
    exit: Annotated[str, arg(help="which iteration's answer counts: settled, max-confidence, last or validation")] = (
        "settled"
    )
    run_all: Annotated[bool, arg(help="run every iteration, even when nothing changes anymore")] = False
    out: Annotated[Path | None, arg(help="a result file to write (.json)")] = None
    device: Device = "cpu"
    threads: Threads = 2
    precision: Precision = "float32"
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What an interrupt leaves behind."""
        kept = "nothing was kept" if self.out is None else f"{self.out} has the difficulties that were finished"
        return f"{kept}; the same command starts over"

    def run(self) -> int:
        """Evaluate, print the table, and write the result."""
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
                # After each difficulty, so that an interrupt loses only the one in progress.
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
    """Base of the commands that run a net on instances of one difficulty."""

    model: Model
    task: TaskOfModel = ""
    difficulty: Difficulty = None
    variant: Variant = ""
    split: Split = "test"
    seed: DataSeed = 0
    root: Root = ""
    device: Device = "cpu"

    def load(self) -> "tuple[ThinkingNet, ModelFacts, DataSpec]":
        """The net, the facts of its training, and which instances to use."""
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
        """The net and the first `num_items` instances."""
        from easy_to_hard.datasets.items import Items

        if num_items < 1:
            raise ValueError(f"--items must be at least 1, not {num_items}")
        model, _, spec = self.load()
        return model, Items(spec, num_items)


@dataclass(frozen=True, kw_only=True)
class Think(_AtOneDifficulty):
    """Draw how a net solves one instance: an animation (.gif), or a strip of images (.png, .svg, .pdf)."""

    out: Annotated[Path, arg(help="the file to write; its suffix sets the format")] = Path("think.png")
    index: Annotated[int, arg(help="index of the instance, from 0")] = 0
    iterations: Iterations = None
    frames: Annotated[int | None, arg(help="number of frames; by default 40 in an animation, 12 in a strip")] = None

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
    """Perturb a net's state between iterations (swap, zero, noise, flip a bit), and see whether it recovers."""

    at: Annotated[
        int | None,
        arg(help="iterations before the perturbation; by default 50, or half of a net's fixed number of iterations"),
    ] = None
    iterations: Annotated[
        int | None, arg(help="iterations in total; by default 300, or a net's fixed number of iterations")
    ] = None
    items: Annotated[int, arg(help="number of instances")] = 100
    quiet: Quiet = False

    def run(self) -> int:
        """Perturb, and print a table."""
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
    """Asymptotic alignment: does a net reach the same features from any starting state (arXiv 2211.09961)?"""

    iterations: Annotated[
        int | None,
        arg(help="iterations from each starting state; by default 300, or a net's fixed number of iterations"),
    ] = None
    items: Annotated[int, arg(help="number of instances; each is started from the final state of every other one")] = 16
    quiet: Quiet = False

    def run(self) -> int:
        """Compute the alignment, and print the scores."""
        from easy_to_hard.baselines.deep_thinking.alignment import asymptotic_alignment
        from easy_to_hard.commands.net_tables import describe_alignment

        model, items = self.load_items(self.items)
        inputs, _ = items[:]
        iterations = (model.depth or _DEFAULT_ITERATIONS) if self.iterations is None else self.iterations
        print(describe_alignment(asymptotic_alignment(model, inputs, iterations, progress=not self.quiet)))
        return 0


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Plot accuracy against iterations for several nets at one difficulty, from their result files."""

    results: Annotated[Positional[tuple[Path, ...]], arg(help="files that `evaluate --out` wrote", metavar="RESULT")]
    config: Annotated[str, arg(help="the config to plot, such as prefix_sums_48 or mazes_33")]
    out: Annotated[Path, arg(help="the image file to write: .png, .svg or .pdf")] = Path("curves.png")

    def run(self) -> int:
        """Plot."""
        from easy_to_hard.plotting import plot_accuracy_curves, save_figure
        from easy_to_hard.scores.results import curves_at

        figure = plot_accuracy_curves(curves_at(self.results, self.config), title=self.config.replace("_", " "))
        print(save_figure(figure, self.out))
        return 0
