"""Publish a net as a model repo on the Hub: its files, and a new card with its results."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, local_files, shipped_models
from easy_to_hard.baselines.deep_thinking.model_card import model_card
from easy_to_hard.baselines.deep_thinking.model_files import CONFIG, WEIGHTS
from easy_to_hard.environment import __version__
from easy_to_hard.hub.repo import Repo
from easy_to_hard.hub.retrying import HUB_PATIENCE
from easy_to_hard.hub.upload import PublishReport, Upload, upload
from easy_to_hard.scores.results import read_result
from easy_to_hard.storage.downloads import Patience
from easy_to_hard.storage.manifest import README


def publish_model(
    name: str,
    repo_id: str,
    *,
    results: Sequence[Path] = (),
    private: bool = False,
    revision: str | None = None,
    dry_run: bool = False,
    token: str | None = None,
    message: str | None = None,
    progress: bool = True,
    patience: Patience = HUB_PATIENCE,
    show: Callable[[PublishReport], None] | None = None,
) -> PublishReport:
    """Update a model repo to the contents of a net's folder, with a card that shows the given results.

    Args:
        name: a folder, or a net that comes with the package.
        results: files of the net that `easy-to-hard evaluate --out` wrote.
        repo_id, private, revision, dry_run, token, message, progress, patience, show: as for
            `easy_to_hard.hub.publish.publish`.

    Raises:
        FileNotFoundError: there is no such local net.
        ValueError: the net cannot be loaded, a file is not a result or is another net's, or a name is not valid.
        HubError: as `publish`.
    """
    found = local_files(name)
    if found is None:
        raise FileNotFoundError(f"no net {name!r}: give a folder or one of {', '.join(shipped_models())}")
    _, (config, weights) = found
    repo = Repo(repo_id, "model", token=token, writes=not dry_run, patience=patience, progress=progress)
    model, facts = load_model(name)
    source = f"{repo_id}@{revision}" if revision else repo_id
    card = model_card(model, facts, [read_result(path) for path in results], source=source)
    with tempfile.TemporaryDirectory(prefix="easy-to-hard-card-") as folder:
        readme = Path(folder) / README
        readme.write_text(card, encoding="utf-8")
        files = {README: readme, CONFIG: config, WEIGHTS: weights}
        wanted = Upload(
            files=files,
            # Nothing else is of this layout, so nothing is ever removed.
            owned=lambda path: path in files,
            message=message or f"easy-to-hard {__version__}: {facts.preset}, seed {facts.seed}",
            tag=revision,
            private=private,
            dry_run=dry_run,
        )
        return upload(repo, wanted, show)
