"""The commands of `easy-to-hard` that score submissions and make the leaderboard's page.

Commands are above all layers, and import the layers below only when they run.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from tyro.conf import arg

from easy_to_hard.commands.data import Root
from easy_to_hard.commands.nets import Device, Precision, Quiet, Threads, Variant

if TYPE_CHECKING:
    from easy_to_hard.leaderboard.evaluate import Entry, Questions
    from easy_to_hard.scores.results import DifficultyScore, Result

_SUBMISSIONS: Final = ("predictions", "replies", "model", "callable", "again", "template")


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score a submission on the benchmark's test instances: predictions, a net, a Python function, or texts.

    Give exactly one of --predictions, --replies, --model, --callable, --again or --template. A submission is scored as
    a whole or not at all; --out writes the result file that the leaderboard shows. To submit predictions, write a
    template: `easy-to-hard score --template mazes_59 --out mine.parquet`, fill it in, and score it: `easy-to-hard score
    --predictions mine.parquet --method "my solver" --trained-on mazes_9 --out mine.json`.
    """

    predictions: Annotated[
        Path | None, arg(help="a .parquet or .npz file with an answer to every item of its configs")
    ] = None
    replies: Annotated[
        Path | None,
        arg(help="a .jsonl file of a language model's replies to the prompts of `easy-to-hard text`: id and reply"),
    ] = None
    verdicts: Annotated[
        Path | None, arg(help="with --replies, a .jsonl file to write: lines with id, correct, score and reason")
    ] = None
    model: Annotated[
        str, arg(help="a net to score: a run folder, a net that comes with the package, or owner/name on the Hub")
    ] = ""
    callable: Annotated[
        str,
        arg(help="module:function to score; takes (inputs, iterations), returns predictions or logits", metavar="M:F"),
    ] = ""
    again: Annotated[
        Path | None,
        arg(help="a result file: score its submission again and compare; if it was a function, give --callable too"),
    ] = None
    template: Annotated[
        tuple[str, ...], arg(help="configs, such as mazes_59: write all-zero predictions for them to --out, to fill in")
    ] = ()
    task: Annotated[str, arg(help="such as mazes; required with --callable, otherwise only checked")] = ""
    difficulties: Annotated[
        tuple[int, ...],
        arg(help="test difficulties; by default the benchmark's, for --model those that take minutes on a CPU"),
    ] = ()
    variant: Variant = ""
    items: Annotated[
        tuple[int, ...],
        arg(
            help="how many of the first items to score: one number, or one for each difficulty; by default all, for "
            "--model about a minute's worth"
        ),
    ] = ()
    iterations: Annotated[
        tuple[int, ...],
        arg(help="most iterations, for --callable one number or one for each difficulty; by default enough for each"),
    ] = ()
    fresh_seed: Annotated[
        int | None,
        arg(help="score on fresh test instances of this seed (not 0), and report how many of them are new"),
    ] = None
    batch_size: Annotated[int, arg(help="instances per call of the --callable function")] = 50
    root: Root = ""
    data: Annotated[
        str,
        arg(help="read instances from a built folder or a Hub repo (owner/name@v1); by default they are generated"),
    ] = ""
    method: Annotated[str, arg(help="name of the entry; by default the name of the net, file or function")] = ""
    preset: Annotated[str, arg(help="distinguishes entries of the same method")] = ""
    trained_on: Annotated[
        str, arg(help="config of the training data, such as mazes_9; leave out if there was no training")
    ] = ""
    authors: Annotated[str, arg(help="shown on the leaderboard")] = ""
    link: Annotated[str, arg(help="URL of a paper or of code")] = ""
    provenance: Annotated[str, arg(help="always self-reported; only --again writes re-scored")] = "self-reported"
    out: Annotated[Path | None, arg(help="the result file (.json), or the template (.parquet, .npz)")] = None
    device: Device = "cpu"
    threads: Threads = 2
    precision: Precision = "float32"
    quiet: Quiet = False

    def run(self) -> int:
        """Score, print the table, write the result."""
        given = [name for name in _SUBMISSIONS if getattr(self, name)]
        if self.again and self.callable:
            # It permits running the function that the result file names.
            given.remove("callable")
        if len(given) != 1:
            known = ", ".join(f"--{name}" for name in _SUBMISSIONS)
            told = " and ".join(f"--{name}" for name in given) or "none"
            raise ValueError(f"give one of {known}, not {told} (see easy-to-hard score --help)")
        if self.verdicts is not None and not self.replies:
            raise ValueError("--verdicts needs --replies")
        if self.template:
            return self._write_template()
        from easy_to_hard.leaderboard.fresh import seen_lines

        self._check()
        result, differences = self._score(given[0])
        _print_result(result)
        for line in seen_lines(result.to_dict()):
            print(line)
        if self.out is not None:
            from easy_to_hard.scores.results import write_result

            self.out.parent.mkdir(parents=True, exist_ok=True)
            write_result(result, self.out)
            print(self.out)
        for difference in differences:
            print(f"{self.again}: {difference}", file=sys.stderr)
        if self.again and not differences and self.fresh_seed is None:
            print(f"agrees with {self.again}")
        return 1 if differences else 0

    def _check(self) -> None:
        if self.provenance == "re-scored":
            raise ValueError("--provenance re-scored cannot be claimed: score the result file with --again")
        if self.fresh_seed == 0:
            raise ValueError("--fresh-seed must not be 0, which is the seed of the frozen benchmark")
        if self.fresh_seed is not None and (self.predictions or self.replies):
            raise ValueError("--fresh-seed needs a net or a callable: a file is of the instances it was made for")
        if self.replies is not None:
            for name in ("difficulties", "variant", "items", "iterations", "root", "data"):
                if getattr(self, name):
                    raise ValueError(f"--{name} is not for --replies, whose ids say which items they are to")
        if self.verdicts is not None and self.verdicts.suffix != ".jsonl":
            raise ValueError(f"--verdicts must end in .jsonl, not {self.verdicts.name!r}")
        if self.out is not None and (self.out.suffix != ".json" or self.out.is_dir()):
            raise ValueError(f"--out must be a file that ends in .json, not {self.out.name!r}")
        if self.fresh_seed is not None and self.data:
            raise ValueError("--data holds the frozen instances: leave it out with --fresh-seed")
        if self.root and self.data:
            raise ValueError("--root is for chess_puzzles, --data for the other tasks: give one")
        if self.callable and not self.task and not self.again:
            raise ValueError("--callable needs --task, such as --task mazes")

    def _write_template(self) -> int:
        from easy_to_hard.leaderboard.submissions import write_template

        if self.out is None:
            raise ValueError("--template needs --out, a file that ends in .parquet or .npz")
        rows = write_template(self.template, self.out)
        print(f"{self.out}: {rows:,} answers of zeros to fill in; then easy-to-hard score --predictions {self.out}")
        return 0

    def _entry(self) -> "Entry":
        from easy_to_hard.leaderboard.evaluate import Entry

        return Entry(
            method=self.method,
            preset=self.preset,
            trained_on=self.trained_on,
            authors=self.authors,
            link=self.link,
            provenance=self.provenance,  # type: ignore[arg-type]  # checked there
        )

    def _score(self, kind: str) -> "tuple[Result, list[str]]":
        from easy_to_hard.leaderboard import evaluate, rescoring

        progress = not self.quiet
        if kind == "again":
            assert self.again is not None
            return rescoring.score_again(
                self.again,
                seed=self.fresh_seed,
                difficulties=self.difficulties,
                most_items=self._one("items"),
                iterations=self.iterations,
                callable_name=self.callable,
                progress=progress,
            )
        if kind == "predictions":
            assert self.predictions is not None
            return evaluate.score_predictions(
                self.predictions, self._entry(), task=self.task, place=self.data, progress=progress
            ), []
        if kind == "replies":
            assert self.replies is not None
            return evaluate.score_replies(self.replies, self._entry(), task=self.task, verdicts_out=self.verdicts), []
        if kind == "callable":
            return evaluate.score_callable(self.callable, self._questions(), self._entry(), progress=progress), []
        return self._score_model(), []

    def _one(self, name: str) -> int | None:
        numbers: tuple[int, ...] = getattr(self, name)
        if len(numbers) > 1:
            raise ValueError(f"--{name} must be one number here, not {len(numbers)}")
        return next(iter(numbers), None)

    def _questions(self) -> "Questions":
        from easy_to_hard.leaderboard.evaluate import Questions

        return Questions(
            task=self.task,
            difficulties=self.difficulties,
            variant=self.variant,
            items=self.items,
            iterations=self.iterations,
            seed=self.fresh_seed or 0,
            root=self.root,
            place=self.data,
            batch_size=self.batch_size,
        )

    def _score_model(self) -> "Result":
        from easy_to_hard.baselines.deep_thinking.scoring import Examination, load_for
        from easy_to_hard.leaderboard.evaluate import score_model
        from easy_to_hard.tasks import get_task

        iterations = self._one("iterations")
        _, facts = load_for(self.model, self.task, self.device)
        task = self.task or facts.task
        variant = self.variant or (facts.variant if task == facts.task else "")
        examination = Examination(
            task=task,
            difficulties=self.difficulties or get_task(task).tested_difficulties(root=self.root, variant=variant),
            variant=variant,
            seed=self.fresh_seed or 0,
            root=self.root,
            place=self.data,
            items=self.items,
            iterations=iterations,
            device=self.device,
            threads=self.threads,
            precision=self.precision,  # type: ignore[arg-type]  # checked there
        )
        return score_model(self.model, examination, self._entry(), progress=not self.quiet)


def _print_result(result: "Result") -> None:
    from easy_to_hard.leaderboard.ranking import FEWEST_ITEMS, ladder, overthinking_gap, reach, score_of
    from easy_to_hard.scores.results import variant_of
    from easy_to_hard.storage.presets import benchmark_tests

    facts = result.to_dict()
    variant = variant_of(facts)
    if result.data_seed:
        data = f"fresh instances, seed {result.data_seed}"
    elif all(score.config in benchmark_tests() for score in result.scores):
        data = "frozen instances"
    else:
        data = "instances of seed 0, which are in no frozen split"
    name = f"{result.method} {result.preset}".strip()
    print(f"{name} on {result.task.replace('_', ' ')}{f', {variant}' if variant else ''}: {data}")
    print(
        f"{'difficulty':>10}  {'items':>6}  {'exact match':>11}  {'95 % interval':>16}  {'positions':>9}"
        f"  {'iterations':>10}  {'MACs':>8}  checks"
    )
    for score in sorted(result.scores, key=lambda score: score.difficulty):
        print(_line(score))
    rungs = ladder(result.task, variant)
    measured = len({score.difficulty for score in result.scores if score.num_items >= FEWEST_ITEMS} & set(rungs))
    gap = overthinking_gap(facts)
    print(f"score {score_of(facts):.1f} of 100 ({measured} of {len(rungs)} rungs measured)")
    print(f"reach {reach(facts) or '-'} (hardest difficulty with a lower bound of at least 90 %)")
    print(
        f"over-thinking gap {'-' if gap is None else f'{100 * gap:.1f} %'}; answer taken at: {result.iterations_rule}"
    )


def _line(score: "DifficultyScore") -> str:
    low, high = (f"{100 * end:.1f}" for end in score.interval)
    cells = "-" if score.cell_accuracy is None else f"{100 * score.cell_accuracy:.2f} %"
    iterations = "-" if score.mean_iterations is None else f"{score.mean_iterations:,.0f}"
    macs = "-" if score.macs_per_item is None else f"{score.macs_per_item:.2g}"
    checks = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in score.checks.items())
    return (
        f"{score.difficulty:>10,}  {score.num_items:>6,}  {100 * score.accuracy:>9.1f} %  {f'{low} - {high}':>16}"
        f"  {cells:>9}  {iterations:>10}  {macs:>8}  {checks}"
    ).rstrip()


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Make the leaderboard page from result files: a static site that opens from disk."""

    out: Annotated[Path, arg(help="the folder to write")] = Path("leaderboard-page")
    results: Annotated[
        tuple[Path, ...], arg(help="result files, or folders of them; by default those of the package")
    ] = ()

    dataset: Annotated[
        str, arg(help="the benchmark's dataset on the Hub, for eval_results/*.yaml", metavar="ORG/NAME")
    ] = "easy-to-hard/easy-to-hard"

    def run(self) -> int:
        """Write the page, and print where."""
        from easy_to_hard.leaderboard.collect import read_published, read_results, shipped_results
        from easy_to_hard.leaderboard.page import write_site

        results = read_results(self.results or (shipped_results(),))
        page = write_site(results, self.out, published=read_published(), dataset_id=self.dataset)
        print(page)
        return 0
