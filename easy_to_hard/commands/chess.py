"""The chess commands of `easy-to-hard`: the Lichess puzzles, and a check of the move generator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from easy_to_hard.commands.data import Quiet

_DEEPEST_PERFT = 8


@dataclass(frozen=True, kw_only=True)
class ConvertLichess:
    """Turn the Lichess puzzle file into graded datasets, in a folder that `load_dataset` reads."""

    source: Annotated[Positional[str], arg(help="a .csv.zst or .csv file, or - for standard input", metavar="FILE")]
    out: Annotated[Path, arg(help="the folder to write, new or empty")]
    bands: Annotated[str, arg(help="group puzzles into bands by rating, or by rank among the sorted ratings")] = (
        "rating"
    )
    edges: Annotated[
        tuple[int, ...] | None, arg(help="lower edge of each band, starting with 0; the last band has no upper edge")
    ] = None
    strict: Annotated[bool, arg(help="stop at the first row that is not a valid puzzle")] = False
    planes: Annotated[bool, arg(help="write .npy arrays in the format of the original benchmark, not parquet")] = False
    quiet: Quiet = False

    def run(self) -> int:
        """Convert, and print what became of the rows."""
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
    """Download the Lichess puzzle file, resuming an interrupted download."""

    out: Annotated[Path, arg(help="the file to write")]
    snapshot: Annotated[
        str | None, arg(help="name of the snapshot, such as 2026-11; by default the month of the file")
    ] = None
    url: Annotated[str | None, arg(help="where to download it from; by default database.lichess.org")] = None
    sha256: Annotated[str | None, arg(help="the SHA-256 that the file must have")] = None
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What to do after an interrupt."""
        return "run the same command again to resume the download"

    def run(self) -> int:
        """Download, and print which file it is."""
        from easy_to_hard.lichess.download import download_lichess

        file = download_lichess(
            self.out,
            snapshot=self.snapshot,
            url=self.url,
            sha256=self.sha256,
            progress=not self.quiet,
        )
        there = "" if file.downloaded else ", already there"
        print(f"{file.path}: snapshot {file.snapshot}, {file.size:,} bytes, SHA-256 {file.sha256}{there}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Perft:
    """Count the sequences of legal moves from a position, by first move: a check of the move generator."""

    fen: Annotated[Positional[str], arg(help="the position in FEN, in quotes, or startpos", metavar="FEN")]
    depth: Annotated[
        Positional[int], arg(help="length of the sequences, in moves of either side, 1 to 8", metavar="DEPTH")
    ]
    bulk: Annotated[bool, arg(help="count the last moves without making them, which is faster")] = False

    def run(self) -> int:
        """Count, and print the counts and the speed."""
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
