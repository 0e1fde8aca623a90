"""What the READMEs say: their commands and their Python run as a reader would type them; their links lead somewhere.

Commands run in small (`SMALLER`) and in one folder for each README, in the order of its text. Of those that take a GPU,
another network than the Hub of the tests, or minutes, the settings alone are checked; the last run in `slow` tests.
"""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hub_server import HubServer
from hub_session import HubSession, hub_session

from easy_to_hard import cli

ROOT = Path(__file__).parent.parent
FOLDERS = ("generators", "easy_to_hard", "baselines", "leaderboard", "tests")
# Without the cards of nets, which the package makes: see test_hub_models.py.
READMES = [
    Path("README.md"),
    *sorted(
        path.relative_to(ROOT)
        for name in FOLDERS
        for path in (ROOT / name).rglob("README.md")
        if "checkpoints" not in path.parts
    ),
]
MOST_LINES = 220
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"(?<=\| )`(easy-to-hard [^`|]*)`(?= \|)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

RECURRENT = "--steps 2 --width 8 --head-widths 8 4 --batch-size 4 --max-iterations 4 --precision float32 --quiet"
CELLULAR = "--steps 2 --width 4 --batch-size 4 --pool-size 8 --iterations 2 --quiet-iterations 1 --judged-from 1"
ATTENTION = "--steps 2 --width 8 --heads 2 --batch-size 4 --pool-size 8 --fixed-items 8 --easier-items 8 --quiet"
TWO_ITEMS = "--items 2 --iterations 12 --quiet"
# The first that a command begins with says by which flags it becomes small; of a flag given twice the last counts.
SMALLER = {
    "build": "--preset tiny --quiet",
    "verify": "--quiet",
    "generate": "--count 5",
    "export": "--train 2 --test 2 --quiet",
    "convert-lichess": "",
    "train prefix-sums --settings": "",
    "train chess-mates --preset thinking": ATTENTION,
    "train mazes --preset cellular": CELLULAR + " --quiet",
    "train prefix-sums --preset cellular": CELLULAR + " --quiet",
    "train chess": RECURRENT,
    "train": RECURRENT + " --hold-share 0",
    "evaluate --model runs/chess": "--difficulties 1200 " + TWO_ITEMS,
    "evaluate --model mazes": "--difficulties 9 " + TWO_ITEMS,
    "evaluate --model chess-mates": "--difficulties 1 " + TWO_ITEMS,
    "evaluate": "--difficulties 32 " + TWO_ITEMS,
    "think": "--difficulty 9 --iterations 3 --frames 2",
    "perturb": "--items 2 --at 5 --iterations 12 --quiet",
    "align": TWO_ITEMS,
    "text": "--num 2",
    "score --template": "--template mazes_9",
    "score --predictions": "--quiet",
    "score --replies": "",
    "score --model": "--difficulties 9 " + TWO_ITEMS,
    "score": "--difficulties 9 --items 10 --quiet",
    "leaderboard": "--results leaderboard/results/zeros-mazes.json",
    "publish": "--quiet",
    "show": "",
    "info": "",
    "perft": "",
    "curves": "",
    "reference --help": "",
    "reference cold-diffusion --help": "",
    "reference show": "",
    "reference dp-instahide --account": "",
}
# Python of another size, and what runs in tests of its own.
SWAPS = {
    "you/": {"mazes_59": "mazes_9", "59": "9"},
    '"lichess"': {
        "train=True": "train=True, idx_start=0, idx_end=100",
        'rating=(2000, 2200), themes=["fork"]': 'rating=(0, 3000), themes=["short"]',
    },
}
# Python that imports one of these runs where it is installed.
OPTIONAL = ("gymnasium",)
ELSEWHERE = {
    "import ray": "test_many_machines.py",
    "SLURM_ARRAY_TASK_ID": "test_many_machines.py",
    "import jax": "test_frameworks.py",
    "import tensorflow": "test_frameworks.py",
}
SOLVER = """
import torch


def solve(inputs, iterations):
    return torch.zeros(len(inputs), *inputs.shape[2:], dtype=torch.int64)
"""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A command or a block of code of a README; `where` is for messages."""

    where: str
    language: str
    text: str


def _pieces(readme: Path) -> Iterator[Piece]:
    """Those of a README in the order of its text, commands one by one."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    found = [(match.start(), match[1], match[2]) for match in _FENCE.finditer(text)]
    found += [(match.start(), "sh", match[1]) for match in _CELL.finditer(text)]
    for start, language, code in sorted(found):
        where = f"{readme}:{text.count(chr(10), 0, start) + 1}"
        if language != "sh":
            yield Piece(where=where, language=language, text=code)
            continue
        for line in code.splitlines():
            command = shlex.join(shlex.split(line, comments=True)).replace(" '&&' ", "\n")
            for part in command.splitlines():
                yield Piece(where=where, language="sh", text=part)


def _is_for_a_gpu_or_network(arguments: list[str]) -> bool:
    return "cuda" in arguments or "--download" in arguments or arguments[0] == "download-lichess"


def _in_small(arguments: list[str]) -> list[str] | None:
    """The command as it is run here; None for one that is not."""
    text = " ".join(arguments)
    if _is_for_a_gpu_or_network(arguments):
        return [*arguments, "--settings"] if arguments[0] == "train" else None
    flags = next((flags for start, flags in SMALLER.items() if text.startswith(start)), None)
    if flags is None:
        assert arguments[0] == "reference", f"{text}: say in SMALLER how it becomes small"
        return None
    return [*arguments, *flags.split()]


class Reader:
    """Types what a README says, in a folder of its own."""

    def __init__(self, folder: Path, hub: HubSession) -> None:
        self.folder = folder
        self.hub = hub
        self.names: dict[str, Any] = {}

    def type(self, piece: Piece) -> None:
        """Run a piece, or check what can be checked."""
        if any(word in piece.text for word in ELSEWHERE):
            return
        if piece.language == "sh":
            program, *arguments = shlex.split(piece.text)
            if "=" in program:
                program, *arguments = arguments
            getattr(self, f"_{program.replace('-', '_')}")(arguments)
        elif piece.language == "python":
            self._code(piece)
        else:
            assert piece.language == "text", f"{piece.where}: say what is in the block"

    def _easy_to_hard(self, arguments: list[str]) -> None:
        small = _in_small(arguments)
        if small is None:
            cli._parse(arguments)
        elif "you/" in " ".join(arguments):
            code, _, err = self.hub.answer(f"import os; os.chdir({str(self.folder)!r}); answer = command(*{small!r})")
            assert code == 0, err
        else:
            assert cli.main(small) == 0

    def _code(self, piece: Piece) -> None:
        text = piece.text
        if any(f"import {name}\n" in text and find_spec(name) is None for name in OPTIONAL):
            return
        for word, swaps in SWAPS.items():
            for old, new in swaps.items() if word in piece.text else ():
                text = text.replace(old, new)
        if "you/" in text:
            self.hub.answer(text)
        else:
            exec(compile(text, piece.where, "exec"), self.names)

    def _torchrun(self, arguments: list[str]) -> None:
        assert "easy_to_hard.cli" in arguments
        self._easy_to_hard(arguments[arguments.index("easy_to_hard.cli") + 1 :])

    def _make(self, targets: list[str]) -> None:
        makefile = (ROOT / "Makefile").read_text()
        assert [target for target in targets if f"\n{target}:" not in makefile] == []

    def _pip(self, arguments: list[str]) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        known = {project["name"], *(f"{project['name']}[{extra}]" for extra in project["optional-dependencies"])}
        assert arguments[0] == "install"
        assert set(arguments[1:]) <= known

    def _python(self, arguments: list[str]) -> None:
        paths = [argument for argument in arguments if argument.endswith((".py", ".json"))]
        assert paths
        assert [path for path in paths if not (ROOT / path).is_file()] == []

    def _git(self, arguments: list[str]) -> None:
        assert arguments[0] == "clone"

    def _cd(self, arguments: list[str]) -> None:
        assert arguments == ["easy-to-hard"]

    def _rsync(self, arguments: list[str]) -> None:
        assert arguments[0] == "-a"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubSession]:
    """A client of an empty Hub."""
    with HubServer() as server, hub_session(server, tmp_path_factory.mktemp("home")) as session:
        yield session


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a reader who has a clone, a solver, two results and a small Lichess file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaderboard").symlink_to(ROOT / "leaderboard")
    (tmp_path / "my_solver.py").write_text(SOLVER)
    for name, seed in (("a", 1), ("b", 2)):
        result = ROOT / "leaderboard" / "results" / f"prefix-sums-cpu-seed{seed}.json"
        (tmp_path / f"{name}.json").write_bytes(result.read_bytes())
    puzzles = (ROOT / "tests" / "data" / "lichess_puzzles_200.csv").read_bytes()
    (tmp_path / "lichess.csv.zst").write_bytes(zstandard.compress(puzzles))
    return tmp_path


@pytest.mark.posix
@pytest.mark.parametrize("readme", READMES, ids=str)
def test_what_it_says_runs(readme: Path, folder: Path, client: HubSession, capsys: pytest.CaptureFixture[str]) -> None:
    reader = Reader(folder, client)
    for piece in _pieces(readme):
        try:
            reader.type(piece)
        except Exception as error:
            raise AssertionError(f"{piece.where}: {piece.text}\n{capsys.readouterr().err}") from error


SLOW = [
    piece
    for readme in READMES
    for piece in _pieces(readme)
    if piece.text.startswith("easy-to-hard reference")
    and re.search(r"--(data|target) (mazes|prefix_sums)", piece.text)
    and not _is_for_a_gpu_or_network(shlex.split(piece.text)[1:])
]


@pytest.mark.posix
@pytest.mark.skipif(
    not os.environ.get("EASY_TO_HARD_LONG_TESTS"), reason="takes minutes: set EASY_TO_HARD_LONG_TESTS=1 to run it"
)
@pytest.mark.slow
@pytest.mark.parametrize("piece", SLOW, ids=lambda piece: piece.text.removeprefix("easy-to-hard reference "))
@pytest.mark.usefixtures("folder")
def test_what_takes_minutes_runs(piece: Piece) -> None:
    assert cli.main([*shlex.split(piece.text)[1:], "--preset", "smoke", "--quiet"]) == 0


def test_every_command_that_is_named_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """In the text, too, where a command is named and not given."""
    texts = [(ROOT / readme).read_text(encoding="utf-8") for readme in READMES]
    named = {name for text in texts for name in re.findall(r"`easy-to-hard ([a-z][a-z-]*)", _FENCE.sub("", text))}
    assert {"build", "score"} <= named
    assert [name for name in sorted(named) if cli.main([name, "--help"]) != 0] == []
    capsys.readouterr()


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a file."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("readme", READMES, ids=str)
def test_links_lead_somewhere(readme: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", (ROOT / readme).read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / readme).parent / path if path else ROOT / readme
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_each_picture_is_shown_somewhere() -> None:
    shown = "".join((ROOT / readme).read_text(encoding="utf-8") for readme in READMES)
    assert [path.name for path in (ROOT / ".github" / "images").iterdir() if path.name not in shown] == []


def test_it_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_LINES
