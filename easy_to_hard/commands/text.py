"""The commands of `easy-to-hard` that write prompts for language models and score their replies."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from easy_to_hard.commands.data import Seed, Split, Variant

if TYPE_CHECKING:
    from easy_to_hard.text import Item


@dataclass(frozen=True, kw_only=True)
class Text:
    """Print instances as prompts for a language model, with their answers, or write them to a file with --out."""

    task: Annotated[Positional[str], arg(help="the task: prefix_sums, mazes or chess_mates", metavar="TASK")]
    difficulty: Annotated[
        Positional[int | None],
        arg(help="number of bits, size of the maze, or moves to mate", metavar="DIFFICULTY"),
    ] = None
    ladder: Annotated[
        str, arg(help="in place of DIFFICULTY: all that fit so many tokens with their answers: 2k, 8k or 32k")
    ] = ""
    num: Annotated[int, arg(help="number of instances of each difficulty")] = 1
    style: Annotated[
        str, arg(help="prefix_sums: spaced or string; mazes: grid, marked or coordinates; chess_mates: fen or pieces")
    ] = ""
    variant: Variant = ""
    split: Split = "test"
    seed: Seed = 0
    out: Annotated[Path | None, arg(help="a .jsonl file to write: lines with id, prompt and answer")] = None

    def run(self) -> int:
        """Print or write."""
        from easy_to_hard.text import answer, prompt
        from easy_to_hard.text.jsonl import write_prompts

        if self.out is not None and self.out.suffix != ".jsonl":
            raise ValueError(f"--out must end in .jsonl, not {self.out.name!r}")
        items = self._items()
        if self.out is None:
            for item in items:
                print(f"{item.id}\n\n{prompt(item, self.style)}\n\n{answer(item, self.style)}\n")
            return 0
        write_prompts(self.out, items, self.style)
        print(f"{self.out}: {len(items):,} prompts")
        return 0

    def _items(self) -> "list[Item]":
        from easy_to_hard.text import get_form, ladder, make_items

        form = get_form(self.task)
        form.check_style(self.style)
        if (self.difficulty is None) == (self.ladder == ""):
            raise ValueError(f"give a difficulty or a ladder, such as: easy-to-hard text {self.task} --ladder 2k")
        steps = ladder(self.ladder, self.task) if self.difficulty is None else (self.difficulty,)
        return [
            item
            for step in steps
            for item in make_items(self.task, step, self.num, variant=self.variant, split=self.split, seed=self.seed)
        ]


@dataclass(frozen=True, kw_only=True)
class ScoreReplies:
    """Score a file of replies to the prompts of `easy-to-hard text`: lines of JSON with id and reply."""

    replies: Annotated[Positional[Path], arg(help="a .jsonl file", metavar="FILE")]
    out: Annotated[Path | None, arg(help="a .jsonl file to write: lines with id, correct, score and reason")] = None

    def run(self) -> int:
        """Score, print a line for each config, write the verdicts."""
        from easy_to_hard.scores.scoring import wilson_interval
        from easy_to_hard.text.jsonl import verify_replies, write_verdicts

        verdicts = verify_replies(self.replies)
        print(f"{'config':<24} {'replies':>7} {'right':>7} {'95 % interval':>16} {'score':>6} {'unreadable':>10}")
        for config in dict.fromkeys(item.spec.config for item, _ in verdicts):
            held = [verdict for item, verdict in verdicts if item.spec.config == config]
            num_right, total = sum(verdict.correct for verdict in held), len(held)
            low, high = wilson_interval(num_right, total)
            score = sum(verdict.score for verdict in held) / total
            unreadable = sum(verdict.reason.startswith("unreadable") for verdict in held)
            share, interval = f"{100 * num_right / total:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %"
            print(f"{config:<24} {total:>7,} {share:>7} {interval:>16} {score:>6.3f} {unreadable:>10,}")
        if self.out is not None:
            write_verdicts(self.out, verdicts)
            print(self.out)
        return 0
