"""The example for JAX in the package's README.md."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "easy_to_hard" / "README.md"


def test_the_example_for_jax_trains() -> None:
    pytest.importorskip("jax", reason="JAX is not installed: pip install jax")
    example = next(code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "jax" in code)
    names: dict[str, object] = {}
    exec(example, names)
    first, last = names["losses"][0], names["losses"][-1]  # type: ignore[index]
    assert last < first / 2
