"""The columns of files are described exactly as `datasets` describes them."""

from typing import Any

import datasets
import pytest

from easy_to_hard.lichess.bands import FILE_SCHEMA
from easy_to_hard.storage.columns import Column, arrow_schema, columns_of
from easy_to_hard.tasks import TASKS, Task


def _features(task: Task, difficulty: int) -> datasets.Features:
    """The columns of a task, made by `datasets`."""

    def array(shape: tuple[int, ...]) -> Any:
        if len(shape) == 1:
            return datasets.List(datasets.Value("uint8"), length=shape[0])
        return {2: datasets.Array2D, 3: datasets.Array3D}[len(shape)](shape=shape, dtype="uint8")

    tensors = zip(("input", "target"), map(array, task.shapes(difficulty)), strict=True) if task.stores_tensors else ()
    others = {name: datasets.Value(dtype) for name, dtype in task.columns.items()}
    return datasets.Features({**dict(tensors), **others, "index": datasets.Value("int64")})


@pytest.mark.parametrize("name", TASKS)
def test_columns_are_those_that_datasets_describes(name: str) -> None:
    task = TASKS[name]
    columns, features = columns_of(task, task.train_difficulty), _features(task, task.train_difficulty)
    schema = arrow_schema(columns)
    # In bytes, since that is what a file has of it: Arrow reads the marks of arrays as types when they are registered.
    assert schema.serialize().to_pybytes() == features.arrow_schema.serialize().to_pybytes()
    assert [column.to_yaml() for column in columns] == features._to_yaml_list()


def test_columns_of_lichess_files() -> None:
    columns = [Column(name=field.name, dtype=str(field.type)) for field in FILE_SCHEMA]
    features = datasets.Features.from_arrow_schema(FILE_SCHEMA)
    assert [column.to_yaml() for column in columns] == features._to_yaml_list()
