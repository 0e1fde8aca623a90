"""The commands of `easy-to-hard` that make and show data."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from tyro.conf import Positional, arg

from easy_to_hard.extras import MissingExtraError, naming_extra

if TYPE_CHECKING:
    from easy_to_hard.tasks import DataSpec

Task: TypeAlias = Annotated[
    Positional[str], arg(help="the task: prefix_sums, mazes, chess_mates or chess_puzzles", metavar="TASK")
]
Difficulty: TypeAlias = Annotated[
    Positional[int],
    arg(help="number of bits, size of the maze, moves to mate, or lowest rating of the band", metavar="DIFFICULTY"),
]
Variant: TypeAlias = Annotated[
    str,
    arg(
        help="mazes: depth_first (default), wilson, kruskal, open_start or looped, also with bounds of path length, "
        "as in looped_100to140; chess_mates: random (default) or balanced; chess_puzzles: rating or rank"
    ),
]
Split: TypeAlias = Annotated[str, arg(help="train, validation or test")]
Seed: TypeAlias = Annotated[int, arg(help="data seed; each seed gives different instances")]
SplitRule: TypeAlias = Annotated[
    str, arg(help="hash: splits share no instance; original: they may, as in the original data of 2021")
]
Root: TypeAlias = Annotated[str, arg(help="for chess_puzzles: the folder that convert-lichess made")]
Quiet: TypeAlias = Annotated[bool, arg(help="show no progress bar")]


@dataclass(frozen=True, kw_only=True)
class Build:
    """Make graded datasets in a folder that `load_dataset` reads, resuming an interrupted build."""

    out: Annotated[Path, arg(help="the folder to write")]
    preset: Annotated[
        str, arg(help="tiny (seconds), demo, small, full (the benchmark), maze-unique or mates-balanced")
    ] = "small"
    seed: Seed = 0
    split_rule: SplitRule = "hash"
    shard: Annotated[
        str,
        arg(
            help="I/N: make only the I-th of N shares, to build on N machines (with the same version of pyarrow); "
            "then build without --shard in the joined folder"
        ),
    ] = ""
    threads: Annotated[int | None, arg(help="files made in parallel; by default one per core")] = None
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What to do after an interrupt."""
        return "run the same command again to continue after the finished files"

    def run(self) -> int:
        """Build, and print where."""
        from easy_to_hard.storage.building import build

        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, not {self.threads}")
        report = build(
            self.out,
            preset=self.preset,
            seed=self.seed,
            split_rule=self.split_rule,
            shard=parse_shard(self.shard) if self.shard else None,
            num_threads=self.threads,
            progress=not self.quiet,
        )
        files = f"{report.made + report.kept} files" + (f" ({report.kept} already there)" if report.kept else "")
        print(f"{report.root}: {report.rows:,} rows in {files}, {report.size / 1e6:.1f} MB")
        if self.shard and report.made + report.kept == 0:
            print(f"share {self.shard} is empty: there are fewer files than shares")
        if self.shard and report.missing:
            print(f"share {self.shard}; {report.missing} files of other shares are not in this folder yet")
        if self.shard:
            print("when all shares are in one folder, run this command there without --shard")
        return 0


def parse_shard(text: str) -> tuple[int, int]:
    """(I, N) of the flag --shard I/N.

    Raises:
        ValueError: another form, or I is not from 1 to N.
    """
    index, slash, number = text.partition("/")
    if not (slash and index.isdecimal() and number.isdecimal() and 1 <= int(index) <= int(number)):
        raise ValueError(f"--shard must be I/N with I from 1 to N, such as 2/8, not {text!r}")
    return int(index), int(number)


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Check a dataset in a folder or on the Hub: every file's hash, and a sample of rows made and solved again."""

    folder: Annotated[
        Positional[str],
        arg(help="a folder that `build` made, or a Hub repo: owner/name or owner/name@revision", metavar="DIR"),
    ]
    quiet: Quiet = False

    def run(self) -> int:
        """Verify, and print a line for each problem."""
        from easy_to_hard.storage.verification import verify

        report = verify(self._folder(), progress=not self.quiet)
        for problem in report.problems:
            print(f"{report.root}/{problem}", file=sys.stderr)
        if report.problems:
            return 1
        print(f"{report.root}: all is well, {report.rows:,} rows in {report.files} files")
        return 0

    def _folder(self) -> Path:
        """The folder, or where a Hub repo's files are cached."""
        from easy_to_hard.datasets.sources import is_hub_repo
        from easy_to_hard.hub.fetch import open_dataset
        from easy_to_hard.hub.retrying import split_revision

        if not is_hub_repo(self.folder):
            return Path(self.folder).expanduser()
        return open_dataset(*split_revision(self.folder)).fetch_all()


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Write instances of one difficulty to a .parquet or .npz file, or to a folder that `load_dataset` reads."""

    task: Task
    difficulty: Annotated[
        Positional[int | None],
        arg(help="number of bits, size of the maze, moves to mate, or lowest rating of the band", metavar="DIFFICULTY"),
    ] = None
    out: Annotated[Path, arg(help="a file that ends in .parquet or .npz, or a folder")]
    num: Annotated[int, arg(help="number of instances", aliases=("--count",))] = 1000
    mate_in: Annotated[int | None, arg(help="for chess_mates: moves to mate, in place of DIFFICULTY")] = None
    variant: Variant = ""
    split: Split = "train"
    seed: Seed = 0
    split_rule: SplitRule = "hash"
    root: Root = ""

    def when_stopped(self) -> str:
        """What to do after an interrupt."""
        if self.out.suffix == "":
            return "run the same command again to continue after the finished files"
        return f"{self.out} was not written; the same command starts over"

    def run(self) -> int:
        """Generate, write under a temporary name, rename."""
        from easy_to_hard.storage.writing import replacing
        from easy_to_hard.tasks import DataSpec, get_task

        spec = DataSpec(
            task=self.task,
            difficulty=self._difficulty(),
            variant=self.variant,
            split=self.split,
            seed=self.seed,
            split_rule=self.split_rule,
            root=self.root,
        )
        if self.out.suffix == "":
            return self._build_folder(spec)
        if self.out.suffix not in (".parquet", ".npz"):
            raise ValueError(f"--out must end in .parquet or .npz, or be a folder, not {self.out.name!r}")
        get_task(self.task).sample_count(spec, self.num)
        self.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.out) as temporary:
            _write_instances(spec, self.num, temporary, self.out.suffix)
        print(f"{self.out}: {self.num:,} instances of {spec.config}, split {spec.split}")
        return 0

    def _difficulty(self) -> int:
        from easy_to_hard.tasks import get_task

        if self.mate_in is not None and self.task != "chess_mates":
            raise ValueError(f"--mate-in is for chess_mates, not for {self.task}: give the difficulty after the task")
        if (self.difficulty is None) == (self.mate_in is None):
            easy = get_task(self.task).train_difficulty
            raise ValueError(f"give one difficulty, such as: easy-to-hard generate {self.task} {easy}")
        return self.difficulty if self.difficulty is not None else self.mate_in  # type: ignore[return-value]

    def _build_folder(self, spec: "DataSpec") -> int:
        from easy_to_hard.storage.building import build
        from easy_to_hard.storage.presets import Part

        if self.root:
            raise ValueError(f"{self.task} are already in a folder: {self.root}")
        part = Part(task=spec.task, difficulty=spec.difficulty, variant=spec.variant, split=spec.split, rows=self.num)
        report = build(self.out, preset="custom", seed=spec.seed, split_rule=spec.split_rule, parts=[part])
        print(f"{report.root}: {report.rows:,} instances of {spec.config}, split {spec.split}")
        return 0


def _write_instances(spec: "DataSpec", num: int, path: Path, suffix: str) -> None:
    import numpy as np

    from easy_to_hard.progress import progress_bar
    from easy_to_hard.storage.files import make_chunk, write_shard
    from easy_to_hard.tasks import get_task

    task = get_task(spec.task)
    indices = task.first_distinct(spec, task.sample_count(spec, num), None)
    if suffix == ".parquet":
        with progress_bar(
            total=len(indices), desc=f"generating {spec.config}", unit="rows", unit_scale=True, always=True
        ) as bar:
            write_shard(path, spec, indices, bar.update)
        return
    chunk = make_chunk(spec, indices, None)
    # An open file, since NumPy would add a suffix to a path.
    with path.open("wb") as file:
        np.savez_compressed(
            file, allow_pickle=False, input=chunk.inputs, target=chunk.targets, index=indices, **chunk.columns
        )


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a training and a test set as the token files that HRM and TRM read."""

    out: Annotated[Path, arg(help="the folder to make, which must not exist")]
    task: Annotated[str, arg(help="mazes or prefix_sums")]
    difficulty: Annotated[int, arg(help="size of the maze, or number of bits")]
    format: Annotated[str, arg(help="hrm, the only one so far")] = "hrm"
    variant: Variant = ""
    train: Annotated[int, arg(help="number of training instances")] = 1000
    test: Annotated[int, arg(help="number of test instances")] = 1000
    seed: Seed = 0
    quiet: Quiet = False

    def run(self) -> int:
        """Export, and print where."""
        from easy_to_hard.storage.hrm import export_hrm
        from easy_to_hard.tasks import config_name

        if self.format != "hrm":
            raise ValueError(f"unknown format {self.format!r}: choose hrm")
        export_hrm(
            self.out,
            task=self.task,
            difficulty=self.difficulty,
            variant=self.variant,
            train=self.train,
            test=self.test,
            seed=self.seed,
            progress=not self.quiet,
        )
        config = config_name(self.task, self.difficulty, self.variant)
        print(f"{self.out}: {self.train:,} training and {self.test:,} test instances of {config}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Show:
    """Draw one instance with its solution, in the terminal or, with --out, as an image file."""

    task: Task
    difficulty: Difficulty
    index: Annotated[int, arg(help="index of the instance, from 0")] = 0
    variant: Variant = ""
    split: Split = "train"
    seed: Seed = 0
    root: Root = ""
    out: Annotated[Path | None, arg(help="an image file to write: .png, .svg or .pdf")] = None

    def run(self) -> int:
        """Draw."""
        import numpy as np

        from easy_to_hard.tasks import DataSpec, get_task

        spec = DataSpec(
            task=self.task,
            difficulty=self.difficulty,
            variant=self.variant,
            split=self.split,
            seed=self.seed,
            root=self.root,
        )
        if self.out is not None:
            from easy_to_hard.plotting import save_figure
            from easy_to_hard.task_plots import plot_item

            print(save_figure(plot_item(spec, self.index), self.out))
            return 0
        task = get_task(spec.task)
        instances = task.generate(spec, np.array([self.index]), None)
        inputs, targets = task.encode(instances.data, spec.difficulty, None)
        print(_as_shown(task.text(inputs[0], targets[0], instances.data[0])))
        known = [f"{name} {values[0]}" for name, values in instances.columns.items()]
        print(", ".join([spec.config, f"split {spec.split}", f"seed {spec.seed}", f"item {self.index}", *known]))
        return 0


def _as_shown(drawing: str) -> str:
    """The drawing, in ASCII if the terminal has no other characters, so that walls and paths stay apart."""
    try:
        drawing.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return drawing.translate({ord("█"): "#", ord("·"): "."})
    return drawing


def _in_short(numbers: Sequence[int]) -> str:
    """The numbers in a line; where three or more follow on each other, the first and the last."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Info:
    """List the tasks, the presets of `build` and `train`, and the nets that come with the package."""

    def run(self) -> int:
        """List."""
        from easy_to_hard.storage.presets import PRESETS
        from easy_to_hard.tasks import TASKS, config_name

        for task in TASKS.values():
            print(f"{task.name}: {task.title}")
            print(f"  {task.reference}")
            print(f"  difficulty    {task.difficulty_name}: {_in_short(task.difficulties)}")
            print(f"  trained at    {task.train_difficulty}")
            if task.alike_from:
                alike = f"from {task.alike_from} on; test instances of other seeds are new from {task.new_from} on"
                print(f"  splits alike  {alike}")
            if task.variants:
                print(f"  variants      {' '.join(task.variant_names)}")
        print("presets of easy-to-hard build")
        width = max(map(len, PRESETS))
        for name, parts in PRESETS.items():
            configs = len({part.config for part in parts})
            print(f"  {name:<{width}} {configs:>3} configs, {sum(part.rows for part in parts):>9,} rows")
        try:
            with naming_extra("nets need"):
                # Commands are above all layers.
                from easy_to_hard.baselines.deep_thinking.checkpoint import shipped_facts, shipped_models
                from easy_to_hard.baselines.deep_thinking.recipes import RECIPES
        except MissingExtraError as error:
            print(error)
            return 0
        print("presets of easy-to-hard train")
        width = max(map(len, RECIPES))
        for name, recipe in RECIPES.items():
            print(f"  {name:<{width}} {recipe.title}")
        print("nets for easy-to-hard evaluate")
        models = shipped_models()
        width = max(map(len, models))
        for name in models:
            facts = shipped_facts(name)
            print(f"  {name:<{width}} trained on {config_name(facts.task, facts.difficulty, facts.variant)}")
        return 0
