"""What the card says of each task in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class TaskText:
    """A task in the words of a card.

    Attributes:
        tags: for the Hub's search.
        question: what is given and what is asked.
        columns: what each column of the files holds.
        generator: how instances are made.
        limits: what is missing or one-sided, a paragraph each.
        dataset: the PyTorch class, and its argument for the difficulty.
        decoder: Markdown on how to make tensors of columns that are none; empty where `input` and `target` are columns.
    """

    tags: tuple[str, ...]
    question: str
    columns: Mapping[str, str]
    generator: str
    limits: tuple[str, ...]
    dataset: tuple[str, str]
    decoder: str = ""


_CHESS_DECODER: Final = """\
The files hold positions and moves as text. This makes tensors of them:

```python
import numpy as np


def decode(fen, move):
    \"\"\"Planes (12, 8, 8) and target (8, 8), uint8, as the mover sees the board.\"\"\"
    board, turn = fen.split()[:2]
    planes, target = np.zeros((12, 8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    for rank, row in enumerate(reversed(board.split("/"))):
        file = 0
        for symbol in row:
            if symbol.isdigit():
                file += int(symbol)
            else:
                channel = "kqbnrp".index(symbol.lower()) + 6 * (symbol.isupper() != (turn == "w"))
                planes[channel, rank, file] = 1
                file += 1
    for square in (move[:2], move[2:4]):
        target[int(square[1]) - 1, "abcdefgh".index(square[0])] = 1
    return (planes, target) if turn == "w" else (planes[:, ::-1], target[::-1])
```

Channels are the mover's king, queens, bishops, knights, rooks and pawns, then those of the other side; row 0 is the
mover's back rank and column 0 the a-file. The target is 1 on the two squares of the move. The package does the same,
faster, for many rows: `task.encode(task.from_columns(rows), mate_in, None)` with `task = TASKS["chess_mates"]`."""

TEXTS: Final[Mapping[str, TaskText]] = {
    "prefix_sums": TaskText(
        tags=("prefix-sums",),
        question=(
            "A bit string is given. Position i of the answer is the sum of bits 0 to i, modulo two. The difficulty is "
            "the number of bits."
        ),
        columns={
            "input": "the bits, each 0 or 1",
            "target": "the parity of each prefix, 0 or 1",
        },
        generator=(
            "Strings are uniform: those of fewer than 64 bits are drawn by a keyed bijection, so that none comes twice."
        ),
        limits=(
            "Bits are independent and uniform. Short strings are few, 65,536 of 16 bits in all, so a net may know them "
            "by heart; this is no longer possible at 64 bits.",
            "Half of the positions of a target are 1, so a constant guess is right at half of the positions and, as "
            "good as always, on no whole string.",
        ),
        dataset=("PrefixSumDataset", "num_bits"),
    ),
    "mazes": TaskText(
        tags=("mazes",),
        question=(
            "A picture of a maze is given, with a green start and a red goal. The answer is 1 on the shortest path "
            "from the one to the other, both ends included, and 0 elsewhere. The difficulty is the size s: a maze has "
            "m x m cells, m = (s + 1) / 2, every cell, passage and wall takes 2 x 2 pixels, and a border of one pixel "
            "runs round it, so that a side has H = W = 2 s + 6 pixels."
        ),
        columns={
            "input": "the picture, channels red, green and blue, each 0 or 1: free is white, a wall is black",
            "target": "1 on the path, else 0",
            "path_length": "steps of the path, two from a cell to the next",
            "layout_hash": "hash of the walls, 16 hexadecimal digits, the same for all 8 turned and mirrored images",
        },
        generator=(
            "`depth_first` (configs without a variant in their name) is the original's procedure: a randomised "
            "depth-first search grows a tree from the start cell; start and goal are two distinct cells, uniform. "
            "`wilson` draws a uniform spanning tree, `kruskal` opens walls in random order, `open_start` grows the "
            "tree from another cell than the start, and `looped` takes one in ten of the standing walls away, at most "
            "3 m, such that the shortest path is unique."
        ),
        limits=(
            "Small mazes have few layouts, and a depth-first search makes some of them much more often than others. "
            "The table of overlaps counts the layouts.",
            "Start and goal are uniform, so many paths are much shorter than the longest: a net that finds short paths "
            "only is right on a part of a hard config. Compare accuracy by `path_length`.",
            "The trees of `depth_first` have long corridors, and nearly every start lies in a dead end, since the tree "
            "grows from there. Nets can depend on it: for starts that do not, arXiv 2410.03020 reports 72 % at size 9. "
            "`open_start` is made to test this.",
            "All variants but `looped` are trees, in which any path without a turn back is the shortest. Filling the "
            "dead ends solves them.",
        ),
        dataset=("MazeDataset", "size"),
    ),
    "chess_mates": TaskText(
        tags=("chess",),
        question=(
            "A chess position is given in which the side to move forces mate in exactly n moves, and can do so by one "
            "first move only. The answer is that move. The difficulty is n."
        ),
        columns={
            "fen": "the position",
            "move": "the key, the one move that forces mate, UCI",
            "line": "a line of the longest defence, both sides' moves, UCI, from the key on",
            "mate_in": "the number of moves to mate, the key included",
            "legal_moves": "how many moves the mover can choose from",
            "key_is_check": "whether the key gives check",
            "key_is_capture": "whether the key takes a piece",
            "board_hash": "hash of the pieces, 16 hexadecimal digits, the same after exchange of colours or of left "
            "and right",
        },
        generator=(
            "Positions come from games of random moves with weights for winning captures, checks, castling and "
            "promotions, and against giving pieces away. A search of all moves proves the mate, that there is no "
            "shorter one, and that no other first move mates in as many."
        ),
        limits=(
            "The positions are not from games of people. In mates in 2 the other side has 8 pawns' worth of material "
            "on average, in those of the Lichess database 23; of the keys of the latter 99 % give check, here about "
            "half.",
            "Castling rights and the en-passant square are dropped. From mate in 2 on, the mover has at least two "
            "checks to choose from. From mate in 3 on, only positions come up whose mate needs at most one move "
            "without check; a `line`, which shows a longest defence, may have more. The proofs do not depend on this.",
            "The keys of mates in 3 give check more often than those of mates in 2, so a net that has learnt to give "
            "check does better on them. Compare accuracy by `key_is_check`.",
        ),
        dataset=("ChessMateDataset", "mate_in"),
        decoder=_CHESS_DECODER,
    ),
}

# Title, authors and year as on arXiv.
PAPERS: Final = (
    (
        "schwarzschild2021algorithm",
        "2106.04537",
        "2021",
        "Can You Learn an Algorithm? Generalizing from Easy to Hard Problems with Recurrent Networks",
        "Schwarzschild, Avi and Borgnia, Eitan and Gupta, Arjun and Huang, Furong and Vishkin, Uzi and "
        "Goldblum, Micah and Goldstein, Tom",
    ),
    (
        "schwarzschild2021datasets",
        "2108.06011",
        "2021",
        "Datasets for Studying Generalization from Easy to Hard Examples",
        "Schwarzschild, Avi and Borgnia, Eitan and Gupta, Arjun and Bansal, Arpit and Emam, Zeyad and "
        "Huang, Furong and Goldblum, Micah and Goldstein, Tom",
    ),
    (
        "bansal2022endtoend",
        "2202.05826",
        "2022",
        "End-to-end Algorithm Synthesis with Recurrent Networks: Logical Extrapolation Without Overthinking",
        "Bansal, Arpit and Schwarzschild, Avi and Borgnia, Eitan and Emam, Zeyad and Huang, Furong and "
        "Goldblum, Micah and Goldstein, Tom",
    ),
)
