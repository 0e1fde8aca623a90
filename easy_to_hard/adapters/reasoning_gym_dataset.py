"""A dataset of reasoning-gym (``pip install "easy-to-hard[reasoning-gym]"``).

Importing this module registers it: ``reasoning_gym.create_dataset("easy_to_hard", task="mazes", difficulty=9)``. There
is no curriculum; a harder dataset is one of another difficulty.
"""

from dataclasses import dataclass
from typing import Any, Final

from easy_to_hard.extras import naming_extra
from easy_to_hard.tasks import DataSpec
from easy_to_hard.text import answer, get_form, items_at, items_of, prompt, verify

with naming_extra("this needs"):
    from reasoning_gym.factory import ProceduralDataset, register_dataset

NAME: Final = "easy_to_hard"


@dataclass
class EasyToHardConfig:
    """Which instances, see `DataSpec`, in which style; a dataset without a seed gets a random one."""

    task: str = "mazes"
    difficulty: int = 9
    variant: str = ""
    split: str = "train"
    style: str = ""
    seed: int | None = None
    size: int = 500

    def validate(self) -> None:
        """Raise ValueError if a value is not allowed."""
        self.spec(0)
        get_form(self.task).check_style(self.style)
        if self.size < 1:
            raise ValueError(f"size must be at least 1, not {self.size}")

    def spec(self, seed: int) -> DataSpec:
        """The instances for a seed."""
        return DataSpec(task=self.task, difficulty=self.difficulty, variant=self.variant, split=self.split, seed=seed)


class EasyToHardDataset(ProceduralDataset):  # type: ignore[misc]
    """Items by their number, made when they are asked for, so that any number works, but a maze may come twice."""

    def __init__(self, config: EasyToHardConfig) -> None:
        super().__init__(config=config, seed=config.seed, size=config.size)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        item = items_at(self.config.spec(self.seed), [idx])[0]
        return {
            "question": prompt(item, self.config.style),
            "answer": answer(item, self.config.style),
            "metadata": {
                "source_dataset": NAME,
                "source_index": idx,
                "id": item.id,
                "difficulty": {"difficulty": self.config.difficulty},
            },
        }

    def score_answer(self, answer: str | None, entry: dict[str, Any]) -> float:
        """The partial credit of a reply, 1 if it is right; None is no reply."""
        return verify(items_of([entry["metadata"]["id"]])[0], answer or "").score


register_dataset(NAME, EasyToHardDataset, EasyToHardConfig)
