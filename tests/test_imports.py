"""Imports run one way: no circles, and none from a layer to one above it; those of functions and of types count too."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PACKAGE = "easy_to_hard"
ROOT = Path(__file__).parent.parent / PACKAGE

# From the ground up. The kit is what the methods share. The nets are those of deep_thinking, which the methods of other
# papers are tried on; no method imports another one.
LAYERS: Final = ("generators", "package", "kit", "nets", "method", "leaderboard", "commands")

# (importer, imported), without the package's name, to the reason. Only imports that are not top-level may stand here.
# The list may only get shorter: what is new is to be built so that it needs no place in it.
EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("leaderboard.evaluate", "cli"): "`python leaderboard/evaluate.py` is a script, which does what `score` does",
}


class Import(NamedTuple):
    """That a module imports another one; `kind` is "top-level", "type-only" or "lazy"."""

    importer: str
    imported: str
    kind: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.importer, self.imported

    def __str__(self) -> str:
        return f"{self.importer} -> {self.imported} ({self.kind})"


def find_modules(folder: Path, name: str = "") -> Iterator[tuple[str, Path]]:
    """Names, without the package's, and files of all modules; the package itself is ""."""
    yield name, folder / "__init__.py"
    for path in sorted(folder.iterdir()):
        inside = f"{name}.{path.stem}".lstrip(".")
        if (path / "__init__.py").exists():
            yield from find_modules(path, inside)
        elif path.suffix == ".py" and path.stem != "__init__":
            yield inside, path


def read_imports(modules: Mapping[str, str]) -> list[Import]:
    """The imports among modules, given as name -> source, in the order of the sources."""
    return [
        Import(name, imported, kind)
        for name, source in modules.items()
        for imported, kind in _imports_in(ast.parse(source).body, "top-level", modules)
        if imported != name
    ]


def _imports_in(body: Iterable[ast.AST], kind: str, modules: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from ((_inside(name, modules), kind) for name in names if name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"line {node.lineno}: relative imports are not read here")
            names = [f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*"] or [str(node.module)]
            yield from ((_inside(name, modules), kind) for name in names if name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.If) and kind == "top-level":
            yield from _imports_in(node.body, _kind_of_branch(node), modules)
            yield from _imports_in(node.orelse, kind, modules)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports_in(ast.iter_child_nodes(node), "lazy" if function else kind, modules)


def _kind_of_branch(node: ast.If) -> str:
    condition = ast.unparse(node.test)
    return {"TYPE_CHECKING": "type-only", "__name__ == '__main__'": "lazy"}.get(condition, "top-level")


def _inside(name: str, modules: Mapping[str, str]) -> str:
    """The module of a dotted name, which may end in what is in the module."""
    inside = name.removeprefix(PACKAGE).lstrip(".")
    return inside if inside in modules else inside.rpartition(".")[0]


def layer_of(module: str) -> str:
    """The layer of a module."""
    top, *inner = module.split(".")
    if top == "baselines":
        return _layer_of_baseline(inner)
    if top in ("generators", "leaderboard"):
        return top
    return "commands" if top in ("commands", "cli", "demo") else "package"


def _layer_of_baseline(inner: list[str]) -> str:
    """Of a path below `baselines`."""
    if inner[:1] in ([], ["kit"]) or not (ROOT / "baselines" / inner[0] / "__init__.py").exists():
        return "kit"
    return "nets" if inner[0] == "deep_thinking" else "method"


def find_circle(imports: Iterable[Import]) -> list[str]:
    """The modules of a circle, the first one again at its end; empty where there is none."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for one in imports:
        sorter.add(one.importer, one.imported)
    try:
        sorter.prepare()
    except CycleError as error:
        # It names each module before those that import it.
        return [name or PACKAGE for name in reversed(error.args[1])]
    return []


def find_upward(imports: Iterable[Import]) -> list[Import]:
    """Those from a layer to one above it, or from a method to another one."""
    return [one for one in imports if _is_upward(*one.pair)]


def _is_upward(importer: str, imported: str) -> bool:
    lower, upper = layer_of(importer), layer_of(imported)
    if lower == upper == "method":
        return importer.split(".")[1] != imported.split(".")[1]
    return LAYERS.index(lower) < LAYERS.index(upper)


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    """All of the package."""
    return read_imports({name: path.read_text(encoding="utf-8") for name, path in find_modules(ROOT)})


def test_no_circle_of_top_level_imports(imports: list[Import]) -> None:
    assert find_circle(one for one in imports if one.kind == "top-level") == []


def test_no_circle_of_any_imports(imports: list[Import]) -> None:
    assert find_circle(one for one in imports if one.pair not in EXCEPTIONS) == []


def test_no_import_of_a_layer_above(imports: list[Import]) -> None:
    assert [str(one) for one in find_upward(imports) if one.pair not in EXCEPTIONS] == []


@pytest.mark.parametrize("pair", EXCEPTIONS, ids=" -> ".join)
def test_exceptions_are_needed(pair: tuple[str, str], imports: list[Import]) -> None:
    found = [one for one in imports if one.pair == pair]
    assert found, "there is no such import any more: take it off the list"
    assert "top-level" not in {one.kind for one in found}
    others = [one for one in imports if one.pair not in EXCEPTIONS]
    assert find_upward(found) or find_circle([*others, *found]), "it does no harm any more: take it off the list"


# What the tests above would say of a package that does not keep to the rules.

_TOY: Final = {
    "": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from easy_to_hard.storage import build\n",
    "storage": "import os, easy_to_hard.tasks.mazes\nfrom easy_to_hard import version\ndef build(): pass\n",
    "tasks": "try:\n    from easy_to_hard.tasks.mazes import MAZES\nexcept ImportError:\n    pass\n",
    "tasks.mazes": "class A:\n    def f(self):\n        from easy_to_hard.storage import build\n",
    "cli": "if __name__ == '__main__':\n    from easy_to_hard.tasks import mazes\nelse:\n    import easy_to_hard\n",
}


def test_imports_are_read() -> None:
    assert [str(one) for one in read_imports(_TOY)] == [
        " -> storage (type-only)",
        "storage -> tasks.mazes (top-level)",
        "storage ->  (top-level)",
        "tasks -> tasks.mazes (top-level)",
        "tasks.mazes -> storage (lazy)",
        "cli -> tasks.mazes (lazy)",
        "cli ->  (top-level)",
    ]
    with pytest.raises(ValueError, match="line 2: relative imports"):
        read_imports({"cli": "import os\nfrom . import storage\n"})


def test_every_module_is_read(imports: list[Import]) -> None:
    names = dict(find_modules(ROOT))
    assert {"", "cli", "generators.mazes.trees", "baselines.canary", "leaderboard.page.site"} <= names.keys()
    assert {one.imported for one in imports} <= names.keys()
    assert {layer_of(name) for name in names} == set(LAYERS)
    assert {one.kind for one in imports} == {"top-level", "type-only", "lazy"}


@pytest.mark.parametrize("kind", ["top-level", "type-only", "lazy"])
def test_circles_are_found(kind: str, imports: list[Import]) -> None:
    harmless = [Import("a", "b", "top-level"), Import("a", "c", "top-level"), Import("b", "c", kind)]
    assert find_circle(harmless) == []
    circle = find_circle([*harmless, Import("c", "a", kind)])
    assert circle[0] == circle[-1]
    assert set(pairwise(circle)) <= {("a", "b"), ("b", "c"), ("a", "c"), ("c", "a")}
    kept = [one for one in imports if one.pair not in EXCEPTIONS]
    assert set(find_circle([*kept, Import("tasks", "storage.building", kind)])) >= {"tasks", "storage.building"}


@pytest.mark.parametrize(
    ("importer", "imported", "upward"),
    [
        ("generators.mazes", "tasks", True),
        ("tasks.mazes", "generators.mazes", False),
        ("", "baselines", True),
        ("scores.scoring", "baselines.deep_thinking.batches", True),
        ("baselines.kit.training", "baselines.canary.images", True),
        ("baselines.kit.training", "baselines.canary", True),
        ("baselines.canary", "baselines.kit.training", False),
        ("baselines.canary.images", "baselines.canary.scores", False),
        ("baselines.canary.images", "baselines.deep_thinking.model", False),
        ("baselines.deep_thinking.model", "baselines.canary.images", True),
        ("baselines.canary.images", "baselines.cold_diffusion.images", True),
        ("baselines.canary.images", "scores.reference", False),
        ("baselines.canary.images", "leaderboard.page", True),
        ("leaderboard.evaluate", "baselines.deep_thinking.model", False),
        ("leaderboard.evaluate", "commands.leaderboard", True),
        ("storage.building", "cli", True),
        ("baselines.kit.puzzles", "baselines.deep_thinking.solvers", True),
        ("cli", "storage.building", False),
    ],
)
def test_upward_imports_are_found(importer: str, imported: str, upward: bool) -> None:
    one = Import(importer, imported, "lazy")
    assert find_upward([one]) == ([one] if upward else [])
