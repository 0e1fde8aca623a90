"""The commands of `easy-to-hard` on chess: the puzzles of Lichess, and a check of the move generator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from easy_to_hard.commands.data import Quiet

_DEEPEST_PERFT = 8


@dataclass(frozen=True, kw_only=True)
class ConvertLichess:
    """Make graded datasets of the Lichess puzzle file, in a folder that `load_dataset` reads."""

    source: Annotated[Positional[str], arg(help="a .csv.zst or .csv file, or - for the standard input", metavar="FILE")]
    out: Annotated[Path, arg(help="the folder, new or empty")]
    bands: Annotated[str, arg(help="what a band is a range of: rating, or rank in the order of the ratings")] = "rating"
    edges: Annotated[
        tuple[int, ...] | None, arg(help="lower edge of each band, the first 0; the last band is open")
    ] = None
    strict: Annotated[bool, arg(help="stop at the first row that is no puzzle")] = False
    planes: Annotated[bool, arg(help="write .npy arrays as the original's files held them, not parquet")] = False
    quiet: Quiet = False

    def run(self) -> int:
        """Convert, and say what became of each row."""
        from easy_to_hard.lichess.convert import convert

        report = convert(
            self.source,
            self.out,
            bands=self.bands,
            edges=self.edges,
            strict=self.strict,
            planes=self.planes,
            progress=not self.quiet,
        )
        for line in report.lines():
            print(line)
        return 0


@dataclass(frozen=True, kw_only=True)
class DownloadLichess:
    """Download the Lichess puzzle file; goes on where an earlier download stopped."""

    out: Annotated[Path, arg(help="the file")]
    snapshot: Annotated[str | None, arg(help="its name, such as 2026-11; the month of the file by default")] = None
    url: Annotated[str | None, arg(help="where it is, if not at database.lichess.org")] = None
    sha256: Annotated[str | None, arg(help="what it must have")] = None
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What an interrupt leaves."""
        return "give the same command again, it goes on where the download stopped"

    def run(self) -> int:
        """Download, and say what came."""
        from easy_to_hard.lichess.download import download_lichess

        file = download_lichess(
            self.out,
            snapshot=self.snapshot,
            url=self.url,
            sha256=self.sha256,
            progress=not self.quiet,
        )
        there = "" if file.downloaded else ", there already"
        print(f"{file.path}: snapshot {file.snapshot}, {file.size:,} bytes, SHA-256 {file.sha256}{there}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Perft:
    """Count the sequences of legal moves from a position, by the first move: a check of the move generator."""

    fen: Annotated[Positional[str], arg(help="the position, in quotes, or startpos", metavar="FEN")]
    depth: Annotated[Positional[int], arg(help="moves of both sides, 1 to 8", metavar="DEPTH")]
    bulk: Annotated[bool, arg(help="count the last moves without making them, which is faster")] = False

    def run(self) -> int:
        """Count, and say how fast."""
        import time

        from easy_to_hard.generators.chess import parse_fens
        from easy_to_hard.generators.chess.fen import START_FEN
        from easy_to_hard.generators.chess.perft import perft_by_move

        if not 1 <= self.depth <= _DEEPEST_PERFT:
            raise ValueError(f"depth must be from 1 to {_DEEPEST_PERFT}, not {self.depth}")
        position = parse_fens([START_FEN if self.fen == "startpos" else self.fen])[0]
        perft_by_move(position, 1, self.bulk)
        start = time.perf_counter()
        counts = perft_by_move(position, self.depth, self.bulk)
        seconds = time.perf_counter() - start
        for move, nodes in counts.items():
            print(f"{move:<5} {nodes:>15,}")
        total = sum(counts.values())
        print(f"{total:,} nodes at depth {self.depth} in {seconds:.2f} s, {total / max(seconds, 1e-9) / 1e6:,.1f} M/s")
        return 0
