"""DT-L: a recurrent net whose iteration is a contraction (Rethinking Deep Thinking, arXiv 2410.23451).

A contraction has one fixed point and reaches it from everywhere, so the net cannot overthink. The public repository has
no code; this is built from the paper's description.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.deep_thinking.net import ConvolutionalNet, Iteration, architecture, convolution, convolve

# Frequencies on each axis; the more, the tighter the bound: within 0.1 % in 1-D and 4 % in 2-D.
_FREQUENCIES: Final = {1: 64, 2: 16}


def _spectrum(kernel: Tensor) -> Tensor:
    """The kernel's matrix at each frequency: (frequencies, out_channels, in_channels) complex.

    A convolution with wrapped edges acts on each frequency separately, through this matrix; its norm is the largest of
    the matrices' norms, and padding with zeros instead of wrapping only makes it smaller.
    """
    axes = tuple(range(2, kernel.ndim))
    size = _FREQUENCIES[len(axes)]
    spectrum: Tensor = torch.fft.rfftn(kernel, s=(size,) * len(axes), dim=axes)
    return spectrum.flatten(2).permute(2, 0, 1)


class SpectralNorm(nn.Module):
    """A bound on a convolution's operator norm, for any size of input (and not on the norm of its reshaped kernel).

    It is the largest singular value on a grid of frequencies, divided by cos(pi / N) for each axis with N frequencies:
    between the points of the grid a trigonometric polynomial of degree 1 gets no larger than that (Ehlich and Zeller
    1964). In training, each call makes one step of power iteration at all frequencies in parallel, from where the last
    call stopped; in evaluation, it computes exact singular values at the same frequencies.

    Args:
        kernel: (out_channels, in_channels, 3) or (out_channels, in_channels, 3, 3) float, the initial one.
    """

    vectors: Tensor

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        spectrum = _spectrum(kernel.detach())
        start = torch.randn(*spectrum.shape[::2], dtype=spectrum.dtype)
        # Complex numbers as pairs, which safetensors can hold.
        self.register_buffer("vectors", torch.view_as_real(F.normalize(start, dim=-1)).contiguous())

    def forward(self, kernel: Tensor) -> Tensor:
        """The norm, () float; differentiable in training."""
        # FFTs do not support bfloat16.
        with torch.autocast(kernel.device.type, enabled=False):
            spectrum = _spectrum(kernel.float() if kernel.dtype == torch.bfloat16 else kernel)
            axes = kernel.ndim - 2
            between = math.cos(math.pi / _FREQUENCIES[axes]) ** axes
            if not self.training:
                exact: Tensor = torch.linalg.matrix_norm(spectrum.detach(), ord=2).amax()
                return exact / between
            with torch.no_grad():
                right = torch.view_as_complex(self.vectors).to(spectrum.dtype)
                left = F.normalize(torch.einsum("foi,fi->fo", spectrum, right), dim=-1)
                right = F.normalize(torch.einsum("foi,fo->fi", spectrum.conj(), left), dim=-1)
                self.vectors.copy_(torch.view_as_real(right))
            found: Tensor = torch.einsum("fo,foi,fi->f", left.conj(), spectrum, right).abs().amax()
            return found / between


@architecture("lipschitz")
class LipschitzNet(ConvolutionalNet):
    """DT-L: an iteration brings two different states closer together, whatever the input.

    An iteration is ELU(conv of the features + conv of x + bias), then two blocks u -> a u + (1 - a) f(u), where f is
    two convolutions, each followed by an ELU, and a is learned. Every convolution of features is divided by its
    operator norm if that is above 1, and the result is multiplied by `contraction`. The weights for x are not
    constrained.

    Deviates: the norms are those of the convolution operators and not of reshaped kernels, so that the constant is a
    bound; no batch norm (it would differ between training and evaluation); a convolution of norm below 1 is unchanged.

    Args:
        in_channels, width, head_widths, dimensions, patch: as in `ConvolutionalNet`; the paper's width is 32.
        contraction: Lipschitz constant of an iteration in its features, in (0, 1].

    Raises:
        ValueError: as `ThinkingNet`, or a contraction outside (0, 1].
    """

    def __init__(
        self,
        *,
        in_channels: int,
        width: int,
        head_widths: Sequence[int],
        dimensions: int,
        contraction: float = 0.99,
        patch: int = 1,
    ) -> None:
        super().__init__(
            in_channels=in_channels, width=width, head_widths=head_widths, dimensions=dimensions, patch=patch
        )
        if not 0 < contraction <= 1:
            raise ValueError(f"contraction must be above 0 and at most 1, not {contraction!r}")
        self.contraction = contraction
        self.recall = convolution(dimensions, self._seen_channels, width, bias=True)
        # The features' convolution of recall, then two for each of the two blocks.
        convolutions = [convolution(dimensions, width, width) for _ in range(5)]
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(SpectralNorm(layer.weight) for layer in convolutions)
        self.mixing = nn.Parameter(torch.zeros(2))

    def iteration(self, x: Tensor) -> Iteration:
        """See `ThinkingNet.iteration`: the divided kernels and the convolution of x are made once."""
        kernels = [
            layer.weight / norm(layer.weight).clamp(min=1)
            for layer, norm in zip(self.convolutions, self.norms, strict=True)
        ]
        input_share: Tensor = self.recall(self._see(x))
        shares = torch.sigmoid(self.mixing)

        def iterate(features: Tensor, number: int) -> Tensor:
            del number
            features = F.elu(convolve(features, kernels[0]).add_(input_share))
            for block in range(2):
                inner = F.elu(convolve(features, kernels[1 + 2 * block]))
                inner = F.elu(convolve(inner, kernels[2 + 2 * block]))
                features = shares[block] * features + (1 - shares[block]) * inner
            return self.contraction * features

        return iterate

    def is_decayed(self, name: str) -> bool:
        """Whether a parameter is decayed: only convolutions that are not bounded anyway, as in the paper."""
        return name.endswith(".weight") and not name.startswith("convolutions.")
