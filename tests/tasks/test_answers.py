"""What counts as an answer to a task."""

import pytest
import torch
from thinking import mazes

from easy_to_hard.tasks import TASKS, get_task
from easy_to_hard.tasks.chess import two_likeliest_squares
from easy_to_hard.tasks.mazes import corridor_mask, most_likely_corridor_class
from easy_to_hard.tasks.pieces import most_likely_class


def test_corridors_are_where_any_channel_is_lit() -> None:
    image = torch.zeros(1, 3, 2, 2)
    image[0, 1, 0, 1] = 1
    assert corridor_mask(image).tolist() == [[[False, True], [False, False]]]


def test_walls_are_never_predicted() -> None:
    logits = torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]])
    image = torch.tensor([[[[1.0, 0.0]]] * 3]).reshape(1, 3, 1, 2)
    assert most_likely_class(logits, image).tolist() == [[[1, 1]]]
    assert most_likely_corridor_class(logits, image).tolist() == [[[1, 0]]]


def test_the_most_likely_class_is_the_largest_logit() -> None:
    logits = torch.randn(5, 2, 9, generator=torch.Generator().manual_seed(0))
    logits[0, :, 0] = 1.0
    assert torch.equal(most_likely_class(logits, logits), logits.argmax(dim=1))


def test_a_move_is_the_two_squares_with_the_largest_logits() -> None:
    logits = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    predictions = two_likeliest_squares(logits, logits)
    assert predictions.shape == (6, 8, 8)
    assert predictions.dtype == torch.int64
    assert predictions.flatten(1).sum(1).tolist() == [2] * 6
    for scores, prediction in zip(logits[:, 1].flatten(1), predictions.flatten(1), strict=True):
        assert scores[prediction == 1].min() > scores[prediction == 0].max()
    # The logits of class 0 have no say, as in the papers.
    logits[:, 0] = -100.0
    assert torch.equal(two_likeliest_squares(logits, logits), predictions)


def test_rules_of_the_tasks() -> None:
    assert get_task("prefix_sums").answers.mask is None
    assert get_task("mazes").answers.mask is corridor_mask
    with pytest.raises(ValueError, match=r"unknown task 'chess'.*prefix_sums, mazes, chess_mates"):
        get_task("chess").answers
    assert get_task("chess_mates").answers.decode is get_task("chess_puzzles").answers.decode is two_likeliest_squares
    assert all(get_task(name).answers is task.answers for name, task in TASKS.items())
    images, paths = mazes(5)
    # The mask leaves out no cell that is on a path.
    assert bool((corridor_mask(images) | (paths == 0)).all())
    assert not bool(corridor_mask(images).all())


@pytest.mark.parametrize("name", ["prefix_sums", "mazes", "chess_mates"])
def test_answers_are_read_from_logits_alone(name: str) -> None:
    """Not from answers, which would be broadcast."""
    task = get_task(name)
    size = task.shapes(task.train_difficulty)[1]
    inputs = torch.zeros(3, task.input_channels, *size)
    for shape in [(3, *size), (2, 2, *size), (3, 1, *size), (2, *size)]:
        with pytest.raises(ValueError, match=r"logits must have shape \(3, 2, .*, not "):
            task.answers.decode(torch.zeros(shape), inputs)
    assert task.answers.decode(torch.zeros(3, 2, *size), inputs).shape == (3, *size)
