"""Images with a patch of another image planted in them that changes the net's answer: errors whose place is known."""

import torch
from torch import Tensor

from easy_to_hard.baselines.kit.puzzles import Puzzles
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.parameter_saliency.profiles import Subject, right_answers


def plant_patches(
    subject: Subject, right: Puzzles, donors: Tensor, *, side: int, tries: int, count: int, seed: int
) -> tuple[Puzzles, Tensor]:
    """Items that were right and are wrong by a patch alone.

    A try puts a patch of another image, from a place drawn at random, to another place drawn at random. An item is
    kept with the first patch that makes its answer wrong.

    Args:
        subject: the net.
        right: items that it gets right, inputs (N, C, H, W).
        donors: (M, C, H, W), where patches are from.
        side: of the patch in pixels, at most H and W.
        tries: at each item, at least 1.
        count: the most items to give.
        seed: of places and donors.

    Returns:
        the wrong items, maybe none, and where their patches are: (n, H, W) bool.
    """
    rng = generator_of("patches", seed)
    height, width = right.inputs.shape[-2:]
    inputs, places = [], []
    done = torch.zeros(len(right), dtype=torch.bool, device=right.inputs.device)
    rows = []
    for _ in range(tries):
        tried, patches = right.inputs.clone(), torch.zeros_like(right.inputs[:, 0], dtype=torch.bool)
        for item in range(len(right)):
            donor = int(torch.randint(len(donors), (), generator=rng))
            top, left, above, beside = (
                int(torch.randint(edge - side + 1, (), generator=rng)) for edge in (height, width) * 2
            )
            tried[item, :, top : top + side, left : left + side] = donors[
                donor, :, above : above + side, beside : beside + side
            ]
            patches[item, top : top + side, left : left + side] = True
        flipped = ~right_answers(subject.logits(tried), right) & ~done
        done |= flipped
        inputs.append(tried[flipped])
        places.append(patches[flipped])
        rows.append(flipped.nonzero()[:, 0])
    chosen = torch.cat(rows)[:count]
    return right[chosen].with_inputs(torch.cat(inputs)[:count]), torch.cat(places)[:count]
