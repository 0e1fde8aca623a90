"""Environments of gymnasium (``pip install "easy-to-hard[gymnasium]"``).

Importing this module registers them: ``gymnasium.make("easy_to_hard/Mazes-v0", difficulty=9)`` is walked through step
by step, ``gymnasium.make("easy_to_hard/PrefixSums-v0", difficulty=32)`` is a string of bits that come one by one. There
are no graphics, and no vectorized environments but gymnasium's own.
"""

from abc import abstractmethod
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from easy_to_hard.extras import naming_extra
from easy_to_hard.tasks import DataSpec, get_task
from easy_to_hard.text import Item, items_at
from easy_to_hard.text.mazes import free_positions, shortest_path

with naming_extra("this needs"):
    import gymnasium
    from gymnasium import spaces

Observation = TypeVar("Observation")

MOVES: Final = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""(rows, columns) of the actions in a maze: 0 up, 1 down, 2 left, 3 right."""
_NUM_DRAWN: Final = 2**31


class PuzzleEnvironment(gymnasium.Env[Observation, np.int64], Generic[Observation]):  # type: ignore[misc]
    """An episode is an instance: one that the environment's generator draws, or that ``reset`` is given the number of.

    ``reset(seed=1)`` draws the same instances again, and ``reset(options={"index": 17})`` takes number 17 of the split;
    ``info["id"]`` names the instance, see `easy_to_hard.text.Item.id`.

    Args:
        difficulty, variant, split: which instances, see `DataSpec`.

    Raises:
        ValueError: there are no such instances.
    """

    task: str

    def __init__(self, difficulty: int, variant: str = "", split: str = "train") -> None:
        self.instances = DataSpec(task=self.task, difficulty=difficulty, variant=variant, split=split)
        # Raises where there are no such instances.
        get_task(self.task).sample_count(self.instances, 1)
        self._length = min(get_task(self.task).stream_length(self.instances) or _NUM_DRAWN, _NUM_DRAWN)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; the only option is ``index``, from 0."""
        super().reset(seed=seed)
        chosen = dict(options or {})
        index = chosen.pop("index") if "index" in chosen else int(self.np_random.integers(self._length))
        if chosen:
            raise ValueError(f"unknown options {', '.join(map(repr, chosen))}: the only one is 'index'")
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or index < 0:
            raise ValueError(f"index must be an integer of at least 0, not {index!r}")
        item = items_at(self.instances, [int(index)])[0]
        return self._begin(item), {"id": item.id}

    def _check(self, action: np.int64) -> None:
        if not self.action_space.contains(action):
            raise ValueError(f"an action must be an integer from 0 to {self.action_space.n - 1}, not {action!r}")

    @abstractmethod
    def _begin(self, item: Item) -> Observation:
        """Take an instance; returns the first observation."""


class Mazes(PuzzleEnvironment[NDArray[np.uint8]]):
    """A walk from the start of a maze to its goal, which ends there, or after four times as many steps as are needed.

    An observation is (3, s + 2, s + 2) uint8 in {0, 1}: what is free, where the walker is, and the goal. Actions are
    `MOVES`; one into a wall leaves the walker where it is. The reward is 0, and at the goal the number of steps on the
    shortest path over the number that were taken: 1 for a shortest path. ``info`` has ``steps`` and ``shortest``.
    """

    task = "mazes"
    patience: Final = 4

    def __init__(self, difficulty: int = 9, variant: str = "", split: str = "train") -> None:
        super().__init__(difficulty, variant, split)
        self.observation_space = spaces.Box(0, 1, (3, difficulty + 2, difficulty + 2), np.uint8)
        self.action_space = spaces.Discrete(len(MOVES))

    def _begin(self, item: Item) -> NDArray[np.uint8]:
        path = shortest_path(item.data)
        self._free, self._place, self._goal = free_positions(item.data), path[0], path[-1]
        self._steps, self._shortest = 0, len(path) - 1
        return self._observed()

    def step(self, action: np.int64) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take a step."""
        self._check(action)
        down, right = MOVES[action]
        there = self._place[0] + down, self._place[1] + right
        # The outer wall keeps it inside.
        self._place = there if self._free[there] else self._place
        self._steps += 1
        arrived = self._place == self._goal
        reward = self._shortest / self._steps if arrived else 0.0
        truncated = not arrived and self._steps >= self.patience * self._shortest
        return self._observed(), reward, arrived, truncated, {"steps": self._steps, "shortest": self._shortest}

    def _observed(self) -> NDArray[np.uint8]:
        planes = np.zeros((3, *self._free.shape), dtype=np.uint8)
        planes[0] = self._free
        planes[1][self._place] = planes[2][self._goal] = 1
        return planes


class PrefixSums(PuzzleEnvironment[np.int64]):
    """A string of bits, one a step; the action is the parity of all bits so far. It takes one bit of memory.

    An observation is the next bit, 0 or 1, and 0 after the last action. The reward is 1 / bits for each right parity,
    so 1 for the whole string; ``info`` has ``right``, the number of right parities so far.
    """

    task = "prefix_sums"

    def __init__(self, difficulty: int = 32, variant: str = "", split: str = "train") -> None:
        super().__init__(difficulty, variant, split)
        self.observation_space = spaces.Discrete(2)
        self.action_space = spaces.Discrete(2)

    def _begin(self, item: Item) -> np.int64:
        difficulty = self.instances.difficulty
        bits, parities = get_task(self.task).encode(item.data[None], difficulty, 1)
        self._bits, self._parities = bits.reshape(-1).astype(np.int64), parities.reshape(-1).astype(np.int64)
        self._position = self._right = 0
        return np.int64(self._bits[0])

    def step(self, action: np.int64) -> tuple[np.int64, float, bool, bool, dict[str, Any]]:
        """Give a parity, and get the next bit."""
        self._check(action)
        held = bool(action == self._parities[self._position])
        self._right += held
        self._position += 1
        last = self._position == len(self._bits)
        bit = np.int64(0) if last else self._bits[self._position]
        return bit, held / len(self._bits), last, False, {"right": self._right}


for _environment in (Mazes, PrefixSums):
    gymnasium.register(f"easy_to_hard/{_environment.__name__}-v0", f"{__name__}:{_environment.__name__}")
