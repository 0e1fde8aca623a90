"""When a cellular net has come to rest, and how it is shaken then.

Rounding creates fixed points that are no answers, such as a dead end of a maze that just does not go away. They are
rare, and they do not survive noise, unlike the answers, which were learned with it. So an item that has come to rest
gets noise for a few iterations and comes to rest again; nothing is known about its target.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CALM_ITERATIONS: Final = 64
"""An item is at rest, too, if none of its answers has changed for so many iterations: some cells may go in circles."""
SHAKE_ITERATIONS: Final = 4
"""Iterations with noise."""
_NOISE: Final = 0.2


def shake_noise(shake: int, iteration: int, num_cells: int, width: int) -> NDArray[np.float64]:
    """The noise of an iteration of a shake, both from 0, on an item's states: (num_cells, width), the same every time.

    Its standard deviation is that in training (`PoolConfig.noise`); states are rounded after it.
    """
    return _NOISE * np.random.default_rng((shake, iteration)).standard_normal((num_cells, width))


class Rest:
    """Watches which items of a batch are at rest; an item that has been shaken often enough stays as it is.

    Args:
        places: (batch, *grid) bool, where there is a cell.
        shakes: how many times an item is shaken.
    """

    def __init__(self, places: Tensor, shakes: int) -> None:
        self._items = places.nonzero()[:, 0]
        self._sizes = places.flatten(1).sum(dim=1).tolist()
        self._shakes = shakes
        # Of each item: shakes done, iterations with noise that are left, and iterations without a new answer.
        self._shaken, self._noisy, self._calm = (torch.zeros(len(places), dtype=torch.long) for _ in range(3))

    def _any(self, of_cells: Tensor) -> Tensor:
        """Which items have a cell with a True: (num_cells, n) bool -> (batch,) bool, on the CPU."""
        found = torch.zeros(len(self._calm), dtype=torch.bool)
        found[self._items[of_cells.any(dim=1)].cpu()] = True
        return found

    def held(self, rows: Tensor, following: Tensor) -> Tensor:
        """The next states (num_cells, width), with those of calm items as before."""
        calm = self._calm >= CALM_ITERATIONS
        return torch.where(calm.to(rows.device)[self._items, None], rows, following) if calm.any() else following

    def noise(self, rows: Tensor, following: Tensor) -> Tensor | None:
        """The noise (num_cells, width) on the next states, 0 for items that are not shaken; None if none is."""
        if not self._shakes:
            return None
        resting = ~self._any(following != rows) & (self._noisy == 0) & (self._shaken < self._shakes)
        self._noisy[resting] = SHAKE_ITERATIONS
        self._shaken[resting] += 1
        if not self._noisy.any():
            return None
        noise = rows.new_zeros(rows.shape)
        for item in self._noisy.nonzero()[:, 0].tolist():
            drawn = shake_noise(
                int(self._shaken[item]) - 1, SHAKE_ITERATIONS - int(self._noisy[item]), self._sizes[item], rows.shape[1]
            )
            noise[self._items == item] = torch.from_numpy(drawn).to(rows)
        return noise

    def watch(self, changed: Tensor) -> None:
        """Take note of which answers, (num_cells, pixels) bool, have changed in an iteration."""
        self._calm = torch.where(self._any(changed) | (self._noisy > 0), 0, self._calm + 1)
        self._noisy = (self._noisy - 1).clamp(min=0)
