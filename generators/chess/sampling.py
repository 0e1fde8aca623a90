"""Draw puzzles: a forced mate in exactly n moves, with one key move.

For item i of a split, games are played from the item's own stream until a position occurs that is in the split's hash
range and that the solver accepts. A game gives only its first puzzle, and which one that is must not depend on the
split; otherwise, the larger split would get earlier ones, with more pieces on the board. So where playing is what takes
long, the first puzzle of any split ends the game; where calling the solver does, for deeper mates, every split
considers a tenth of all boards: for "train", one in eight of its own.

Games are played at random (see `games`), or by some judgment in the variant `balanced` (see there).

On becoming a puzzle, a position loses its castling rights and en-passant square, so that a network's planes show all
there is to know. Whether the colors are exchanged is decided by a coin flip.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from easy_to_hard.generators.chess.balanced import ANY_KEY, choose_good_move, draw_traits, has_trait, is_balanced
from easy_to_hard.generators.chess.board import (
    BLACK_TO_MOVE,
    FULLMOVES_SHIFT,
    MAX_MOVES,
    MOVE_MASK,
    POSITION_WORDS,
    ROW_WORDS,
    STATE,
    copy_position,
)
from easy_to_hard.generators.chess.fen import START_FEN
from easy_to_hard.generators.chess.games import MAX_PLIES, choose_move, is_over, mark_checks
from easy_to_hard.generators.chess.hashes import canonical_hash
from easy_to_hard.generators.chess.mates import (
    MAX_MATE_IN,
    mate_within,
    new_search,
    only_key,
    solution_line,
    table_entries,
)
from easy_to_hard.generators.chess.moves import legal_moves, make
from easy_to_hard.generators.chess.text import parse_fens
from easy_to_hard.generators.integers import check_integer
from easy_to_hard.generators.kernels import kernel
from easy_to_hard.generators.parallel import run_in_chunks
from easy_to_hard.generators.random import BUFFER_BYTES, CURSOR_WORDS, mix64, next_below, open_stream, stream_key
from easy_to_hard.generators.splits import NotEnoughInstancesError, as_indices, check_split, split_range

MIN_MATE_IN: Final = 1
MAX_SAMPLED_MATE_IN: Final = 6
BALANCED: Final = "balanced"
VARIANTS: Final = ("", BALANCED)

# This many half-moves at the start of a game give no puzzles.
_FIRST_PLY: Final = 8
# From mate in 2 on, only positions in which two checks are possible are tried: they include 19 of 20 puzzles.
_LEAST_CHECKS: Final = 2
# The smallest split holds a tenth of all boards.
_SMALLEST_SHARE: Final = 2**64 // 10
# From mate in 3 on, a search that allows this many moves without check must find the mate before the full search
# checks whether there is a shorter one, or a second key.
_QUIET_MOVES: Final = 1
_MAX_GAMES: Final = 1_000_000
# `first_distinct` draws at most this many times the number asked for.
_PATIENCE: Final = 20
# Up to this depth, playing takes longer than solving.
_MOSTLY_PLAY, _MOSTLY_PLAY_BALANCED = 1, 2
# Rough seconds per item, from mate in 1 to mate in 6.
_DRAW_SECONDS: Final = {"": (0.0005, 0.002, 0.02, 0.15, 3.0, 30.0), BALANCED: (0.005, 0.1, 0.6, 2.0, 15.0, 150.0)}


@dataclass(frozen=True, kw_only=True)
class MateBatch:
    """N puzzles.

    Attributes:
        rows: (N, 9) uint64, positions and their key moves, see `board`.
        lines: (N, 2 mate_in - 1) int16, the moves of the longest defense, each as its own mover sees it.
        legal_moves: (N,) int32, how many moves the mover has to choose from.
        board_hashes: (N,) uint64, equal for boards that differ only by exchanging colors, left and right, or both.
    """

    rows: NDArray[np.uint64]
    lines: NDArray[np.int16]
    legal_moves: NDArray[np.int32]
    board_hashes: NDArray[np.uint64]


def check_mate_in(mate_in: int) -> int:
    """Return `mate_in`, or raise ValueError that says what is allowed."""
    return check_integer("mate_in", mate_in, MIN_MATE_IN, MAX_SAMPLED_MATE_IN)


def check_variant(variant: str) -> str:
    """Return `variant`, or raise ValueError that lists what is allowed."""
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: {' or '.join(repr(name) for name in VARIANTS)}")
    return variant


def draw_seconds(mate_in: int, variant: str) -> float:
    """Rough time to draw one puzzle."""
    return _DRAW_SECONDS[variant][mate_in - 1]


@kernel(counted=False)
def _key_move(candidate, mate_in, search):  # type: ignore[no-untyped-def]
    """The one key move of a puzzle, or -1 if the position is not a puzzle."""
    if mate_in > 2 and mate_within(candidate, mate_in, search, _QUIET_MOVES) != mate_in:
        return np.int64(-1)
    return only_key(candidate, mate_in, search)


@kernel(counted=False)
def _play_game(games, mate_in, kind, low, last, thin, search, moves, weights, buffer, cursor):  # type: ignore[no-untyped-def]
    """Play from games[0] until a puzzle occurs, which is then in games[2]; returns (its key, its hash), key -1 if none.

    games: (6, 8): two positions that take turns, the candidate, and scratch space.
    kind: (balanced, castled, trait): how to play and, if balanced, which puzzles count.
    """
    candidate, checks, reply, child = games[2], games[3], games[4], games[5]
    balanced, castled, trait = kind
    every_split = mate_in <= (_MOSTLY_PLAY_BALANCED if balanced else _MOSTLY_PLAY)
    for ply in range(MAX_PLIES):
        position, after = games[ply & 1], games[1 - (ply & 1)]
        count = legal_moves(position, moves)
        if count == 0 or is_over(position):
            break
        number = mark_checks(position, moves, count, checks, after)
        enough = ply >= _FIRST_PLY and number >= min(mate_in, _LEAST_CHECKS)
        if enough and (not balanced or is_balanced(position, castled)):
            board_hash = canonical_hash(position)
            in_split = low <= board_hash <= last
            if every_split or (in_split and mix64(board_hash) <= thin):
                copy_position(position, candidate)
                candidate[STATE] = np.uint64(1) << FULLMOVES_SHIFT
                key = np.int64(-1)
                if trait == ANY_KEY or has_trait(
                    candidate, moves, count, trait, mate_in, search, _QUIET_MOVES, reply, child
                ):
                    key = _key_move(candidate, mate_in, search)
                if key >= 0:
                    return (key & MOVE_MASK if in_split else np.int64(-1)), board_hash
        if balanced:
            move = choose_good_move(position, moves, count, weights, after, buffer, cursor)
        else:
            move = choose_move(position, moves, count, weights, buffer, cursor)
        make(position, move, after)
    return np.int64(-1), np.uint64(0)


@kernel
def _sample(mate_in, balanced, key, indices, low, last, thin, start, rows, lines, legal, hashes):  # type: ignore[no-untyped-def]
    search = new_search(table_entries(mate_in))
    games = np.empty((6, POSITION_WORDS), dtype=np.uint64)
    moves, weights = np.empty(MAX_MOVES, dtype=np.int64), np.empty(MAX_MOVES, dtype=np.int64)
    line = np.empty(2 * MAX_MATE_IN, dtype=np.int64)
    buffer = np.empty(BUFFER_BYTES, dtype=np.uint8)
    cursor = np.empty(CURSOR_WORDS, dtype=np.uint64)
    for i in range(indices.shape[0]):
        open_stream(buffer, cursor, key, indices[i])
        black = next_below(buffer, cursor, 2)
        castled, trait = draw_traits(mate_in, buffer, cursor) if balanced else (False, ANY_KEY)
        kind = balanced, castled, trait
        legal[i] = 0
        for _ in range(_MAX_GAMES):
            games[0] = start
            move, board_hash = _play_game(games, mate_in, kind, low, last, thin, search, moves, weights, buffer, cursor)
            if move >= 0:
                solution_line(games[2], mate_in, search, line)
                for j in range(2 * mate_in - 1):
                    lines[i, j] = line[j]
                legal[i] = legal_moves(games[2], moves)
                hashes[i] = board_hash
                rows[i, :POSITION_WORDS] = games[2]
                if black:
                    rows[i, STATE] |= BLACK_TO_MOVE
                rows[i, POSITION_WORDS] = np.uint64(move)
                break


def sample(
    mate_in: int,
    indices: ArrayLike,
    *,
    variant: str = "",
    split: str = "train",
    seed: int = 0,
    split_rule: str = "hash",
    num_threads: int | None = None,
) -> MateBatch:
    """Draw the puzzles with the given indices in a split.

    In each, the mover can force mate in `mate_in` moves and not sooner, by exactly one first move. Both are proved by
    a search of all moves. From mate in 3 on, only positions are kept whose mate needs at most one move without check.

    Args:
        mate_in: the mover's moves to mate, 1 to 6; each further move takes about ten times as long to draw.
        indices: (N,) non-negative integers, in any order.
        variant: "", or "balanced" for positions and keys more like those of games between people.
        split: "train", "validation" or "test".
        seed: any integer; another seed gives other puzzles.
        split_rule: "hash" (splits share no board), or "original" (every split is drawn from all boards).
        num_threads: None for one per core. The result does not depend on it.

    Raises:
        NotEnoughInstancesError: a million games gave no puzzle.
        ValueError: any other argument is out of range.
    """
    mate_in, items = check_mate_in(mate_in), as_indices(indices)
    key = np.uint64(stream_key("chess_mates", check_variant(variant), mate_in, check_split(split), seed))
    low, high = split_range(split, split_rule)
    drawn = _DRAWN.get((mate_in, variant, split, seed, split_rule))
    if drawn is not None and len(items) and int(items.max()) < len(drawn.rows):
        return _taken(drawn, items)
    count = len(items)
    rows = np.empty((count, ROW_WORDS), dtype=np.uint64)
    lines = np.empty((count, 2 * mate_in - 1), dtype=np.int16)
    legal, hashes = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.uint64)
    share = high - low
    thin = 2**64 - 1 if split_rule == "original" else min(2**64 - 1, _SMALLEST_SHARE * 2**64 // share)
    bounds = np.uint64(low), np.uint64(high - 1), np.uint64(thin)
    start = parse_fens([START_FEN])[0]

    def draw(a: int, b: int) -> None:
        drawn = rows[a:b], lines[a:b], legal[a:b], hashes[a:b]
        _sample(mate_in, variant == BALANCED, key, items[a:b], *bounds, start, *drawn)

    run_in_chunks(draw, count, num_threads, nanoseconds=1e9 * draw_seconds(mate_in, variant))
    if count and int(legal.min()) == 0:
        raise NotEnoughInstancesError(f"no mate in {mate_in} in split {split!r} among {_MAX_GAMES} games")
    return MateBatch(rows=rows, lines=lines, legal_moves=legal, board_hashes=hashes)


# The puzzles that `first_distinct` drew last, for `sample` to return, since drawing them again would take long.
_DRAWN: Final[OrderedDict[tuple[int, str, str, int, str], MateBatch]] = OrderedDict()
_MOST_DRAWN: Final = 32


def first_distinct(
    count: int,
    *,
    mate_in: int,
    variant: str = "",
    split: str,
    seed: int,
    split_rule: str,
    num_threads: int | None = None,
    progress: Callable[[int], object] = lambda drawn: None,
) -> NDArray[np.uint64]:
    """The indices of the first `count` puzzles whose boards differ, even up to mirroring: (count,) uint64.

    Args:
        count: at least 0.
        mate_in, variant, split, seed, split_rule, num_threads: as for `sample`.
        progress: called with the number of puzzles just drawn, every second or so.

    Raises:
        NotEnoughInstancesError: further draws give hardly any new puzzles.
        ValueError: the count is negative, or as in `sample`.
    """
    count = check_integer("count", count, 0)
    batches: list[MateBatch] = []
    drawn, most, step = count, _PATIENCE * count, max(1, int(1 / draw_seconds(mate_in, check_variant(variant))))
    known = 0
    while True:
        while known < drawn or not batches:
            items = np.arange(known, min(known + step, drawn))
            batches.append(
                sample(
                    mate_in,
                    items,
                    variant=variant,
                    split=split,
                    seed=seed,
                    split_rule=split_rule,
                    num_threads=num_threads,
                )
            )
            known += len(items)
            progress(len(items))
        batches = [_joined(batches)]
        batch = batches[0]
        _, first = np.unique(batch.board_hashes, return_index=True)
        if len(first) >= count:
            break
        if drawn >= most:
            raise NotEnoughInstancesError(
                f"mate in {mate_in} in split {split!r}: {drawn} draws gave {len(first)} distinct boards, "
                f"fewer than the {count} asked for"
            )
        drawn = min(most, drawn + 2 * (count - len(first)) + 8)
    key = mate_in, variant, split, seed, split_rule
    if key not in _DRAWN or len(_DRAWN[key].rows) < len(batch.rows):
        _DRAWN[key] = batch
    _DRAWN.move_to_end(key)
    while len(_DRAWN) > _MOST_DRAWN:
        _DRAWN.popitem(last=False)
    return np.sort(first)[:count].astype(np.uint64)


def _joined(batches: Sequence[MateBatch]) -> MateBatch:
    names = MateBatch.__dataclass_fields__
    return MateBatch(**{name: np.concatenate([getattr(batch, name) for batch in batches]) for name in names})


def _taken(batch: MateBatch, items: NDArray[np.uint64]) -> MateBatch:
    return MateBatch(**{name: getattr(batch, name)[items] for name in MateBatch.__dataclass_fields__})
