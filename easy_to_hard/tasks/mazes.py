"""Mazes as a task."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.generators import mazes
from easy_to_hard.generators.mazes.answers import valid_paths
from easy_to_hard.generators.mazes.variants import longest_path, split_bounds
from easy_to_hard.generators.splits import split_of
from easy_to_hard.tasks.pictures import Color, Picture, picture_of_pixels
from easy_to_hard.tasks.pieces import AnswerRules, Array, Instances, PresetRows, TaskText, most_likely_class
from easy_to_hard.tasks.task import Bits, DataSpec, Task, config_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

_SIZES: Final = (*range(9, 39, 2), 59, 71, 101, 201, 401, 801)
_OTHERS: Final = mazes.VARIANTS[1:]
# Colors in figures: red, green and blue.
_WALL: Final = (0.16, 0.17, 0.20)
_FREE: Final = (1.0, 1.0, 1.0)
_PATH: Final = (0.27, 0.52, 0.95)
_START: Final = (0.13, 0.65, 0.35)
_GOAL: Final = (0.86, 0.20, 0.18)
# Colors in the leaderboard's pictures, of wall, free, path, start and goal: red, green, blue, opacity.
_COLORS: Final[tuple[Color, ...]] = (
    (41, 44, 51, 255),
    (250, 250, 250, 255),
    (69, 133, 242, 255),
    (33, 166, 89, 255),
    (219, 51, 46, 255),
)


def corridor_mask(inputs: "Tensor") -> "Tensor":
    """The pixels of a maze that can be walked on: (batch, *size) bool, any channel of `inputs` above 0."""
    return inputs.amax(dim=1) > 0


def most_likely_corridor_class(logits: "Tensor", inputs: "Tensor") -> "Tensor":
    """Like `most_likely_class`, but 0 on walls (where inputs, (batch, 3, H, W), are all 0)."""
    return most_likely_class(logits, inputs) * corridor_mask(inputs)


class Mazes(Task):
    """The shortest path through a maze."""

    name = "mazes"
    title = "Mazes: the shortest path from the green start to the red goal"
    description = (
        "`input` is the picture, (3, H, W) uint8: free positions white, start green, goal red, "
        "H = W = 2 size + 6; `target` is (H, W) uint8, 1 on the shortest path; `path_length` counts its "
        "steps; `layout_hash` is equal for the mirrored and turned images of the same walls."
    )
    reference = "Schwarzschild et al. 2021, arXiv 2106.04537 and 2108.06011"
    difficulty_name = "size"
    difficulties = _SIZES
    train_difficulty = 9
    input_channels = 3
    variants = mazes.VARIANTS
    columns = MappingProxyType({"path_length": "int32", "layout_hash": "string"})
    rungs = (9, 13, 17, 25, 33, 59, 101, 201, 401, 801)
    alike_from = 9
    new_from = 13
    answers = AnswerRules(decode=most_likely_corridor_class, mask=corridor_mask, local=True)
    ladder = (9, 13, 33, 59)
    presets = MappingProxyType(
        {
            "tiny": (
                PresetRows(difficulties=(9,), train=50, validation=20, test=20),
                PresetRows(difficulties=(13,), test=20),
                PresetRows(difficulties=(9,), variant="looped", test=20),
            ),
            "small": (
                PresetRows(difficulties=(9,), train=10_000, validation=1_000, test=1_000),
                PresetRows(difficulties=(13, 17, 33), test=1_000),
                PresetRows(difficulties=(59,), test=200),
                *(PresetRows(difficulties=(9, 13), variant=variant, test=500) for variant in _OTHERS),
            ),
            # The counts of arXiv 2108.06011 where it has any: 50,000 and 10,000 mazes, 1,000 from 19 on.
            "full": (
                PresetRows(
                    difficulties=tuple(s for s in _SIZES if s <= 17), train=50_000, validation=5_000, test=10_000
                ),
                PresetRows(difficulties=tuple(s for s in _SIZES if 17 < s <= 201), test=1_000),
                PresetRows(difficulties=tuple(s for s in _SIZES if s > 201), test=100),
                *(
                    rows
                    for variant in _OTHERS
                    for rows in (
                        PresetRows(difficulties=(9,), variant=variant, train=50_000, validation=5_000, test=10_000),
                        PresetRows(difficulties=(13, 33, 59), variant=variant, test=1_000),
                    )
                ),
            ),
            # As many mazes as Maze-Hard 30x30 (arXiv 2506.21734), with paths longer than 110 steps like there.
            "maze-unique": (PresetRows(difficulties=(29,), variant="looped_100to140", train=1_000, test=1_000),),
        }
    )
    card_difficulties = (9, 13, 33)
    card = TaskText(
        question=(
            "A picture of a maze is given, with a green start and a red goal. The answer is 1 on the shortest path "
            "from the one to the other, both ends included, and 0 elsewhere. The difficulty is the size s: a maze has "
            "m x m cells, m = (s + 1) / 2, every cell, passage and wall takes 2 x 2 pixels, and a border of one pixel "
            "runs round it, so that a side has H = W = 2 s + 6 pixels."
        ),
        tags=("mazes",),
        columns={
            "input": "the picture, channels red, green and blue, each 0 or 1: free is white, a wall is black",
            "target": "1 on the path, else 0",
            "path_length": "steps of the path, two from a cell to the next",
            "layout_hash": "hash of the walls, 16 hexadecimal digits, the same for all 8 turned and mirrored images",
        },
        generator=(
            "`depth_first` (configs without a variant in their name) is the original's procedure: a randomized "
            "depth-first search grows a tree from the start cell; start and goal are two distinct cells, uniform. "
            "`wilson` draws a uniform spanning tree, `kruskal` opens walls in random order, `open_start` grows the "
            "tree from another cell than the start, and `looped` takes one in ten of the standing walls away, at most "
            "3 m, such that the shortest path is unique. With bounds in the name, as in `looped_100to140`, the goal is "
            "uniform among the cells whose unique shortest path from the start has 100 to 140 steps."
        ),
        limits=(
            "Small mazes have few layouts, and a depth-first search makes some of them much more often than others. "
            "The table of overlaps counts the layouts.",
            "Start and goal are uniform, so many paths are much shorter than the longest: a net that finds short paths "
            "only is right on a part of a hard config. Compare accuracy by `path_length`.",
            "The trees of `depth_first` have long corridors, and nearly every start lies in a dead end, since the tree "
            "grows from there. Nets can depend on it: for starts that do not, arXiv 2410.03020 reports 72 % at size 9. "
            "`open_start` is made to test this.",
            "All variants but `looped` are trees, in which any path without a turn back is the shortest. Filling the "
            "dead ends solves them.",
        ),
        dataset=("MazeDataset", "size"),
    )

    def check_difficulty(self, difficulty: int) -> int:
        """Check that the size is odd and in range."""
        return mazes.check_size(difficulty)

    def check_variant(self, variant: str) -> str:
        """Check a variant, which bounds of path length may follow, as in ``looped_100to140``."""
        walls, bounds = split_bounds(variant)
        known = super().check_variant(walls)
        return variant if bounds.most else known

    def rungs_of(self, variant: str) -> tuple[int, ...]:
        """Those that have paths within the variant's bounds."""
        least = split_bounds(variant)[1].least
        return tuple(rung for rung in self.rungs if least <= longest_path(rung))

    def default_samples(self, difficulty: int, split: str, variant: str) -> int:
        """As many as in arXiv 2108.06011; fewer of the large ones."""
        if difficulty < 9:
            return 10_000 if split == "train" else 1_000
        if difficulty <= 59:
            return 50_000 if split == "train" else 10_000
        return 1_000 if difficulty <= 201 else 100

    def count_instances(self, spec: DataSpec) -> int | None:
        """The exact number for small sizes; None for the others."""
        return mazes.count_instances(spec.difficulty, spec.variant, spec.split, spec.split_rule)

    def first_distinct(self, spec: DataSpec, count: int, num_threads: int | None) -> NDArray[np.uint64]:
        """Found by drawing, since a maze may come twice."""
        return mazes.first_distinct(
            count,
            size=spec.difficulty,
            variant=spec.variant,
            split=spec.split,
            seed=spec.seed,
            split_rule=spec.split_rule,
            num_threads=num_threads,
        )

    def generate(self, spec: DataSpec, indices: Array, num_threads: int | None) -> Instances:
        """Cells, with the length of the path and the hash of the walls as further columns."""
        batch = mazes.sample(
            spec.difficulty,
            indices,
            variant=spec.variant,
            split=spec.split,
            seed=spec.seed,
            split_rule=spec.split_rule,
            num_threads=num_threads,
        )
        hashes = np.array([f"{value:016x}" for value in batch.layout_hashes.tolist()], dtype="U16")
        return Instances(data=batch.cells, columns={"path_length": batch.path_lengths, "layout_hash": hashes})

    def shapes(self, difficulty: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of a color picture and of a path."""
        side = mazes.image_side(difficulty)
        return (3, side, side), (side, side)

    def encode(self, data: Array, difficulty: int, num_threads: int | None) -> tuple[Bits, Bits]:
        """Pictures and paths."""
        return mazes.to_images(data, num_threads)

    def decode(self, inputs: Array, targets: Array) -> Array:
        """Cells from pictures and paths."""
        return mazes.from_images(inputs, targets)

    def splits_of(self, data: Array, difficulty: int) -> list[str]:
        """The split of each maze, by the hash of its walls."""
        return [split_of(int(value)) for value in mazes.layout_hashes(data)]

    def solve(self, inputs: Array, difficulty: int) -> Bits:
        """The shortest path, by breadth-first search."""
        return mazes.solve(inputs)[0]

    def open_positions(self, inputs: Array) -> NDArray[np.bool_]:
        """The positions that are not walls."""
        free: NDArray[np.bool_] = np.logical_or.reduce(inputs, axis=1, dtype=np.bool_)
        return free

    def judge(self, instances: Instances, predictions: Array, difficulty: int) -> dict[str, NDArray[np.bool_]]:
        """Whether an answer is any path from start to goal: in `looped` mazes there may be longer ones."""
        return {"valid_path": valid_paths(instances.data, predictions)}

    def text(self, item: Array, target: Array, data: Array) -> str:
        """The maze as text, two characters per position."""
        red, green, blue = (np.asarray(item) > 0)[:, 1:-1:2, 1:-1:2]
        on_path = np.asarray(target)[1:-1:2, 1:-1:2] > 0
        symbols = np.where(blue, np.where(on_path, "··", "  "), "██")
        symbols = np.where(green & ~red, "S ", np.where(red & ~green, "G ", symbols))
        return "\n".join("".join(row) for row in symbols)

    def plot(self, item: Any, target: Any = None, data: Any = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the maze, (3, H, W), and its path in blue if one is given."""
        from easy_to_hard.plotting import new_axes

        pixels = np.asarray(item) > 0
        if pixels.ndim != 3 or pixels.shape[0] != 3:
            raise ValueError(f"image must be (3, H, W), not {pixels.shape}")
        red, green, blue = pixels
        drawing = np.empty((*blue.shape, 3))
        drawing[:] = _WALL
        drawing[blue] = _FREE
        if target is not None:
            drawing[blue & (np.asarray(target) > 0)] = _PATH
        drawing[green & ~red] = _START
        drawing[red & ~green] = _GOAL
        axes = ax if ax is not None else new_axes(4, 4)
        axes.imshow(drawing, interpolation="nearest")
        axes.set_axis_off()
        return axes

    def picture(self, variant: str, difficulty: int) -> Picture:
        """The first test item, drawn with one pixel per position."""
        spec = DataSpec(task=self.name, difficulty=difficulty, variant=variant, split="test")
        image, path, _ = self.example(spec)
        # A position is two by two pixels, and there is one pixel of padding all around.
        red, green, blue = image[:, 1:-1:2, 1:-1:2] > 0
        pixels = np.zeros(blue.shape, dtype=np.uint8)
        pixels[blue] = 1
        pixels[blue & (path[1:-1:2, 1:-1:2] > 0)] = 2
        pixels[green & ~red] = 3
        pixels[red & ~green] = 4
        kind = "" if spec.variant == self.variants[0] else f", {spec.variant.replace('_', ' ')}"
        label = f"a maze of size {difficulty}{kind}, with its shortest path from start to goal"
        return picture_of_pixels(config_name(self.name, difficulty, variant), pixels, _COLORS, label)
