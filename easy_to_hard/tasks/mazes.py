"""Mazes as a task."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import mazes
from easy_to_hard.generators.mazes.answers import valid_paths
from easy_to_hard.generators.mazes.sampling import check_variant
from easy_to_hard.generators.splits import split_of
from easy_to_hard.tasks.task import Array, DataSpec, Instances, Task


def _maze_samples(size: int, split: str) -> int:
    if size < 9:
        return 10_000 if split == "train" else 1_000
    if size <= 59:
        return 50_000 if split == "train" else 10_000
    return 1_000 if size <= 201 else 100


def _distinct_mazes(spec: DataSpec, count: int, num_threads: int | None) -> NDArray[np.uint64]:
    return mazes.first_distinct(
        count,
        size=spec.difficulty,
        variant=spec.variant,
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )


def _count_mazes(spec: DataSpec) -> int | None:
    return mazes.count_instances(spec.difficulty, spec.variant, spec.split, spec.split_rule)


def _generate_mazes(spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
    batch = mazes.sample(
        spec.difficulty,
        indices,
        variant=check_variant(spec.variant),
        split=spec.split,
        seed=spec.seed,
        split_rule=spec.split_rule,
        num_threads=num_threads,
    )
    hashes = np.array([f"{value:016x}" for value in batch.layout_hashes.tolist()], dtype="U16")
    return Instances(data=batch.cells, columns={"path_length": batch.path_lengths, "layout_hash": hashes})


def _encode_mazes(data: Array, size: int, num_threads: int | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return mazes.to_images(data, num_threads)


def _maze_shapes(size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    side = mazes.image_side(size)
    return (3, side, side), (side, side)


def _solve_mazes(inputs: Array, size: int) -> NDArray[np.uint8]:
    return mazes.solve(inputs)[0]


def _judge_paths(instances: Instances, predictions: Array, size: int) -> dict[str, NDArray[np.bool_]]:
    """Whether an answer is a path from start to goal at all: in `looped` mazes there may be longer ones."""
    return {"valid_path": valid_paths(instances.data, predictions)}


def _splits_of_mazes(data: Array, size: int) -> list[str]:
    return [split_of(int(value)) for value in mazes.layout_hashes(data)]


def _open_positions(inputs: Array) -> NDArray[np.bool_]:
    free: NDArray[np.bool_] = np.logical_or.reduce(inputs, axis=1, dtype=np.bool_)
    return free


def _text_of_maze(image: Array, path: Array, data: Array) -> str:
    red, green, blue = (np.asarray(image) > 0)[:, 1:-1:2, 1:-1:2]
    on_path = np.asarray(path)[1:-1:2, 1:-1:2] > 0
    symbols = np.where(blue, np.where(on_path, "··", "  "), "██")
    symbols = np.where(green & ~red, "S ", np.where(red & ~green, "G ", symbols))
    return "\n".join("".join(row) for row in symbols)


MAZES: Final = Task(
    name="mazes",
    title="Mazes: the shortest path from the green start to the red goal",
    description=(
        "`input` is the picture, (3, H, W) uint8: free positions white, start green, goal red, "
        "H = W = 2 size + 6; `target` is (H, W) uint8, 1 on the shortest path; `path_length` counts its "
        "steps; `layout_hash` is equal for the mirrored and turned images of the same walls."
    ),
    difficulty_name="size",
    difficulties=(*range(9, 39, 2), 59, 71, 101, 201, 401, 801),
    train_difficulty=9,
    rungs=(9, 13, 17, 25, 33, 59, 101, 201, 401, 801),
    alike_from=9,
    new_from=13,
    variants=mazes.VARIANTS,
    reference="Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011",
    check_difficulty=mazes.check_size,
    default_samples=_maze_samples,
    stream_length=lambda spec: None,
    first_distinct=_distinct_mazes,
    count_instances=_count_mazes,
    generate=_generate_mazes,
    encode=_encode_mazes,
    decode=mazes.from_images,
    shapes=_maze_shapes,
    columns={"path_length": "int32", "layout_hash": "string"},
    solve=_solve_mazes,
    judge=_judge_paths,
    splits_of=_splits_of_mazes,
    open_positions=_open_positions,
    input_offset=0.0,
    input_channels=3,
    text=_text_of_maze,
)
