"""The columns of the parquet files, and how `datasets` and the Hub are told what they hold.

`datasets` finds the shapes of arrays in each file's metadata, and those of a repo in the YAML of its README.md. Both
are written here in its format, so making files for it does not need it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from easy_to_hard.tasks import Task

TENSORS: Final = ("input", "target")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a file.

    Attributes:
        name: of the column.
        dtype: type of its values, as Arrow names it: "uint8", "int32", "string", "bool", ...
        shape: of a row's array; () for a single value.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def _array(self) -> str:
        """The class of `datasets` for arrays of two or more dimensions."""
        return f"Array{len(self.shape)}D"

    def to_field(self) -> pa.Field:
        """The Arrow field; arrays are nested lists, marked as the type that `datasets` registers for them."""
        kind = pa.type_for_alias(self.dtype)
        if len(self.shape) < 2:
            return pa.field(self.name, pa.list_(kind, *self.shape) if self.shape else kind)
        for _ in self.shape:
            kind = pa.list_(kind)
        mark = {
            "ARROW:extension:metadata": json.dumps([self.shape, self.dtype]),
            "ARROW:extension:name": f"datasets.features.features.{self._array}ExtensionType",
        }
        return pa.field(self.name, kind, metadata=mark)

    def to_json(self) -> dict[str, Any]:
        """The column as `datasets` describes it in the metadata of a file."""
        value = {"dtype": self.dtype, "_type": "Value"}
        if not self.shape:
            return value
        if len(self.shape) == 1:
            return {"feature": value, "length": self.shape[0], "_type": "List"}
        return {"shape": list(self.shape), "dtype": self.dtype, "_type": self._array}

    def to_yaml(self) -> dict[str, Any]:
        """The column as the Hub wants it in the YAML of README.md."""
        if not self.shape:
            return {"name": self.name, "dtype": self.dtype}
        if len(self.shape) == 1:
            return {"name": self.name, "list": self.dtype, "length": self.shape[0]}
        array = {"shape": list(self.shape), "dtype": self.dtype}
        return {"name": self.name, "dtype": {f"array{len(self.shape)}_d": array}}


def columns_of(task: Task, difficulty: int) -> tuple[Column, ...]:
    """The columns of a task's files, in order."""
    shapes = task.shapes(difficulty) if task.stores_tensors else ()
    return (
        *(Column(name=name, dtype="uint8", shape=shape) for name, shape in zip(TENSORS, shapes, strict=False)),
        *(Column(name=name, dtype=dtype) for name, dtype in task.columns.items()),
        Column(name="index", dtype="int64"),
    )


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of a file."""
    features = {column.name: column.to_json() for column in columns}
    return pa.schema(
        [column.to_field() for column in columns], {"huggingface": json.dumps({"info": {"features": features}})}
    )
