"""FEN and UCI: what is read, what is refused and why, and that no bytes lead a kernel astray."""

import re
from typing import Any

import numpy as np
import pytest
from chess_oracles import PERFT, chess, encode, has_possible_material, random_play, thrown_boards
from hypothesis import example, given, settings
from hypothesis import strategies as st

from easy_to_hard.generators.chess import parse_fens, parse_ucis, to_fens, to_ucis
from easy_to_hard.generators.chess.board import POSITION_WORDS
from easy_to_hard.generators.chess.fen import REASONS, read_fen
from easy_to_hard.generators.chess.uci import read_uci

START, KIWIPETE = list(PERFT)[:2]
BOARD = "r3k2r/8/8/3pP3/8/8/8/R3K2R"

# A word of the reason, and FENs that are refused for it.
REFUSED = {
    "the board": [
        "8/8/8/8/8/8/8 w - - 0 1",
        "8/8/8/8/8/8/8/8/k1K5 w - - 0 1",
        "k1K6/8/8/8/8/8/8/8 w - - 0 1",
        "k1K4/8/8/8/8/8/8/8 w - - 0 1",
        "k1K5/8/8/8/8/8/8/7 w - - 0 1",
        "k1K5/8/8/8/8/8/8/9 w - - 0 1",
        "k1K5/8/8/8/8/8/8/08 w - - 0 1",
        "k1K5/44/8/8/8/8/8/8 w - - 0 1",
        "k1K5/8/8/8/8/8/8/8/ w - - 0 1",
        "k1K5//8/8/8/8/8/8 w - - 0 1",
        "k1K4x/8/8/8/8/8/8/8 w - - 0 1",
        "k1K4\u00e9/8/8/8/8/8/8/8 w - - 0 1",
        "k1K5\\8/8/8/8/8/8/8 w - - 0 1",
        "k1K4\0/8/8/8/8/8/8/8 w - - 0 1",
    ],
    "one king": [
        "8/8/8/8/8/8/8/8 w - - 0 1",
        "k7/8/8/8/8/8/8/8 w - - 0 1",
        "k1K1K3/8/8/8/8/8/8/8 w - - 0 1",
        "k1k1K3/8/8/8/8/8/8/8 w - - 0 1",
    ],
    "pawn stands on": ["k1K4P/8/8/8/8/8/8/8 w - - 0 1", "k1K5/8/8/8/8/8/8/p7 w - - 0 1"],
    "side to move": [f"{BOARD} {side} - - 0 1" for side in ("W", "B", "x", "ww", "-", "\0")],
    "some of KQkq": [f"{BOARD} w {rights} - 0 1" for rights in ("KK", "x", "K-", "HAha", "--", "KQkqK", "0")],
    "without king and rook": [
        "r3k2r/8/8/8/8/8/8/R3KB1R b KQ1 - 0 1".replace("1 -", " -").replace("B1R", "RB1"),
        "4k3/8/8/8/8/8/8/R3K3 w K - 0 1",
        "4k3/8/8/8/8/8/8/4K2R w Q - 0 1",
        "r3k3/8/8/8/8/8/8/4K3 w k - 0 1",
        "4k2r/8/8/8/8/8/8/4K3 w q - 0 1",
        "4k3/8/8/8/8/8/8/R2K3R w KQ - 0 1",
        "4k3/8/8/8/8/8/8/4K2Q w K - 0 1",
        "4k3/8/8/8/8/8/8/4K2r w K - 0 1",
    ],
    "en-passant square": [
        f"{BOARD} w - {square} 0 1" for square in ("d3", "d5", "e6", "c6", "z6", "d9", "d", "d66", "D6", "--")
    ]
    + [
        f"{BOARD} b - d6 0 1",
        "4k3/3n4/8/3pP3/8/8/8/4K3 w - d6 0 1",
        "4k3/8/3n4/3pP3/8/8/8/4K3 w - d6 0 1",
        "4k3/8/8/3nP3/8/8/8/4K3 w - d6 0 1",
        "4k3/8/8/3PP3/8/8/8/4K3 w - d6 0 1",
        "4k3/8/8/8/3Pp3/8/3N4/4K3 b - d3 0 1",
    ],
    "is in check": [
        "k7/8/8/8/8/8/8/R3K3 w - - 0 1",
        "4k3/8/8/8/8/8/8/r3K3 b - - 0 1",
        "8/8/8/3kK3/8/8/8/8 w - - 0 1",
        "8/8/8/3k4/4P3/8/8/K7 w - - 0 1",
        "8/8/8/3K4/4p3/8/8/k7 w - - 0 1".replace("3K4/4p3", "4p3/3K4").replace(" w ", " b "),
    ],
    "clocks": [
        f"{BOARD} w - - {clocks}" for clocks in ("-1 1", "a 1", "0 -1", "0 b", "0.5 1", "10000 1", "0 10000", "+1 1")
    ],
    "fields": [
        "", " ", BOARD, f"{BOARD} w", f"{BOARD} w -", f"{BOARD} w - - 0", f"{BOARD} w - - 0 1 2", f" {BOARD} w - - 0 1",
        f"{BOARD} w - - 0 1 ", f"{BOARD}  w - - 0 1", f"{BOARD} w - -  1", f"{BOARD} w - - 0 1 ; id", "\n",
    ],
    "eight pawns": [
        "4k3/pppppppp/p7/8/8/8/8/4K3 w - - 0 1",
        "4k3/8/8/8/8/P7/PPPPPPPP/4K3 w - - 0 1",
        "4k3/8/8/8/8/1QQ5/PPPPPPPP/4K3 w - - 0 1",
        "4k3/8/8/8/8/NNN5/PPPPPPPP/4K3 w - - 0 1",
        "4k3/8/8/8/8/BBB5/PPPPPPPP/4K3 w - - 0 1",
        "4k3/8/8/8/8/RRR5/PPPPPPPP/4K3 w - - 0 1",
        "4k3/pppppppp/qq6/8/8/8/8/4K3 w - - 0 1",
        "7k/8/8/8/8/8/QQQQQ3/QQQQQ1K1 w - - 0 1",
    ],
}  # fmt: skip


def _fens(count: int, seed: int) -> list[str]:
    return [board.fen() for board, _, _ in random_play(count, seed)] + [b.fen() for b in thrown_boards(count, seed)]


def test_round_trip() -> None:
    fens = [*PERFT, *_fens(500, 3)]
    assert to_fens(parse_fens(fens)) == fens
    assert to_fens(parse_fens([])) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_line_ends_are_ignored(end: str) -> None:
    """As in lines read from a file; but not within a FEN, and other space is refused as ever."""
    fens = [*PERFT, "4k3/8/8/8/8/8/8/4K3 w - -"]
    assert np.array_equal(parse_fens([fen + end for fen in fens]), parse_fens(fens))
    with pytest.raises(ValueError, match=re.escape(repr(f"{fens[0]}{end} "))):
        parse_fens([f"{fens[0]}{end} "])


def test_words() -> None:
    """Kings on e1 and a8, a rook on h1, a pawn that may be taken on d6; and the same with the colors exchanged."""
    fens = ["k7/8/8/3pP3/8/8/8/4K2R w K d6 3 41", "4k2r/8/8/8/3Pp3/8/8/K7 b k d3 3 41"]
    white, black = parse_fens(fens).tolist()
    own, enemy = 1 << 36 | 1 << 4 | 1 << 7, 1 << 35 | 1 << 56
    state = 1 | 43 << 8 | 3 << 32 | 41 << 48
    assert white == [own, enemy, 1 << 36 | 1 << 35, 0, 0, 1 << 7, 1 << 4 | 1 << 56, state]
    assert black == [*white[:7], state | 1 << 16]


def test_what_is_left_out() -> None:
    """Four fields; a square that no pawn can take on, or only one that is pinned; the order of the rights; move 0."""
    read = {
        f"{BOARD} w - -": f"{BOARD} w - - 0 1",
        f"{BOARD} w qkQK -": f"{BOARD} w KQkq - 0 1",
        f"{BOARD} w - d6 0 0": f"{BOARD} w - d6 0 1",
        "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq e3 0 1": (
            "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1"
        ),
        "8/8/8/8/k2Pp2Q/8/8/3K4 b - d3 0 1": "8/8/8/8/k2Pp2Q/8/8/3K4 b - - 0 1",
        f"{BOARD} w - - 0009 0099": f"{BOARD} w - - 9 99",
        f"{BOARD} w - - 9999 9999": f"{BOARD} w - - 9999 9999",
    }
    assert to_fens(parse_fens(list(read))) == list(read.values())


def test_clocks_that_are_written_can_be_read() -> None:
    position = parse_fens([f"{BOARD} w - - 9999 9999"])
    position[:, 7] += np.uint64(1 << 32 | 1 << 48)
    assert to_fens(parse_fens(to_fens(position))) == [f"{BOARD} w - - 9999 9999"]


@pytest.mark.parametrize("word", REFUSED)
def test_refused(word: str) -> None:
    (reason,) = (reason for reason in REASONS if word in reason)
    for fen in REFUSED[word]:
        with pytest.raises(ValueError, match="FEN") as caught:
            parse_fens([START, fen, "nor this"])
        assert str(caught.value) == f"FEN {fen!r}: {reason}"


def test_every_reason_is_tested() -> None:
    assert len(REFUSED) == len(REASONS) - 1
    assert [sum(word in reason for word in REFUSED) for reason in REASONS] == [0] + [1] * (len(REASONS) - 1)


def _read(text: bytes, before: bytes = b"", after: bytes = b"") -> tuple[int, list[int]]:
    position = np.zeros(POSITION_WORDS, dtype=np.uint64)
    whole = np.frombuffer(before + text + after + b"\0", dtype=np.uint8)
    reason = int(read_fen(whole, len(before), len(before) + len(text), position))
    return reason, position.tolist() if reason == 0 else []


def _board_of(fen: str) -> Any:
    """The engine takes castling rights in any order, python-chess White's first."""
    fields = fen.split(" ")
    fields[2] = "".join(sorted(fields[2]))
    return chess.Board(" ".join(fields))


def _check_against_python_chess(fen: str) -> bool:
    """What is read is a valid position to python-chess and the same one; returns whether it was read."""
    reason, words = _read(fen.encode("utf-8", "surrogatepass"))
    assert 0 <= reason < len(REASONS)
    if reason:
        with pytest.raises(ValueError, match=REASONS[reason].split(",")[0]):
            parse_fens([fen])
        return False
    board = _board_of(fen)
    # Checks that no move can have given are let in: the rules say what may be played in them.
    assert not board.status() & ~(chess.STATUS_TOO_MANY_CHECKERS | chess.STATUS_IMPOSSIBLE_CHECK)
    assert has_possible_material(board)
    written = to_fens(np.array([words], dtype=np.uint64))
    assert written == [board.fen()]
    assert to_fens(parse_fens(written)) == written
    return True


EDITS = st.lists(
    st.tuples(st.sampled_from(["put", "drop", "replace", "swap"]), st.integers(0, 99), st.sampled_from(
        [*"pnbrqkPNBRQK12345678/ wb-KQkqabcdefgh09", " ", "\0", "\u00e9", "\ud800", "\t", "44", "d6", "e3", "KQ"]
    )), max_size=4,
)  # fmt: skip


def _edit(fen: str, edits: list[tuple[str, int, str]]) -> str:
    for what, place, text in edits:
        i = place % (len(fen) + 1)
        tail = {"put": fen[i:], "drop": fen[i + 1 :], "replace": fen[i + 1 :], "swap": fen[i + 1 : i + 2] + fen[i:]}
        fen = fen[:i] + (text if what in ("put", "replace") else "") + tail[what]
    return fen


@given(st.sampled_from([*PERFT, *_fens(20, 5)]), EDITS)
@settings(max_examples=400)
def test_damaged_fens(fen: str, edits: list[tuple[str, int, str]]) -> None:
    _check_against_python_chess(_edit(fen, edits))


def _fields() -> st.SearchStrategy[str]:
    squares = st.sampled_from(["-", *(file + rank for file in "abcdefgh" for rank in "36")])
    rights = st.sampled_from(["-", "K", "Q", "k", "q", "KQ", "kq", "Kq", "KQkq", "qkQK"])
    clock = st.integers(0, 9999).map(str)
    return st.tuples(st.sampled_from("wb"), rights, squares, clock, clock).map(" ".join)


@given(st.sampled_from([*PERFT, *_fens(100, 6)]), _fields())
@settings(max_examples=400)
def test_other_fields_with_the_same_board(fen: str, fields: str) -> None:
    """Wrong sides, rights and en-passant squares: read just where python-chess calls the position valid."""
    fen = f"{fen.split()[0]} {fields}"
    if not _check_against_python_chess(fen):
        board = _board_of(fen)
        # python-chess silently drops some rights to castle that the king or the rook is not in place for.
        assert not board.is_valid() or board.castling_xfen() != "".join(sorted(fen.split()[2]))


@given(st.binary(max_size=120), st.binary(max_size=8), st.sampled_from([b"", b" ", b"8/8", b"w - - 0 1", b"\xff"]))
@settings(max_examples=200)
def test_any_bytes(text: bytes, before: bytes, after: bytes) -> None:
    reason, _ = _read(text)
    assert 0 < reason < len(REASONS)
    assert _read(text, before, after) == (reason, [])


@given(st.sampled_from([*PERFT, *_fens(20, 7)]), EDITS, st.binary(max_size=6), st.integers(0, 90))
@settings(max_examples=300)
def test_only_its_own_bytes_are_read(fen: str, edits: list[Any], around: bytes, length: int) -> None:
    """The answer does not depend on what stands before and after; also for a FEN that is cut short."""
    text = _edit(fen, edits).encode("utf-8", "surrogatepass")
    for part in (text, text[:length]):
        assert _read(part) == _read(part, around, b" 0 1") == _read(part, b"8/", around) == _read(part, b"", b"1")


def test_ucis() -> None:
    """All squares and promotions, both colors, against python-chess."""
    ucis = [a + b + p for a in chess.SQUARE_NAMES for b in chess.SQUARE_NAMES if a != b for p in ("", *"nbrq")]
    for fen in (KIWIPETE, KIWIPETE.replace(" w ", " b ")):
        board, positions = chess.Board(fen), np.repeat(parse_fens([fen]), len(ucis), axis=0)
        moves = parse_ucis(ucis, positions)
        # A king that takes its own rook castles, and that is written as its two steps.
        rank = "1" if board.turn else "8"
        castled = {f"e{rank}h{rank}": f"e{rank}g{rank}", f"e{rank}a{rank}": f"e{rank}c{rank}"}
        meant = [castled.get(uci[:4], uci[:4]) + uci[4:] for uci in ucis]
        assert moves.tolist() == [encode(board, chess.Move.from_uci(uci)) for uci in meant]
        assert to_ucis(moves, positions) == meant
        assert to_ucis(moves | 0x7FF << 15, positions) == meant


@pytest.mark.parametrize(
    "uci", ["", "e2", "e2e", "e2e4e5", "0000", "E2E4", "e2e9", "e0e4", "i2e4", "e2-e4", "e7e8k", "e7e8p", "e7e8Q",
            "N@e4", "e2e4 ", " e2e4", "e7e8\0", "e\u00e94", "O-O"],
)  # fmt: skip
def test_refused_ucis(uci: str) -> None:
    with pytest.raises(ValueError, match="is not of the form e2e4 or a7a8q") as caught:
        parse_ucis(["e2e4", uci], parse_fens([START, START]))
    assert repr(uci) in str(caught.value)


@given(st.one_of(st.binary(max_size=7), st.text("abcdefgh12345678qnrbk", min_size=4, max_size=5).map(str.encode)))
@example(b"e1a1")
@settings(max_examples=300)
def test_any_bytes_as_a_move(text: bytes) -> None:
    position = parse_fens([START])[0]
    results = set()
    for before, after in ((b"", b""), (b"e2", b"e4"), (b"a7a8", b"q"), (b"\xff", b"\xff")):
        whole = np.frombuffer(before + text + after + b"\0", dtype=np.uint8)
        results.add(int(read_uci(whole, len(before), len(before) + len(text), position)))
    (move,) = results
    uci = text.decode("latin-1")
    # Castling may be written as the king's move to the rook.
    meant = {"e1h1": "e1g1", "e1a1": "e1c1"}.get(uci[:4], uci[:4]) + uci[4:]
    try:
        expected = encode(chess.Board(), chess.Move.from_uci(meant))
    except (chess.InvalidMoveError, KeyError):
        # A null move to python-chess is a move of the right form to the engine, and is never legal.
        assert move == -1 or text[:2] == text[2:4]
    else:
        assert move == (-1 if text in (b"0000",) or b"@" in text else expected)


def test_arrays_of_wrong_shapes() -> None:
    """The kernels trust the shapes that they are given, so these are looked at before."""
    positions = parse_fens([START, KIWIPETE])
    moves = parse_ucis(["e2e4", "a2a3"], positions)
    for wrong in (positions[:1], positions[:, :7], positions[0], np.concatenate([positions] * 2)):
        with pytest.raises(ValueError, match="positions must be of shape"):
            parse_ucis(["e2e4", "a2a3"], wrong)
        with pytest.raises(ValueError, match="positions must be of shape"):
            to_ucis(moves, wrong)
    with pytest.raises(ValueError, match=r"\(N, 8\), not \(2, 7\)"):
        to_fens(positions[:, :7])
    with pytest.raises(ValueError, match="positions must be uint64, not int64"):
        to_fens(positions.astype(np.int64))
    for nothing in (-1, 7 << 12):
        with pytest.raises(ValueError, match=f"{nothing} is not a move"):
            to_ucis(np.array([nothing, moves[0]]), positions)
    with pytest.raises(ValueError, match="FENs must be a list of strings, not the string"):
        parse_fens(START)
    rows = np.concatenate([positions, moves[:, None].astype(np.uint64)], axis=1)
    assert to_fens(rows) == [START, KIWIPETE]
    assert to_ucis(moves, rows) == ["e2e4", "a2a3"]
