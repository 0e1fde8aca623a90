"""Forced mates as a task."""

from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import chess
from easy_to_hard.generators.chess.attacks import in_check
from easy_to_hard.generators.chess.board import CAPTURE, MAX_MOVES, POSITION_WORDS
from easy_to_hard.generators.chess.moves import find_legal, make
from easy_to_hard.progress import progress_bar
from easy_to_hard.tasks.chess import Chess
from easy_to_hard.tasks.pictures import FIGURE_INCHES, Picture, picture_of_figure
from easy_to_hard.tasks.pieces import Array, Instances, PresetRows, TaskText
from easy_to_hard.tasks.task import Bits, DataSpec, config_name

# FEN and key of the first test item of each variant and difficulty, as searching for a mate in 5 takes seconds. A test
# checks them.
FIRST_MATES: Final = MappingProxyType(
    {
        ("", 1): ("rnbq1k1r/ppppp1b1/5pQp/4N1p1/3P4/PP3P2/2P1P1PP/RNB1KB1R w - - 0 1", "g6f7"),
        ("", 2): ("8/8/8/4k3/8/7q/1K6/7r b - - 0 1", "h1h2"),
        ("", 3): ("B1b2k1r/3p1p2/n3p2p/2P1P1P1/p4p2/P1P2P1P/P3q3/R1B2R1K b - - 0 1", "e2f1"),
        ("", 4): ("5k1r/n7/5N2/5B1p/3P3P/2p1p3/Q5P1/4K2R w - - 0 1", "a2e6"),
        ("", 5): ("4k1nr/8/2N1p1pp/p7/4P3/2P5/2N3Kb/3QB2R w - - 0 1", "d1d8"),
        ("balanced", 1): ("2Q1r1k1/6pp/1p6/p7/2b5/2n3PN/3r3P/5RK1 w - - 0 1", "c8e8"),
        ("balanced", 2): ("4r1k1/3R1pp1/1P5p/1R5N/4n2n/2r3BN/5PPP/6K1 b - - 0 1", "c3c1"),
        ("balanced", 3): ("4k3/5p2/2r5/pQ1RpNpn/P3P1p1/8/2q2P1P/6K1 w - - 0 1", "b5b8"),
    }
)

_DECODER: Final = """\
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


class ChessMates(Chess):
    """The one move that forces mate in exactly `difficulty` moves."""

    name = "chess_mates"
    title = "Chess: the one move that forces mate in exactly so many moves"
    description = (
        "`fen` is the position, `move` the key in UCI; `line` the moves of the longest defense; `legal_moves` counts "
        "what the mover has to choose from; `key_is_check` and `key_is_capture` say what the key is; `board_hash` is "
        "equal for the images of a board under exchange of colors or of left and right. The package makes of it an "
        "input (12, 8, 8) and a target (8, 8), 1 on the key's two squares, as the mover sees the board."
    )
    reference = "easy-to-hard; the encoding is that of Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011"
    difficulty_name = "moves to mate"
    difficulties = (1, 2, 3, 4, 5)
    train_difficulty = 1
    variants = chess.VARIANTS
    default_variant = "random"
    columns = MappingProxyType(
        {
            "fen": "string",
            "move": "string",
            "line": "string",
            "mate_in": "int32",
            "legal_moves": "int32",
            "key_is_check": "bool",
            "key_is_capture": "bool",
            "board_hash": "string",
        }
    )
    ladder = (1, 2, 3)
    presets = MappingProxyType(
        {
            "tiny": (
                PresetRows(difficulties=(1,), train=50, validation=20, test=20),
                PresetRows(difficulties=(2,), test=20),
            ),
            "small": (
                PresetRows(difficulties=(1,), train=10_000, validation=1_000, test=1_000),
                PresetRows(difficulties=(2,), test=1_000),
                PresetRows(difficulties=(3,), test=200),
            ),
            "full": (
                PresetRows(difficulties=(1,), train=50_000, validation=5_000, test=10_000),
                PresetRows(difficulties=(2,), train=10_000, validation=1_000, test=10_000),
                PresetRows(difficulties=(3,), test=2_000),
                PresetRows(difficulties=(4,), test=1_000),
                PresetRows(difficulties=(5,), test=200),
            ),
            # Drawing takes longer, see `draw_seconds`: an hour or so on two cores.
            "mates-balanced": (
                PresetRows(difficulties=(1,), variant="balanced", train=50_000, validation=1_000, test=1_000),
                PresetRows(difficulties=(2,), variant="balanced", train=20_000, validation=1_000, test=1_000),
                PresetRows(difficulties=(3,), variant="balanced", test=1_000),
                PresetRows(difficulties=(4,), variant="balanced", test=300),
            ),
        }
    )
    card_difficulties = (1, 2, 3)
    card = TaskText(
        question=(
            "A chess position is given in which the side to move forces mate in exactly n moves, and can do so by one "
            "first move only. The answer is that move. The difficulty is n."
        ),
        tags=("chess",),
        columns={
            "fen": "the position",
            "move": "the key, the one move that forces mate, UCI",
            "line": "a line of the longest defense, both sides' moves, UCI, from the key on",
            "mate_in": "the number of moves to mate, the key included",
            "legal_moves": "how many moves the mover can choose from",
            "key_is_check": "whether the key gives check",
            "key_is_capture": "whether the key takes a piece",
            "board_hash": "hash of the pieces, 16 hexadecimal digits, the same after exchange of colors or of left "
            "and right",
        },
        generator=(
            "Positions come from games of random moves with weights for winning captures, checks, castling and "
            "promotions, and against giving pieces away; those of the variant `balanced` from games in which both "
            "sides choose moves by a small evaluation, as far as the mover is not ahead. A search of all moves proves "
            "the mate, that there is no shorter one, and that no other first move mates in as many."
        ),
        limits=(
            "The positions are not from games of people. In mates in 2 the mover is 12 pawns ahead on average, in "
            "those of the Lichess database 3 behind; of the keys of the latter 99 % give check, here about half. Those "
            "of the variant `balanced` are closer: 3 pawns behind, and 99 %.",
            "Castling rights and the en-passant square are dropped. From mate in 2 on, the mover has at least two "
            "checks to choose from. From mate in 3 on, only positions come up whose mate needs at most one move "
            "without check; a `line`, which shows a longest defense, may have more. The proofs do not depend on this.",
            "The keys of mates in 3 give check more often than those of mates in 2, so a net that has learned to give "
            "check does better on them. Compare accuracy by `key_is_check`.",
        ),
        dataset=("ChessMateDataset", "mate_in"),
        decoder=_DECODER,
    )

    def check_difficulty(self, difficulty: int) -> int:
        """Check that the difficulty is a number of moves that can be searched."""
        return chess.check_mate_in(difficulty)

    def rungs_of(self, variant: str) -> tuple[int, ...]:
        """Of balanced mates, without those in 5, which take longest to draw."""
        return self.difficulties[:4] if self.check_variant(variant) else self.difficulties

    def default_samples(self, difficulty: int, split: str, variant: str) -> int:
        """Fewer for deeper mates, each of which takes ten times as long as one that is a move shallower.

        And fewer balanced ones, for whose tests alone drawing takes minutes.
        """
        if variant and split != "train":
            return 1_000 if difficulty < 4 else 300 if difficulty == 4 else 50
        train, other = {1: (50_000, 10_000), 2: (10_000, 10_000), 3: (2_000, 2_000)}.get(difficulty, (500, 500))
        if difficulty > 4:
            train, other = 100, 100
        return train if split == "train" else other

    def count_instances(self, spec: DataSpec) -> None:
        """Too many to count."""
        return None

    def first_distinct(self, spec: DataSpec, count: int, num_threads: int | None) -> NDArray[np.uint64]:
        """Found by drawing, since a position may come twice."""
        # Deep mates take long to draw, so a terminal shows a bar.
        with progress_bar(
            total=count, desc=f"drawing {spec.config}, {spec.split}", unit="mates", delay=2, leave=False
        ) as bar:
            return chess.first_distinct(
                count,
                mate_in=spec.difficulty,
                variant=spec.variant,
                split=spec.split,
                seed=spec.seed,
                split_rule=spec.split_rule,
                num_threads=num_threads,
                progress=bar.update,
            )

    def draw_seconds(self, difficulty: int, variant: str) -> float:
        """From a thousandth of a second to minutes, by depth and variant."""
        return chess.draw_seconds(difficulty, self.check_variant(variant))

    def generate(self, spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
        """Positions with their key moves, and what is known about both."""
        batch = chess.sample(
            spec.difficulty,
            indices,
            variant=spec.variant,
            split=spec.split,
            seed=spec.seed,
            split_rule=spec.split_rule,
            num_threads=num_threads,
        )
        rows, moves = batch.rows, batch.rows[:, POSITION_WORDS].astype(np.int64)
        checks, captures = _kinds_of_keys(rows)
        columns = {
            "fen": np.array(chess.to_fens(rows), dtype=str),
            "move": np.array(chess.to_ucis(moves, rows), dtype=str),
            "line": np.array(chess.to_lines(batch.lines, rows), dtype=str),
            "mate_in": np.full(len(rows), spec.difficulty, dtype=np.int32),
            "legal_moves": batch.legal_moves,
            "key_is_check": checks,
            "key_is_capture": captures,
            "board_hash": np.array([f"{value:016x}" for value in batch.board_hashes.tolist()], dtype=str),
        }
        return Instances(data=rows, columns=columns)

    def solve(self, inputs: Array, difficulty: int) -> Bits:
        """The squares of a key move, by full search from the planes alone; none if there is no mate in time."""
        positions = chess.from_planes(inputs)
        solution = chess.solve(positions, difficulty)
        moves = np.maximum(solution.keys[:, 0], 0).astype(np.uint64)
        targets = chess.to_planes(np.concatenate([positions, moves[:, None]], axis=1))[1]
        targets[solution.mate_in == 0] = 0
        return targets

    def judge(self, instances: Instances, predictions: Array, difficulty: int) -> dict[str, NDArray[np.bool_]]:
        """Whether an answer is a legal move, and whether it forces mate in time."""
        return self.judge_moves(instances, predictions, difficulty)

    def picture(self, variant: str, difficulty: int) -> Picture | None:
        """The board of the first test item, drawn with matplotlib."""
        from easy_to_hard.plotting import new_figure

        variant = self.check_variant(variant)
        if (variant, difficulty) not in FIRST_MATES:
            return None
        fen, move = FIRST_MATES[variant, difficulty]
        data = self.from_columns({"fen": np.array([fen]), "move": np.array([move])})
        planes, targets = self.encode(data, difficulty, 1)
        figure = new_figure(FIGURE_INCHES, FIGURE_INCHES)
        self.plot(planes[0], targets[0], data[0], figure.subplots())
        side = "White" if " w " in fen else "Black"
        label = f"{side} mates in {difficulty}, with {move[:2]} to {move[2:4]}"
        return picture_of_figure(config_name(self.name, difficulty, variant), figure, label)


def _kinds_of_keys(rows: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two (N,) arrays: whether each row's move gives check, and whether it captures."""
    checks, captures = np.zeros((2, len(rows)), dtype=np.bool_)
    scratch, after = np.empty(MAX_MOVES, dtype=np.int64), np.empty(POSITION_WORDS, dtype=np.uint64)
    for i, row in enumerate(rows):
        move = find_legal(row, np.int64(row[POSITION_WORDS]), scratch)
        make(row, move, after)
        checks[i], captures[i] = in_check(after), bool(move & CAPTURE)
    return checks, captures
