"""Many small nets of one shape in a stack, so that a GPU works on all of them in one call."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from easy_to_hard.baselines.kit.training import require_finite

_SCORED_AT_ONCE: Final = 1000


class Stacked:
    """S nets of one shape in a stack: each weight has a leading dimension of S.

    Args:
        nets: at least one.
        device: where.

    Attributes:
        weights: name -> (S, ...) float32.
        buffers: name -> (S, ...), such as the statistics of batch normalization, which training changes in place.
        in_turn: whether nets run one after another, as on a CPU and with buffers, instead of in one call by
            `torch.func.vmap`.
    """

    def __init__(self, nets: Sequence[nn.Module], device: torch.device) -> None:
        # `torch.func.stack_module_state` would refuse nets whose modules differ in a plain number.
        self.weights = {
            name: torch.stack([dict(net.named_parameters())[name].detach() for net in nets]).to(device)
            for name, _ in nets[0].named_parameters()
        }
        self.buffers = {
            name: torch.stack([dict(net.named_buffers())[name] for net in nets]).to(device)
            for name, _ in nets[0].named_buffers()
        }
        self._shape = copy.deepcopy(nets[0]).to(device)
        # A CPU gains nothing from many nets in one call: their convolutions would become grouped ones, which are slow.
        self.in_turn = device.type == "cpu" or bool(self.buffers)

    def __len__(self) -> int:
        return len(next(iter(self.weights.values())))

    def set_training(self, training: bool) -> None:
        """Switch all nets between training and evaluation, as `torch.nn.Module.train`."""
        self._shape.train(training)

    def tensors(self) -> dict[str, Tensor]:
        """All weights and buffers by name, for a file."""
        return {**self.weights, **self.buffers}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        self.weights = {name: tensors[name] for name in self.weights}
        self.buffers = {name: tensors[name] for name in self.buffers}

    def one(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and buffers of one net, without the leading dimension; views."""
        weights, buffers = ({name: each[index] for name, each in part.items()} for part in (self.weights, self.buffers))
        return weights, buffers

    def call(self, weights: Any, *inputs: Any, **options: Any) -> Any:
        """The forward pass of one net, with its weights, and its buffers if it has some, as from `one`."""
        return torch.func.functional_call(self._shape, weights, inputs, options)

    def map(self, function: Callable[..., Any], *each: Any, shared: Sequence[Any] = ()) -> Any:
        """Call function(weights, *each, *shared) for every net, and stack what it returns.

        Args:
            function: of one net's weights and tensors.
            each: tensors (S, ...), with one entry for every net.
            shared: tensors that are the same for all.
        """
        if self.in_turn:
            parts = []
            for net in range(len(self)):
                weights, buffers = self.one(net)
                parts.append(function(weights | buffers, *(part[net] for part in each), *shared))
            return _stack(parts)
        dims = (0, *(0 for _ in each), *(None for _ in shared))
        return torch.func.vmap(function, in_dims=dims)(self.weights, *each, *shared)

    def net(self, index: int) -> nn.Module:
        """One of the nets, as a module of its own."""
        net = copy.deepcopy(self._shape)
        weights, buffers = self.one(index)
        net.load_state_dict(weights | buffers, strict=False)
        return net.eval().requires_grad_(False)

    def take(self, indices: Sequence[int]) -> "Stacked":
        """Some of the nets."""
        some = copy.copy(self)
        some.weights = {name: weights[list(indices)] for name, weights in self.weights.items()}
        some.buffers = {name: buffers[list(indices)] for name, buffers in self.buffers.items()}
        return some

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (S, N, classes) of all nets, for uint8 images (N, C, H, W), or (S, N, C, H, W) with a set per net."""
        return self._outputs(self.call, images)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """What the nets' last layers see, (S, N, width), of images as in `logits`; for nets of `victims.Classifier`."""
        return self._outputs(lambda weights, pixels: self.call(weights, pixels, features=True), images)

    def _outputs(self, function: Callable[..., Tensor], images: Tensor) -> Tensor:
        self.set_training(False)
        device = next(iter(self.weights.values())).device
        own = images.ndim == 5
        parts = []
        for part in torch.split(images, max(1, _SCORED_AT_ONCE // len(self)), dim=1 if own else 0):
            pixels = part.to(device).float() / 255
            parts.append(self.map(function, pixels) if own else self.map(function, shared=(pixels,)))
        return torch.cat(parts, dim=1)

    def predict(self, images: Tensor) -> Tensor:
        """Predicted classes (S, N) int64 of images as in `logits`."""
        return self.logits(images).argmax(-1)


def _stack(parts: Sequence[Any]) -> Any:
    """Stack the tensors, or dictionaries of tensors, of several nets."""
    if isinstance(parts[0], dict):
        return {name: torch.stack([part[name] for part in parts]) for name in parts[0]}
    return torch.stack(list(parts))


def join(parts: Sequence[Stacked]) -> Stacked:
    """All nets of several stacks of one shape, in order; the first stack is changed to hold them."""
    whole = parts[0]
    whole.load({name: torch.cat([part.tensors()[name] for part in parts]) for name in whole.tensors()})
    return whole


def descend(
    weights: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    backward: Callable[[int], Tensor],
    *,
    steps: int,
    rate_at: Callable[[int], float],
    gradient_clip: float | None = None,
    check_every: int = 100,
    on_step: Callable[[], object] = lambda: None,
) -> None:
    """Train a stack of nets in place.

    Args:
        weights: name -> (S, ...), as `Stacked.weights`.
        optimizer: of these weights; it must treat a stack as it would treat each of its nets alone.
        backward: step from 0 -> a scalar that must be finite; it leaves the step's gradients in the weights.
        steps: at least 1.
        rate_at: the learning rate of a step.
        gradient_clip: largest norm of one net's gradient; None for no limit.
        check_every: steps between checks of the scalar, each of which waits for the GPU.
        on_step: called after each step, such as a progress bar's update.

    Raises:
        RuntimeError: the scalar is no longer finite.
    """
    for one in weights.values():
        one.requires_grad_()
    for step in range(steps):
        optimizer.zero_grad()
        found = backward(step)
        if gradient_clip is not None:
            clip_each(weights, gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step)
        optimizer.step()
        on_step()
        if (step + 1) % check_every == 0 or step + 1 == steps:
            require_finite("loss", float(found), step)
    for one in weights.values():
        one.requires_grad_(False)


def clip_each(weights: Mapping[str, Tensor], limit: float) -> None:
    """Clip each net's gradient, over all of its weights, to a norm of at most `limit`."""
    gradients = [one.grad for one in weights.values() if one.grad is not None]
    norms = torch.stack([one.square().reshape(len(one), -1).sum(1) for one in gradients]).sum(0).sqrt()
    factors = (limit / norms.clamp_min(1e-12)).clamp_max(1)
    for gradient in gradients:
        # Not by a view: kernels may have their channels last in memory.
        gradient.mul_(factors.reshape(-1, *(1 for _ in gradient.shape[1:])))
