"""python-chess as the oracle of the chess engine: positions, moves and encodings that share no code with it.

For tests and benchmarks only: python-chess is under the GPL, so the package itself never imports it.
"""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from easy_to_hard.generators.chess import parse_fens
from easy_to_hard.generators.chess.attacks import in_check
from easy_to_hard.generators.chess.board import MAX_MOVES, MOVE_MASK, POSITION_WORDS
from easy_to_hard.generators.chess.moves import find_legal, has_legal_move, legal_moves, make

chess: Any = pytest.importorskip("chess")

PERFT = {
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1": (20, 400, 8902, 197281, 4865609, 119060324),
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1": (48, 2039, 97862, 4085603, 193690690),
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": (14, 191, 2812, 43238, 674624, 11030083),
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": (6, 264, 9467, 422333, 15833292),
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": (44, 1486, 62379, 2103487, 89941194),
    "r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10": (46, 2079, 89890, 3894594, 164075551),
}
"""The six positions of the chess programming wiki: FEN, then the number of sequences of 1, 2, 3, ... moves."""

KINDS = (
    "check", "double check", "pin", "castling", "castling of Black", "promotion", "promotion of Black", "en passant",
    "en passant forbidden", "checkmate", "stalemate",
)  # fmt: skip
"""What `kinds_of` tells of a position."""

_PROMOTIONS = {None: 0, chess.KNIGHT: 1, chess.BISHOP: 2, chess.ROOK: 3, chess.QUEEN: 4}
_START_COUNTS = {chess.QUEEN: 1, chess.ROOK: 2, chess.BISHOP: 2, chess.KNIGHT: 2}
# Sliders often, for their checks and pins.
_THROWN = (chess.PAWN,) * 5 + (chess.KNIGHT, chess.BISHOP, chess.BISHOP, chess.ROOK, chess.ROOK, chess.QUEEN)


def encode(board: Any, move: Any) -> int:
    """A move in the engine's 15 bits, squares as the mover sees them."""
    turn = 0 if board.turn else 56
    return int(move.from_square ^ turn | (move.to_square ^ turn) << 6 | _PROMOTIONS[move.promotion] << 12)


def position_of(board: Any) -> Any:
    """(8,) uint64. An en-passant square is told to the engine whether or not a capture there is legal."""
    return parse_fens([board.fen(en_passant="fen")])[0]


def random_play(count: int, seed: int) -> Iterator[tuple[Any, list[Any], Any]]:
    """`count` positions of random games: (board, its legal moves, the move that is played, None at the end).

    The board changes afterwards. Every other move is a special one where there is one, some are captures, moves of
    pawns or checks, so that games come to promotions, mates and endgames.
    """
    rng, left = random.Random(seed), count
    while True:
        board = chess.Board()
        for _ in range(rng.choice((60, 120, 240))):
            legal = list(board.legal_moves)
            wish = rng.random()
            if wish < 0.5:
                wanted = [m for m in legal if m.promotion or board.is_castling(m) or board.is_en_passant(m)]
            elif wish < 0.7:
                wanted = [m for m in legal if board.is_zeroing(m)]
            else:
                wanted = [m for m in legal if wish > 0.9 and board.gives_check(m)]
            choices = wanted or legal
            move = rng.choice(choices) if choices else None
            if left == 0:
                return
            left -= 1
            yield board, legal, move
            if move is None:
                break
            board.push(move)


def has_possible_material(board: Any) -> bool:
    """Whether no side has more pieces than its eight pawns can have become."""
    for color in chess.COLORS:
        promoted = (max(0, len(board.pieces(kind, color)) - start) for kind, start in _START_COUNTS.items())
        if len(board.pieces(chess.PAWN, color)) + sum(promoted) > 8:
            return False
    return True


def thrown_boards(count: int, seed: int) -> Iterator[Any]:
    """Legal positions that come from no game: pieces thrown on the board, what python-chess calls valid is kept."""
    rng = random.Random(seed)
    while count:
        board = chess.Board(None)
        _throw_pieces(board, rng)
        board.turn = rng.random() < 0.5
        if board.was_into_check():
            board.turn = not board.turn
        board.castling_rights = chess.BB_CORNERS
        board.castling_rights = board.clean_castling_rights() & rng.getrandbits(64)
        squares = [square for square in range(16, 48) if _can_be_passed(board, square)]
        if squares and rng.random() < 0.7:
            board.ep_square = rng.choice(squares)
        board.halfmove_clock, board.fullmove_number = rng.randrange(200), rng.randint(1, 500)
        if board.is_valid() and has_possible_material(board):
            count -= 1
            yield board


def _throw_pieces(board: Any, rng: random.Random) -> None:
    """Two kings and up to 20 more pieces; some kings can castle, some pawns stand where one may be taken en passant."""
    squares = rng.sample(range(64), rng.randint(3, 22))
    wish = rng.random()
    if wish < 0.25:
        squares = [4, 60, *(square for square in squares if square not in (4, 60))]
        for corner in (0, 7, 56, 63):
            board.set_piece_at(corner, chess.Piece(chess.ROOK, corner < 8))
    for place, square in enumerate(squares):
        kind = chess.KING if place < 2 else rng.choice(_THROWN)
        if kind != chess.PAWN or 8 <= square < 56:
            board.set_piece_at(square, chess.Piece(kind, place == 0 if place < 2 else rng.random() < 0.5))
    if wish > 0.5:
        white_takes, file = rng.random() < 0.5, rng.randrange(7)
        for square in (file + 8 * rank for rank in ((5, 6) if white_takes else (1, 2))):
            board.remove_piece_at(square)
        passed, taker = (32, 33) if white_takes else (24, 25)
        board.set_piece_at(file + passed, chess.Piece(chess.PAWN, not white_takes))
        board.set_piece_at(file + taker, chess.Piece(chess.PAWN, white_takes))


def _can_be_passed(board: Any, square: int) -> bool:
    up = 8 if board.turn else -8
    if chess.square_rank(square) != (5 if board.turn else 2) or board.piece_at(square) or board.piece_at(square + up):
        return False
    return bool(board.piece_at(square - up) == chess.Piece(chess.PAWN, not board.turn))


def kinds_of(board: Any, legal: list[Any]) -> Iterator[str]:
    """Which of `KINDS` a position is."""
    checkers = len(board.checkers())
    mine = chess.SquareSet(board.occupied_co[board.turn] & ~board.kings)
    yield from ["check"] * (checkers > 0) + ["double check"] * (checkers > 1)
    if any(board.is_pinned(board.turn, square) for square in mine):
        yield "pin"
    for name, found in (("castling", map(board.is_castling, legal)), ("promotion", (m.promotion for m in legal))):
        if any(found):
            yield from [name] if board.turn else [name, f"{name} of Black"]
    if board.has_pseudo_legal_en_passant():
        yield "en passant" if board.has_legal_en_passant() else "en passant forbidden"
    if not legal:
        yield "checkmate" if checkers else "stalemate"


class Comparison:
    """Compares the engine with python-chess, position by position, and counts what was compared."""

    def __init__(self) -> None:
        self.positions = 0
        self.moves = 0
        self.kinds: Counter[str] = Counter()
        self._scratch = np.empty(MAX_MOVES, dtype=np.int64)

    def check_position(self, board: Any, legal: list[Any], position: Any) -> None:
        """The same legal moves, the same answer to: in check, checkmate, stalemate."""
        count = legal_moves(position, self._scratch)
        ours = sorted((self._scratch[:count] & MOVE_MASK).tolist())
        assert ours == sorted(encode(board, move) for move in legal), board.fen()
        assert in_check(position) == board.is_check(), board.fen()
        assert has_legal_move(position) == bool(legal), board.fen()
        self.positions += 1
        self.kinds.update(kinds_of(board, legal))

    def after(self, board: Any, position: Any, move: Any) -> Any:
        """The engine's position after `move`, which is the one that python-chess comes to; the board is left as it is.

        All eight words are compared: placement, castling rights, en-passant square, color and both clocks.
        """
        made = np.empty(POSITION_WORDS, dtype=np.uint64)
        make(position, find_legal(position, encode(board, move), self._scratch), made)
        board.push(move)
        assert np.array_equal(made, position_of(board)), (board.fen(), move.uci())
        board.pop()
        self.moves += 1
        return made


def to_planes(board: Any, move: Any, perspective: str) -> tuple[Any, Any]:
    """(12, 8, 8) and (8, 8) uint8: the mover's K Q B N R P, then the enemy's; origin and destination."""
    inputs, target = np.zeros((12, 8, 8), dtype=np.uint8), np.zeros((8, 8), dtype=np.uint8)
    turn = perspective == "mover" and not board.turn

    def place(square: int) -> tuple[int, int]:
        rank, file = chess.square_rank(square), chess.square_file(square)
        return (7 - rank if turn else rank), file

    for square, piece in board.piece_map().items():
        inputs["KQBNRP".index(piece.symbol().upper()) + 6 * (piece.color != board.turn), *place(square)] = 1
    target[place(move.from_square)] = target[place(move.to_square)] = 1
    return inputs, target
