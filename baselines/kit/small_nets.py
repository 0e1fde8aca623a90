"""Small convolutional image classifiers that train in minutes: the nets that methods are tried on."""

from collections.abc import Sequence

from torch import Tensor, nn


class SmallConvNet(nn.Module):
    """Convolutions with ReLU, a mean over the cells of a grid, and a linear layer.

    Args:
        channels: of the images.
        classes: how many.
        widths: channels after each convolution, at least one.
        strides: of each convolution; all 1 by default.
        kernels: side of each convolution's kernel, odd; all 3 by default.
        norm: batch norm after each convolution, which then has no bias. Nets without it can be trained as a stack, and
            the items of a batch do not affect one another.
        halve: a max pooling that halves the sides after each convolution.
        grid: cells per side over which features are averaged; 1 for one mean.
        he_normal: whether the weights of convolutions are drawn as in arXiv 1502.01852 instead of by torch's default.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        widths: Sequence[int],
        strides: Sequence[int] = (),
        kernels: Sequence[int] = (),
        norm: bool = False,
        halve: bool = False,
        grid: int = 1,
        he_normal: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for number, width in enumerate(widths):
            stride, kernel = strides[number] if strides else 1, kernels[number] if kernels else 3
            convolution = nn.Conv2d(before, width, kernel, stride=stride, padding=kernel // 2, bias=not norm)
            if he_normal:
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers.append(convolution)
            layers += [nn.BatchNorm2d(width)] if norm else []
            layers.append(nn.ReLU())
            layers += [nn.MaxPool2d(2)] if halve else []
            before = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(grid), nn.Flatten())
        self.head = nn.Linear(before * grid**2, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes) of images (B, C, H, W) float."""
        logits: Tensor = self.head(self.body(images))
        return logits
