"""Pictures of chess puzzles: with matplotlib, or with python-chess where it is installed.

matplotlib is imported only when a picture is made, and python-chess (``pip install "easy-to-hard[chess]"``) only when
`board_svg` is called.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from easy_to_hard.chess.text import KINDS, PuzzleBoard, read_board, square_name
from easy_to_hard.extras import naming_extra
from easy_to_hard.generators.chess import parse_fens
from easy_to_hard.plotting import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

_LIGHT: Final = (0.95, 0.90, 0.81)
_DARK: Final = (0.72, 0.56, 0.42)
# Origin and destination on a light and on a dark square.
_ORIGIN: Final = ((0.98, 0.90, 0.50), (0.89, 0.77, 0.32))
_DESTINATION: Final = ((0.68, 0.85, 0.55), (0.50, 0.72, 0.38))
_ARROW: Final = (0.10, 0.35, 0.75, 0.72)
_WHITE: Final = (1.0, 1.0, 1.0)
_BLACK: Final = (0.13, 0.13, 0.15)
# The lines within Black's pieces.
_GRAY: Final = (0.62, 0.62, 0.64)
# The glyphs of chess pieces in the order of `KINDS`: outlines for White's, solid ones for Black's.
_GLYPHS: Final = {"white": "\u2654\u2655\u2657\u2658\u2656\u2659", "black": "\u265a\u265b\u265d\u265e\u265c\u265f"}
# As shares of a square's side: the tallest piece, lines, the light rim of Black's pieces, the letters at the edge.
_PIECE_HEIGHT: Final = 0.80
_LINE: Final = 0.035
_THIN: Final = 0.025
_RIM: Final = 0.06
_LETTER: Final = 0.32
_LEAST_POINTS: Final = 5


@lru_cache(maxsize=2)
def _piece_paths(color: str) -> tuple[tuple["Path", "Path"], ...]:
    """(silhouette, glyph) of each kind around (0, 0), where a square's side is 1; all have the same baseline."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    font = FontProperties(family="DejaVu Sans")
    glyphs = [TextPath((0, 0), glyph, size=100, prop=font) for glyph in _GLYPHS[color]]
    boxes = [glyph.get_extents() for glyph in glyphs]
    scale = _PIECE_HEIGHT / max(box.height for box in boxes)
    paths = []
    for glyph, box in zip(glyphs, boxes, strict=True):
        centered = Affine2D().translate(-(box.x0 + box.x1) / 2, -box.y0).scale(scale).translate(0, -_PIECE_HEIGHT / 2)
        paths.append((centered.transform_path(_filled(glyph)), centered.transform_path(glyph)))
    return tuple(paths)


def _filled(glyph: "Path") -> "Path":
    """A glyph without its holes: only the contours that lie inside no other."""
    from matplotlib.path import Path

    contours = [np.asarray(polygon) for polygon in glyph.to_polygons()]
    paths = [Path(contour, closed=True) for contour in contours]
    outer = [
        path
        for path, contour in zip(paths, contours, strict=True)
        if not any(other is not path and other.contains_point(tuple(contour[0])) for other in paths)
    ]
    return Path.make_compound_path(*outer)


def plot_chess_puzzle(
    planes: Any,
    target: Any = None,
    ax: "Axes | None" = None,
    *,
    who_moves: Any = None,
    perspective: str = "white",
) -> "Axes":
    """Draw a puzzle with White at the bottom; a target's origin is yellow, its destination green, joined by an arrow.

    A disc on the right shows who moves, where that is known. The picture is the same for both perspectives.

    Args:
        planes: (12, 8, 8) array or tensor in {0, 1}, as `ChessPuzzleDataset` and `ChessMateDataset` give it.
        target: (8, 8), above 0 on origin and destination, not flipped; None to leave the puzzle unsolved. Squares that
            do not form a move, which a network may give, are marked too, but without an arrow.
        ax: where to draw; None for a new figure.
        who_moves: 1 or [1] where Black moves, 0 where White does; None to draw the mover's pieces as White's.
        perspective: of planes and target, "white" or "mover"; it matters only where Black moves.

    Raises:
        ValueError: a shape or the perspective is not allowed.
        ImportError: matplotlib is not installed; the message says how to get it.
    """
    board = read_board(planes, target, who_moves, perspective)
    axes = ax if ax is not None else new_axes(4, 4)
    box = axes.get_window_extent()
    side = 72 / axes.figure.dpi * min(box.width, box.height) / 8.6
    _draw_squares(axes, board)
    _draw_pieces(axes, board, side)
    _draw_arrow(axes, board)
    _draw_edge(axes, board, side)
    return axes


def _draw_squares(axes: "Axes", board: PuzzleBoard) -> None:
    colors = np.empty((8, 8, 3))
    dark = (np.add.outer(np.arange(8), np.arange(8)) % 2 == 0).astype(int)
    colors[:] = np.where(dark[:, :, None] == 1, _DARK, _LIGHT)
    for squares, pair in ((board.origins(), _ORIGIN), (board.destinations(), _DESTINATION)):
        for square in squares:
            colors[square] = pair[dark[square]]
    edges = np.arange(9) - 0.5
    axes.pcolormesh(edges, edges, colors, linewidth=0, antialiased=False)


def _draw_pieces(axes: "Axes", board: PuzzleBoard, side: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    for rank, file in np.argwhere(board.pieces):
        piece = int(board.pieces[rank, file])
        color = "white" if piece > 0 else "black"
        moved = Affine2D().translate(file, rank)
        silhouette, glyph = (moved.transform_path(path) for path in _piece_paths(color)[abs(piece) - 1])
        label = f"_{color} {KINDS[abs(piece) - 1]} {square_name(rank, file)}"
        # A light rim sets off Black's pieces; a thin dark one strengthens White's, some of whose lines are pale.
        inside, edge, width = (_WHITE, _BLACK, _THIN * side) if piece > 0 else (_GRAY, _WHITE, _RIM * side)
        axes.add_patch(
            PathPatch(silhouette, facecolor=inside, edgecolor=edge, linewidth=width, joinstyle="round", zorder=3)
        )
        axes.add_patch(PathPatch(glyph, facecolor=_BLACK, linewidth=0, label=label, zorder=3))


def _draw_arrow(axes: "Axes", board: PuzzleBoard) -> None:
    from matplotlib.patches import FancyArrow

    if len(board.origins()) != 1 or len(board.destinations()) != 1:
        return
    start, end = (np.array(squares[0][::-1], dtype=float) for squares in (board.origins(), board.destinations()))
    step = (end - start) / np.hypot(*(end - start))
    # From the rim of the origin's piece to just short of the destination's center.
    start, end = start + 0.30 * step, end - 0.05 * step
    axes.add_patch(
        FancyArrow(
            *start,
            *(end - start),
            width=0.13,
            head_width=0.40,
            head_length=0.36,
            length_includes_head=True,
            facecolor=_ARROW,
            edgecolor="none",
            label=f"_{square_name(*board.origins()[0])}{square_name(*board.destinations()[0])}",
            zorder=4,
        )
    )


def _draw_edge(axes: "Axes", board: PuzzleBoard, side: float) -> None:
    from matplotlib.patches import Circle

    size = max(_LEAST_POINTS, _LETTER * side)
    axes.set_xticks(range(8), list("abcdefgh"), fontsize=size)
    axes.set_yticks(range(8), [str(rank) for rank in range(1, 9)], fontsize=size)
    axes.tick_params(length=0, pad=0.12 * side, colors="0.35")
    for spine in axes.spines.values():
        spine.set(linewidth=0.03 * side, color=_BLACK)
    axes.set(xlim=(-0.5, 7.5), ylim=(-0.5, 7.5), aspect="equal")
    if board.black_moves is not None:
        color = _BLACK if board.black_moves else _WHITE
        disc = Circle(
            (7.82, 7 if board.black_moves else 0),
            0.17,
            facecolor=color,
            edgecolor=_BLACK,
            linewidth=_LINE * side,
            clip_on=False,
            label=f"_{'black' if board.black_moves else 'white'} to move",
        )
        axes.add_patch(disc)


def board_svg(fen: str, move: str | None = None, *, size: int = 400) -> str:
    """A puzzle drawn by python-chess, with its pieces' artwork; a king in check is marked.

    Args:
        fen: the position.
        move: UCI, such as e2e4 or a7a8q; None to leave the puzzle unsolved.
        size: width and height in pixels.

    Returns:
        An ``<svg>`` element.

    Raises:
        ImportError: python-chess is not installed; the message says how to get it.
        ValueError: `fen` is not a FEN, or `move` is not legal; the message names it.
    """
    with naming_extra("boards as SVG need"):
        import chess
        import chess.svg
    # python-chess accepts any board as a position.
    parse_fens([fen])
    board = chess.Board(fen)
    arrows, fill = [], {}
    if move is not None:
        played = board.parse_uci(move)
        arrows = [chess.svg.Arrow(played.from_square, played.to_square, color="#1a59bfb8")]
        fill = {played.from_square: "#f2d94d99", played.to_square: "#7fb86199"}
    in_check = board.king(board.turn) if board.is_check() else None
    return str(chess.svg.board(board, arrows=arrows, fill=fill, check=in_check, size=size))
