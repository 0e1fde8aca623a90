"""The commands of `easy-to-hard` that publish data and nets on the Hugging Face Hub.

Commands are above all layers, and import the baselines only when they run.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from easy_to_hard.hub.upload import PublishReport

RepoId: TypeAlias = Annotated[str, arg(help="the Hub repo, which is created if it does not exist", metavar="ORG/NAME")]
Private: TypeAlias = Annotated[bool, arg(help="make a new repo private")]
Revision: TypeAlias = Annotated[
    str, arg(help="tag to give this version, such as v1; a tag is never moved", metavar="TAG")
]
DryRun: TypeAlias = Annotated[bool, arg(help="show what would be sent, and send nothing")]
Message: TypeAlias = Annotated[
    str, arg(help="commit message; by default a description of the data or the net", metavar="TEXT")
]
Quiet: TypeAlias = Annotated[bool, arg(help="show neither a progress bar nor what will be sent")]

_SHOWN_PATHS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Publish:
    """Publish a folder of data as a dataset repo on the Hub: verify it, then send what changed, in one commit.

    Needs a token with write access: HF_TOKEN, or what `hf auth login` stored. After an interruption, run the same
    command again: what has arrived is not sent twice.
    """

    folder: Annotated[Positional[Path], arg(help="a folder that `build` or `convert-lichess` made", metavar="DIR")]
    repo_id: RepoId
    private: Private = False
    revision: Revision = ""
    dry_run: DryRun = False
    replace: Annotated[
        bool,
        arg(help="overwrite a different dataset (preset, seed or split rule) or card; delete files the folder lacks"),
    ] = False
    message: Message = ""
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What to do after an interrupt."""
        return "run the same command again to send what the Hub does not have yet"

    def run(self) -> int:
        """Publish, and print how to load it."""
        from easy_to_hard.hub.publish import UnsoundFolderError, publish
        from easy_to_hard.storage.manifest import read_manifest

        try:
            with _failing_where_nobody_reads():
                report = publish(
                    self.folder,
                    self.repo_id,
                    private=self.private,
                    revision=self.revision or None,
                    dry_run=self.dry_run,
                    replace=self.replace,
                    message=self.message or None,
                    progress=not self.quiet,
                    show=None if self.quiet else _show_plan,
                )
        except UnsoundFolderError as error:
            for problem in error.problems:
                print(f"{self.folder}/{problem}", file=sys.stderr)
            raise
        if not _show_end(report):
            return 0
        entry = read_manifest(self.folder)["files"][0]
        version = report.tag or report.commit
        print(
            f'load_dataset("{report.repo_id}", "{entry["config"]}", split="{entry["split"]}", revision="{version}")',
            flush=True,
        )
        return 0


@dataclass(frozen=True, kw_only=True)
class PublishModel:
    """Publish a net as a model repo on the Hub, with a card that shows its results.

    Needs a token with write access: HF_TOKEN, or what `hf auth login` stored.
    """

    name: Annotated[
        Positional[str], arg(help="a folder that `train` made, or a net that comes with the package", metavar="NET")
    ]
    repo_id: RepoId
    private: Private = False
    revision: Revision = ""
    dry_run: DryRun = False
    results: Annotated[
        tuple[Path, ...], arg(help="result files of this net, from `evaluate --out`, for its card", metavar="FILE")
    ] = ()
    message: Message = ""
    quiet: Quiet = False

    def when_stopped(self) -> str:
        """What to do after an interrupt."""
        return "run the same command again to send what the Hub does not have yet"

    def run(self) -> int:
        """Publish, and print how to use it."""
        from easy_to_hard.baselines.deep_thinking.publishing import publish_model

        with _failing_where_nobody_reads():
            report = publish_model(
                self.name,
                self.repo_id,
                results=self.results,
                private=self.private,
                revision=self.revision or None,
                dry_run=self.dry_run,
                message=self.message or None,
                progress=not self.quiet,
                show=None if self.quiet else _show_plan,
            )
        if _show_end(report):
            print(f"easy-to-hard evaluate --model {report.repo_id}@{report.tag or report.commit}")
        return 0


@contextmanager
def _failing_where_nobody_reads() -> Iterator[None]:
    """Turn a pipe that breaks before everything is sent into a failure; elsewhere it means a reader has seen enough."""
    try:
        yield
    except BrokenPipeError as error:
        raise RuntimeError("standard error or a connection was closed: run the same command again") from error


def _show_plan(report: "PublishReport") -> None:
    """Print what will be sent; sending continues even if nobody reads this, as in `publish ... | true`."""
    where = f"{report.repo_id} (missing or private)" if report.created and report.dry_run else report.repo_id
    where += " (a new repo)" if report.created and not report.dry_run else ""
    size = f"{report.size / 1e6:.1f} MB" if report.size >= 1e5 else f"{report.size:,} bytes"
    sent = len(report.added) + len(report.changed)
    with suppress(BrokenPipeError):
        print(f"{where}: {sent} files to send, {size}; {len(report.unchanged)} already there")
        for kind in ("added", "changed", "deleted"):
            _show_paths(kind, getattr(report, kind))
        _show_paths("not published", report.strangers)
        print(end="", flush=True)


def _show_paths(kind: str, paths: tuple[str, ...]) -> None:
    for path in paths[:_SHOWN_PATHS]:
        print(f"  {kind:<9} {path}")
    if len(paths) > _SHOWN_PATHS:
        print(f"  {kind:<9} and {len(paths) - _SHOWN_PATHS} more")


def _show_end(report: "PublishReport") -> bool:
    """Print the outcome; returns whether there is something to load now."""
    if report.dry_run:
        print(f"dry run: nothing was sent to {report.url}")
        return False
    done = "was already published" if report.is_empty else "published"
    print(f"{report.url}/tree/{report.tag or 'main'}: {done}, commit {report.commit}")
    return True
