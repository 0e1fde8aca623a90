"""`easy-to-hard reference dp-instahide`."""

from pathlib import Path

import pytest
from reference_flags import on_images

from easy_to_hard.commands.parsing import parse
from easy_to_hard.commands.reference.dp_instahide import DpInstaHide


def command(*arguments: str) -> DpInstaHide:
    parsed: DpInstaHide = parse(DpInstaHide, arguments, see="help", prog="easy-to-hard reference dp-instahide")
    return parsed


def test_account(capsys: pytest.CaptureFixture[str]) -> None:
    account = "--account --k 4 --b 0.05 --n 50000 --diameter 1 --releases 1"
    assert command(*account.split()).run() == 0
    printed = capsys.readouterr().out
    assert "n 50,000, k 4, b 0.05, M 1 releases" in printed
    assert "epsilon of one release: 0.01172 (of one that holds the record: 5)" in printed
    assert "adjacency: replace one record" in printed
    vacuous = "--account --k 4 --b 0.0627 --n 50000 --diameter 3074"
    assert command(*vacuous.split()).run() == 0
    assert "vacuous: more than 20 promises nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--account --k 4", r"--account needs one --k and one --b, not \[4\] and \[\]"),
        ("--account --k 4 --b 0", "b, the scale of the noise, must be above 0 and finite, not 0"),
        ("--account --k 11 --b 1 --n 10", "k must be from 1 to n = 10, the number of records, not 11"),
        ("--account --k 1 --b 1 --releases 0", "M, the number of releases, must be at least 1, not 0"),
        ("--account --k 1 --b 1 --delta 1", "delta must be between 0 and 1, not 1"),
        ("--account --k 1 --b 1 --diameter -1", "the L1 diameter must be above 0 and finite, not -1"),
        ("--data svhn", "--data must be one of mnist, cifar10, mazes, prefix_sums, not 'svhn'"),
        ("--diameter 2", "--diameter is for --account, not for a run"),
        ("--preset huge", "unknown preset 'huge': choose one of smoke, small, paper"),
        ("--data mazes --preset paper", "unknown preset 'paper' of mazes: choose one of small, smoke"),
        ("--data mazes --budget 0.1", "--budget is for images, not for"),
        ("--budget 0", "budget must be a share of the training set above 0 and at most 1, not 0"),
        ("--budget 2", "budget must be a share of the training set above 0 and at most 1, not 2"),
        ("--k 100000", "k must be from 1 to n = 1000, the number of records, not 100000"),
        ("--k 0", "k must be from 1 to n = 1000, the number of records, not 0"),
        ("--b -0.1", "b, the scale of the noise, must be above 0 and finite, not -0.1"),
        ("--data prefix_sums --b 0", "b, the scale of the noise, must be above 0 and finite, not 0"),
        ("--seeds 1 1", "seeds must be at least one, all different, each at least 0"),
        ("--delta 0", "delta must be between 0 and 1, not 0"),
        ("--threads 0", "--threads must be at least 1, not 0"),
        ("--device tpu", "device must be cpu, cuda or cuda:NUMBER, not 'tpu'"),
        ("--data prefix_sums --device tpu", "device must be cpu, cuda or cuda:NUMBER, not 'tpu'"),
        ("--data-root nowhere", "no folder nowhere: --data-root must be one that holds the data"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as failure:
        command(*on_images("--data", "mnist", *arguments.split())).run()
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "runs").exists()
