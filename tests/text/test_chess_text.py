"""Mates in words: UCI and SAN are read, and any move that forces mate in time is right."""

import chess
import numpy as np
import pytest
from mate_oracles import is_key
from text_items import first, items_for

from easy_to_hard.generators.chess import parse_fens, parse_ucis, to_fens
from easy_to_hard.tasks import DataSpec
from easy_to_hard.text import Item, answer, prompt, verify


def puzzle(fen: str, key: str, mate_in: int) -> Item:
    positions = parse_fens([fen])
    data = np.append(positions[0], np.uint64(parse_ucis([key], positions)[0]))
    return Item(spec=DataSpec(task="chess_mates", difficulty=mate_in, split="test"), index=0, data=data)


def board_of(item: Item) -> chess.Board:
    return chess.Board(to_fens(item.data[None])[0])


# Either rook may cut off the king; the other one then mates.
TWO_KEYS = puzzle("7k/8/8/8/8/8/R7/1R2K3 w - - 0 1", "a2a7", 2)
# Only a knight mates.
KNIGHT = puzzle("8/P4P2/1k6/R2Q3R/8/8/2B5/R3K2R w KQ - 0 1", "a7a8n", 1)


@pytest.mark.parametrize("mate_in", [1, 2])
def test_all_legal_moves(mate_in: int) -> None:
    """Of each position, in both notations, only the key is right."""
    for item in items_for("chess_mates", "", mate_in):
        board = board_of(item)
        for move in board.legal_moves:
            expected = move.uci() == answer(item)
            for name in (move.uci(), board.san(move), board.san(move).rstrip("+#")):
                verdict = verify(item, f"Answer: {name}")
                assert verdict.correct == expected == (verdict.score == 1), (board.fen(), name)
                assert verdict.reason.startswith("right: " if expected else "wrong: "), verdict


def test_prompts_show_the_position() -> None:
    for item in items_for("chess_mates", "", 2):
        board = board_of(item)
        mover = "White" if board.turn else "Black"
        assert f"\n\n{board.fen()}\n\n{mover} is to move." in prompt(item)
        listed = prompt(item, "pieces")
        for square, piece in board.piece_map().items():
            side = listed.split("White: ")[1].split("\nBlack: ")[0 if piece.color else 1].split("\n")[0]
            kind = chess.piece_name(piece.piece_type)
            assert any(
                part.split()[0].rstrip("s") == kind and chess.square_name(square) in part for part in side.split("; ")
            )
        assert board.parse_san(answer(item, "pieces")).uci() == answer(item)


def test_any_move_that_mates_in_time_is_right() -> None:
    board = board_of(TWO_KEYS)
    keys = {move.uci() for move in board.legal_moves if is_key(board, move, 2)}
    assert len(keys) > 1
    for move in board.legal_moves:
        assert verify(TWO_KEYS, move.uci()).correct == (move.uci() in keys), move


def test_promotions_are_told_apart() -> None:
    right = {move.uci() for move in board_of(KNIGHT).legal_moves if is_key(board_of(KNIGHT), move, 1)}
    for reply in ("a7a8n", "a8=N", "a8N#", "A8=N", "a8n"):
        assert verify(KNIGHT, reply).correct == ("a7a8n" in right)
    assert verify(KNIGHT, "a7a8q").correct == ("a7a8q" in right)
    assert verify(KNIGHT, "a8").reason.startswith("unreadable: a8 leaves open which move is meant: ")


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        "{}!",
        "{}+",
        "{}#",
        "1. {}",
        "1... {}",
        "**{}**",
        "`{}`",
        "$\\boxed{{\\text{{{}\\#}}}}$",
        "{} mate",
        "({})",
        "'{}'.",
        "{} ",
    ],
)
def test_ways_to_write_a_move(written: str) -> None:
    item = first("chess_mates", 2)
    for style in ("fen", "pieces"):
        name = answer(item, style).rstrip("+#")
        for spelled in (name, name.lower(), name.upper()):
            assert verify(item, "Answer: " + written.format(spelled)).correct, spelled


def test_what_is_no_single_move() -> None:
    item = first("chess_mates", 2)
    key = answer(item)
    for reply in (
        f"{key} or a1a2",
        f"{key} a1a2",
        f"{key}, a1a2",
        f"I play {key}",
        f"not {key}",
        f"{key}{key}",
        "mate",
    ):
        assert verify(item, f"Answer: {reply}").reason.startswith("unreadable: "), reply
    assert verify(item, "Answer: a1a9").reason.startswith("unreadable: ")
    assert verify(item, "Answer: e2e4").reason == "wrong: e2e4 is not a legal move"
