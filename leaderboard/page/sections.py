"""What the page shows for each task: its results, its columns, and the permanent ids for links to results."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from easy_to_hard.leaderboard.page.markup import slug, words
from easy_to_hard.leaderboard.ranking import Standing, ladder
from easy_to_hard.tasks import TASKS, Task, get_task

# A table with more difficulties than this would not be readable; the details have them all.
MOST_COLUMNS: Final = 7


@dataclass(frozen=True, kw_only=True)
class Section:
    """The section of a task and variant.

    Attributes:
        task: name in `TASKS`.
        variant: of the task; the default has its name here, and "" means that the task has none.
        standings: in the order of `ranking.standings`; may be empty.
        published: figures from papers, from `published.json`; may be empty.
    """

    task: str
    variant: str
    standings: tuple[Standing, ...]
    published: tuple[Mapping[str, Any], ...]

    @property
    def id(self) -> str:
        """The id of the section on the page."""
        return slug(f"{self.task}-{self.variant}")

    @property
    def facts(self) -> Task:
        """The task itself."""
        return get_task(self.task)

    @property
    def title(self) -> str:
        """The title in words, such as "Mazes: looped"."""
        name = words(self.task).capitalize()
        return name if self.variant in ("", *self.facts.variants[:1]) else f"{name}: {words(self.variant)}"

    @property
    def ladder(self) -> tuple[int, ...]:
        """The difficulties that the score is computed from."""
        return ladder(self.task, self.variant)

    @property
    def columns(self) -> tuple[int, ...]:
        """The table's difficulties, ascending; first the ends, then rungs, then those that most results have."""
        tested = Counter(score["difficulty"] for standing in self.standings for score in standing.result["scores"])
        left = sorted(tested)
        chosen = [left.pop(0), *([left.pop()] if left else [])] if left else []
        while left and len(chosen) < MOST_COLUMNS:
            worth = {difficulty: self._worth(difficulty, tested[difficulty], chosen) for difficulty in left}
            best = max(left, key=worth.__getitem__)
            left.remove(best)
            chosen.append(best)
        return tuple(sorted(chosen))

    def _worth(self, difficulty: int, results: int, chosen: Sequence[int]) -> tuple[float, ...]:
        distance = min(abs(self.place(difficulty) - self.place(other)) for other in chosen)
        return difficulty in self.ladder, results, distance

    def place(self, difficulty: int) -> float:
        """Where a difficulty is on the axis: ratings as they are, all others by logarithm."""
        return float(difficulty) if self.facts.imported else math.log2(difficulty)


def make_sections(ranking: Sequence[Standing], published: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The sections of all tasks and variants that have results or published figures, in the order of `TASKS`.

    Args:
        ranking: what `ranking.standings` returns.
        published: entries of `published.json`.

    Raises:
        ValueError: a figure belongs to a task or variant that does not exist.
    """
    of_papers = [(str(entry["task"]), get_task(entry["task"]).check_variant(entry["variant"])) for entry in published]
    sections = []
    for task, facts in TASKS.items():
        # After its variants, those with bounds of path length, in the order of the ranking.
        ranked = [standing.variant for standing in ranking if standing.task == task]
        for variant in dict.fromkeys([*(facts.variants or ("",)), *ranked]):
            here = task, variant
            section = Section(
                task=task,
                variant=variant,
                standings=tuple(standing for standing in ranking if (standing.task, standing.variant) == here),
                published=tuple(entry for entry, key in zip(published, of_papers, strict=True) if key == here),
            )
            if section.standings or section.published:
                sections.append(section)
    return sections


def row_id(standing: Standing) -> str:
    """The id of a result on the page, which stays the same whenever the page is made again.

    It depends on what identifies a net (method, preset, training data, seed) and on what it is tested on, not on any
    score.
    """
    result = standing.result
    key = [*(result[name] for name in ("method", "preset")), standing.task, standing.variant]
    key += [result["trained_on"], result["seed"]]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]
    preset = str(result["preset"]).partition("(")[0]
    name = slug(f"{result['method']}-{preset}-{standing.variant}")
    return f"r-{name[:40].strip('-')}-{digest}"
