"""What holds for every task: runs over `TASKS`, so a new one is covered unasked."""

import itertools
from typing import Any

import numpy as np
import pytest

from easy_to_hard.generators.mazes import layout_hashes
from easy_to_hard.generators.splits import SPLITS, NotEnoughInstancesError
from easy_to_hard.storage.presets import PRESETS
from easy_to_hard.tasks import TASKS, DataSpec, config_name, generate, get_task, parse_config

MADE = [task.name for task in TASKS.values() if not task.imported]
EASY = [(name, TASKS[name].train_difficulty, variant) for name in MADE for variant in TASKS[name].variants or ("",)]


@pytest.mark.parametrize(("name", "difficulty", "variant"), EASY)
@pytest.mark.parametrize("split", SPLITS)
def test_generation_encoding_and_solution(name: str, difficulty: int, variant: str, split: str) -> None:
    task = get_task(name)
    spec = DataSpec(task=name, difficulty=difficulty, variant=variant, split=split)
    indices, instances = generate(spec, 30)
    assert len(set(indices.tolist())) == len(instances) == 30
    inputs, targets = task.encode(instances.data, difficulty, None)
    assert (inputs.shape[1:], targets.shape[1:]) == task.shapes(difficulty)
    assert inputs.dtype == targets.dtype == np.uint8
    assert set(np.unique(inputs)) | set(np.unique(targets)) == {0, 1}
    if task.stores_tensors:
        assert np.array_equal(task.decode(inputs, targets), instances.data)
    else:
        assert np.array_equal(task.from_columns(instances.columns), instances.data)
    solved = task.solve(inputs, difficulty)
    assert solved is not None
    assert np.array_equal(solved, targets)
    assert task.splits_of(instances.data, difficulty) == [split] * 30
    assert set(instances.columns) == set(task.columns)
    assert all(values.shape == (30,) for values in instances.columns.values())
    assert task.text(inputs[0], targets[0], instances.data[0]) != task.text(inputs[1], targets[1], instances.data[1])


@pytest.mark.parametrize(("name", "difficulty", "variant"), EASY)
def test_items_do_not_depend_on_how_they_are_asked_for(name: str, difficulty: int, variant: str) -> None:
    spec = DataSpec(task=name, difficulty=difficulty, variant=variant)
    task = get_task(name)
    whole = task.generate(spec, np.arange(40), 1).data
    assert np.array_equal(task.generate(spec, np.arange(40), 2).data, whole)
    assert np.array_equal(task.generate(spec, np.array([31, 2]), None).data, whole[[31, 2]])
    assert np.array_equal(generate(spec, 10)[1].data, generate(spec, 25)[1].data[:10])


@pytest.mark.parametrize("name", TASKS)
def test_the_ladder_is_allowed_and_rises(name: str) -> None:
    task = TASKS[name]
    assert list(task.difficulties) == sorted(set(task.difficulties))
    assert task.train_difficulty in task.difficulties
    for difficulty in task.difficulties:
        assert task.check_difficulty(difficulty) == difficulty
        for split, variant in itertools.product(SPLITS, task.variants or ("",)):
            assert task.default_samples(difficulty, split, variant) >= 50


def test_config_names() -> None:
    assert config_name("mazes", 9) == config_name("mazes", 9, "depth_first") == "mazes_9"
    assert config_name("mazes", 13, "looped") == "mazes_looped_13"
    assert config_name("mazes", 29, "looped_40to60") == "mazes_looped_40to60_29"
    assert config_name("mazes", 29, "depth_first_40to60") == "mazes_depth_first_40to60_29"
    assert config_name("prefix_sums", 32) == "prefix_sums_32"
    assert DataSpec(task="mazes", difficulty=9).variant == "depth_first"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "maze"}, "unknown task 'maze': choose one of prefix_sums, mazes, chess_mates, chess_puzzles"),
        ({"difficulty": 8}, "size must be an odd number from 3 to 1601, not 8"),
        ({"difficulty": 9.0}, "size must be an integer, not 9.0"),
        ({"variant": "prim"}, "unknown variant 'prim' of mazes: depth_first, wilson, kruskal, open_start, looped"),
        ({"variant": "prim_40to60"}, "unknown variant 'prim' of mazes: depth_first"),
        ({"variant": "looped_40to61"}, "bounds of path length must be even numbers of steps"),
        ({"task": "prefix_sums", "variant": "looped_40to60"}, "unknown variant 'looped_40to60' of prefix_sums"),
        ({"task": "prefix_sums", "variant": "x"}, "unknown variant 'x' of prefix_sums: it has none"),
        ({"split": "val"}, "unknown split 'val'"),
        ({"split_rule": "random"}, "unknown split_rule 'random'"),
        ({"seed": "0"}, "seed must be an integer, not '0'"),
        ({"seed": False}, "seed must be an integer, not False"),
    ],
)
def test_specs_say_what_is_wrong(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSpec(**{"task": "mazes", "difficulty": 9, **options})


def test_paths_longer_than_any_of_the_size_are_refused_before_anything_is_made() -> None:
    spec = DataSpec(task="mazes", difficulty=9, variant="looped_100to140")
    with pytest.raises(ValueError, match="a maze of size 9 has a path of 2 to 48 steps, not of 100 to 140"):
        get_task("mazes").sample_count(spec, 10)


def test_sets_are_at_most_what_there_is() -> None:
    task = get_task("prefix_sums")
    spec = DataSpec(task="prefix_sums", difficulty=8)
    assert task.sample_count(spec, None) == 204
    assert task.sample_count(spec, 204) == 204
    with pytest.raises(NotEnoughInstancesError, match="prefix_sums_8 has 204 distinct instances in split 'train'"):
        task.sample_count(spec, 205)
    empty = DataSpec(task="mazes", difficulty=3)
    with pytest.raises(NotEnoughInstancesError, match=r"0 distinct instances .* choose another split or a larger size"):
        get_task("mazes").sample_count(empty, None)
    for number in (0, -5, 2.5, True):
        with pytest.raises(ValueError, match=r"num_samples must be (at least 1|an integer), not "):
            task.sample_count(spec, number)  # type: ignore[arg-type]


def test_the_ladders_are_the_documented_ones() -> None:
    mazes, strings = TASKS["mazes"].difficulties, TASKS["prefix_sums"].difficulties
    assert mazes == (9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 59, 71, 101, 201, 401, 801)
    assert strings == (*range(16, 65), 72, 128, 256, 512, 1024, 2048, 4096, 8192)
    assert (TASKS["mazes"].train_difficulty, TASKS["prefix_sums"].train_difficulty) == (9, 32)
    assert TASKS["mazes"].variants == ("depth_first", "wilson", "kruskal", "open_start", "looped")


def test_registry_names_are_the_tasks_own() -> None:
    assert list(TASKS) == [task.name for task in TASKS.values()]
    for task in TASKS.values():
        assert get_task(task.name) is task
        assert task.title
        assert task.description
        assert task.reference
    with pytest.raises(
        ValueError, match="unknown task 'chess': choose one of prefix_sums, mazes, chess_mates, chess_puzzles"
    ):
        get_task("chess")


@pytest.mark.parametrize("name", MADE)
def test_no_instance_at_all_keeps_its_shape(name: str) -> None:
    task = TASKS[name]
    spec = DataSpec(task=name, difficulty=task.train_difficulty)
    instances = task.generate(spec, np.empty(0, dtype=np.uint64), None)
    inputs, targets = task.encode(instances.data, task.train_difficulty, None)
    assert (inputs.shape, targets.shape) == tuple((0, *shape) for shape in task.shapes(task.train_difficulty))
    solved = task.solve(inputs, task.train_difficulty)
    assert solved is not None
    assert solved.shape == targets.shape
    assert task.splits_of(instances.data, task.train_difficulty) == []


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("split_rule", ["hash", "original"])
def test_streams_are_as_long_as_they_say(name: str, split_rule: str) -> None:
    """The last item of a stream that ends is there, the next one is not."""
    task = TASKS[name]
    spec = DataSpec(task=name, difficulty=task.difficulties[0], split="test", split_rule=split_rule)
    length = task.stream_length(spec)
    if length is None:
        assert len(task.generate(spec, np.array([2**64 - 1], dtype=np.uint64), None)) == 1
        return
    assert len(task.generate(spec, np.array([length - 1]), None)) == 1
    with pytest.raises(NotEnoughInstancesError):
        task.generate(spec, np.array([length]), None)


def test_prefix_sums_are_written_out_in_lines_of_64() -> None:
    task = get_task("prefix_sums")
    bits = np.arange(130, dtype=np.uint8) % 3 % 2
    parities = TASKS["prefix_sums"].solve(bits[None], 130)[0]  # type: ignore[index]
    lines = task.text(bits, parities, bits).splitlines()
    assert [line.split()[:2] for line in lines] == [
        [label, place] for place in ("0", "64", "128") for label in ("bits", "parity")
    ]
    for row, part in ((bits, lines[::2]), (parities, lines[1::2])):
        assert "".join(line.split()[2] for line in part) == "".join(map(str, row.tolist()))


@pytest.mark.parametrize("variant", TASKS["mazes"].variants)
def test_mazes_are_drawn_as_squares_with_one_path(variant: str) -> None:
    task = get_task("mazes")
    spec = DataSpec(task="mazes", difficulty=13, variant=variant)
    instances = task.generate(spec, np.arange(5), None)
    inputs, targets = task.encode(instances.data, 13, None)
    for image, path, length in zip(inputs, targets, instances.columns["path_length"].tolist(), strict=True):
        drawing = task.text(image, path, image)
        lines = drawing.splitlines()
        assert len(lines) == 15
        assert {len(line) for line in lines} == {30}
        assert lines[0] == lines[-1] == "█" * 30
        assert (drawing.count("S "), drawing.count("G "), drawing.count("··")) == (1, 1, length - 1)


def test_layout_hash_columns_are_16_hexadecimal_digits() -> None:
    spec = DataSpec(task="mazes", difficulty=9)
    instances = get_task("mazes").generate(spec, np.arange(50), None)
    column = instances.columns["layout_hash"].tolist()
    assert {len(value) for value in column} == {16}
    assert [int(value, 16) for value in column] == layout_hashes(instances.data).tolist()


def test_configs_are_read_as_they_are_named() -> None:
    for part in PRESETS["full"]:
        task, variant, difficulty = parse_config(part.config)
        assert (task, difficulty) == (part.task, part.difficulty)
        assert config_name(task, difficulty, variant) == part.config
    assert parse_config("chess_puzzles_rank_600000") == ("chess_puzzles", "rank", 600_000)
    for variant in ("looped_40to60", "depth_first_40to60"):
        assert parse_config(f"mazes_{variant}_29") == ("mazes", variant, 29)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mazes", "unknown config 'mazes': configs are named like prefix_sums_32, mazes_9"),
        ("mazes_09", "unknown config 'mazes_09'"),
        ("mazes_depth_first_9", "unknown config 'mazes_depth_first_9'"),
        ("mazes__9", "unknown config 'mazes__9'"),
        ("mazes_looped_041to60_9", "unknown config 'mazes_looped_041to60_9'"),
        ("mazes_10", "size must be an odd number from 3 to 1601, not 10"),
    ],
)
def test_names_of_no_config_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_config(name)
