"""All details of one result: each difficulty, fresh instances, other runs, and where it comes from."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from easy_to_hard.leaderboard.fresh import seen_lines
from easy_to_hard.leaderboard.page.markup import (
    NONE,
    count,
    engineering,
    facts,
    full_name,
    interval,
    link,
    mark,
    percent,
    plain_table,
    seconds,
    text,
    words,
)
from easy_to_hard.leaderboard.page.sections import Section, row_id
from easy_to_hard.leaderboard.ranking import Standing, overthinking_gap
from easy_to_hard.scores.scoring import wilson_interval

_Score = Mapping[str, Any]
# Heading -> function from a score to its cell.
_COLUMNS: Final[Mapping[str, Callable[[_Score], str]]] = {
    "items": lambda score: count(score["num_items"]),
    "exact match, %": lambda score: f"<b>{percent(score['accuracy'])}</b>",
    "95 % interval": lambda score: interval(score["interval_95"]),
    "positions right, %": lambda score: percent(score.get("cell_accuracy")),
    "iterations": lambda score: count(score["mean_iterations"]),
    "multiply-adds": lambda score: engineering(score.get("macs_per_item")),
    "first right at": lambda score: count(score.get("mean_first_solved")),
    "settled": lambda score: _settled(score),
    "peak, %": lambda score: percent(max(score["recorded_accuracy"], default=None)),
    "peak − last": lambda score: _gap(overthinking_gap({"scores": [score]})),
}
_HELP: Final = (
    "Positions: in mazes, those that are not walls. Iterations and multiply-adds: the mean per item. First right at: "
    "the mean first iteration with the right answer, over the items that ever had it. Settled: items whose features "
    "stopped changing. Peak: the best iteration, chosen by looking at the answers, so it is not a score; peak − last, "
    "in points, is what is lost by thinking on."
)


def details(section: Section, standing: Standing) -> str:
    """A result in full, collapsed; the page's script shows it in a dialog.

    The id that links lead to is inside the collapsed part, so that a browser expands it without any script.
    """
    result, name = standing.result, row_id(standing)
    parts = [
        f'<article id="{name}" class="full" tabindex="-1" aria-labelledby="{name}-title">',
        f'<h3 id="{name}-title">{text(result["method"])} <small>{text(result["preset"])}</small></h3>',
        f'<p class="lead">{_lead(section, standing)}</p>',
        *(f'<p class="note">{text(remark)}</p>' for remark in _remarks(standing)),
        _key_figures(standing),
        _chart(name, 0, result) or '<p class="quiet">There is no record over iterations.</p>',
        _difficulties(section, result, f"Every difficulty that was tested, by {section.facts.difficulty_name}"),
        f'<p class="quiet">{_HELP}</p>',
        _fresh(section, standing),
        *(_other(section, other, _chart(name, run, other)) for run, other in enumerate(standing.also, start=1)),
        "<h4>Where it comes from</h4>",
        facts(_origin(result)),
        "</article>",
    ]
    summary = f"{text(full_name(result))}: {standing.score:.1f}"
    return f'<details class="result"><summary>{summary}</summary>{"".join(parts)}</details>'


def _chart(name: str, run: int, result: Mapping[str, Any]) -> str:
    """The element in which the script draws the curves of a run; empty if the run has none."""
    if not any(score["recorded_iterations"] for score in result["scores"]):
        return ""
    return (
        f'<figure class="chart" data-chart="thinking" data-id="{name}" data-run="{run}"><figcaption>Accuracy against '
        "iterations, a line for each difficulty</figcaption></figure>"
    )


def _lead(section: Section, standing: Standing) -> str:
    result = standing.result
    trained = f"Trained on {text(result['trained_on'])}" if result["trained_on"] else "Not trained"
    by = f", by {text(result['authors'])}" if result.get("authors") else ""
    tested = text(section.title.lower())
    return f"{trained}, tested on {tested}; seed {text(result['seed'])}{by}. {mark(standing.provenance)}"


def _remarks(standing: Standing) -> list[str]:
    remarks = []
    if standing.remark:
        remarks.append(standing.remark if standing.ranked else f"Not ranked: {standing.remark}.")
    if standing.flags:
        remarks.append(
            f"Better on the frozen set than on fresh instances, by more than chance: {', '.join(standing.flags)}. "
            "The net may know the frozen instances."
        )
    return remarks


def _key_figures(standing: Standing) -> str:
    result = standing.result
    return (
        '<div class="key">'
        + facts(
            {
                "score": f"{standing.score:.1f} of 100",
                "reach": count(standing.reach),
                "over-thinking gap": _gap(standing.gap),
                "weights": count(result["parameters"]),
                "iterations in training": count(result["trained_iterations"]),
            }
        )
        + "</div>"
    )


def _gap(gap: float | None) -> str:
    return NONE if gap is None else f"{100 * gap:.1f}"


def _settled(score: _Score) -> str:
    settled = score.get("num_settled")
    return NONE if settled is None else f"{percent(settled / score['num_items'])} %"


def _difficulties(section: Section, result: Mapping[str, Any], caption: str) -> str:
    """The table of a result's scores; a column that would be empty for all of them is left out."""
    scores = sorted(result["scores"], key=lambda score: score["difficulty"])
    checks = list(dict.fromkeys(name for score in scores for name in score.get("checks") or {}))
    columns = {
        heading: [cell(score) for score in scores]
        for heading, cell in {**_COLUMNS, **{f"{words(name)}, %": _check(name) for name in checks}}.items()
    }
    told = {heading: cells for heading, cells in columns.items() if set(cells) != {NONE}}
    rows = [
        [f"{score['difficulty']:,}", *(cells[number] for cells in told.values())] for number, score in enumerate(scores)
    ]
    return plain_table(caption, [section.facts.difficulty_name, *told], rows)


def _check(name: str) -> Callable[[_Score], str]:
    def cell(score: _Score) -> str:
        passed = (score.get("checks") or {}).get(name)
        return NONE if passed is None else percent(passed / score["num_items"])

    return cell


def _fresh(section: Section, standing: Standing) -> str:
    """A table of frozen against fresh instances; empty if nothing was scored on fresh ones."""
    if standing.fresh is None:
        return ""
    frozen = {score["config"]: score for score in standing.result["scores"]}
    rows = []
    for score in sorted(standing.fresh["scores"], key=lambda score: score["difficulty"]):
        before = frozen.get(score["config"])
        verdict = "better on the frozen set" if score["config"] in standing.flags else "no more than chance"
        rows.append([f"{score['difficulty']:,}", *_share(before), *_share(score), verdict if before else NONE])
    seed = f"{standing.fresh['data_seed']:,}"
    headings = ["frozen, %", "95 % interval", f"seed {seed}, %", "95 % interval", "difference"]
    caption = f"The frozen set against fresh instances, data seed {seed}"
    seen = "".join(f'<p class="quiet">{text(line)}.</p>' for line in seen_lines(standing.fresh))
    return plain_table(caption, [section.facts.difficulty_name, *headings], rows) + seen


def _share(score: _Score | None) -> list[str]:
    if score is None:
        return [NONE, NONE]
    right, items = score["num_correct"], score["num_items"]
    return [f"{percent(right / items)} of {items:,}", interval(wilson_interval(right, items))]


def _other(section: Section, result: Mapping[str, Any], chart: str) -> str:
    """Another run of the same net, shorter."""
    kind = "" if result["data_seed"] == 0 else f", data seed {result['data_seed']}"
    kind += "" if result["split"] == "test" else f", {result['split']} split"
    rule = f'<p class="quiet">Answer taken: {text(result["iterations_rule"])}.</p>'
    title = f"Another run of the same net{kind}"
    return f"<h4>{text(title)}</h4>{chart}{_difficulties(section, result, title)}{rule}"


def _origin(result: Mapping[str, Any]) -> dict[str, str]:
    """What is needed to reproduce a result."""
    submission = result.get("submission") or {}
    kind = {
        "model": "weights",
        "predictions": "a file of predictions",
        "replies": "a file of replies",
        "callable": "a Python function",
    }
    told = {
        "answer taken": text(result["iterations_rule"]),
        "trained and tested on": text(result["device"]),
        "training": seconds(result["training_seconds"]),
        "scoring": seconds(result["evaluation_seconds"]),
        "instances": text(f"{result['split']} split, data seed {result['data_seed']}"),
        "configs": text(", ".join(score["config"] for score in result["scores"])),
        "package": text(f"easy-to-hard {result['package_version']}"),
        "commit": text(result["commit"] or "not known"),
        "data manifest, SHA-256": text(result["data_manifest_sha256"]),
    }
    if submission:
        told["submitted"] = text(f"{kind.get(submission['kind'], submission['kind'])}: {submission['source']}")
        told["its SHA-256"] = text(submission.get("sha256") or "none")
    if result.get("link"):
        told["link"] = link(str(result["link"]), str(result["link"]))
    return told
