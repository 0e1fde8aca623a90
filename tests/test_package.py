"""The package as a whole: light to import, one name for each module, and a wheel that works on its own."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import easy_to_hard
from easy_to_hard.extras import EXTRAS

ROOT = Path(__file__).parent.parent
LINKED = ("generators", "baselines", "leaderboard")


def _run(code: str, *flags: str, python: str = sys.executable, **options: object) -> str:
    result = subprocess.run([python, *flags, "-c", code], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, result.stderr
    return str(result.stdout)


def test_import_is_light() -> None:
    loaded = json.loads(_run("import json, sys, easy_to_hard; print(json.dumps(sorted(sys.modules)))"))
    heavy = {"torch", "numba", "datasets", "matplotlib", "pyarrow", "easy_to_hard.baselines"}
    assert not heavy & set(loaded)
    loaded = json.loads(
        _run("import json, sys; from easy_to_hard import TASKS, arrays; print(json.dumps(sorted(sys.modules)))")
    )
    assert not {"torch", "datasets", "huggingface_hub", "pyarrow"} & set(loaded)
    loaded = json.loads(
        _run("import json, sys; from easy_to_hard import MazeDataset; print(json.dumps(sorted(sys.modules)))")
    )
    assert not {"datasets", "matplotlib", "easy_to_hard.baselines", "generators"} & set(loaded)


def test_public_names_are_there() -> None:
    for name in easy_to_hard.__all__:
        assert getattr(easy_to_hard, name) is not None
    assert set(dir(easy_to_hard)) == set(easy_to_hard.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'MazeDatasets'"):
        easy_to_hard.MazeDatasets


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == easy_to_hard.__version__
    assert f"## {easy_to_hard.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_extras_that_are_named_are_there() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, (_, extra) in EXTRAS.items():
        packages = [re.split(r"[>=]", wanted)[0].replace("-", "_") for wanted in extras[extra]]
        assert module in packages, f"[{extra}] does not install {module}"


@pytest.mark.posix
def test_links_are_relative() -> None:
    for name in LINKED:
        assert (ROOT / "easy_to_hard" / name).readlink() == Path("..") / name


def test_file_names_are_valid_everywhere() -> None:
    """On Windows, where some characters and names are reserved, and where, as on macOS, case makes no difference."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = listed.stdout.splitlines()
    assert len({name.casefold() for name in names}) == len(names) > 500
    reserved = re.compile(r'(?i)(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)|[<>:"\\|?*\x00-\x1f]|[. ](/|$)')
    assert [name for name in names if reserved.search(name)] == []


@pytest.fixture(scope="module")
def unlinked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout as git makes it where it does not make symbolic links: each is a text file that holds its target."""
    root = tmp_path_factory.mktemp("unlinked") / "checkout"
    root.mkdir()
    for name in ("easy_to_hard", *LINKED):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("*.nb?"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, root)
    for name in LINKED:
        link = root / "easy_to_hard" / name
        if link.is_symlink():
            link.unlink()
            link.write_text(f"../{name}", encoding="utf-8")
    return root


@pytest.mark.parametrize("text_file", [True, False])
def test_a_checkout_without_links_works(text_file: bool, unlinked: Path, tmp_path: Path) -> None:
    shutil.copytree(unlinked, tmp_path / "copy")
    if not text_file:
        for name in LINKED:
            (tmp_path / "copy" / "easy_to_hard" / name).unlink()
    # Without the site module, so that an editable install of this checkout is not found.
    code = (
        f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"
        "from easy_to_hard import baselines, generators, leaderboard\n"
        "import easy_to_hard.generators.integers as inner\n"
        "print(inner.__name__, *(module.__file__ for module in (generators, baselines, leaderboard)))"
    )
    told = _run(code, "-S", cwd=tmp_path / "copy").split()
    assert told == [
        "easy_to_hard.generators.integers",
        *(str(tmp_path / "copy" / f"{name}/__init__.py") for name in LINKED),
    ]


def _build(root: Path, out: Path) -> Path:
    """The wheel, made from the source archive, so that what a former build left in the folder cannot get into it."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(root)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.mark.slow
def test_links_make_no_difference_to_the_wheel(wheel: Path, unlinked: Path, tmp_path: Path) -> None:
    one, other = (zipfile.ZipFile(path) for path in (wheel, _build(unlinked, tmp_path)))
    with one, other:
        assert {name: other.read(name) for name in other.namelist()} == {
            name: one.read(name) for name in one.namelist()
        }


@pytest.mark.posix
@pytest.mark.slow
def test_wheel_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """One top-level package with real files; the dependencies are those of this environment."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"easy_to_hard"}
    for module in ("generators/mazes/sampling.py", "baselines/__init__.py", "leaderboard/__init__.py", "py.typed"):
        assert f"easy_to_hard/{module}" in names
    assert not [name for name in names if name.startswith("easy_to_hard/tests")]
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    packages = _run("import sysconfig; print(sysconfig.get_path('purelib'))", python=python).strip()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    own = _run("import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(packages) / "dependencies.pth").write_text(own + "\n")
    code = (
        "import easy_to_hard; from easy_to_hard import MazeDataset\n"
        "item = MazeDataset('d', train=False, size=33)[0]\n"
        "print(easy_to_hard.__file__, tuple(item[0].shape), tuple(item[1].shape))"
    )
    shown = _run(code, python=python, cwd=tmp_path)
    assert shown.startswith(packages)
    assert shown.split(" ", 1)[1].strip() == "(3, 72, 72) (72, 72)"


@pytest.mark.posix
@pytest.mark.slow
def test_source_archive_is_enough(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, it makes the same wheel, whose command runs."""
    (archive,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert not [path for path in source.rglob("*") if path.is_symlink()]
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    again = tmp_path / wheel.name
    with zipfile.ZipFile(again) as here, zipfile.ZipFile(wheel) as there:
        assert {file.filename: file.CRC for file in here.infolist()} == {
            file.filename: file.CRC for file in there.infolist()
        }
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index", str(again)]
    subprocess.run(pip, check=True, capture_output=True)
    packages = Path(_run("import sysconfig; print(sysconfig.get_path('purelib'))", python=python).strip())
    own = _run("import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (packages / "dependencies.pth").write_text(own + "\n")
    easy = str(tmp_path / "venv" / "bin" / "easy-to-hard")
    shown = subprocess.run([easy, "info"], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert [task for task in easy_to_hard.TASKS if f"{task}: " not in shown] == []


@pytest.mark.slow
def test_wheel_works_without_extras(wheel: Path, tmp_path: Path) -> None:
    """`pip install easy-to-hard` is light, and enough for data, text and the scores of predictions."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    probe = subprocess.run(
        [*pip, "download", "--no-deps", "-d", str(tmp_path), "tqdm"], capture_output=True, check=False
    )
    if probe.returncode:
        pytest.skip("no package index can be reached")
    subprocess.run([*pip, "install", "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True, capture_output=True)
    listed = subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True, text=True).stdout
    packages = {package["name"].lower() for package in json.loads(listed)} - {"pip", "setuptools"}
    assert len(packages) <= 18, sorted(packages)
    doors = [python, str(ROOT / "tests" / "light_doors.py"), str(tmp_path)]
    done = subprocess.run(doors, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("all doors work\n", 0), done.stderr
    command = str(tmp_path / "venv" / "bin" / "easy-to-hard")
    subprocess.run([command, "build", "--out", "tiny", "--preset", "tiny", "--quiet"], check=True, cwd=tmp_path)
    subprocess.run([command, "verify", "tiny", "--quiet"], check=True, cwd=tmp_path)
