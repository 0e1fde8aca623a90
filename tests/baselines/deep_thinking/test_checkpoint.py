"""Nets on disk and on the Hub."""

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from thinking import KINDS, make_net, same_weights

from easy_to_hard.baselines.deep_thinking import checkpoint
from easy_to_hard.baselines.deep_thinking.checkpoint import halve, load_model, save_model, shipped_models
from easy_to_hard.baselines.deep_thinking.model import ARCHITECTURES, RecurrentNet
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.cli import main

FACTS = ModelFacts(
    recipe="prefix-sums-paper",
    task="prefix_sums",
    variant="",
    difficulty=32,
    max_iterations=30,
    seed=3,
    steps=100,
    batch_size=50,
    training_seconds=12.5,
    device="cpu",
    package_version="0.1.0",
    commit=None,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a net."""
    save_model(make_net(), tmp_path / "net", FACTS)
    return tmp_path / "net"


def _edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


# There and back


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("recurrent", {"recall_relu": True}),
        ("recurrent", {"recall": False, "group_norm": True, "width": 8}),
        ("feed_forward", {"recall": True, "depth": 5}),
        ("lipschitz", {}),
    ],
)
@pytest.mark.parametrize("dimensions", [1, 2])
def test_saved_and_read_back(kind: str, options: dict[str, Any], dimensions: int, tmp_path: Path) -> None:
    net = make_net(kind, in_channels=3, dimensions=dimensions, patch=dimensions, **options).eval()
    folder = tmp_path / "new" / "net"
    save_model(net, folder, FACTS)
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    loaded, facts = load_model(str(folder))
    assert facts == FACTS
    assert type(loaded) is type(net)
    assert not loaded.training
    assert same_weights(net.state_dict(), loaded.state_dict())
    x = torch.rand(2, 3, *[6] * dimensions)
    assert torch.equal(loaded(x, 3)[0], net(x, 3)[0])
    config = json.loads((folder / "config.json").read_text())
    assert config["architecture"] == kind
    assert config["head_widths"] == [5, 4]
    assert config["facts"]["seed"] == 3
    # And as anybody's net on the Hub is read.
    direct = ARCHITECTURES[kind].from_pretrained(folder, strict=True)
    assert torch.equal(direct.eval()(x, 3)[0], net(x, 3)[0])


@pytest.mark.parametrize("dimensions", [1, 2])
def test_saved_and_read_back_by_its_class(dimensions: int, tmp_path: Path) -> None:
    net = make_net(in_channels=3, dimensions=dimensions, recall_relu=True)
    net.save_pretrained(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "model.safetensors"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    loaded = RecurrentNet.from_pretrained(tmp_path, strict=True)
    x = torch.rand(2, 3, *[6] * dimensions)
    assert torch.equal(loaded(x, 3)[0], net(x, 3)[0])
    assert "arxiv.org/abs/2202.05826" in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["head_widths"] == [5, 4]


def test_nothing_is_pickled(saved: Path) -> None:
    for path in saved.rglob("*"):
        assert path.suffix in {".json", ".safetensors", ".md"}
        with pytest.raises((pickle.UnpicklingError, ValueError, KeyError, EOFError, IndexError, AttributeError)):
            pickle.loads(path.read_bytes())
        assert not path.read_bytes().startswith(b"PK"), "nor as torch.save does"


def test_a_net_is_saved_over_another(saved: Path) -> None:
    other = make_net("lipschitz", seed=5)
    save_model(other, saved, FACTS)
    loaded, _ = load_model(str(saved))
    assert same_weights(loaded.state_dict(), other.state_dict())
    assert {path.name for path in saved.iterdir()} == {"config.json", "model.safetensors", "README.md"}


def test_a_save_that_fails_leaves_what_was_there(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    other = make_net(seed=5)

    def fail(folder: str) -> None:
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(other, "save_pretrained", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(other, saved, FACTS)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_the_home_folder_may_be_written_short(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(saved.parent))
    assert load_model("~/net")[1] == FACTS


@pytest.mark.parametrize("kind", KINDS)
def test_halved_weights_are_read_as_float32(kind: str, tmp_path: Path) -> None:
    net = make_net(kind, width=32)
    save_model(net, tmp_path, FACTS)
    size = (tmp_path / "model.safetensors").stat().st_size
    halve(tmp_path)
    assert (tmp_path / "model.safetensors").stat().st_size < 0.7 * size
    assert {values.dtype for values in load_file(tmp_path / "model.safetensors").values()} == {torch.float16}
    assert not list(tmp_path.glob(".*"))
    loaded, facts = load_model(str(tmp_path))
    assert facts == FACTS
    for name, values in loaded.state_dict().items():
        assert values.dtype == torch.float32
        assert torch.equal(values, net.state_dict()[name].half().float())
    assert loaded(torch.rand(1, 1, 9), 2)[0].dtype == torch.float32


# What is not there or is damaged


def test_a_missing_file_is_named(saved: Path) -> None:
    (saved / "config.json").rename(saved / "kept.json")
    with pytest.raises(FileNotFoundError, match=r"net holds no net: it has no config\.json"):
        load_model(str(saved))
    (saved / "recipe.json").touch()
    with pytest.raises(FileNotFoundError, match="its training is not finished: `easy-to-hard train` goes"):
        load_model(str(saved))
    (saved / "kept.json").rename(saved / "config.json")
    (saved / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"net holds no net: it has no model\.safetensors"):
        load_model(str(saved))


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.99])
def test_damaged_weights(keep: float, saved: Path) -> None:
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    with pytest.raises(ValueError, match="net is not a net of deep_thinking: SafetensorError"):
        load_model(str(saved))


def test_a_pickle_in_the_weights_place_is_not_run(saved: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(saved / "executed"),)

    (saved / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is not a net of deep_thinking"):
        load_model(str(saved))
    assert not (saved / "executed").exists()


def test_weights_of_another_net(saved: Path) -> None:
    weights = load_file(saved / "model.safetensors")
    _edit_config(saved, width=7)
    with pytest.raises(ValueError, match=r"\w+\.\w+ has shape \(6, .*\), but config\.json requires \(7, "):
        load_model(str(saved))
    _edit_config(saved, width=6)
    weights.pop("projection.weight")
    save_file(weights, saved / "model.safetensors")
    with pytest.raises(ValueError, match=r"the weights lack projection\.weight, contrary to config\.json"):
        load_model(str(saved))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "transformer"}, "KeyError 'transformer'"),
        ({"width": 0}, "ValueError width must be at least 1, not 0"),
        ({"width": "six"}, "TypeError width is 'six': expected int"),
        ({"width": True}, "TypeError width is 'True': expected int"),
        ({"width": 6.0}, "TypeError width is '6.0': expected int"),
        ({"width": 10**12}, "ValueError .* config.json requires|RuntimeError|ValueError .* has shape"),
        ({"width": 10**30}, "ValueError .*config.json is not valid JSON: 10{30} is beyond 2"),
        ({"head_widths": 8}, r"TypeError head_widths is '8': expected Sequence\[int\]"),
        ({"head_widths": [8, None]}, "TypeError head_widths is"),
        ({"head_widths": [8] * 10**5}, "ValueError head_widths asks for 100,000 layers"),
        ({"architecture": [8]}, "TypeError"),
        ({"architecture": "feed_forward", "depth": 10**8}, "ValueError depth asks for 100,000,000 layers"),
        ({"heads": 8}, "TypeError .*heads"),
        ({"facts": {"recipe": "x"}}, "TypeError .*'task'"),
        ({"facts": None}, "TypeError facts is 'None': expected an object"),
        ({"facts": [8]}, r"TypeError facts is '\[8\]': expected an object"),
        *(({"facts": asdict(FACTS) | {name: [8]}}, f"TypeError {name} is '\\[8\\]': ") for name in asdict(FACTS)),
        ({"facts": asdict(FACTS) | {"difficulty": 9.5}}, "TypeError difficulty is '9.5': expected int"),
    ],
)
def test_wrong_configs(changes: dict[str, Any], message: str, saved: Path) -> None:
    _edit_config(saved, **changes)
    with pytest.raises(ValueError, match=f"net is not a net of deep_thinking: {message}"):
        load_model(str(saved))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_nothing_of_the_size_that_a_config_claims_is_made(tmp_path: Path) -> None:
    for name, changes in {"wide": {"width": 10_000}, "deep": {"architecture": "feed_forward", "depth": 10**8}}.items():
        save_model(make_net(), tmp_path / name, FACTS)
        _edit_config(tmp_path / name, **changes)
    script = (
        "import sys; from pathlib import Path\n"
        "from easy_to_hard.baselines.deep_thinking.checkpoint import load_model\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) / 1000\n"
        "before = peak()\n"
        "for name in ('wide', 'deep'):\n"
        "    try: load_model(name)\n"
        "    except ValueError: print(peak() - before)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    wide, deep = map(float, told.stdout.split())
    assert max(wide, deep) < 200


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_at_every_door(architecture: str, value: float, saved: Path) -> None:
    board = {"in_channels": 12, "dimensions": 2, "heads": 2} if architecture.startswith("attention") else {}
    net = make_net(architecture, **board)
    next(iter(net.parameters())).data.view(-1)[0] = value
    save_model(net, saved, FACTS)
    for read in (load_model, type(net).from_pretrained):
        with pytest.raises(ValueError, match=r"1 of [\d,]+ weights of [\w.]+ are NaN or infinite"):
            read(str(saved))
    for command in (["evaluate", "--model"], ["score", "--model"], ["think", "--model"]):
        assert main([*command, str(saved)]) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"architecture": "recurrent"}', "\x00"])
def test_configs_that_are_none(text: str, saved: Path) -> None:
    (saved / "config.json").write_text(text)
    with pytest.raises(ValueError, match="net is not a net of deep_thinking"):
        load_model(str(saved))
    (saved / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="net is not a net of deep_thinking"):
        load_model(str(saved))


def test_facts_of_a_later_version_are_skipped(saved: Path) -> None:
    facts = json.loads((saved / "config.json").read_text())["facts"]
    _edit_config(saved, facts={**facts, "weather": "fair"})
    assert load_model(str(saved))[1] == FACTS


# Names


def test_nets_that_come_with_the_package(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_SHIPPED", saved.parent)
    save_model(make_net("lipschitz"), saved.parent / "another", FACTS)
    (saved.parent / "not-one").mkdir()
    assert shipped_models() == ["another", "net"]
    net, facts = load_model("net")
    assert facts == FACTS
    assert same_weights(net.state_dict(), make_net().state_dict())
    with pytest.raises(FileNotFoundError, match=r"no net 'nett': give a folder, the ID of a Hub repo .* another, net"):
        load_model("nett")


@pytest.mark.parametrize(
    "name", ["", "no-such-net", "a/b/c", "/no/such/folder", "a b/c", "--/..", "net@v1", "a/b@", "a/b@v 1", "a/b@/"]
)
def test_names_of_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*arguments: Any) -> str:
        raise AssertionError(f"asked the Hub for {arguments}")

    monkeypatch.setattr(checkpoint, "hf_hub_download", unwanted)
    with pytest.raises(FileNotFoundError, match=re.escape(f"no net '{name}': give a folder")):
        load_model(name)


def test_all_shipped_nets_can_be_read() -> None:
    for name in shipped_models():
        net, facts = load_model(name)
        assert net.count_parameters() > 0
        assert facts.task


# The Hub


def test_a_net_from_the_hub(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str | None]] = []

    def fake(repo: str, name: str, *, revision: str | None) -> str:
        asked.append((repo, name, revision))
        return str(saved / name)

    monkeypatch.setattr(checkpoint, "hf_hub_download", fake)
    net, facts = load_model("someone/easy.to-hard_net")
    assert facts == FACTS
    assert same_weights(net.state_dict(), make_net().state_dict())
    # Both at one commit, which the cache's folder is named by.
    assert asked == [
        ("someone/easy.to-hard_net", "config.json", None),
        ("someone/easy.to-hard_net", "model.safetensors", "net"),
    ]
    load_model("someone/net@v1")
    assert asked[2:] == [("someone/net", "config.json", "v1"), ("someone/net", "model.safetensors", "net")]
    _edit_config(saved, architecture="transformer")
    with pytest.raises(ValueError, match="someone/net is not a net of deep_thinking"):
        load_model("someone/net")


def test_a_folder_comes_before_the_hub(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "hf_hub_download", lambda *arguments: 1 / 0)
    monkeypatch.chdir(saved.parent.parent)
    assert load_model(f"{saved.parent.name}/net")[1] == FACTS


@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("cannot find it, and there is no net\nmore"),
        ConnectionError("no net"),
        OSError(28, "no space left"),
        ConnectionResetError(),
    ],
)
def test_the_hub_is_out_of_reach(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repo: str, name: str, *, revision: str | None) -> str:
        raise error

    monkeypatch.setattr(checkpoint, "hf_hub_download", fail)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(FileNotFoundError, match="'someone/net' is not a folder and could not be read from the Hub: "):
        load_model("someone/net")


def test_offline_is_said_in_words() -> None:
    """By the Hub's own client, which all tests have told to stay offline."""
    with pytest.raises(FileNotFoundError, match="'someone/no-such-net' is not a folder and could not be read"):
        load_model("someone/no-such-net")
