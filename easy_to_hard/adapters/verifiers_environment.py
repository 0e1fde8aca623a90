"""An environment for verifiers from version 0.4 on (``pip install "easy-to-hard[verifiers]"``).

verifiers finds an environment by the name of a module, so give it one that has these two lines, such as
``easy_to_hard_text.py``; then ``vf-eval easy-to-hard-text`` runs it::

    from easy_to_hard.adapters.verifiers_environment import EasyToHardTaskset
    __all__ = ["EasyToHardTaskset"]

A model answers once; there are no tools. The reward is whether the answer is right; partial credit is a reward of
weight 0, which ``--env.taskset.task.rewards.partial_credit.weight`` can change.
"""

from collections.abc import Iterator

from easy_to_hard.extras import naming_extra
from easy_to_hard.tasks import parse_config
from easy_to_hard.text import Verdict, answer, items_of, make_items, prompt, verify

with naming_extra("this needs"):
    import verifiers.v1 as vf


class EasyToHardData(vf.TaskData):  # type: ignore[misc]
    """An item: its id, from which it is made again to verify a reply, its prompt, and the right answer."""

    answer: str


class EasyToHardTask(vf.Task[EasyToHardData]):  # type: ignore[misc]
    """Judges the last thing that a model said."""

    @property
    def key(self) -> str:
        """The item's id."""
        return str(self.data.id)

    def _verdict(self, trace: vf.Trace) -> Verdict:
        return verify(items_of([self.data.id])[0], trace.last_reply)

    @vf.reward(weight=1.0)  # type: ignore[untyped-decorator]
    async def correct(self, trace: vf.Trace) -> float:
        """1 if the answer is right as a whole."""
        return float(self._verdict(trace).correct)

    @vf.reward(weight=0.0)  # type: ignore[untyped-decorator]
    async def partial_credit(self, trace: vf.Trace) -> float:
        """`Verdict.score`."""
        return self._verdict(trace).score


class EasyToHardConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Which items: the first `num_items` of each config, such as ``mazes_9`` or ``mazes_looped_13``."""

    configs: list[str] = ["mazes_9"]  # noqa: RUF012
    num_items: int = 100
    split: str = "train"
    seed: int = 0
    style: str = ""


class EasyToHardTaskset(vf.Taskset[EasyToHardTask, EasyToHardConfig]):  # type: ignore[misc]
    """Items, config by config."""

    def load(self) -> Iterator[EasyToHardTask]:
        """Make the items.

        Raises:
            ValueError: there is no such config, split or style, or there are fewer items.
        """
        held = self.config
        for config in held.configs:
            task, variant, difficulty = parse_config(config)
            for item in make_items(task, difficulty, held.num_items, variant=variant, split=held.split, seed=held.seed):
                data = EasyToHardData(id=item.id, prompt=prompt(item, held.style), answer=answer(item, held.style))
                yield EasyToHardTask(data, held.task)
