"""What others read of the repository: how it is cited, archived, updated and installed, and the forms for issues."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner
from packaging.version import Version

from easy_to_hard.baselines import BASELINES
from easy_to_hard.cards.dataset import PAPERS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Names of check-jsonschema, which has a copy of each schema.
SCHEMAS = {
    "CITATION.cff": "citation-file-format",
    ".github/dependabot.yml": "dependabot",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config",
    **{f".github/ISSUE_TEMPLATE/{name}.yml": "github-issue-forms" for name in ("fault", "feature", "result")},
    **{
        path.relative_to(ROOT).as_posix(): "github-workflows"
        for path in sorted((ROOT / ".github" / "workflows").iterdir())
    },
}
# Of the metadata that Zenodo's documentation of deposits describes, what a release of software needs.
ZENODO_KEYS = {
    "access_right",
    "creators",
    "description",
    "keywords",
    "language",
    "license",
    "related_identifiers",
    "title",
    "upload_type",
}
ZENODO_RELATIONS = {"cites", "isCitedBy", "isDerivedFrom", "isDocumentedBy", "isSupplementTo", "references"}


def _yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCHEMAS)
def test_files_have_the_published_format(path: str) -> None:
    arguments = ["--force-filetype", "yaml", "--builtin-schema", f"vendor.{SCHEMAS[path]}", str(ROOT / path)]
    done = CliRunner().invoke(check_jsonschema, arguments)
    assert done.exit_code == 0, done.output


def test_every_form_and_workflow_is_checked() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / ".github").rglob("*.y*ml")}
    assert found == {path for path in SCHEMAS if path.startswith(".github")}


def test_citation_is_of_this_version_and_names_the_papers() -> None:
    citation = _yaml("CITATION.cff")
    assert (citation["title"], citation["version"]) == (PROJECT["name"], PROJECT["version"])
    assert (citation["license"], citation["repository-code"]) == (PROJECT["license"], PROJECT["urls"]["Repository"])
    assert citation["authors"] == PROJECT["authors"]
    cited = {
        reference["identifiers"][0]["value"].removeprefix("arXiv:"): reference for reference in citation["references"]
    }
    for number, reference in cited.items():
        assert reference["url"] == f"https://arxiv.org/abs/{number}"
    for _, number, year, title, authors in PAPERS:
        names = " and ".join(f"{each['family-names']}, {each['given-names']}" for each in cited[number]["authors"])
        assert (cited[number]["title"], str(cited[number]["year"]), names) == (title, year, authors)
    assert {number for baseline in BASELINES.values() for number in baseline.papers} <= cited.keys()


def test_zenodo_gets_what_it_needs() -> None:
    deposit = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert deposit.keys() == ZENODO_KEYS
    assert (deposit["upload_type"], deposit["access_right"]) == ("software", "open")
    assert deposit["license"] == PROJECT["license"]
    assert deposit["creators"] == PROJECT["authors"]
    assert {link["identifier"] for link in deposit["related_identifiers"]} == {f"arXiv:{paper[1]}" for paper in PAPERS}
    assert {link["relation"] for link in deposit["related_identifiers"]} <= ZENODO_RELATIONS


def test_addresses_of_the_repository_agree() -> None:
    repository = PROJECT["urls"]["Repository"]
    texts = [path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *(ROOT / ".github").rglob("*.yml"))]
    found = {address for text in texts for address in re.findall(r"https://github\.com/easy-to-hard/[\w-]+", text)}
    assert found == {repository}
    owner, _, name = repository.removeprefix("https://github.com/").partition("/")
    for label in ("Documentation", "Leaderboard"):
        assert PROJECT["urls"][label].startswith(f"https://{owner}.github.io/{name}/")


@pytest.fixture(scope="module")
def locked() -> dict[str, list[dict[str, Any]]]:
    """Name of a package to its entries in uv.lock."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]:
        packages.setdefault(package["name"], []).append(package)
    return packages


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_is_of_this_project(locked: dict[str, list[dict[str, Any]]]) -> None:
    """As `uv lock --check` says, which asks the network."""
    (own,) = locked[PROJECT["name"]]
    assert own["version"] == PROJECT["version"]
    wanted = {(requirement.partition(";")[0], "") for requirement in PROJECT["dependencies"]}
    wanted |= {(each, extra) for extra, all_of in PROJECT["optional-dependencies"].items() for each in all_of}
    told = set()
    for each in own["metadata"]["requires-dist"]:
        extras = f"[{','.join(each['extras'])}]" if "extras" in each else ""
        extra = re.search(r"extra == '([\w-]+)'", each.get("marker", ""))
        told.add((_normal(each["name"]) + extras + each.get("specifier", ""), extra[1] if extra else ""))
    assert told == {(re.sub(r"^[\w.-]+", lambda name: _normal(name[0]), each), extra) for each, extra in wanted}


def _pins(constraints: str) -> dict[str, str]:
    lines = (ROOT / constraints).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_the_lock_has_the_versions_of_the_constraints(locked: dict[str, list[dict[str, Any]]]) -> None:
    pins = _pins("constraints.txt")
    found = {name: {package["version"] for package in locked.get(_normal(name), [])} for name in pins}
    assert found == {name: {version} for name, version in pins.items()}


def test_the_lock_names_public_places_with_hashes(locked: dict[str, list[dict[str, Any]]]) -> None:
    for packages in locked.values():
        for package in packages:
            if package["source"] == {"editable": "."}:
                continue
            assert package["source"] == {"registry": "https://pypi.org/simple"}
            for file in [*package.get("wheels", []), *filter(None, [package.get("sdist")])]:
                assert file["url"].startswith("https://files.pythonhosted.org/")
                assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"])


# What users may install, whose least versions the tests run with, too.
USED = ("torch", "hub", "plot", "leaderboard", "chess", "vision", "privacy", "pretrained", "gymnasium")
RUNNERS = ("hypothesis", "pytest", "pytest-benchmark", "pytest-xdist")


def test_the_lowest_versions_are_those_of_the_project() -> None:
    extras = PROJECT["optional-dependencies"]
    bounds = {}
    for each in [*PROJECT["dependencies"], *(each for extra in USED for each in extras[extra])]:
        name, _, bound = each.partition(">=")
        if bound and ";" not in bound:
            assert bounds.setdefault(name, bound) == bound
    bounds |= {name: bound for name, _, bound in (each.partition(">=") for each in extras["test"]) if name in RUNNERS}
    assert {_normal(name): Version(pin) for name, pin in _pins("constraints-lowest.txt").items()} == {
        _normal(name): Version(bound) for name, bound in bounds.items()
    }
