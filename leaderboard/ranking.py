"""How results are ranked: one score for each net, how far it reaches, and whether fresh instances confirm it.

Everything here is a function of results as returned by `easy_to_hard.scores.results.read_result`; no files are read or
written.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Final, Literal, TypeAlias

from easy_to_hard.scores.results import variant_of as variant_of
from easy_to_hard.scores.scoring import wilson_interval
from easy_to_hard.storage.presets import benchmark_tests
from easy_to_hard.tasks import TASKS, config_name, get_task, parse_config

ResultDict: TypeAlias = Mapping[str, Any]
Mark: TypeAlias = Literal["self-reported", "re-scored", "re-scored on a fresh seed"]

REACH_BOUND: Final = 0.90
# With fewer items at a rung, chance matters more than the net: the rung counts as not measured.
FEWEST_ITEMS: Final = 10
# A page shows many nets: of those that do not know the frozen set, at most one in a thousand is flagged.
FLAG_LEVEL: Final = 0.001


def ladder(task: str, variant: str) -> tuple[int, ...]:
    """The difficulties that a score is computed from.

    Args:
        task: name in `TASKS`.
        variant: one of its variants; "" for the default.

    Returns:
        The task's rungs that the frozen benchmark tests, starting with the one trained on, ascending. Where nothing is
        frozen, as of balanced mates and of mazes within bounds of path length, the rungs of the variant; of Lichess
        puzzles, the lower edges of the default bands.

    Raises:
        ValueError: the task or variant is unknown, or the benchmark tests fewer than two of its difficulties.
    """
    facts = get_task(task)
    wanted = facts.check_variant(variant)
    if facts.imported:
        return facts.rungs_of(wanted)
    rungs = tuple(difficulty for difficulty in facts.rungs_of(wanted) if difficulty >= facts.train_difficulty)
    frozen = tuple(difficulty for difficulty in rungs if config_name(task, difficulty, wanted) in benchmark_tests())
    rungs = frozen or rungs
    if len(rungs) < 2:
        raise ValueError(f"a score needs two difficulties, and the benchmark tests {rungs} of {task} {wanted}".rstrip())
    return rungs


def ranked_tasks() -> tuple[str, ...]:
    """The tasks that a method's mean is taken over: those whose instances are generated."""
    return tuple(name for name, task in TASKS.items() if not task.imported)


def area_score(accuracies: Mapping[int, float], task: str, variant: str) -> float:
    """The overall score: the area under accuracy over log-difficulty, in percent of the largest possible area.

    With rungs d_0 < ... < d_n of the `ladder`, accuracies a_i in [0, 1] and x_i = log2(d_i)::

        score = 100 * sum_i (a_i + a_(i+1)) / 2 * (x_(i+1) - x_i)  /  (x_n - x_0)

    It is the mean exact-match accuracy at a difficulty drawn log-uniformly between what is trained on and the top:
    100 for a solver of everything, and about 100 k/n for one that is perfect up to k doublings of n and then fails.

    - Logarithm: the question is how many times a net can double its reach. Each doubling counts the same, however many
      rungs lie in it. Over plain size, only the two largest rungs of a ladder of two decades would matter; in a mean
      over rungs, the part where the ladder is dense would, which is near the training size. Ratings of chess puzzles
      are logarithms already (Elo: 400 points are ten times the odds), and ranks are shares of all puzzles, so both are
      taken as they are.
    - Exact match: an answer that is right at 99 % of its positions is a maze with no way through, or a wrong move.
    - A rung that was not measured counts 0. If it were left out, or filled in from an easier one, not testing where a
      net fails would raise its score. Difficulties that are not rungs do not count, so that all nets are measured in
      the same way.
    - Not weighted by iterations: thinking for longer on harder instances is the goal, and what an iteration costs
      differs from net to net. Iterations and multiply-accumulates are shown beside the score.

    Args:
        accuracies: difficulty -> exact-match accuracy in [0, 1]; those that are not rungs are ignored.
        task: name in `TASKS`.
        variant: one of its variants; "" for the default.

    Returns:
        The score, from 0 to 100.

    Raises:
        ValueError: an accuracy is out of range, or there is no such ladder.
    """
    for difficulty, accuracy in accuracies.items():
        if not 0 <= accuracy <= 1:
            raise ValueError(f"accuracy at difficulty {difficulty} must be from 0 to 1, not {accuracy}")
    rungs = ladder(task, variant)
    places = [float(rung) if get_task(task).imported else math.log2(rung) for rung in rungs]
    heights = [accuracies.get(rung, 0.0) for rung in rungs]
    areas = [(heights[i] + heights[i + 1]) / 2 * (places[i + 1] - places[i]) for i in range(len(rungs) - 1)]
    # Rounding must not make a perfect solver's score 100.00000000000001.
    return min(100 * math.fsum(areas) / (places[-1] - places[0]), 100.0)


def score_of(result: ResultDict) -> float:
    """The `area_score` of a result; a rung with fewer than `FEWEST_ITEMS` items counts as not measured.

    Raises:
        ValueError: see `variant_of`.
    """
    accuracies = {
        score["difficulty"]: score["num_correct"] / score["num_items"]
        for score in result["scores"]
        if score["num_items"] >= FEWEST_ITEMS
    }
    return area_score(accuracies, result["task"], variant_of(result))


def reach(result: ResultDict) -> int | None:
    """The hardest difficulty that is reliably solved: the 95 % Wilson interval's lower bound is at least 90 %.

    Only rungs of the `ladder`, and difficulties above all of them, count. With 35 items, all must be right.

    Returns:
        The difficulty; None if there is none.

    Raises:
        ValueError: see `variant_of`.
    """
    rungs = ladder(result["task"], variant_of(result))
    reached = [
        int(score["difficulty"])
        for score in result["scores"]
        if (score["difficulty"] in rungs or score["difficulty"] > rungs[-1])
        and wilson_interval(score["num_correct"], score["num_items"])[0] >= REACH_BOUND
    ]
    return max(reached, default=None)


def overthinking_gap(result: ResultDict) -> float | None:
    """How much accuracy a net loses by thinking on: peak minus last recorded accuracy, at its worst difficulty.

    Returns:
        The loss, in [0, 1]; None where no score has a curve.
    """
    curves = [score["recorded_accuracy"] for score in result["scores"] if score["recorded_accuracy"]]
    return max((float(max(curve) - curve[-1]) for curve in curves), default=None)


def chance_of_drop(frozen: tuple[int, int], fresh: tuple[int, int]) -> float:
    """Fisher's exact test, one-sided: is accuracy higher on the frozen set than on fresh instances only by chance?

    Fisher 1935, J. Royal Statistical Society 98, 39-54: given all right answers, those on the frozen set follow a
    hypergeometric distribution if both accuracies are the same.

    Args:
        frozen: right answers and items of the frozen set.
        fresh: right answers and items of the fresh one.

    Returns:
        The probability, in [0, 1], of at least as many right answers on the frozen set.

    Raises:
        ValueError: the counts contradict one another.
    """
    for correct, total in (frozen, fresh):
        if not 0 <= correct <= total or total < 1:
            raise ValueError(f"right answers must be from 0 to the number of items, not {correct} of {total}")
    (right, items), all_right = frozen, frozen[0] + fresh[0]
    ways = _log_comb(items + fresh[1], all_right)
    tail = (
        math.exp(_log_comb(items, count) + _log_comb(fresh[1], all_right - count) - ways)
        for count in range(right, min(items, all_right) + 1)
    )
    return min(math.fsum(tail), 1.0)


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def flagged_configs(frozen: ResultDict, fresh: ResultDict) -> tuple[str, ...]:
    """The configs at which a net is better on the frozen set than on fresh instances, by more than chance.

    Each config in both is tested at `FLAG_LEVEL` divided by their number (Bonferroni), so that a net which does not
    know the frozen instances is flagged at all with a probability of at most `FLAG_LEVEL`.

    Args:
        frozen: result on the frozen set.
        fresh: result of the same net on fresh instances.

    Returns:
        Names of configs, in the order of the frozen result.
    """
    counts = {score["config"]: (score["num_correct"], score["num_items"]) for score in fresh["scores"]}
    both = [score for score in frozen["scores"] if score["config"] in counts]
    return tuple(
        score["config"]
        for score in both
        if chance_of_drop((score["num_correct"], score["num_items"]), counts[score["config"]]) < FLAG_LEVEL / len(both)
    )


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A net's place in the ranking of a task and variant.

    Attributes:
        result: the one that counts; on the frozen benchmark, if there is one.
        task: name in `TASKS`.
        variant: of the task; the default has its name here, and "" means that the task has none.
        score: `area_score`, from 0 to 100.
        reach: see `reach`.
        gap: see `overthinking_gap`.
        ranked: whether it competes with the others.
        remark: why it is not ranked, or a caveat for one that is; may be empty.
        provenance: "re-scored on a fresh seed" if a fresh result is re-scored, otherwise what the result says.
        fresh: the same net's result on fresh instances; None where there is none.
        flags: see `flagged_configs`; empty without a fresh result.
        also: the same net's other results, on the frozen benchmark or (if data_seed is not 0) on fresh instances.
    """

    result: ResultDict
    task: str
    variant: str
    score: float
    reach: int | None
    gap: float | None
    ranked: bool
    remark: str
    provenance: Mark
    fresh: ResultDict | None
    flags: tuple[str, ...]
    also: tuple[ResultDict, ...]


def standings(results: Sequence[ResultDict]) -> list[Standing]:
    """One standing for each net on each task and variant, where a net is method, preset, training data and seed.

    Args:
        results: in any order. If a net has several, the one with the most rungs of the ladder counts, and among those
            the one with the most items; the others are in `Standing.also`.

    Returns:
        The standings, with tasks and variants in the order of `TASKS`; in each, the ranked ones first, best score
        first.

    Raises:
        ValueError: see `variant_of`.
    """
    nets: dict[tuple[object, ...], list[ResultDict]] = {}
    for result in results:
        key = (*(result[name] for name in ("method", "preset", "task", "trained_on", "seed")), variant_of(result))
        nets.setdefault(key, []).append(result)
    return sorted((_standing(of_net) for of_net in nets.values()), key=_place)


def _place(standing: Standing) -> tuple[Any, ...]:
    variants = (*get_task(standing.task).variants, "", standing.variant)
    names = [str(standing.result[name]) for name in ("method", "preset", "trained_on")]
    return (
        list(TASKS).index(standing.task),
        variants.index(standing.variant),
        standing.variant,
        not standing.ranked,
        -standing.score,
        -(standing.reach or 0),
        *names,
        standing.result["seed"],
    )


def _standing(results: Sequence[ResultDict]) -> Standing:
    """The standing of one net, from all its results on one task and variant."""
    task, variant = str(results[0]["task"]), variant_of(results[0])
    best_first = sorted(results, key=lambda result: _weight(result, ladder(task, variant)), reverse=True)
    fresh = next((result for result in best_first if result["data_seed"] and result["split"] == "test"), None)
    counts = next((result for result in best_first if not result["data_seed"]), best_first[0])
    remark, ranked = _remark(counts, task, variant)
    return Standing(
        result=counts,
        task=task,
        variant=variant,
        score=score_of(counts),
        reach=reach(counts),
        gap=overthinking_gap(counts),
        ranked=ranked,
        remark=remark,
        provenance=_mark(counts, fresh),
        fresh=fresh,
        flags=flagged_configs(counts, fresh) if fresh else (),
        also=tuple(result for result in best_first if result is not counts and result is not fresh),
    )


def _mark(result: ResultDict, fresh: ResultDict | None) -> Mark:
    if fresh is not None and fresh.get("provenance") == "re-scored":
        return "re-scored on a fresh seed"
    return "re-scored" if result.get("provenance") == "re-scored" else "self-reported"


def _weight(result: ResultDict, rungs: Sequence[int]) -> tuple[Any, ...]:
    """Sort key by which the largest of a net's results is the one that counts."""
    difficulties = [score["difficulty"] for score in result["scores"]]
    return (
        result["split"] == "test",
        sum(difficulty in rungs for difficulty in difficulties),
        sum(score["num_items"] for score in result["scores"]),
        result.get("provenance") == "re-scored",
        max(difficulties),
    )


def _remark(result: ResultDict, task: str, variant: str) -> tuple[str, bool]:
    """A remark on a result, and whether the result is ranked."""
    if result["data_seed"]:
        return f"not scored on the frozen benchmark, only on data seed {result['data_seed']}", False
    if result["split"] != "test":
        return f"scored on the {result['split']} split", False
    trained_on = str(result["trained_on"])
    if not trained_on:
        return "", True
    try:
        its_task, its_variant, difficulty = parse_config(trained_on)
    except ValueError:
        return f"trained on {trained_on!r}, which is not a config of the benchmark", False
    if its_task != task:
        return f"trained on {trained_on}, another task", True
    easiest = ladder(task, variant)[0]
    if difficulty > easiest:
        return f"trained on {trained_on}, harder than {get_task(task).difficulty_name} {easiest}", False
    return ("" if its_variant == variant else f"trained on {trained_on}, another variant"), True


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A method across the benchmark's tasks.

    Attributes:
        method: name in `BASELINES`, or the name of a submission.
        family: its presets' name without the task: "prefix-sums-cpu" and "mazes-cpu" are both of family "cpu".
        scores: task -> median of `Standing.score` over the seeds; None where nothing is ranked.
        seeds: task -> number of standings behind the median.
        mean: mean of the scores over all tasks, from 0 to 100; a missing score counts 0.
    """

    method: str
    family: str
    scores: Mapping[str, float | None]
    seeds: Mapping[str, int]
    mean: float


def overview(ranking: Sequence[Standing]) -> list[Entry]:
    """One row for each method and family, over the tasks that the package generates, default variants only.

    It uses the median over seeds, not the best: otherwise, whoever trains most often would win.

    Args:
        ranking: what `standings` returns; those that are not ranked do not count.

    Returns:
        The rows, best mean first.
    """
    tasks = ranked_tasks()
    scores: dict[tuple[str, str], dict[str, list[float]]] = {}
    for standing in ranking:
        if standing.ranked and standing.task in tasks and standing.variant == get_task(standing.task).check_variant(""):
            name = str(standing.result["method"]), _family(str(standing.result["preset"]), standing.task)
            scores.setdefault(name, {}).setdefault(standing.task, []).append(standing.score)
    entries = []
    for (method, family), by_task in scores.items():
        medians = {task: median(by_task[task]) if task in by_task else None for task in tasks}
        seeds = {task: len(by_task.get(task, [])) for task in tasks}
        mean = fmean(value or 0.0 for value in medians.values())
        entries.append(Entry(method=method, family=family, scores=medians, seeds=seeds, mean=mean))
    return sorted(entries, key=lambda entry: (-entry.mean, entry.method, entry.family))


def _family(preset: str, task: str) -> str:
    dashed = task.replace("_", "-")
    return "" if preset == dashed else preset.removeprefix(f"{dashed}-")
