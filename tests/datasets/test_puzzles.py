"""The PyTorch classes: the peer's interface, the same items from every source, batches, streams."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, default_collate, random_split

from easy_to_hard import MazeDataset, NotEnoughInstancesError, PrefixSumDataset, StreamingDataset
from easy_to_hard.datasets.graded import GradedDataset
from easy_to_hard.tasks import TASKS, get_task

DATASETS: dict[str, type[GradedDataset]] = {"prefix_sums": PrefixSumDataset, "mazes": MazeDataset}


def test_every_task_has_its_class() -> None:
    assert set(DATASETS) <= set(TASKS)
    assert {name for name in TASKS if not name.startswith("chess")} == set(DATASETS)


def test_positional_arguments_are_the_peers() -> None:
    def positional(cls: type) -> dict[str, Any]:
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}

    nothing = inspect.Parameter.empty
    assert positional(PrefixSumDataset) == {"root": nothing, "num_bits": 32, "download": True}
    assert positional(MazeDataset) == {"root": nothing, "train": True, "size": 9, "transform": None, "download": True}


def test_prefix_sum_items_are_the_peers(tmp_path: Path) -> None:
    data = PrefixSumDataset(str(tmp_path), 20)
    assert len(data) == 10_000
    bits, parities = data[7]
    assert (bits.shape, bits.dtype) == ((1, 20), torch.float32)
    assert (parities.shape, parities.dtype) == ((20,), torch.int64)
    assert set(bits.unique().tolist()) == {-0.5, 0.5}
    assert torch.equal(parities, (bits[0] + 0.5).long().cumsum(0) % 2)
    assert not any(tmp_path.iterdir())


def test_maze_items_are_the_peers(tmp_path: Path) -> None:
    data = MazeDataset(str(tmp_path), False, 13, None, True, num_samples=20)
    image, path = data[3]
    assert (image.shape, image.dtype) == ((3, 32, 32), torch.float32)
    assert (path.shape, path.dtype) == ((32, 32), torch.int64)
    assert set(image.unique().tolist()) == set(path.unique().tolist()) == {0, 1}
    colors = {tuple(c) for c in image.flatten(1).T.tolist()}
    assert colors == {(0, 0, 0), (1, 1, 1), (0, 1, 0), (1, 0, 0)}
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("size", "split", "number"), [(9, "train", 50_000), (9, "test", 10_000), (71, "test", 1_000)])
def test_default_sizes_are_the_originals(size: int, split: str, number: int) -> None:
    assert len(MazeDataset("unused", size=size, split=split)) == number


@pytest.mark.parametrize("name", DATASETS)
def test_indices_of_every_kind(name: str) -> None:
    data = DATASETS[name]("unused", num_samples=12)
    inputs, targets = data.inputs, data.targets
    for index in (0, 11, -1, -12, np.int64(3), torch.tensor(4)):
        item = data[index]
        assert torch.equal(item[0], inputs[int(index)])
        assert torch.equal(item[1], targets[int(index)])
    for index in (slice(2, 9, 3), [5, 1], torch.tensor([7, 7]), np.array([0, 11])):
        assert torch.equal(data[index][0], inputs[index])
        assert torch.equal(data[index][1], targets[index])
    for outside in (12, -13):
        with pytest.raises(IndexError, match=r"there is no item .*: the dataset holds "):
            data[outside]
    assert len(list(data)) == 12


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("workers", [0, 2])
def test_loader_batches_equal_collated_items(name: str, workers: int) -> None:
    data = DATASETS[name]("unused", num_samples=10)
    batches = list(DataLoader(data, batch_size=4, num_workers=workers))
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    for number, batch in enumerate(batches):
        expected = default_collate([data[i] for i in range(4 * number, min(4 * number + 4, 10))])
        assert isinstance(batch, list)
        assert all(torch.equal(a, b) for a, b in zip(batch, expected, strict=True))


def test_batches_work_with_other_collate_functions_and_subsets() -> None:
    data = MazeDataset("unused", num_samples=10)
    own = next(iter(DataLoader(data, batch_size=3, collate_fn=lambda items: [item[1].sum() for item in items])))
    assert own == [data[i][1].sum() for i in range(3)]
    parts = random_split(data, [6, 4], generator=torch.Generator().manual_seed(0))
    batch = next(iter(DataLoader(parts[1], batch_size=4)))
    assert torch.equal(batch[0], torch.stack([parts[1][i][0] for i in range(4)]))
    batch = next(iter(DataLoader(Subset(data, [9, 2]), batch_size=2)))
    assert torch.equal(batch[1], data[[9, 2]][1])


def test_transform_acts_on_image_and_path_together() -> None:
    plain = MazeDataset("unused", num_samples=6)
    flipped = MazeDataset("unused", num_samples=6, transform=lambda x: x.flip(-1), target_transform=lambda y: y + 2)
    for index in (3, slice(1, 4)):
        assert torch.equal(flipped[index][0], plain[index][0].flip(-1))
        assert torch.equal(flipped[index][1], plain[index][1].flip(-1) + 2)
    assert flipped[0][0].dtype == torch.float32
    assert flipped[0][1].dtype == torch.int64
    batch = next(iter(DataLoader(flipped, batch_size=6)))
    assert torch.equal(batch[1], plain[:][1].flip(-1) + 2)


def test_prefix_sum_transforms() -> None:
    plain = PrefixSumDataset("unused", num_samples=4)
    changed = PrefixSumDataset("unused", num_samples=4, transform=lambda x: 2 * x, target_transform=lambda y: 1 - y)
    assert torch.equal(changed[1][0], 2 * plain[1][0])
    assert torch.equal(changed[1][1], 1 - plain[1][1])


@pytest.mark.parametrize("name", DATASETS)
def test_splits_share_nothing_and_seeds_differ(name: str) -> None:
    def inputs(**options: Any) -> set[bytes]:
        return {x.numpy().tobytes() for x in DATASETS[name]("unused", num_samples=300, **options).inputs}

    train = inputs(split="train")
    assert len(train) == 300
    assert inputs(split="train") == train
    assert not train & inputs(split="test")
    assert train != inputs(split="train", seed=1)


def test_train_flag_names_the_split() -> None:
    assert torch.equal(
        MazeDataset("x", True, num_samples=5).inputs, MazeDataset("x", split="train", num_samples=5).inputs
    )
    assert torch.equal(
        MazeDataset("x", False, num_samples=5).inputs, MazeDataset("x", split="test", num_samples=5).inputs
    )


def test_variants_differ() -> None:
    first = {v: MazeDataset("x", num_samples=5, variant=v).inputs.numpy().tobytes() for v in get_task("mazes").variants}
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize("name", DATASETS)
def test_folder_source_equals_generation(name: str, tiny_folder: Path) -> None:
    options = {"size": 9} if name == "mazes" else {"num_bits": 16}
    read = DATASETS[name](tiny_folder, source="folder", split="test", **options)
    made = DATASETS[name]("unused", split="test", num_samples=20, **options)
    assert torch.equal(read.inputs, made.inputs)
    assert torch.equal(read.targets, made.targets)
    assert len(DATASETS[name](tiny_folder, source="folder", split="test", num_samples=7, **options)) == 7


def test_memory_is_compact() -> None:
    data = MazeDataset("unused", num_samples=1000)
    assert data.nbytes == 25_000
    assert PrefixSumDataset("unused", 512, num_samples=100).nbytes == 100 * 64


def test_repr_says_what_it_is() -> None:
    shown = repr(MazeDataset("unused", num_samples=3))
    assert shown == "MazeDataset(size 9, depth_first, split train, 3 items, source generate)"
    assert repr(PrefixSumDataset("x", num_samples=3)) == (
        "PrefixSumDataset(number of bits 32, split train, 3 items, source generate)"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MazeDataset("x", size=10), ValueError, "size must be an odd number from 3 to 1601, not 10"),
        (lambda: MazeDataset("x", size="9"), ValueError, "size must be an integer, not '9'"),  # type: ignore[arg-type]
        (lambda: MazeDataset("x", variant="prim"), ValueError, "unknown variant 'prim' of mazes: depth_first, wilson"),
        (
            lambda: MazeDataset("x", split="val"),
            ValueError,
            "unknown split 'val': choose one of train, validation, test",
        ),
        (
            lambda: MazeDataset("x", split_rule="none"),
            ValueError,
            "unknown split_rule 'none': choose one of hash, orig",
        ),
        (lambda: MazeDataset("x", source="hub9"), ValueError, "unknown source 'hub9': choose one of generate, folder"),
        (
            lambda: MazeDataset("x", num_samples=0),
            ValueError,
            "num_samples must be at least 1, not 0",
        ),
        (lambda: MazeDataset("x", size=5, train=False), NotEnoughInstancesError, "mazes_5 has 0 distinct instances"),
        (lambda: MazeDataset("x", seed=1.5), ValueError, "seed must be an integer, not 1.5"),  # type: ignore[arg-type]
        (lambda: PrefixSumDataset("x", 0), ValueError, "num_bits must be from 1 to 1048576, not 0"),
        (
            lambda: PrefixSumDataset("x", 4, num_samples=13),
            NotEnoughInstancesError,
            r"12 distinct .* than the 13 asked",
        ),
        (
            lambda: PrefixSumDataset("/nowhere", source="folder"),
            FileNotFoundError,
            r"no dataset in /nowhere, it has no manifest\.json: build it",
        ),
    ],
)
def test_error_messages(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_folder_source_has_no_more_than_there_is(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"num_samples must be from 1 to 50, as many as folder .* has, not 51"):
        MazeDataset(tiny_folder, source="folder", num_samples=51)


@pytest.mark.parametrize("name", DATASETS)
def test_stream_batches_are_the_datasets_items(name: str) -> None:
    difficulty = 9 if name == "mazes" else 100
    stream = StreamingDataset(name, difficulty, batch_size=5)
    data = get_task(name).generate(stream.spec, np.arange(15), None).data
    inputs, targets = get_task(name).encode(data, difficulty, None)
    for number in (2, 0, 1):
        batch = stream.batch(number)
        assert np.array_equal(batch[0].numpy().reshape(5, *inputs.shape[1:]) > 0, inputs[5 * number : 5 * number + 5])
        assert np.array_equal(batch[1].numpy(), targets[5 * number : 5 * number + 5])


def _some(stream: StreamingDataset, number: int, workers: int = 0) -> list[bytes]:
    loader = iter(DataLoader(stream, batch_size=None, num_workers=workers))
    return [next(loader)[0].numpy().tobytes() for _ in range(number)]


def test_stream_is_shared_out_to_workers_and_ranks() -> None:
    def stream(**options: Any) -> StreamingDataset:
        return StreamingDataset("mazes", 9, batch_size=4, **options)

    batches = [stream().batch(number)[0].numpy().tobytes() for number in range(20)]
    assert len(set(batches)) == 20
    assert _some(stream(), 6) == batches[:6]
    assert _some(stream(), 6, workers=2) == batches[:6]
    assert _some(stream(start=7), 3) == batches[7:10]
    assert _some(stream(rank=1, world_size=3), 3) == batches[1:9:3]
    assert _some(stream(rank=1, world_size=2, start=2), 4, workers=2) == [batches[i] for i in (4, 5, 8, 9)]


def test_short_strings_come_round_again_in_another_order() -> None:
    stream = StreamingDataset("prefix_sums", 5, batch_size=25)
    rounds = [[tuple(row) for row in stream.batch(number)[0][:, 0].tolist()] for number in range(3)]
    assert set(rounds[0]) == set(rounds[1]) == set(rounds[2])
    assert len(set(rounds[0])) == 25
    assert rounds[0] != rounds[1] != rounds[2]
    halves = StreamingDataset("prefix_sums", 5, batch_size=10)
    assert [tuple(row) for row in halves.batch(2)[0][:, 0].tolist()] == rounds[0][20:] + rounds[1][:5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"batch_size": 2, "start": -1}, "start must not be negative, not -1"),
        ({"batch_size": 2, "rank": 1}, "give rank and world_size together, not rank=1 and world_size=None"),
        ({"batch_size": 2, "rank": 2, "world_size": 2}, "rank must be from 0 to world_size - 1 = 1, not 2"),
        ({"batch_size": 2, "split": "dev"}, "unknown split 'dev'"),
    ],
)
def test_stream_error_messages(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StreamingDataset("mazes", 9, **options)
    with pytest.raises(ValueError, match="batch number must not be negative, not -1"):
        StreamingDataset("mazes", 9, batch_size=1).batch(-1)
