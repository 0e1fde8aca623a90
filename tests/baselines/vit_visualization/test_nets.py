"""The tiny ViT, what its tokens hold, and nets that are hooked."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easy_to_hard.baselines.kit.image_data import import_torchvision
from easy_to_hard.baselines.kit.puzzles import make_puzzles, solved
from easy_to_hard.baselines.kit.run_folder import RunFolder
from easy_to_hard.baselines.kit.seeds import generator_of
from easy_to_hard.baselines.kit.training import LoopConfig, train_classifier
from easy_to_hard.baselines.vit_visualization.on_images import build_conv_net
from easy_to_hard.baselines.vit_visualization.on_puzzles import at_positions, train_on_mazes
from easy_to_hard.baselines.vit_visualization.prepared_images import to_unit_interval
from easy_to_hard.baselines.vit_visualization.pretrained import (
    HookedNet,
    TorchvisionTokens,
    activations_of,
    load_pretrained,
    spread,
    tokens_of,
)
from easy_to_hard.baselines.vit_visualization.tokens import (
    classify,
    early_right,
    heads_right,
    isolated_logits,
    isolation_right,
)
from easy_to_hard.baselines.vit_visualization.vit import TinyVit, VitConfig, as_maps, freeze, maze_config

CPU = torch.device("cpu")
SHAPE = VitConfig(side=8, channels=1, patch=4, classes=3, depth=3, width=8, heads=2)


def images(count: int, side: int = 8) -> Tensor:
    return torch.rand((count, 1, side, side), generator=generator_of("images", count))


def test_a_block_is_attention_then_mlp_before_which_is_a_norm() -> None:
    net = SHAPE.build(1).eval()
    tokens = torch.randn((2, 5, 8), generator=generator_of("tokens"))
    block = net.blocks[0]
    after, features = block(tokens)
    parts = {name: module for name, module in block.named_children()}
    query, key, value = parts["mix"](parts["norm_attention"](tokens)).chunk(3, dim=-1)
    heads = []
    for part in range(2):
        q, k, v = (values[..., 4 * part : 4 * part + 4] for values in (query, key, value))
        heads.append((q @ k.transpose(1, 2) / 2).softmax(dim=-1) @ v)
    middle = tokens + parts["joined"](torch.cat(heads, dim=-1))
    hidden = parts["into"](parts["norm_mlp"](middle))
    # Exact GELU: x times the normal distribution.
    expected = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    assert torch.allclose(features, expected, atol=1e-5)
    assert torch.allclose(after, middle + parts["out_of"](expected), atol=1e-5)


def test_maps_are_the_features_without_cls_where_they_are() -> None:
    net = SHAPE.build(0).eval()
    tokens = net.embed(images(2))
    _, features = net.block(tokens, 0)
    (maps,) = net.maps(images(2), [0])
    assert maps.shape == (2, 32, 2, 2)
    # The second patch of the first row is token 2.
    assert torch.allclose(maps[:, :, 0, 1], features[:, 2])
    assert torch.allclose(as_maps(torch.arange(4.0).view(1, 4, 1))[0, 0], torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
    last, first = net.maps(images(2), [2, 0])
    assert torch.allclose(first, maps)
    assert not torch.allclose(last, maps)


def test_weights_are_a_function_of_the_seed() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (SHAPE.build(seed)(images(1)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_looped_net_has_one_block() -> None:
    looped = maze_config(5, depth=4, width=8, shared=True).build(0)
    assert (len(looped.blocks), looped.depth) == (1, 4)
    assert len(maze_config(5, depth=4, width=8).build(0).blocks) == 4


def test_relative_positions_go_with_the_maze_and_to_other_sizes() -> None:
    items = make_puzzles("mazes", 5, 3)
    net = maze_config(5, depth=2, width=8).build(0).eval()
    logits = net(items.inputs)
    assert logits.shape == (3, 2, 16, 16)
    assert bool((logits[:, :, 0] == 0).all())
    assert net(make_puzzles("mazes", 7, 2).inputs).shape == (2, 2, 20, 20)
    # The bias of a pair of tokens goes by the offset between them alone.
    bias = net._bias(49)
    assert bias is not None
    assert torch.equal(bias[:, 0, 8], bias[:, 16, 24])
    assert not torch.equal(bias[:, 0, 8], bias[:, 8, 0])
    learned = maze_config(5, depth=2, width=8, positions="learned").build(0)
    with pytest.raises(ValueError, match=r"sides must be 14 with learned positions, not \(18, 18\)"):
        learned(make_puzzles("mazes", 7, 2).inputs)


def test_a_maze_s_pixels_are_answered_by_their_own_token() -> None:
    net = maze_config(5, depth=1, width=8).build(0).eval()
    inputs = make_puzzles("mazes", 5, 1).inputs
    tokens, _ = net.block(net.embed(inputs), 0)
    own = net.classify(tokens)[0, 7 + 2].view(2, 2, 2)
    # Position (1, 2) is pixels 3 and 4 by 5 and 6.
    assert torch.allclose(net(inputs)[0, :, 3:5, 5:7], own, atol=1e-5)


def test_cls_apart() -> None:
    net = SHAPE.build(2).eval()
    shown = images(5)
    as_trained, late, blind = isolated_logits(net, shown, (0, 2, 3))
    assert torch.allclose(as_trained, net(shown), atol=1e-5)
    # CLS that never sees the patches answers alike for all images.
    assert torch.allclose(blind, blind[:1].expand_as(blind), atol=1e-6)
    assert not torch.allclose(late, late[:1].expand_as(late), atol=1e-4)
    assert not torch.allclose(late, net(shown), atol=1e-4)


def test_heads_and_early_exits() -> None:
    net = SHAPE.build(3).eval()
    with torch.no_grad():
        net.head.weight.mul_(20)
        shown = images(40)
        answers = net(shown).argmax(dim=1)
        heads = heads_right(net, shown, answers)
        assert bool(heads.cls.all())
        assert heads.patches.shape == (40, 4)
        tokens = net.embed(shown)
        for layer in range(3):
            tokens, _ = net.block(tokens, layer)
        sure = net.classify(tokens[:, 1:]).softmax(dim=-1)
        for number in range(40):
            place = int(sure[number].amax(dim=1).argmax())
            assert bool(heads.confident[number]) == bool(sure[number, place].argmax() == answers[number])
            assert bool(heads.patches[number, 1]) == bool(sure[number, 1].argmax() == answers[number])
        means = net.head(net.norm(tokens)[:, 1:].mean(dim=1)).argmax(dim=1) == answers
        assert torch.equal(heads.patch_mean, means)
        assert torch.equal(heads.all_mean, net.head(net.norm(tokens).mean(dim=1)).argmax(dim=1) == answers)
        before = classify(net, tokens[:, 1:].mean(dim=1)).argmax(dim=1) == answers
        assert torch.equal(heads.patch_mean_before, before)
        early = early_right(net, shown, answers)
        assert (len(early), early[-1]) == (4, 40)
        # Before the first block CLS is the same for all.
        assert early[0] == int((answers == net.classify(net.embed(shown)[0, 0]).argmax()).sum())
        apart = isolation_right(net, shown, answers, range(4))
        assert (len(apart), apart[0]) == (4, 40)


@pytest.mark.slow
def test_a_tiny_vit_learns_mazes_by_heart(tmp_path: Path) -> None:
    items = make_puzzles("mazes", 5, 2)
    config = LoopConfig(steps=400, learning_rate=3e-3, decay="linear", gradient_clip=1.0, ema_decay=0.0, ema_from=0)
    shape = maze_config(5, depth=2, width=32)

    def train(shape: VitConfig) -> TinyVit:
        folder = RunFolder(tmp_path, {})
        return train_on_mazes(shape, items, config, batch_size=8, folder=folder, name="vit", device=CPU, progress=False)

    net = train(shape)
    assert bool(solved(net(items.inputs), items).all())
    again = train(shape)
    assert torch.equal(net(items.inputs), again(items.inputs))
    with pytest.raises(ValueError, match=r"differs in shape\.width"):
        train(maze_config(5, depth=2, width=8))


def test_nets_learn_images_by_heart(tmp_path: Path) -> None:
    shown = (images(8) * 255).byte()
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    config = LoopConfig(steps=150, learning_rate=5e-3, ema_decay=0.0, ema_from=0)
    for name, net in (("vit", SHAPE.build(0)), ("conv-net", build_conv_net(1, 3, 8, 0))):
        train_classifier(
            net,
            shown,
            labels,
            config,
            batch_size=8,
            as_input=to_unit_interval,
            settings={},
            folder=RunFolder(tmp_path, {}),
            name=name,
            progress=False,
        )
        freeze(net, CPU)
        assert torch.equal(net(shown.float() / 255).argmax(dim=1), labels)
        assert not net.training
        assert not any(weights.requires_grad for weights in net.parameters())


class OtherVit(nn.Module):
    """As other packages name things: CLS before 2 x 2 tokens, features at mlp.act."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({"mlp": self._mlp()}) for _ in range(2))

    @staticmethod
    def _mlp() -> nn.Module:
        mlp = nn.Module()
        mlp.fc1, mlp.act = nn.Linear(3, 6), nn.GELU()
        return mlp

    def forward(self, shown: Tensor) -> Tensor:
        tokens = F.avg_pool2d(shown, 2).flatten(2).transpose(1, 2)
        tokens = torch.cat([torch.full_like(tokens[:, :1], 9.0), tokens], dim=1)
        for block in self.blocks:
            mlp = block["mlp"]  # type: ignore[index]
            tokens = tokens + mlp.act(mlp.fc1(tokens))[..., :3]
        return tokens


def test_hooks_read_the_features_and_are_gone_after() -> None:
    net = OtherVit().requires_grad_(False)
    subject = HookedNet(net, activations_of(net), side=4, statistics=((0.5,) * 3, (0.25,) * 3))
    shown = torch.rand((2, 3, 4, 4), generator=generator_of("shown"))
    first, last = subject.maps(shown, [0, 1])
    pixels = (F.avg_pool2d(shown, 2) - 0.5) / 0.25
    mlp = net.blocks[0]["mlp"]  # type: ignore[index]
    expected = F.gelu(mlp.fc1(pixels.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
    assert torch.allclose(first, expected, atol=1e-5)
    assert (last.shape, subject.depth, subject.neurons(1)) == ((2, 6, 2, 2), 2, 6)
    assert not any(module._forward_hooks for module in net.modules())
    assert subject.maps(torch.rand(2, 1, 9, 9), [1])[0].shape == (2, 6, 2, 2)
    with pytest.raises(ValueError, match="no MLP was found in the blocks of Linear"):
        HookedNet(nn.Linear(1, 1), {}, side=4)


def test_torchvision_s_vit_taken_apart_is_the_same_net() -> None:
    models = import_torchvision().models
    net = models.VisionTransformer(
        image_size=16, patch_size=8, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12, num_classes=3
    )
    torch.nn.init.normal_(net.heads.head.weight)
    subject = HookedNet(net, activations_of(net), side=16).eval().requires_grad_(False)
    tokens, shown = TorchvisionTokens(subject), images(4, side=10)
    assert (tokens.depth, subject.neurons(1)) == (2, 12)
    assert torch.allclose(next(isolated_logits(tokens, shown, [0])), subject(shown), atol=1e-5)
    assert heads_right(tokens, shown, subject(shown).argmax(dim=1)).patches.shape == (4, 4)
    assert subject.maps(shown, [0])[0].shape == (4, 12, 2, 2)


class TimmVit(nn.Module):
    """As timm names the parts of a ViT."""

    num_prefix_tokens = 1

    def __init__(self) -> None:
        super().__init__()
        self.tiny = VitConfig(side=8, channels=3, patch=4, classes=3, depth=2, width=8, heads=2).build(0)
        self.blocks = nn.ModuleList(_TokensAlone(block) for block in self.tiny.blocks)
        self.patch_embed, self.norm_pre = self.tiny.embed, nn.Identity()
        self.norm, self.head = self.tiny.norm, self.tiny.head

    def _pos_embed(self, tokens: Tensor) -> Tensor:
        return tokens

    def forward(self, shown: Tensor) -> Tensor:
        return self.tiny(shown)


class _TokensAlone(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.act = nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        after: Tensor = self.block(tokens)[0]
        return after


def test_timm_s_vit_taken_apart_is_the_same_net() -> None:
    net = TimmVit().eval()
    # Its MLP is no module of its own here, so the hook is on another one.
    subject = HookedNet(net, {"gelu": net.tiny.patches, "other": net.tiny.patches}, side=8).requires_grad_(False)
    tokens, shown = tokens_of("timm:vit_tiny", subject), torch.rand(4, 3, 8, 8)
    assert tokens is not None
    assert torch.allclose(next(isolated_logits(tokens, shown, [0])), subject(shown), atol=1e-5)
    assert tokens_of("timm:swin_tiny", subject) is None


def test_features_of_all_layouts_become_maps() -> None:
    maps = torch.rand((2, 6, 3, 3), generator=generator_of("maps"))
    tokens = F.pad(maps.flatten(2), (2, 0)).transpose(1, 2)
    assert torch.equal(spread(maps.permute(0, 2, 3, 1), 2), maps)
    assert torch.equal(spread(tokens, 2), maps)
    assert torch.equal(spread(tokens.transpose(0, 1), 2), maps)
    with pytest.raises(ValueError, match="are not tokens of 3 images"):
        spread(tokens, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vit_z", "unknown model 'vit_z': choose one of vit_b_16, vit_b_32, swin_t, timm:NAME, clip:NAME"),
        ("timm:", "unknown model 'timm:'"),
        ("keras:vit", "unknown model 'keras:vit'"),
    ],
)
def test_unknown_models(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_pretrained(name, CPU)


def test_missing_packages_and_weights_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from easy_to_hard.baselines.vit_visualization import pretrained

    for package, name in (("timm", "timm:deit"), ("open_clip", "clip:ViT-B-32")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ImportError, match=f"{name} needs {package}: pip install"):
            load_pretrained(name, CPU)

    def fail(name: str) -> HookedNet:
        raise RuntimeError("no route\nto host")

    monkeypatch.setattr(pretrained, "_from_torchvision", fail)
    with pytest.raises(OSError, match=r"^the weights of vit_b_16 cannot be downloaded: no route$"):
        load_pretrained("vit_b_16", CPU)


def test_a_net_s_features_at_a_maze_s_positions() -> None:
    pixels = torch.arange(8.0)[None, None, None].expand(1, 1, 8, 8)
    # Positions are columns 1 and 2, 3 and 4, 5 and 6.
    assert at_positions(pixels, 8)[0, 0, 0].tolist() == [1.5, 3.5, 5.5]
    patches = torch.arange(5.0)[None, None, None].expand(1, 1, 5, 5)
    assert at_positions(patches, 8)[0, 0, 0].tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="the side of features must be 8 or 5, not 6"):
        at_positions(torch.zeros(1, 1, 6, 6), 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0}, "depth must be at least 1, not 0"),
        ({"patch": 3}, "patch must divide the side 8, not be 3"),
        ({"heads": 3}, "heads must divide the width 8, not be 3"),
        ({"positions": "sine"}, "positions must be one of learned, relative, not 'sine'"),
    ],
)
def test_shapes_that_are_not_allowed(changes: dict[str, int], message: str) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match=message):
        replace(SHAPE, **changes)


def test_a_net_is_a_tiny_vit() -> None:
    assert isinstance(SHAPE.build(0), TinyVit)
