"""`easy-to-hard reference`."""

from pathlib import Path

import pytest
from filelock import FileLock

from easy_to_hard.baselines import BASELINES
from easy_to_hard.baselines.kit.statistics import of_share, over_seeds
from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference import Reference
from easy_to_hard.commands.reference.show import describe_reference
from easy_to_hard.scores.reference import Claim, ReferenceResult, write_reference_result


def command(*arguments: str) -> Reference:
    parsed: Reference = parse(Reference, arguments, see="help", prog="easy-to-hard reference")
    return parsed


@pytest.mark.parametrize("method", [name for name in BASELINES if name != "deep_thinking"])
def test_one_run_a_folder(method: str, tmp_path: Path) -> None:
    """Another one is refused before it writes anything."""
    with FileLock(tmp_path / ".lock"):
        with pytest.raises(ValueError, match="another run is going on in"):
            command(method.replace("_", "-"), "--out", str(tmp_path)).run()
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


METHODS = [name.replace("_", "-") for name, method in BASELINES.items() if method.makes_claims]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_smoke_run_needs_no_data(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(method, "--preset", "smoke", "--quiet").run() == 0
    assert "smoke, on mazes (seeds 0" in capsys.readouterr().out


@pytest.mark.parametrize("method", METHODS)
def test_missing_images_are_named_with_what_to_do(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flag = "--target" if method == "canary" else "--data"
    wanted = "--download fetches it, and mazes, the default, need no files"
    for root in ("nowhere", "."):
        with pytest.raises(FileNotFoundError, match=wanted):
            command(method, flag, "mnist", "--data-root", root, "--quiet").run()
    for given in (("--data-root", "."), ("--download",)):
        with pytest.raises(ValueError, match=f"{given[0]} is for images, not for mazes"):
            command(method, *given).run()


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = ReferenceResult(
        method="cold_diffusion",
        preset="small",
        data="mnist",
        question="?",
        commit=None,
        package_version="0",
        seeds=(0, 1),
        device="cpu",
        seconds=1234.5,
        settings={},
        measurements=(
            over_seeds("RMSE", [0.5], unit="pixel value", condition={"state": "direct"}, num_items=1000),
            of_share("solve rate", 1, 2),
        ),
        claims=(Claim(text="It restores.", source="a paper", verdict="not tested", evidence="RMSE: 0.5"),),
    )
    write_reference_result(result, tmp_path / "result.json")
    assert command("show", str(tmp_path / "result.json")).run() == 0
    assert capsys.readouterr().out.splitlines() == [
        "cold_diffusion, small, on mnist (seeds 0, 1; 1,234 s on cpu)",
        "  RMSE (state direct): 0.5 pixel value, 1,000 items",
        "  solve rate: 0.5 [0.09453, 0.9055] share, 2 items",
        "  not tested: It restores. (a paper)",
        "    RMSE: 0.5",
    ]
    with pytest.raises(ValueError, match="give at least one result file"):
        command("show").run()


def test_a_run_prints_so_many_measurements_and_says_how_many_more() -> None:
    result = ReferenceResult(
        method="cold_diffusion",
        preset="small",
        data="mazes",
        question="?",
        commit=None,
        package_version="0",
        seeds=(0,),
        device="cpu",
        seconds=1.0,
        settings={},
        measurements=tuple(of_share(f"rate {number}", 1, 2) for number in range(5)),
    )
    lines = describe_reference(result, most=3).splitlines()
    assert [line.split(":")[0] for line in lines[1:4]] == ["  rate 0", "  rate 1", "  rate 2"]
    assert lines[4:] == ["  and 2 more: 'easy-to-hard reference show' prints them all"]
    assert len(describe_reference(result).splitlines()) == 6
