"""A task of inspect-ai (``pip install "easy-to-hard[inspect-ai]"``), with a scorer that needs no model.

``inspect eval easy_to_hard/adapters/inspect_ai_task.py -T task=mazes -T difficulty=9 --model ...`` runs it. Models
are asked once and without tools; there are no examples in the prompt.
"""

from easy_to_hard.extras import naming_extra
from easy_to_hard.text import answer, items_of, make_items, prompt, verify

with naming_extra("this needs"):
    from inspect_ai import Task, task
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import Score, Scorer, Target, accuracy, mean, scorer, stderr
    from inspect_ai.solver import TaskState, generate


@scorer(metrics={"correct": [accuracy(), stderr()], "score": [mean()]})  # type: ignore[untyped-decorator]
def verifier() -> Scorer:
    """Scores a reply by `easy_to_hard.text.verify`; the sample is known by its id, so old logs can be scored again."""

    async def score(state: TaskState, target: Target) -> Score:
        verdict = verify(items_of([str(state.sample_id)])[0], state.output.completion)
        return Score(
            value={"correct": float(verdict.correct), "score": verdict.score},
            answer=state.output.completion,
            explanation=verdict.reason,
        )

    return score


@task  # type: ignore[untyped-decorator]
def easy_to_hard(
    task: str = "mazes",
    difficulty: int = 9,
    num: int = 100,
    variant: str = "",
    split: str = "test",
    seed: int = 0,
    style: str = "",
) -> Task:
    """The first `num` items of a difficulty."""
    items = make_items(task, difficulty, num, variant=variant, split=split, seed=seed)
    samples = [
        Sample(id=item.id, input=prompt(item, style), target=answer(item, style), metadata={"config": item.spec.config})
        for item in items
    ]
    return Task(dataset=MemoryDataset(samples, name=items[0].spec.config), solver=generate(), scorer=verifier())
