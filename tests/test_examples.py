"""The examples of the public names: each has one, and it runs as it stands."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer
from hub_session import HubSession, hub_session

import easy_to_hard

# Names that have no docstring of their own are in the package's.
EXAMPLE = """
import doctest, inspect, io, os
import easy_to_hard

os.chdir({folder!r})
thing = getattr(easy_to_hard, {name!r})
text = inspect.getdoc(thing) if inspect.isclass(thing) or inspect.isfunction(thing) else easy_to_hard.__doc__
example = doctest.DocTestParser().get_doctest(text, {{}}, {name!r}, None, None)
shows = any({name!r} in line.source for line in example.examples)
report = io.StringIO()
doctest.DocTestRunner(verbose=False).run(example, out=report.write)
answer = shows, report.getvalue()
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubSession]:
    """Somebody who types them, with an empty Hub."""
    with HubServer() as server, hub_session(server, tmp_path_factory.mktemp("home")) as session:
        yield session


@pytest.mark.parametrize("name", easy_to_hard.__all__)
def test_public_names_have_an_example_that_runs(
    name: str, reader: HubSession, tiny_folder: Path, converted: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "data")
    (tmp_path / "lichess").symlink_to(converted)
    told = reader.run(EXAMPLE.format(name=name, folder=str(tmp_path)))
    if told.error == "MissingExtraError":
        pytest.skip(told.message)
    assert not told.error, told.message
    shows, failures = told.answer
    assert shows, f"{name} has no example"
    assert failures == ""


@pytest.mark.slow
def test_the_reference_has_each_name_and_no_warning(tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    script = Path(__file__).parent.parent / ".ci" / "docs.py"
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "easy_to_hard.html").read_text(encoding="utf-8")
    assert [name for name in easy_to_hard.__all__ if f'<section id="{name}">' not in page] == []
