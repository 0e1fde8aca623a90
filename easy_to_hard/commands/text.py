"""The command of `easy-to-hard` that writes prompts for language models; `score` scores their replies."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from easy_to_hard.commands.data import Seed, Split, Variant

if TYPE_CHECKING:
    from easy_to_hard.text import Item


@dataclass(frozen=True, kw_only=True)
class Text:
    """Print instances as prompts for a language model, with their answers, or write them to a file with --out.

    A file of replies to them, lines with id and reply, is scored by `easy-to-hard score --replies FILE`.
    """

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
    reply: Annotated[
        str,
        arg(
            help="instead of prompts, write replies that need no model: none, guess (random bits, walks or legal "
            "moves) or solver"
        ),
    ] = ""
    out: Annotated[Path | None, arg(help="a .jsonl file to write: lines with id, prompt and answer")] = None

    def run(self) -> int:
        """Print or write."""
        from easy_to_hard.text import answer, prompt
        from easy_to_hard.text.bounds import BOUNDS
        from easy_to_hard.text.jsonl import write_prompts, write_replies

        if self.out is not None and self.out.suffix != ".jsonl":
            raise ValueError(f"--out must end in .jsonl, not {self.out.name!r}")
        if self.reply and self.reply not in BOUNDS:
            raise ValueError(f"--reply must be {', '.join(BOUNDS)}, not {self.reply!r}")
        if self.reply and self.out is None:
            raise ValueError("--reply needs --out, a file that ends in .jsonl")
        items = self._items()
        if self.out is None:
            for item in items:
                print(f"{item.id}\n\n{prompt(item, self.style)}\n\n{answer(item, self.style)}\n")
            return 0
        if self.reply:
            write_replies(self.out, items, BOUNDS[self.reply])
        else:
            write_prompts(self.out, items, self.style)
        print(f"{self.out}: {len(items):,} {'replies' if self.reply else 'prompts'}")
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
