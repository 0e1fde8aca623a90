"""What is known of a trained net, as its config.json and its card hold it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a trained net.

    Attributes:
        recipe: its name in `RECIPES`.
        task, variant, difficulty: of the training data.
        max_iterations: T, the most iterations in training.
        seed: of weights, data and iteration counts.
        steps, batch_size: of training.
        training_seconds: wall time.
        device: what it was trained on.
        package_version: of easy-to-hard.
        commit: of its source; None where it is not known.
        changes: the recipe's settings that were changed, such as "width 8, not 64"; "" for none.
    """

    recipe: str
    task: str
    variant: str
    difficulty: int
    max_iterations: int
    seed: int
    steps: int
    batch_size: int
    training_seconds: float
    device: str
    package_version: str
    commit: str | None
    changes: str = ""

    @property
    def preset(self) -> str:
        """The recipe's name, with what was changed of it."""
        return f"{self.recipe} ({self.changes})" if self.changes else self.recipe
