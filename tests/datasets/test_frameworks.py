"""The examples for other frameworks in the package's README.md, each where its framework is installed."""

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[2] / "easy_to_hard" / "README.md"


def run_example(framework: str) -> dict[str, Any]:
    """The names that the example defines; the test is skipped where its framework is not installed."""
    pytest.importorskip(framework, reason=f"{framework} is not installed: pip install {framework}")
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if f"import {framework}" in block), names)
    return names


def test_jax_trains() -> None:
    losses = run_example("jax")["losses"]
    assert losses[-1] < 0.7 * losses[0]


def test_tensorflow_gets_the_batches_of_the_stream() -> None:
    names = run_example("tensorflow")
    images, paths = names["stream"].batch(0)
    assert (names["images"].numpy() == images).all()
    assert (names["paths"].numpy() == paths).all()
