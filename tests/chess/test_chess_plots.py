"""Drawings of chess puzzles: the right pieces on the right squares, the move, and who moves."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from numpy.typing import NDArray

from easy_to_hard.chess.plots import board_svg, plot_chess_puzzle
from easy_to_hard.chess.text import read_board, text_of_puzzle
from easy_to_hard.generators.chess import parse_fens, parse_ucis, to_planes
from easy_to_hard.plotting import new_figure, save_figure

chess: Any = pytest.importorskip("chess")

PUZZLES = {
    "opening": ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq - 0 1", "e2e4"),
    "black": ("5rk1/1p3ppp/pq1Q1b2/8/8/1P3N2/P4PPP/3R2K1 b - - 3 27", "f8d8"),
    "castling": ("r3k2r/pp3ppp/8/8/8/8/PPP2PPP/R3K2R b KQkq - 0 1", "e8c8"),
    "promotion": ("8/P6k/8/8/8/8/6K1/8 w - - 0 1", "a7a8q"),
    "capture": ("r6k/pp2r2p/4Rp1Q/3p4/8/1N1P2b1/PqP3PP/7K w - - 0 25", "e6e7"),
}
PERSPECTIVES = ("white", "mover")


def planes_of(name: str, perspective: str = "white") -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
    """Planes, target and who moves."""
    fen, move = PUZZLES[name]
    positions = parse_fens([fen])
    rows = np.concatenate([positions, parse_ucis([move], positions)[:, None].astype(np.uint64)], axis=1)
    planes, targets = to_planes(rows, perspective)
    return planes[0], targets[0], float(fen.split()[1] == "b")


def drawn(axes: Any) -> set[str]:
    return {patch.get_label()[1:] for patch in axes.patches if patch.get_label()}


def colors(axes: Any) -> NDArray[np.float64]:
    """(8, 8, 3) of the squares, row 0 is rank 1."""
    return np.asarray(axes.collections[0].get_array())


@pytest.mark.slow
@pytest.mark.parametrize("perspective", PERSPECTIVES)
@pytest.mark.parametrize("name", PUZZLES)
def test_pieces_move_and_mover_are_drawn(name: str, perspective: str) -> None:
    planes, target, who_moves = planes_of(name, perspective)
    axes = plot_chess_puzzle(planes, target, who_moves=who_moves, perspective=perspective)
    fen, move = PUZZLES[name]
    board = chess.Board(fen)
    pieces = {
        f"{chess.COLOR_NAMES[piece.color]} {chess.piece_name(piece.piece_type)} {chess.square_name(square)}"
        for square, piece in board.piece_map().items()
    }
    assert drawn(axes) == pieces | {move[:4], f"{chess.COLOR_NAMES[board.turn]} to move"}
    for patch in axes.patches:
        if patch.get_label()[1:] in pieces:
            x, y = np.mean(patch.get_path().get_extents().get_points(), axis=0).round().astype(int)
            assert chess.square_name(chess.square(x, y)) == patch.get_label()[-2:]
    origin, destination = (divmod(chess.parse_square(square), 8) for square in (move[:2], move[2:4]))
    squares = colors(axes)
    plain = colors(plot_chess_puzzle(planes))
    changed = np.argwhere((squares != plain).any(axis=2)).tolist()
    assert sorted(changed) == sorted([list(origin), list(destination)])
    yellow, green = squares[origin], squares[destination]
    assert yellow[0] > yellow[1] > yellow[2]
    assert green[1] > green[0] > green[2]


def test_a1_is_dark_and_rank_1_is_below() -> None:
    axes = plot_chess_puzzle(planes_of("opening")[0])
    squares = colors(axes).sum(axis=2)
    assert squares[0, 0] == squares[7, 7] == squares.min()
    assert squares[0, 7] == squares.max()
    assert [label.get_text() for label in axes.get_xticklabels()] == list("abcdefgh")
    assert [label.get_text() for label in axes.get_yticklabels()] == list("12345678")
    assert axes.get_ylim() == (-0.5, 7.5)


def test_both_perspectives_give_the_same_picture(tmp_path: Path) -> None:
    pictures = []
    for perspective in PERSPECTIVES:
        planes, target, who_moves = planes_of("black", perspective)
        axes = plot_chess_puzzle(planes, target, who_moves=[who_moves], perspective=perspective)
        pictures.append(imread(save_figure(axes, tmp_path / f"{perspective}.png")))
    assert np.array_equal(*pictures)
    assert (planes_of("black", "white")[0] != planes_of("black", "mover")[0]).any()


def test_without_a_mover_its_pieces_are_whites() -> None:
    planes, target, _ = planes_of("black", "mover")
    labels = drawn(plot_chess_puzzle(planes, target))
    assert {"white rook f1", "black queen d3", "f1d1"} <= labels
    assert not any(label.endswith("to move") for label in labels)


@pytest.mark.parametrize("inches", [2.6, 8])
def test_colors_of_pieces_are_told_apart(inches: float) -> None:
    planes = np.zeros((12, 8, 8))
    for file in range(6):
        # The six kinds, White's and Black's on squares of the same color.
        planes[file, 2, file] = planes[6 + file, 4, file] = 1
    figure = new_figure(inches, inches)
    axes = plot_chess_puzzle(planes, ax=figure.subplots())
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[:, :, :3].mean(axis=2)  # type: ignore[attr-defined]
    side = axes.get_window_extent().width / 8
    brightness = {}
    for rank in (2, 4):
        for file in range(6):
            x, y = axes.transData.transform((file, rank))
            top, left = round(pixels.shape[0] - y - side / 4), round(x - side / 4)
            brightness[rank, file] = pixels[top : top + round(side / 2), left : left + round(side / 2)].mean()
    for file in range(6):
        assert brightness[2, file] > brightness[4, file] + 15


def test_predictions_that_are_no_move_are_marked_without_an_arrow() -> None:
    planes, target, _ = planes_of("opening")
    predicted = torch.from_numpy(target.astype(np.int64))
    predicted[5, 5] = 1
    axes = plot_chess_puzzle(torch.from_numpy(planes).float(), predicted, who_moves=torch.tensor([0.0]))
    assert not {"e2e4"} & drawn(axes)
    assert (colors(axes) != colors(plot_chess_puzzle(planes))).any(axis=2).sum() == 3
    assert "(e2) to [e4] to [f6]" in text_of_puzzle(planes, predicted)
    assert (colors(plot_chess_puzzle(planes, np.zeros((8, 8)))) == colors(plot_chess_puzzle(planes))).all()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_grid_is_saved_as_its_ending_says(ending: str, tmp_path: Path) -> None:
    figure = new_figure(6, 4)
    grid = figure.subplots(2, 3).ravel()
    for name, axes in zip(PUZZLES, grid, strict=False):
        planes, target, who_moves = planes_of(name)
        assert plot_chess_puzzle(planes, target, axes, who_moves=who_moves) is axes
    path = save_figure(figure, tmp_path / f"grid.{ending}")
    assert path.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    if ending == "svg":
        # Shapes all through, no pixels.
        assert b"<image" not in path.read_bytes()
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_text_of_puzzle() -> None:
    planes, target, who_moves = planes_of("black")
    assert text_of_puzzle(planes, target, who_moves).splitlines() == [
        "8  .  .  . [.] . (r) k  .",
        "7  .  p  .  .  .  p  p  p",
        "6  p  q  .  Q  .  b  .  .",
        "5  .  .  .  .  .  .  .  .",
        "4  .  .  .  .  .  .  .  .",
        "3  .  P  .  .  .  N  .  .",
        "2  P  .  .  .  .  P  P  P",
        "1  .  .  .  R  .  .  K  .",
        "   a  b  c  d  e  f  g  h",
        "Black to move: (f8) to [d8]",
    ]
    assert text_of_puzzle(*planes_of("black", "mover"), "mover") == text_of_puzzle(planes, target, who_moves)
    as_white = text_of_puzzle(*planes_of("black", "mover")[:2]).splitlines()
    assert (as_white[0], as_white[7]) == ("8  .  .  .  r  .  .  k  .", "1  .  .  . [.] . (R) K  .")
    assert as_white[-1] == "upper case to move: (f1) to [d1]"
    assert text_of_puzzle(planes).splitlines()[-1] == "upper case to move"
    assert "White to move: (e6) to [e7]" in text_of_puzzle(*planes_of("capture"))


def test_board_svg() -> None:
    fen, move = PUZZLES["black"]
    solved, unsolved = board_svg(fen, move), board_svg(fen, size=250)
    assert solved.startswith("<svg")
    assert 'width="250" height="250"' in unsolved
    assert (solved.count('class="arrow"'), unsolved.count('class="arrow"')) == (2, 0)
    assert solved.count('<use href="#black-pawn"') == unsolved.count('<use href="#black-pawn"') == 5
    assert "check_gradient" not in solved
    assert "check_gradient" in board_svg("4k3/8/8/8/8/8/4r3/4K3 w - - 0 1")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_chess_puzzle(np.zeros((8, 8))), r"planes must be \(12, 8, 8\), not \(8, 8\)"),
        (lambda: plot_chess_puzzle(np.zeros((12, 8, 8)), np.zeros(64)), r"target must be \(8, 8\), not \(64,\)"),
        (lambda: text_of_puzzle(np.zeros((12, 8, 8)), None, 1, "black"), "unknown perspective 'black': choose one of"),
        (lambda: board_svg("8/8/8/8/8/8/8/8 w - - 0 1"), "FEN '8/8/8/8/8/8/8/8 w - - 0 1': each side must have one"),
        (lambda: board_svg(chess.STARTING_FEN, "e2e5"), "illegal uci: 'e2e5' in rnb"),
        (lambda: board_svg(chess.STARTING_FEN, "e4"), "'e4'"),
    ],
)
def test_wrong_arguments(draw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chess", None)
    with pytest.raises(ImportError, match=r'boards as SVG need python-chess: pip install "easy-to-hard\[chess\]"'):
        board_svg(chess.STARTING_FEN)
    monkeypatch.delitem(sys.modules, "easy_to_hard.notebook_figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'plots need matplotlib: pip install "easy-to-hard\[plot\]"'):
        plot_chess_puzzle(np.zeros((12, 8, 8)))


@pytest.mark.slow
def test_neither_is_imported_before_a_picture_is_made() -> None:
    names = "easy_to_hard.chess.plots, easy_to_hard.chess.datasets"
    code = f"import sys, {names}; print({{'chess', 'matplotlib'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_board_is_read_back() -> None:
    planes, target, who_moves = planes_of("castling", "mover")
    board = read_board(planes, target, who_moves, "mover")
    assert board.pieces[7, 4] == -1
    assert board.pieces[0, 4] == 1
    assert (board.origins(), board.destinations()) == ([(7, 4)], [(7, 2)])
    assert board.black_moves is True
