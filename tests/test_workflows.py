"""The workflows: what they may do, what they run of a stranger's, and what a release says."""

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())


def _jobs(path: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return jobs


def _script(workflow: str, step: str) -> str:
    """The script of a step, as a runner would be given it."""
    (job,) = _jobs(ROOT / ".github" / "workflows" / f"{workflow}.yml").values()
    (script,) = [each["run"] for each in job["steps"] if each.get("name") == step]
    return f"set -e\n{script}"


def _bash(script: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        own |= {f"GIT_{role}_NAME": "somebody", f"GIT_{role}_EMAIL": "somebody@example.org"}
    environment = os.environ | own | variables
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_and_rights_are_few(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for line in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line), line
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    assert set(yaml.safe_load(text)["permissions"].items()) <= {("contents", "read")}
    assert all("timeout-minutes" in job for job in _jobs(path).values())


def test_only_these_jobs_can_write() -> None:
    writing = {
        (path.stem, name, right)
        for path in WORKFLOWS
        for name, job in _jobs(path).items()
        for right, level in job.get("permissions", {}).items()
        if level == "write"
    }
    assert writing == {
        ("publish", "upload", "id-token"),
        ("publish", "release", "contents"),
        ("pages", "deploy", "pages"),
        ("pages", "deploy", "id-token"),
        ("rescore-comment", "comment", "pull-requests"),
    }
    upload = _jobs(ROOT / ".github" / "workflows" / "publish.yml")["upload"]
    assert upload["environment"]["name"] == "pypi"
    assert not [step for step in upload["steps"] if "run" in step], "nothing of the package runs beside the token"


def test_each_python_and_system_is_tested() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    matrix = _jobs(ROOT / ".github" / "workflows" / "test.yml")["systems"]["strategy"]["matrix"]
    assert matrix["python"] == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_rescoring_takes_only_data_of_a_pull_request(tmp_path: Path) -> None:
    """The names of the files are a stranger's choice, too."""
    public, clone, temporary = tmp_path / "public", tmp_path / "clone", tmp_path / "temporary"
    temporary.mkdir()
    odd = "leaderboard/results/*.json"
    make = f"""
        set -e
        git init -q -b main {public}; cd {public}
        mkdir -p leaderboard/results/reference leaderboard/predictions
        echo old | tee leaderboard/ledger.py leaderboard/results/old.json > leaderboard/results/kept.json
        git add .; git commit -qm base
        git checkout -q -b theirs
        echo new | tee leaderboard/ledger.py leaderboard/results/old.json leaderboard/results/mine.json "{odd}" \\
            leaderboard/results/reference/theirs.json leaderboard/results/theirs.py > leaderboard/predictions/mine.npz
        git rm -q leaderboard/results/kept.json
        git add .; git commit -qm theirs; git update-ref refs/pull/7/head theirs
        git checkout -q main; echo newer > leaderboard/newer; git add .; git commit -qm newer
        git clone -q {public} {clone}
    """
    made = _bash(make, tmp_path)
    assert made.returncode == 0, made.stderr
    script = _script("rescore", "Take the results and predictions of the pull request, and nothing else of it")
    done = _bash(script, clone, NUMBER="7", RUNNER_TEMP=str(temporary))
    assert done.returncode == 0, done.stderr
    files = [path for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert {path.relative_to(clone).as_posix(): path.read_text().strip() for path in files} == {
        "leaderboard/ledger.py": "old",
        "leaderboard/newer": "newer",
        "leaderboard/predictions/mine.npz": "new",
        "leaderboard/results/kept.json": "old",
        "leaderboard/results/mine.json": "new",
        "leaderboard/results/old.json": "new",
        odd: "new",
        "rescored/number": "7",
    }
    # A name is not taken as a pattern, which git would enter here.
    staged = _bash("git -c core.quotePath=false diff --cached --name-only", clone).stdout.splitlines()
    taken = ("predictions/mine.npz", "results/mine.json", "results/old.json")
    assert set(staged) == {odd, *(f"leaderboard/{name}" for name in taken)}
    scoring = _script("rescore", "Score the results again").replace(
        "python leaderboard/ledger.py --check", "printf '%s\\n'"
    )
    shown = _bash(scoring, clone, RUNNER_TEMP=str(temporary))
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [odd, "leaderboard/results/mine.json", "leaderboard/results/old.json"]


SENT_FOR = {"GH_REPO": "you/it", "COMMIT": "abc", "RUN": "https://run"}


class Comment:
    """Runs the step that comments, with a `gh` that answers for one pull request and keeps what it is given."""

    def __init__(self, folder: Path, *, head: str, others: int) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "rescored").mkdir()
        gh = folder / "bin" / "gh"
        gh.write_text(
            f"""#!/bin/sh
            case "$*" in
                "pr view 7 --json headRefOid "*) echo {head} ;;
                "api --paginate repos/you/it/pulls/7/files "*) seq {others} ;;
                "pr comment 7 "*) cp comment.md sent.md ;;
                *) exit 1 ;;
            esac
            """
        )
        gh.chmod(0o755)

    def send(self, report: bytes, number: str = "7\n") -> str | None:
        """What is sent; None for nothing."""
        (self.folder / "rescored" / "report.txt").write_bytes(report)
        (self.folder / "rescored" / "number").write_text(number)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        done = _bash(_script("rescore-comment", "Comment"), self.folder, PATH=path, **SENT_FOR)
        sent = self.folder / "sent.md"
        assert sent.exists() == (done.returncode == 0)
        return sent.read_text() if sent.exists() else None


def test_a_comment_shows_plain_text_only(tmp_path: Path) -> None:
    comment = Comment(tmp_path, head="abc", others=0).send(
        b"mine.json holds\r![x](y)\n```\n@maintainer\x1b[0m \xe2\x80\xa8<b>"
    )
    assert comment is not None
    first, *rest = comment.split("\n\n")
    assert first == "Scored again at abc, on the easiest instances of each result:"
    assert rest[0].splitlines() == ["    mine.json holds![x](y)", "    ```", "    @maintainer[0m <b>"]
    assert "other files" not in comment


def test_a_comment_says_what_else_is_changed(tmp_path: Path) -> None:
    assert "changes 2 other files" in (Comment(tmp_path, head="abc", others=2).send(b"holds\n") or "")


@pytest.mark.parametrize(("head", "number"), [("another", "7\n"), ("abc", "8\n"), ("abc", "\n")])
def test_a_comment_goes_to_the_pull_request_that_ran_only(tmp_path: Path, head: str, number: str) -> None:
    assert Comment(tmp_path, head=head, others=0).send(b"holds\n", number) is None


@pytest.fixture(scope="module")
def notes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_notes", ROOT / ".ci" / "release_notes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHANGES = "# Changelog\n\n## 1.2.0 (2027-01-31)\n\n- This.\n- That.\n\n## 1.1.0 (2026-12-01)\n\n- Before.\n"


@pytest.mark.parametrize(
    ("version", "changes", "citation", "error"),
    [
        ("1.2.0", CHANGES, "version: 1.2.0\ndate-released: 2027-01-31", ""),
        ("1.1.0", CHANGES, "", "the tag is for version 1.1.0, pyproject.toml has 1.2.0"),
        ("1.2.0", "# Changelog\n\n## 1.1.0 (2026-12-01)\n\n- Before.\n", "", "has no entries for 1.2.0"),
        ("1.2.0", "## 1.2.0 (2027-01-31)\n\n## 1.1.0 (2026-12-01)\n\n- Before.\n", "", "has no entries for 1.2.0"),
        ("1.2.0", CHANGES.replace("2027-01-31", "unreleased"), "", "says of 1.2.0 'unreleased', not the date"),
        ("1.2.0", CHANGES, "version: 1.1.0", "does not say 'version: 1.2.0'"),
        ("1.2.0", CHANGES, "version: 1.2.0", "does not say 'date-released: 2027-01-31'"),
    ],
)
def test_release_notes(
    notes: ModuleType, tmp_path: Path, version: str, changes: str, citation: str, error: str
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(changes)
    (tmp_path / "CITATION.cff").write_text(f"cff-version: 1.2.0\n{citation}\n")
    if not error:
        assert notes.release_notes(version, tmp_path) == "- This.\n- That."
        return
    with pytest.raises(ValueError, match=re.escape(error)):
        notes.release_notes(version, tmp_path)
