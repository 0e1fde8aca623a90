"""Forced mates in words."""

import re
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import chess
from easy_to_hard.generators.chess.board import POSITION_WORDS
from easy_to_hard.generators.chess.san import all_moves, find_moves, to_san
from easy_to_hard.text.form import AmbiguousError, TextForm, UnreadableError, Verdict, right, wrong

_KINDS: Final = MappingProxyType({"k": "king", "q": "queen", "r": "rook", "b": "bishop", "n": "knight", "p": "pawn"})
_AROUND: Final = " \t\r\n\"'`*_$()[]{}.,;:"
_NUMBER: Final = re.compile(r"^[0-9]{1,3}\s?\.(?:\.\.|…)?\s*")
_SIGN: Final = re.compile(r"\s{0,3}([-=x:])\s{0,3}")
_NO_MOVES: Final = frozenset({"mate", "checkmate", "check", "e.p", "ep"})
_LOOKS: Final = re.compile(
    r"[KQRBN]?[a-h]?[1-8]?[-x:]?[a-h][1-8]=?[QRBN]?[+#!?]*|[O0]-[O0](-[O0])?[+#!?]*", re.IGNORECASE
)


class ChessMateText(TextForm[str]):
    """A position is given; its answer is a move, in UCI or SAN, whatever was asked for."""

    task = "chess_mates"
    styles = MappingProxyType(
        {
            "fen": "the position as FEN; the answer in UCI",
            "pieces": "the position as a list of pieces; the answer in SAN",
        }
    )
    ladders = MappingProxyType({"2k": (1, 2, 3), "8k": (1, 2, 3), "32k": (1, 2, 3)})

    def prompt(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The position, and that the key move is wanted."""
        fen = chess.to_fens(data[None])[0]
        board, turn = fen.split()[:2]
        mover = {"w": "White", "b": "Black"}[turn]
        given = f"in FEN:\n\n{fen}" if style == "fen" else f"as a list of pieces:\n\n{_pieces(board)}"
        notation = "UCI, such as e2e4 or e7e8q" if style == "fen" else "SAN, such as Nf3 or exd8=Q"
        moves = "mates in 1 move" if difficulty == 1 else f"forces mate in {difficulty} moves, whatever is replied"
        return (
            f"Here is a chess position {given}\n\n"
            f"{mover} is to move. Nobody may castle, and there is no capture en passant in the first move. Find the "
            f"move that {moves}. End your reply with a line that has 'Answer: ' and this one move in {notation}."
        )

    def answer(self, data: NDArray[Any], difficulty: int, style: str) -> str:
        """The key move."""
        return _uci(data, _key(data)) if style == "fen" else to_san(data[:POSITION_WORDS], _key(data))

    def guess(self, data: NDArray[Any], difficulty: int, rng: np.random.Generator) -> str:
        """A legal move at random."""
        return _uci(data, int(rng.choice(all_moves(data[:POSITION_WORDS]))))

    def read(self, text: str, data: NDArray[Any], difficulty: int) -> str:
        """The move in UCI; as it was written if it is not legal."""
        words = _SIGN.sub(r"\1", _NUMBER.sub("", text.replace("\\", "").strip(_AROUND))).split()
        bare = [bare for word in words if (bare := word.strip(_AROUND)).lower().rstrip("!+#?") not in _NO_MOVES]
        if not bare or not all(map(_LOOKS.fullmatch, bare)):
            raise UnreadableError(f"{text[:40]!r} is not a move")
        if len(bare) > 1:
            raise AmbiguousError(f"{text[:40]!r} is more than one move")
        found = find_moves(data[:POSITION_WORDS], bare[0])
        if len(found) > 1:
            choices = ", ".join(_uci(data, move) for move in found)
            raise AmbiguousError(f"{bare[0]} leaves open which move is meant: {choices}")
        return _uci(data, found[0]) if found else bare[0]

    def judge(self, answer: str, data: NDArray[Any], difficulty: int) -> Verdict:
        """A move is right if it forces mate in so many moves; there is no partial credit."""
        found = find_moves(data[:POSITION_WORDS], answer)
        if not found:
            return wrong(f"{answer} is not a legal move")
        if found[0] == _key(data) or found[0] in _keys(data, difficulty):
            return right(f"{answer} forces mate in {difficulty}")
        return wrong(f"{answer} is legal, but does not force mate in {difficulty}")


def _key(data: NDArray[Any]) -> int:
    return int(data[POSITION_WORDS])


def _keys(data: NDArray[Any], mate_in: int) -> set[int]:
    """All moves that force mate in so many moves, by a search of all moves."""
    solution = chess.solve(data[None], mate_in, 1)
    return set(solution.keys[0].tolist()) - {-1}


def _uci(data: NDArray[Any], move: int) -> str:
    return chess.to_ucis(np.array([move], dtype=np.int64), data[None])[0]


def _pieces(board: str) -> str:
    """The pieces on a board in FEN, a line for each side."""
    squares: dict[str, list[str]] = {}
    for rank, row in zip("87654321", board.split("/"), strict=True):
        file = 0
        for symbol in row:
            if symbol.isdigit():
                file += int(symbol)
            else:
                squares.setdefault(symbol, []).append(f"{'abcdefgh'[file]}{rank}")
                file += 1
    lines = []
    for side, letters in (("White", "KQRBNP"), ("Black", "kqrbnp")):
        kinds = [
            f"{_KINDS[letter.lower()]}{'s' if len(squares[letter]) > 1 else ''} {', '.join(squares[letter])}"
            for letter in letters
            if letter in squares
        ]
        lines.append(f"{side}: {'; '.join(kinds)}")
    return "\n".join(lines)
