"""What the net commands print: scores, perturbations and alignment as plain text."""

from collections.abc import Sequence

from easy_to_hard.baselines.deep_thinking.alignment import AlignmentResult
from easy_to_hard.baselines.deep_thinking.model_card import ModelFacts
from easy_to_hard.baselines.deep_thinking.net import ThinkingNet
from easy_to_hard.baselines.deep_thinking.perturbation import PerturbationResult
from easy_to_hard.baselines.deep_thinking.scoring import OVERTHINKING
from easy_to_hard.scores.results import DifficultyScore, Result
from easy_to_hard.tasks import config_name


def score_heading(trained_iterations: int | None) -> str:
    """The heading that goes with `format_score`."""
    low, high = (f"at {factor * (trained_iterations or 1):,}" for factor in OVERTHINKING)
    return (
        f"{'difficulty':>10}  {'items':>6}  {'exact match':>11}  {'95 % interval':>16}  {'iterations':>10}"
        f"  {'settled':>8}  {'first right':>11}  {'peak':>7}  {low:>9}  {high:>9}"
    )


def format_score(score: DifficultyScore, trained_iterations: int | None) -> str:
    """A score as a line of plain text."""
    interval = " - ".join(f"{100 * end:.1f}" for end in score.interval)
    settled = "-" if score.num_settled is None else f"{score.num_settled / score.num_items:.0%}"
    first = "-" if score.mean_first_solved is None else f"{score.mean_first_solved:,.0f}"
    later = "  ".join(_percent(score.accuracy_at(factor * (trained_iterations or 1)), 9) for factor in OVERTHINKING)
    exact, peak = _percent(score.accuracy, 11), _percent(score.peak_accuracy, 7)
    return (
        f"{score.difficulty:>10,}  {score.num_items:>6,}  {exact}  {interval:>16}"
        f"  {score.mean_iterations or 0:>10,.0f}  {settled:>8}  {first:>11}  {peak}  {later}"
    )


def format_scores(result: Result) -> str:
    """The scores as a plain-text table."""
    scores = sorted(result.scores, key=lambda score: score.difficulty)
    lines = [format_score(score, result.trained_iterations) for score in scores]
    return "\n".join([score_heading(result.trained_iterations), *lines])


def _percent(share: float | None, width: int) -> str:
    """A share in [0, 1] as a percentage, right-aligned to `width` characters; a dash for None."""
    return f"{'-' if share is None else f'{100 * share:.1f} %':>{width}}"


def describe_model(name: str, model: ThinkingNet, facts: ModelFacts) -> str:
    """One line that describes a net and its training."""
    trained_on = config_name(facts.task, facts.difficulty, facts.variant)
    return (
        f"{name}: {model.count_parameters():,} weights, trained on {trained_on} with at most "
        f"{facts.max_iterations} iterations ({facts.steps:,} batches of {facts.batch_size}, "
        f"{facts.training_seconds:,.0f} s, {facts.device}), seed {facts.seed}"
    )


def format_perturbations(results: Sequence[PerturbationResult]) -> str:
    """A line for each perturbation, as a plain-text table."""
    lines = [
        f"{'perturbation':>12}  {'items':>6}  {'right before':>12}  {'right after':>11}  {'at the end':>10}"
        f"  {'recovered':>9}  {'in iterations':>13}  {'donor answer':>12}"
    ]
    for result in results:
        at = result.config.at
        donor = "-" if result.donor_curve is None else _percent(result.donor_curve[-1], 1)
        time = "-" if result.mean_recovery_time is None else f"{result.mean_recovery_time:.1f}"
        lines.append(
            f"{result.config.kind:>12}  {result.num_items:>6,}  {_percent(result.curve[at - 1], 12) if at else '-':>12}"
            f"  {_percent(result.curve[at], 11)}  {_percent(result.curve[-1], 10)}"
            f"  {_percent(result.share_recovered, 9)}  {time:>13}  {donor:>12}"
        )
    return "\n".join(lines)


def describe_alignment(result: AlignmentResult) -> str:
    """The scores of asymptotic alignment in two lines."""
    return (
        f"asymptotic alignment over {result.num_items} inputs, {result.iterations:,} iterations from each start: "
        f"{result.alignment:.4f} (same input again {result.self_alignment:.4f})\n"
        f"without what all fixed points share: {result.centered_alignment:.4f} "
        f"(same input again {result.centered_self_alignment:.4f})"
    )
