"""A neural cellular automaton: one small rule by which every cell of a grid changes with its neighbors.

Sources: Mordvintsev et al. 2020 (distill.pub/2020/growing-ca) for the rule, the clean start, and the pool of states for
training; arXiv 2609.36126 for automata that reason. Deviates: see `CellularNet`.
"""

import math
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.net import NUM_CLASSES, Iteration, ThinkingNet, architecture, check_sizes
from easy_to_hard.baselines.deep_thinking.rest import Rest
from easy_to_hard.generators.integers import check_integer

_REACH: Final = 3


class Cells(NamedTuple):
    """The cells of a batch of inputs, one row for each cell.

    Attributes:
        places: (batch, *grid) bool, where there is a cell.
        neighbors: (num_cells, 3^dimensions) int64, the rows of the cells around each cell, itself in the middle;
            num_cells where there is none.
        told: (num_cells, hidden) float, what the input around a cell adds to the hidden layer.
    """

    places: Tensor
    neighbors: Tensor
    told: Tensor

    def rows(self, grids: Tensor) -> Tensor:
        """Select the cells: (batch, channels, *grid) -> (num_cells, channels)."""
        return grids.movedim(1, -1)[self.places]

    def grids(self, rows: Tensor) -> Tensor:
        """Put rows in their places: (num_cells, channels) -> (batch, channels, *grid), 0 where there is no cell."""
        full = rows.new_zeros(*self.places.shape, rows.shape[-1])
        full[self.places] = rows
        return full.movedim(-1, 1)


class _Inwards(torch.autograd.Function):
    """Clipping to [-1, 1] that lets gradients through that point inwards.

    The gradient of a plain clip is 0 outside, and a state that has reached a bound never comes back.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        outwards = ((values > 1) & (gradient < 0)) | ((values < -1) & (gradient > 0))
        return gradient.masked_fill(outwards, 0)


@architecture("cellular")
class CellularNet(ThinkingNet):
    """A net of cells: each sees itself, its neighbors, and their input through one hidden layer that updates its state.

    A state is bounded by -1 and 1 and a multiple of 1 / `levels`: it becomes exactly constant, and a cell around which
    nothing has changed need not be computed again (see `cellular_kernel`). An item that has come to rest is shaken a
    few times, after which it stays as it is (see `rest`). Where the whole input of a patch is 0, there is no cell: a
    maze's walls are like the area beyond its border, so that a large maze looks like a small one from within.

    Deviates from arXiv 2609.36126: a full 3 x 3 kernel instead of 4 shared ones, a bounded and rounded state, no cells
    in walls, no random updates.

    Args:
        in_channels, width, dimensions, patch: as in `ThinkingNet`.
        hidden: width of the rule's hidden layer.
        levels: steps of a state from 0 to 1, at least 1; 0 for no rounding.
        shakes: how many times an item is shaken when it has come to rest, at least 0.
        cells_everywhere: whether there are cells where the input is 0, too; a border then differs from a wall.

    Raises:
        ValueError: as `ThinkingNet`, hidden below 1, or levels or shakes below 0.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        dimensions: int,
        hidden: int,
        levels: int = 8,
        shakes: int = 0,
        patch: int = 1,
        cells_everywhere: bool = False,
    ) -> None:
        super().__init__(in_channels=in_channels, width=width, dimensions=dimensions, patch=patch)
        check_sizes(hidden=hidden)
        check_integer("levels", levels, 0)
        check_integer("shakes", shakes, 0)
        self.hidden = hidden
        self.levels = levels
        self.shakes = shakes
        self.cells_everywhere = cells_everywhere
        seen = _REACH**dimensions
        # The hidden layer in two parts: what depends on the input alone is computed once.
        self.look = nn.Linear(seen * width, hidden)
        self.recall = nn.Linear(seen * self._seen_channels, hidden, bias=False)
        self.change = nn.Linear(hidden, width)
        self.head = nn.Linear(width, NUM_CLASSES * patch**dimensions)
        for layer, scale in ((self.look, 1.0), (self.recall, 1.0), (self.change, 0.14)):
            nn.init.normal_(layer.weight, std=scale / math.sqrt(layer.in_features))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def cells(self, x: Tensor) -> Cells:
        """The cells of inputs (batch, in_channels, *size) float."""
        seen = self._see(x)
        places = torch.ones_like(seen[:, 0], dtype=torch.bool) if self.cells_everywhere else (seen != 0).any(dim=1)
        num_cells = int(places.sum())
        numbers = torch.full(places.shape, num_cells, dtype=torch.long, device=x.device)
        numbers[places] = torch.arange(num_cells, device=x.device)
        around = F.pad(numbers, (1, 1) * self.dimensions, value=num_cells)
        for axis in range(1, self.dimensions + 1):
            around = around.unfold(axis, _REACH, 1)
        neighbors = around.flatten(-self.dimensions)[places]
        told = self.recall(_gather(seen.movedim(1, -1)[places], neighbors))
        return Cells(places, neighbors, told)

    def changed(self, rows: Tensor, cells: Cells) -> Tensor:
        """The next states (num_cells, width) by the rule, neither bounded nor rounded."""
        hidden = F.relu(self.look(_gather(rows, cells.neighbors)) + cells.told)
        following: Tensor = rows + self.change(hidden)
        return following

    @staticmethod
    def bounded(rows: Tensor, *, inward_gradient: bool = True) -> Tensor:
        """States clipped to [-1, 1]; the gradient is that of `_Inwards`, or that of a plain clip, 0 outside."""
        inside: Tensor = _Inwards.apply(rows) if inward_gradient else rows.clamp(-1, 1)  # type: ignore[no-untyped-call]
        return inside

    def rounded(self, rows: Tensor) -> Tensor:
        """States rounded to multiples of 1 / `levels`; the gradient is that of the identity."""
        if not self.levels:
            return rows
        return rows + (torch.round(rows.detach() * self.levels) / self.levels - rows.detach())

    def surplus(self, rows: Tensor) -> Tensor:
        """The logit of class 1 minus that of class 0, for each pixel of each cell: (num_cells, patch^dimensions)."""
        logits: Tensor = self.head(rows).unflatten(1, (NUM_CLASSES, -1))
        return logits[:, 1] - logits[:, 0]

    def initial_state(self, x: Tensor) -> Tensor:
        """See `ThinkingNet.initial_state`; all 0."""
        seen = self._see(x)
        return seen.new_zeros(len(seen), self.width, *seen.shape[2:])

    def iteration(self, x: Tensor) -> Iteration:
        """See `ThinkingNet.iteration`; the function also notes which items are at rest, so call it in order."""
        cells = self.cells(x)
        rest = Rest(cells.places, self.shakes)

        def iterate(features: Tensor, number: int) -> Tensor:
            del number
            rows = cells.rows(features)
            following = rest.held(rows, self.rounded(self.bounded(self.changed(rows, cells))))
            noise = rest.noise(rows, following)
            if noise is not None:
                following = self.bounded(following + self.rounded(noise))
            rest.watch((self.surplus(following) > 0) != (self.surplus(rows) > 0))
            return cells.grids(following)

        return iterate

    def read_out(self, state: Tensor) -> Tensor:
        """See `ThinkingNet.read_out`; each cell's answer depends on its own state alone."""
        return self.pixels(self.head(state.movedim(1, -1)).movedim(-1, 1))

    def layers_by_use(self) -> tuple[list[nn.Linear], list[nn.Linear]]:
        """The layers that are applied to each cell once, and those that are applied in every iteration."""
        return [self.recall, self.head], [self.look, self.change]

    def is_decayed(self, name: str) -> bool:
        """Whether a parameter is decayed: all but biases are."""
        return not name.endswith("bias")


def _gather(rows: Tensor, neighbors: Tensor) -> Tensor:
    """Gather neighbors: (num_cells, channels) and (num_cells, n) -> (num_cells, n channels), 0 for a missing one."""
    padded = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    return padded.index_select(0, neighbors.flatten()).view(len(neighbors), neighbors.shape[1] * rows.shape[1])
