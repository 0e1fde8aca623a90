"""Nets for boards whose squares attend to one another, thinking ones and their feed-forward controls.

A piece reaches along whole lines, for which a 3 x 3 convolution needs seven iterations; attention needs one. It has two
learned biases for each step between two squares (Shaw et al. 2018, arXiv 1803.02155), one always and one where no piece
stands between them, which start out along the lines, leaps and steps of the pieces. A move is chosen as a pair of
squares.
"""

from functools import cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.net import Iteration, ThinkingNet, architecture, check_sizes

SIDE: Final = 8
SQUARES: Final = SIDE * SIDE
_STEPS: Final = 2 * SIDE - 1
_EXPANSION: Final = 2
_PAIR_WIDTH: Final = 16
# What the biases of lines and leaps start from.
_FIRST_BIAS: Final = 3.0


def _by_step(biases: Tensor) -> Tensor:
    """(n, 64, 64) float: the bias of the step (ranks, files) between each two squares, of (n, 225) float."""
    rank, file = (part.to(biases.device) for part in (torch.arange(SQUARES) // SIDE, torch.arange(SQUARES) % SIDE))
    ranks, files = rank - rank[:, None] + SIDE - 1, file - file[:, None] + SIDE - 1
    return biases[:, ranks * _STEPS + files]


def _first_biases(heads: int) -> tuple[Tensor, Tensor]:
    """Each head looks along ranks and files, along diagonals, to knights' leaps, or nearby.

    Returns:
        (heads, 225) float, the biases, and (heads, 1) bool, whether the steps jump over pieces.
    """
    steps = torch.arange(_STEPS) - SIDE + 1
    ranks, files = (step.abs() for step in torch.meshgrid(steps, steps, indexing="ij"))
    kinds = (ranks * files == 0, ranks == files, ranks * files == 2, torch.maximum(ranks, files) == 1)
    biases = torch.stack([torch.where(kind & (ranks + files > 0), _FIRST_BIAS, 0.0) for kind in kinds])
    kind_of = torch.arange(heads) % len(kinds)
    return biases.flatten(1)[kind_of], (kind_of >= 2)[:, None]


@cache
def _between() -> Tensor:
    """(64, 4096) float in {0, 1}: whether a square lies strictly between the two of each pair, on one line."""
    rank, file = torch.arange(SQUARES) // SIDE, torch.arange(SQUARES) % SIDE
    ranks, files = rank - rank[:, None], file - file[:, None]
    on_line = (ranks * files == 0) | (ranks.abs() == files.abs())
    distance = torch.maximum(ranks.abs(), files.abs())
    between = torch.zeros(SQUARES, SQUARES, SQUARES)
    for far in range(1, SIDE - 1):
        # The square that lies so far from the first towards the second.
        there = SIDE * (rank[:, None] + ranks.sign() * far) + file[:, None] + files.sign() * far
        first, second = (on_line & (distance > far)).nonzero(as_tuple=True)
        between[there[first, second], first, second] = 1
    return between.flatten(1)


def clear_pairs(x: Tensor) -> Tensor:
    """Which pairs of squares have no piece between them on a line: (batch, 64, 64) float in {0, 1}.

    Args:
        x: (batch, channels, 8, 8) float, boards, 0 where there is no piece.
    """
    occupied = x.ne(0).any(dim=1).flatten(1).to(x)
    return (occupied @ _between().to(x) == 0).to(x).view(-1, SQUARES, SQUARES)


def _norm(tokens: Tensor) -> Tensor:
    """Each square's features divided by their root mean square (arXiv 1910.07467), without weights."""
    return F.rms_norm(tokens, tokens.shape[-1:])


class AttentionBlock(nn.Module):
    """Attention between the squares, then two layers for each square, both added to what was there.

    Args:
        width: features of a square.
        heads: divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ask = nn.Linear(width, 3 * width, bias=False)
        self.answer = nn.Linear(width, width, bias=False)
        self.widen = nn.Linear(width, _EXPANSION * width)
        self.narrow = nn.Linear(_EXPANSION * width, width)
        first, jumps = _first_biases(heads)
        self.bias, self.clear_bias = nn.Parameter(first * jumps), nn.Parameter(first * ~jumps)

    def biases(self, clear: Tensor) -> Tensor:
        """What is added to the attention of each square to each other one: (batch, heads, 64, 64) float.

        Args:
            clear: (batch, 64, 64) float as from `clear_pairs`.
        """
        return torch.addcmul(_by_step(self.bias), _by_step(self.clear_bias), clear[:, None])

    def forward(self, tokens: Tensor, biases: Tensor) -> Tensor:
        """(batch, 64, width) float in and out; `biases` as from the method of that name."""
        asked = self.ask(_norm(tokens)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = asked.unbind()
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=biases)
        tokens = tokens + self.answer(attended.transpose(1, 2).flatten(2))
        after: Tensor = tokens + self.narrow(F.relu(self.widen(_norm(tokens)), inplace=True))
        return after


class SquarePairs(nn.Module):
    """Logits of pairs of squares, in several relations: a product of the two squares' features and a bias of the step.

    Args:
        width: features of a square.
        relations: how many.
    """

    def __init__(self, width: int, relations: int) -> None:
        super().__init__()
        self.relations = relations
        self.ends = nn.Linear(width, 2 * relations * _PAIR_WIDTH)
        self.bias = nn.Parameter(torch.zeros(relations, _STEPS**2))

    def forward(self, state: Tensor) -> Tensor:
        """Features (batch, width, 8, 8) float -> (batch, relations, 64, 64) float, from the third axis to the last."""
        ends = self.ends(state.flatten(2).transpose(1, 2)).unflatten(-1, (2, self.relations, _PAIR_WIDTH))
        origins, destinations = ends.permute(2, 0, 3, 1, 4)
        logits: Tensor = origins @ destinations.transpose(-1, -2) * _PAIR_WIDTH**-0.5 + _by_step(self.bias)
        return logits


@architecture("attention")
class AttentionNet(ThinkingNet):
    """A net whose every iteration adds the board to the features again and applies the same attention block.

    The features of each square have a root mean square of 1 after every iteration, so that they stay bounded however
    long the net thinks.

    Args:
        in_channels, width, dimensions: as in `ThinkingNet`; boards are 2-D, 8 x 8.
        heads: of the attention, at least 1.

    Raises:
        ValueError: as `ThinkingNet`, dimensions=1, or heads that do not divide the width.
    """

    def __init__(self, *, in_channels: int, width: int, dimensions: int, heads: int = 4, patch: int = 1) -> None:
        super().__init__(in_channels=in_channels, width=width, dimensions=dimensions, patch=patch)
        check_sizes(heads=heads)
        if dimensions != 2 or patch != 1:
            raise ValueError(f"this net is for boards: dimensions must be 2 and patch 1, not {dimensions} and {patch}")
        if width % heads:
            raise ValueError(f"heads must divide the width of {width}, not {heads}")
        self.heads = heads
        self.projection = nn.Linear(in_channels, width)
        self.places = nn.Parameter(torch.randn(SQUARES, width) * 0.5)
        self.blocks = nn.ModuleList([AttentionBlock(width, heads)])
        self.head = SquarePairs(width, 1)

    def _seen(self, x: Tensor) -> Tensor:
        """(batch, 64, width) float: pieces and places."""
        if self._see(x).shape[2:] != (SIDE, SIDE):
            raise ValueError(f"this net takes boards of {SIDE} x {SIDE} squares, not {tuple(x.shape[2:])}")
        pieces: Tensor = self.projection(x.flatten(2).transpose(1, 2))
        return pieces + self.places

    @staticmethod
    def _grid(tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).reshape(len(tokens), -1, SIDE, SIDE)

    def initial_state(self, x: Tensor) -> Tensor:
        """See `ThinkingNet.initial_state`."""
        return self._grid(_norm(self._seen(x)))

    def iteration(self, x: Tensor) -> Iteration:
        """See `ThinkingNet.iteration`: what is seen of the board and the biases are computed once."""
        seen = self._seen(x)
        clear = clear_pairs(x)
        biases = [block.biases(clear) for block in self.blocks]  # type: ignore[operator]

        def iterate(features: Tensor, number: int) -> Tensor:
            tokens = features.flatten(2).transpose(1, 2)
            place = number % len(biases)
            return self._grid(_norm(self.blocks[place](tokens + seen, biases[place])))

        return iterate

    def moves(self, state: Tensor) -> Tensor:
        """Logits (batch, 64, 64) float of all moves, from origin to destination."""
        logits: Tensor = self.head(state)
        return logits[:, 0]

    def read_out(self, state: Tensor) -> Tensor:
        """See `ThinkingNet.read_out`: a square's probability is that of the likeliest move from or to it.

        So the two likeliest squares are those of the likeliest move.
        """
        logits = self.moves(state)
        logits = logits - logits.flatten(1).logsumexp(dim=1)[:, None, None]
        likeliest = torch.maximum(logits.amax(dim=1), logits.amax(dim=2)).view(-1, SIDE, SIDE)
        # log(1 - p), which is finite as long as p is not 1.
        rest = torch.log1p(-likeliest.exp().clamp(max=1 - torch.finfo(likeliest.dtype).eps))
        return torch.stack([rest, likeliest], dim=1)

    def is_recurrent(self, name: str) -> bool:
        """Whether the parameter of that name belongs to the iteration: only those of the blocks."""
        return name.startswith("blocks.")

    def is_decayed(self, name: str) -> bool:
        """Whether weight decay applies to the parameter of that name: not to biases."""
        return not name.endswith("bias")


@architecture("attention_feed_forward")
class FeedForwardAttentionNet(AttentionNet):
    """The feed-forward control: a block of its own for each iteration.

    Args:
        in_channels, width, dimensions, heads, patch: as in `AttentionNet`.
        depth: number of iterations, at least 1.

    Raises:
        ValueError: as `AttentionNet`, or a depth below 1.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        dimensions: int,
        heads: int = 4,
        depth: int = 12,
        patch: int = 1,
    ) -> None:
        check_sizes(depth=depth)
        super().__init__(in_channels=in_channels, width=width, dimensions=dimensions, heads=heads, patch=patch)
        self.depth = depth
        self.blocks = nn.ModuleList(AttentionBlock(width, heads) for _ in range(depth))
