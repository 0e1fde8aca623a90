"""What is known of a trained net, and its README.md: what the Hub reads, and what a person should know of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from easy_to_hard.baselines.deep_thinking.attention import AttentionNet, FeedForwardAttentionNet
from easy_to_hard.baselines.deep_thinking.batches import input_shape
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.lipschitz import LipschitzNet
from easy_to_hard.baselines.deep_thinking.model import FeedForwardNet
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.tasks import config_name, get_task

_CARD: Final = """\
# {recipe}

{what} It was trained on {trained_on} ({difficulty_name} {easy}{easier}) only;
on harder instances it runs for more iterations.

{title}. Input (batch, {channels}, {sides}) float, output (batch, 2, {sides}) float: two logits at each position.

## Use

```python
import torch
from easy_to_hard import load
from easy_to_hard.tasks import get_task
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model

model, facts = load_model("{source}")
data = load({arguments})
inputs, targets = next(iter(torch.utils.data.DataLoader(data, batch_size=10)))
with torch.inference_mode():
    logits, state = model(inputs, iterations={iterations})
answers = get_task("{task}").answers.decode(logits, inputs)
print((answers == targets).flatten(1).all(dim=1).float().mean())
```

`model(inputs, iterations=more, state=state)` goes on from where it stopped. A repo of the Hub is read at a version with
`load_model("owner/name@v1")`, or with
`easy_to_hard.baselines.deep_thinking.model.ThinkingNet.from_pretrained("owner/name", revision="v1")`. On the command
line:

```
easy-to-hard evaluate --model {source}{folder}
```

## Training

| | |
|---|---|
{training}

To train it again: `easy-to-hard train {recipe} --seed {seed}`{changed}.

## Results

{results}

## Limits

- It answers for instances of the generators named above. Other distributions were not tested unless a table says so.
- {limit}
- The figures are of this one net. Nets from other seeds may do worse.
- It shows how far a method goes on a made task. It is of no use for anything else.

## Citation

{papers}
"""
_PAPERS: Final = {
    "2106.04537": "Schwarzschild et al., *Can You Learn an Algorithm? Generalizing from Easy to Hard Problems with "
    "Recurrent Networks*",
    "2108.06011": "Schwarzschild et al., *Datasets for Studying Generalization from Easy to Hard Examples*",
    "2202.05826": "Bansal et al., *End-to-end Algorithm Synthesis with Recurrent Networks: Logical Extrapolation "
    "Without Overthinking*",
}
_FURTHER_PAPERS: Final[Mapping[type[ThinkingNet], Mapping[str, str]]] = {
    LipschitzNet: {"2410.23451": "*Rethinking Deep Thinking*"},
    CellularNet: {"2609.36126": "*Reasoning with Neural Cellular Automata*"},
    AttentionNet: {
        "1803.02155": "Shaw et al., *Self-Attention with Relative Position Representations*",
    },
}
_TAGS: Final = ("easy-to-hard", "deep-thinking", "model_hub_mixin", "pytorch_model_hub_mixin")
# Of training's iterations, in the example: enough for the next difficulty.
_THINKS_LONGER: Final = 3


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


def model_card(
    model: ThinkingNet,
    facts: ModelFacts,
    results: Sequence[Mapping[str, Any]] = (),
    *,
    source: str = "owner/name@v1",
) -> str:
    """The text of README.md.

    Args:
        model: the net.
        facts: what is known of it.
        results: of this net, as `easy_to_hard.scores.results.read_result` gives them; without any, the card says so.
        source: what `load_model` is given in the examples.

    Raises:
        ValueError: a result of another net, or two of the same instances.
    """
    _check_results(model, facts, results)
    task = get_task(facts.task)
    channels, dimensions = input_shape(facts.task)
    ladder = task.ladder
    arguments = [f'"{task.name}"', str(next((d for d in ladder if d > facts.difficulty), facts.difficulty))]
    arguments += ['split="test"', "num_samples=100"]
    if facts.variant not in ("", *task.variants[:1]):
        arguments.append(f'variant="{facts.variant}"')
    if task.imported:
        arguments += ['source="folder"', 'root="lichess"']
    body = _CARD.format(
        recipe=facts.recipe,
        what=_what(model),
        trained_on=f"`{config_name(facts.task, facts.difficulty, facts.variant)}`",
        easier=" and less, as its recipe mixes them" if isinstance(model, AttentionNet) else "",
        easy=f"{facts.difficulty:,}",
        difficulty_name=task.difficulty_name,
        title=task.title,
        channels=channels,
        sides=", ".join(("length",) if dimensions == 1 else ("height", "width")),
        source=source,
        arguments=", ".join(arguments),
        iterations=model.depth or _THINKS_LONGER * facts.max_iterations,
        task=facts.task,
        folder=" --root lichess" if task.imported else "",
        training=_training(model, facts),
        seed=facts.seed,
        changed=f", with {facts.changes}" if facts.changes else "",
        results=_results(results),
        limit=_limit(model, facts),
        papers="\n".join(
            f"- {title}, arXiv [{number}](https://arxiv.org/abs/{number})"
            for number, title in {**_PAPERS, **_further_papers(model)}.items()
        ),
    )
    front = yaml.safe_dump(_front_matter(facts, results), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{body}"


def _further_papers(model: ThinkingNet) -> dict[str, str]:
    """Papers that the net's class, or one that it is made from, goes back to: number at arXiv -> title."""
    kinds = (papers for kind, papers in _FURTHER_PAPERS.items() if isinstance(model, kind))
    return {number: title for papers in kinds for number, title in papers.items()}


def _check_results(model: ThinkingNet, facts: ModelFacts, results: Sequence[Mapping[str, Any]]) -> None:
    own = {
        "method": "deep_thinking",
        "preset": facts.preset,
        "trained_on": config_name(facts.task, facts.difficulty, facts.variant),
        "seed": facts.seed,
        "parameters": model.count_parameters(),
        "trained_iterations": facts.max_iterations,
    }
    seen: set[tuple[str, str, int]] = set()
    for result in results:
        for name, value in own.items():
            if result.get(name) != value:
                raise ValueError(f"a result is of another net: its {name} is {result.get(name)!r}, not {value!r}")
        for score in result["scores"]:
            items = (str(score["config"]), str(result.get("split", "test")), int(result.get("data_seed", 0)))
            if items in seen:
                raise ValueError(f"two results are of {items[0]}, split {items[1]}, seed {items[2]}: give one of them")
            seen.add(items)


def _what(model: ThinkingNet) -> str:
    """The kind of net, in a sentence."""
    if isinstance(model, LipschitzNet):
        kind = "A net whose iteration is a contraction (DT-L), so it has one fixed point,"
    elif isinstance(model, CellularNet):
        kind = "A neural cellular automaton, in which every position changes with its neighbors until nothing changes,"
    elif isinstance(model, FeedForwardNet):
        kind = f"A feed-forward net of {model.depth} blocks, a control for recurrent ones,"
    elif isinstance(model, FeedForwardAttentionNet):
        kind = f"A feed-forward net of {model.depth} attention blocks, a control for thinking ones,"
    elif isinstance(model, AttentionNet):
        kind = "A net of one attention block, applied at every iteration to a board that it sees again each time,"
    elif getattr(model, "recall", None) is not None:
        kind = "A recurrent net that sees its input at every iteration (DT-Recall)"
    else:
        kind = "A recurrent net that sees its input at the start only (DT)"
    return (
        f"{kind} with {model.count_parameters():,} weights, `{type(model).__name__}` of the baseline `deep_thinking`."
    )


def _training(model: ThinkingNet, facts: ModelFacts) -> str:
    counted = "in the mean" if isinstance(model, CellularNet | AttentionNet) else "at most"
    rows = {
        "recipe": facts.preset,
        "data": f"{config_name(facts.task, facts.difficulty, facts.variant)}, split train",
        "steps": f"{facts.steps:,} of {facts.batch_size:,} instances",
        "iterations": f"{counted} {facts.max_iterations}",
        "width": f"{model.width} features, patches of {model.patch} x {model.patch}",
        "seed": str(facts.seed),
        "time": f"{facts.training_seconds:,.0f} s on {facts.device}",
        "code": f"easy-to-hard {facts.package_version}, commit {facts.commit or 'not known'}",
    }
    if model.dimensions == 1:
        rows["width"] = f"{model.width} features"
    return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def _limit(model: ThinkingNet, facts: ModelFacts) -> str:
    if model.depth is not None:
        return f"It has {model.depth} iterations and cannot think for longer."
    if isinstance(model, CellularNet | AttentionNet):
        return (
            "How many iterations an instance takes grows with its difficulty. In training it was thought about for "
            f"{facts.max_iterations} in the mean. States that no longer change stay right or wrong for ever."
        )
    return (
        "How many iterations an instance takes grows with its difficulty. In training there were at most "
        f"{facts.max_iterations}; whether many more do harm differs from net to net: see `evaluate --run-all`."
    )


def _results(results: Sequence[Mapping[str, Any]]) -> str:
    if not results:
        return "None came with this card. `easy-to-hard evaluate` measures them."
    lines = [
        "Exact match: the share of instances answered right at every position, with its 95 % Wilson interval.",
        "",
        "| config | split | instances | exact match | 95 % interval | mean iterations |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for result, score in _ordered(results):
        low, high = score["interval_95"]
        iterations = score["mean_iterations"]
        lines.append(
            f"| `{score['config']}` | {result.get('split', 'test')} | {score['num_items']:,} "
            f"| {100 * score['accuracy']:.1f} % | {100 * low:.1f} to {100 * high:.1f} "
            f"| {'' if iterations is None else f'{iterations:,.0f}'} |"
        )
    rules = dict.fromkeys(rule for result in results for rule in _rules(result))
    devices = dict.fromkeys(str(result["device"]).split("; tested on ")[-1] for result in results)
    lines += [
        "",
        "The answer that counts is that of",
        "",
        *(f"- {rule}" for rule in rules),
        "",
        f"Tested on: {'; '.join(devices)}.",
    ]
    return "\n".join(lines)


def _ordered(results: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each score with its result: the distribution of training first, then the others, each by difficulty."""

    def place(pair: tuple[Mapping[str, Any], Mapping[str, Any]]) -> tuple[bool, str, int]:
        result, score = pair
        distribution = str(score["config"]).rpartition("_")[0]
        return distribution != str(result["trained_on"]).rpartition("_")[0], distribution, score["difficulty"]

    return sorted(((result, score) for result in results for score in result["scores"]), key=place)


def _rules(result: Mapping[str, Any]) -> list[str]:
    """The rules by which a result's iterations were chosen, each after the configs that it was for."""
    configs = {str(score["difficulty"]): f"`{score['config']}`" for score in result["scores"]}
    at: dict[str, list[str]] = {}
    for part in re.split(r"; (?=\d+: )", str(result["iterations_rule"])):
        difficulty, _, rule = part.partition(": ")
        if difficulty not in configs:
            return [f"{', '.join(configs.values())}: {result['iterations_rule']}"]
        at.setdefault(rule, []).append(configs[difficulty])
    return [f"{', '.join(names)}: {rule}" for rule, names in at.items()]


def _front_matter(facts: ModelFacts, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    front: dict[str, Any] = {
        "library_name": "easy-to-hard",
        "license": "mit",
        "tags": [*_TAGS, facts.task.replace("_", "-")],
    }
    if results:
        entries = [_index_entry(result, score) for result, score in _ordered(results)]
        front["model-index"] = [{"name": facts.recipe, "results": entries}]
    return front


def _index_entry(result: Mapping[str, Any], score: Mapping[str, Any]) -> dict[str, Any]:
    """A score as the Hub's model-index has it."""
    return {
        "task": {"type": "other", "name": result["task"]},
        "dataset": {
            "type": "easy-to-hard",
            "name": f"easy-to-hard {score['config']}",
            "config": score["config"],
            "split": result.get("split", "test"),
        },
        "metrics": [{"type": "exact_match", "name": "exact match", "value": score["accuracy"]}],
    }
