"""The environments of gymnasium, where it is installed."""

import importlib
import sys
from typing import Any

import numpy as np
import pytest

from easy_to_hard.text import answer, items_of

MODULE = "easy_to_hard.adapters.gymnasium_environments"
NAMES = ("easy_to_hard/Mazes-v0", "easy_to_hard/PrefixSums-v0")
ACTIONS = {"up": 0, "down": 1, "left": 2, "right": 3}


def test_its_absence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [*sys.modules]:
        if module.split(".")[0] == "gymnasium" or module == MODULE:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r'pip install "easy-to-hard\[gymnasium\]"'):
        importlib.import_module(MODULE)


def make(name: str, **settings: Any) -> Any:
    gymnasium = pytest.importorskip("gymnasium", reason='needs pip install "easy-to-hard[gymnasium]"')
    importlib.import_module(MODULE)
    return gymnasium.make(name, **settings)


def solve(environment: Any, name: str) -> list[int]:
    """The actions that earn the full reward, from the answer in words."""
    words = answer(items_of([name])[0]).replace(",", "").split()
    return [ACTIONS[word] if word in ACTIONS else int(word) for word in words]


@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_accepts_them(name: str) -> None:
    environment = make(name)
    from gymnasium.utils.env_checker import check_env

    check_env(environment.unwrapped)


@pytest.mark.parametrize(("name", "difficulty"), [(NAMES[0], 9), (NAMES[0], 25), (NAMES[1], 16), (NAMES[1], 100)])
def test_the_right_answer_earns_1(name: str, difficulty: int) -> None:
    environment = make(name, difficulty=difficulty, split="test")
    for index in range(3):
        _, info = environment.reset(options={"index": index})
        assert info["id"].endswith(f"{difficulty}/test/0/{index}")
        actions = solve(environment, info["id"])
        steps = [environment.step(action) for action in actions]
        assert [ended for *_, ended, _, _ in steps] == [False] * (len(actions) - 1) + [True]
        assert sum(reward for _, reward, *_ in steps) == pytest.approx(1)


def test_a_detour_earns_less_and_a_wall_stops() -> None:
    environment = make(NAMES[0], split="test")
    start, info = environment.reset(options={"index": 0})
    actions = solve(environment, info["id"])
    free, walker, goal = start
    assert walker.sum() == goal.sum() == 1
    row, column = np.argwhere(walker)[0]
    blocked = next(
        action
        for action, (down, right) in enumerate(((-1, 0), (1, 0), (0, -1), (0, 1)))
        if not free[row + down, column + right]
    )
    seen, reward, *_, facts = environment.step(blocked)
    np.testing.assert_array_equal(seen, start)
    assert (reward, facts) == (0, {"steps": 1, "shortest": len(actions)})
    *_, last = (environment.step(action) for action in actions)
    assert last[1] == len(actions) / (len(actions) + 1)


def test_a_walk_without_arrival_is_cut_off() -> None:
    environment = make(NAMES[0], split="test")
    _, info = environment.reset(options={"index": 0})
    shortest = len(solve(environment, info["id"]))
    first = solve(environment, info["id"])[0]
    # To and fro.
    ends = [environment.step((first, first ^ 1)[number % 2])[2:4] for number in range(4 * shortest)]
    assert ends == [(False, False)] * (4 * shortest - 1) + [(False, True)]


def test_wrong_parities_earn_nothing() -> None:
    environment = make(NAMES[1], difficulty=16, split="test")
    _, info = environment.reset(options={"index": 0})
    rewards = [environment.step(1 - action)[1] for action in solve(environment, info["id"])]
    assert rewards == [0] * 16


@pytest.mark.parametrize(("difficulty", "split"), [(32, "test"), (16, "train"), (32, "train")])
def test_there_is_an_instance_for_each_seed(difficulty: int, split: str) -> None:
    """A split of strings holds fewer instances than there are numbers."""
    environment = make(NAMES[1], difficulty=difficulty, split=split)
    assert len({environment.reset(seed=seed)[1]["id"] for seed in range(20)}) == 20


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_the_instances(name: str) -> None:
    environment = make(name)
    first = environment.reset(seed=5)[1]["id"], environment.reset()[1]["id"]
    assert first[0] != first[1]
    assert (environment.reset(seed=5)[1]["id"], environment.reset()[1]["id"]) == first
    assert "/train/" in first[0]


def test_what_is_not_allowed_is_said() -> None:
    with pytest.raises(ValueError, match="size must be an odd number from 3 to 1601, not 10"):
        make(NAMES[0], difficulty=10)
    environment = make(NAMES[0])
    environment.reset()
    with pytest.raises(ValueError, match="an action must be an integer from 0 to 3, not 4"):
        environment.unwrapped.step(4)
    for options, message in (
        ({"index": -1}, "index must be an integer of at least 0, not -1"),
        ({"index": "a"}, "not 'a'"),
        ({"number": 3}, "unknown options 'number'"),
    ):
        with pytest.raises(ValueError, match=message):
            environment.reset(options=options)
