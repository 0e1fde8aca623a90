"""The leaderboard as one static page: no server, no network, it opens from the disk."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from easy_to_hard.files import write_atomically
from easy_to_hard.plotting import plot_accuracy_curves, svg_markup

_PAGE: Final = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>easy-to-hard leaderboard</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; }
p, dd, figcaption { color: #4a5464; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #e3e7ec; white-space: nowrap; }
th, td { font-size: .92rem; }
th.text, td.text { text-align: left; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
small { display: block; color: #6b7585; }
figure { margin: 1.5rem 0; }
figure svg { max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>easy-to-hard leaderboard</h1>
<p>Trained on easy instances, tested on harder ones. A score is the share of items answered right at every
position, with its 95&nbsp;% Wilson interval below it. Click a heading to sort.</p>
$sections
<script>
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
    const numeric = !heading.classList.contains("text");
    const down = (heading.getAttribute("aria-sort") ?? (numeric ? "ascending" : "descending")) === "ascending";
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.value;
    const compare = (a, b) => numeric ? key(a) - key(b) : key(a).localeCompare(key(b));
    const rows = [...table.tBodies[0].rows].sort((a, b) => down ? compare(b, a) : compare(a, b));
    table.tBodies[0].append(...rows);
  }));
}
</script>
</body>
</html>
"""
)


def write_page(results: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the page that ranks results: for each task a table, and for each result its curves and its facts.

    The hardest difficulty decides the order, then the next one down.

    Args:
        results: what `easy_to_hard.scoring.Result.to_dict` gives.
        out: the file to write, whole or not at all; its folder exists.

    Raises:
        ImportError: matplotlib is not installed; the message says how to get it.
        ValueError: no results.
    """
    if not results:
        raise ValueError("a page needs at least one result")
    tasks = dict.fromkeys(str(result["task"]) for result in results)
    sections = [_task_section(task, [result for result in results if result["task"] == task]) for task in tasks]
    write_atomically(out, _PAGE.substitute(sections="\n".join(sections)))


def _task_section(task: str, results: Sequence[Mapping[str, Any]]) -> str:
    configs = {score["config"]: score["difficulty"] for result in results for score in result["scores"]}
    configs = dict(sorted(configs.items(), key=lambda item: item[1]))
    ranked = sorted(results, key=lambda result: _rank(result, list(configs)), reverse=True)
    headings = [_heading("method", text=True), _heading("trained on", text=True), _heading("seed")]
    headings += [_heading(_label(config, task)) for config in configs]
    rows = [_row(result, list(configs)) for result in ranked]
    return "\n".join(
        [
            f"<h2>{escape(task.replace('_', ' '))}</h2>",
            '<div class="scroll"><table class="sortable">',
            f"<thead><tr>{''.join(headings)}</tr></thead>",
            f"<tbody>{''.join(rows)}</tbody>",
            "</table></div>",
            *(_details(result) for result in ranked),
        ]
    )


def _rank(result: Mapping[str, Any], configs: Sequence[str]) -> tuple[float, ...]:
    """Accuracies from the hardest config to the easiest; one that was not measured comes last."""
    accuracies = {score["config"]: float(score["accuracy"]) for score in result["scores"]}
    return tuple(accuracies.get(config, -1.0) for config in reversed(configs))


def _heading(label: str, *, text: bool = False) -> str:
    kind = ' class="text"' if text else ""
    return f'<th scope="col"{kind}><button type="button">{escape(label)}</button></th>'


def _cell(value: object, shown: str, *, text: bool = False) -> str:
    kind = ' class="text"' if text else ""
    return f'<td{kind} data-value="{escape(str(value))}">{shown}</td>'


def _row(result: Mapping[str, Any], configs: Sequence[str]) -> str:
    scores = {score["config"]: score for score in result["scores"]}
    name = f"{result['method']} ({result['preset']})"
    cells = [
        _cell(name, escape(name), text=True),
        _cell(result["trained_on"], escape(str(result["trained_on"])), text=True),
        _cell(result["seed"], escape(str(result["seed"]))),
    ]
    for config in configs:
        if config not in scores:
            cells.append(_cell(-1, "&ndash;"))
            continue
        low, high = scores[config]["interval_95"]
        accuracy = float(scores[config]["accuracy"])
        interval = f"<small>{100 * low:.1f}&ndash;{100 * high:.1f}</small>"
        cells.append(_cell(accuracy, f"{100 * accuracy:.1f}&nbsp;%{interval}"))
    return f"<tr>{''.join(cells)}</tr>"


def _label(config: str, task: str) -> str:
    """What tells a config from the task's others: "prefix_sums_32" -> "32"."""
    return config.removeprefix(f"{task}_")


def _by_difficulty(result: Mapping[str, Any], key: str) -> str:
    """A number of each score in words, such as "9 for 32, 21 for 64"; "none" where there is none."""
    numbers = [(score[key], _label(score["config"], result["task"])) for score in result["scores"]]
    return ", ".join(f"{number:,.0f} for {label}" for number, label in numbers if number is not None) or "none"


def _details(result: Mapping[str, Any]) -> str:
    """The curves of a result, and what is needed to make it again."""
    name = f"{result['method']} ({result['preset']}), seed {result['seed']}"
    curves = {
        _label(score["config"], result["task"]): (score["recorded_iterations"], score["recorded_accuracy"])
        for score in result["scores"]
        if score["recorded_iterations"]
    }
    figure = ""
    if curves:
        markup = svg_markup(plot_accuracy_curves(curves, title="Accuracy against iterations"))
        figure = f"<figure>{markup}<figcaption>{escape(name)}</figcaption></figure>"
    facts = {
        "answer taken at": result["iterations_rule"],
        "mean iterations": _by_difficulty(result, "mean_iterations"),
        "items tested": _by_difficulty(result, "num_items"),
        "training": f"{result['training_seconds']:.0f} s",
        "evaluation": f"{result['evaluation_seconds']:.0f} s",
        "device": result["device"],
        "package": f"easy-to-hard {result['package_version']}, commit {result['commit'] or 'unknown'}",
        "data manifest": f"SHA-256 {result['data_manifest_sha256']}",
    }
    terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(str(fact))}</dd>" for term, fact in facts.items())
    return f"<h3>{escape(name)}</h3>{figure}<dl>{terms}</dl>"
