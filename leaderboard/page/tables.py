"""The tables of the page: the overview, the results of each task and variant, and the figures from papers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from easy_to_hard.leaderboard.page.markup import (
    NONE,
    cell,
    count,
    engineering,
    full_name,
    heading,
    interval,
    link,
    mark,
    number_word,
    percent,
    text,
    words,
)
from easy_to_hard.leaderboard.page.sections import Section, row_id
from easy_to_hard.leaderboard.ranking import Entry, Standing, ranked_tasks
from easy_to_hard.tasks import parse_config

_LEFT_COLUMNS: Final = (
    heading("#", first="ascending", hint="place in the ranking; not all results compete", sorted_at_first=True),
    heading("method", kind="text", first="ascending"),
    heading("trained on", kind="text", first="ascending"),
    heading("seed", first="ascending"),
    heading("weights", first="ascending", hint="number of parameters"),
    heading("score", hint="area under accuracy over log-difficulty, in percent of the largest possible"),
    heading("reach", hint="hardest difficulty whose 95 % interval lies at 90 % or above"),
    heading("scored by", kind="text", first="ascending", hint="who made the figures"),
)


def overview_table(entries: Sequence[Entry]) -> str:
    """A row for each method and family, with a column for each task of the benchmark and one for the mean."""
    tasks = ranked_tasks()
    headings = [
        heading("#", first="ascending", sorted_at_first=True),
        heading("method", kind="text", first="ascending"),
        heading("family", kind="text", first="ascending", hint="of presets, the same for every task"),
        *(heading(words(task)) for task in tasks),
        heading("mean", hint=f"over the {number_word(len(tasks))} tasks; a missing one counts 0"),
    ]
    rows = "".join(_overview_row(place, entry, tasks) for place, entry in enumerate(entries, start=1))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Overview"><table class="sortable overview">'
        "<caption>Score on each task, 0 to 100; the median where there are several seeds</caption>"
        f"<thead><tr>{''.join(headings)}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _overview_row(place: int, entry: Entry, tasks: Sequence[str]) -> str:
    cells = [
        cell(place, str(place), kind="place"),
        cell(entry.method, text(entry.method), kind="text name", row_heading=True),
        cell(entry.family, text(entry.family or NONE), kind="text name"),
    ]
    for task in tasks:
        value, seeds = entry.scores[task], entry.seeds[task]
        runs = "" if seeds < 1 else f"<small>{seeds} seed{'' if seeds == 1 else 's'}</small>"
        cells.append(_score_cell(value, runs))
    return f"<tr>{''.join(cells)}{_score_cell(entry.mean, '', kind='accuracy mean')}</tr>"


def _score_cell(value: float | None, below: str, *, kind: str = "accuracy") -> str:
    if value is None:
        return cell(None, NONE, kind=kind)
    return cell(f"{value:.4f}", f"<b>{value:.1f}</b>{below}", kind=kind, style=f"--share:{value:.1f}%")


def results_table(section: Section) -> str:
    """A sortable table of the results of a task and variant, best first; a short note if there are none."""
    if not section.standings:
        return '<p class="quiet">No result yet.</p>'
    name = section.facts.difficulty_name
    columns = section.columns
    places = _places(section.standings)
    rows = "".join(_row(section, standing, place) for standing, place in zip(section.standings, places, strict=True))
    left = "".join(_LEFT_COLUMNS)
    right = "".join(heading(f"{difficulty:,}") for difficulty in columns)
    wide = len(_LEFT_COLUMNS) + 1 + len(columns)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Results, {text(section.title)}">'
        f'<table class="sortable results" data-section="{section.id}"><caption>{text(_caption(section))}</caption>'
        f'<thead><tr class="groups"><th class="pick"></th><td colspan="{len(_LEFT_COLUMNS)}"></td>'
        f'<th scope="colgroup" colspan="{len(columns)}">exact match in %, by {text(name)}</th></tr>'
        f'<tr><th scope="col" class="pick"><span class="hidden">in the chart</span></th>{left}{right}</tr></thead>'
        f"<tbody>{rows}</tbody>"
        f'<tbody class="nothing" hidden><tr><td colspan="{wide}">No result here fits the filter.</td></tr></tbody>'
        "</table></div>"
    )


def _caption(section: Section) -> str:
    tested = {score["difficulty"] for standing in section.standings for score in standing.result["scores"]}
    shown, ends = len(section.columns), f"from {section.ladder[0]:,} to {section.ladder[-1]:,}"
    more = (
        f" {shown} of {len(tested)} tested difficulties are shown; the details have all." if shown < len(tested) else ""
    )
    return f"Below each accuracy its 95 % interval. The score goes {ends}; what was not tested counts 0.{more}"


def _places(standings: Sequence[Standing]) -> list[int | None]:
    """The place of each standing; None for those that are not ranked. Equal scores share a place."""
    places: list[int | None] = []
    scores = [standing.score for standing in standings if standing.ranked]
    for standing in standings:
        places.append(1 + sum(score > standing.score + 1e-9 for score in scores) if standing.ranked else None)
    return places


def _row(section: Section, standing: Standing, place: int | None) -> str:
    result, name = standing.result, row_id(standing)
    scores = {score["difficulty"]: score for score in result["scores"]}
    searched = " ".join([full_name(result), str(result["trained_on"]), str(result.get("authors", "")), section.title])
    pick = (
        f'<td class="pick"><label><input type="checkbox" aria-label="{text(full_name(result))} in the chart">'
        '<span class="swatch"></span></label></td>'
    )
    cells = [
        cell(place, str(place or NONE), kind="place"),
        cell(full_name(result).lower(), _name(standing), kind="text name", row_heading=True),
        cell(result["trained_on"], text(_config(result["trained_on"], section)), kind="text"),
        cell(result["seed"], text(result["seed"])),
        cell(result["parameters"], engineering(result["parameters"])),
        _score_cell(standing.score, "", kind="accuracy score"),
        cell(standing.reach, count(standing.reach)),
        cell(standing.provenance, mark(standing.provenance) + _flag(standing), kind="text"),
        *(_accuracy_cell(scores.get(difficulty)) for difficulty in section.columns),
    ]
    return (
        f'<tr data-id="{name}" data-provenance="{text(standing.provenance)}" data-text="{text(searched.lower())}">'
        f"{pick}{''.join(cells)}</tr>"
    )


def _name(standing: Standing) -> str:
    result = standing.result
    preset = text(result["preset"])
    below = [f'<small class="preset" title="{preset}">{preset}</small>'] if preset else []
    if result.get("authors"):
        below.append(f"<small>by {text(result['authors'])}</small>")
    if standing.remark and standing.ranked:
        below.append(f"<small>{text(standing.remark)}</small>")
    elif standing.remark:
        below.append(f'<small class="note">not ranked: {text(standing.remark)}</small>')
    return f'<a class="open" href="#{row_id(standing)}">{text(result["method"])}</a>{"".join(below)}'


def _flag(standing: Standing) -> str:
    if not standing.flags:
        return ""
    return f'<span class="flag">better on the frozen set: {text(", ".join(standing.flags))}</span>'


def _config(config: str, section: Section) -> str:
    """A config in words: just its difficulty if it is of the section's task and variant."""
    if not config:
        return "not trained"
    try:
        task, variant, difficulty = parse_config(config)
    except ValueError:
        return config
    if task == section.task:
        return f"{difficulty:,}" if variant == section.variant else f"{difficulty:,}, {words(variant)}"
    return words(config)


def _accuracy_cell(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return cell(None, NONE, kind="accuracy")
    accuracy = float(score["accuracy"])
    shown = f"<b>{percent(accuracy)}</b><small>{interval(score['interval_95'])}</small>"
    return cell(f"{accuracy:.6f}", shown, kind="accuracy", style=f"--share:{100 * accuracy:.1f}%")


def published_block(section: Section) -> str:
    """Figures from papers for a task and variant, apart from what was measured here; empty if there are none."""
    if not section.published:
        return ""
    sources = list(dict.fromkeys(_source(entry) for entry in section.published))
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for entry in section.published:
        key = (str(entry["method"]), str(entry["trained_on"]), str(entry["config"]), _source(entry), str(entry["runs"]))
        groups.setdefault(key, []).append(entry)
    rows = "".join(_published_row(entries, sources, section) for entries in groups.values())
    headings = (
        "method in the paper",
        "trained on",
        "tested at",
        "accuracy in %, and at which iteration",
        "runs",
        "source",
    )
    head = "".join(f'<th scope="col" class="{"" if name == "runs" else "text"}">{name}</th>' for name in headings)
    notes = "".join(f"<li>{source}</li>" for source in sources)
    label = f"From papers, {section.title}"
    return (
        f'<details class="papers"><summary>From papers: {len(section.published)} figures that were not measured here'
        "</summary>"
        "<p>As reported by their authors, on instances of the same kind but not the benchmark's, with other numbers of "
        "runs and other rules for the iteration. Never ranked with the results above or drawn in their charts.</p>"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}"><table>'
        f"<caption>{text(label)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<ol>{notes}</ol></details>"
    )


def _source(entry: Mapping[str, Any]) -> str:
    """The paper, where its figures were read, and how certain they are, as markup."""
    arxiv, doi = entry.get("arxiv"), entry.get("doi")
    where = link(f"https://arxiv.org/abs/{arxiv}", f"arXiv {arxiv}") if arxiv else ""
    where = where or (link(f"https://doi.org/{doi}", f"doi {doi}") if doi else "")
    note = f" {text(entry['note'])}." if entry.get("note") else ""
    sure = f'<em class="sure">{text(entry["sureness"])}</em>'
    return f"{text(entry['paper'])}{', ' if where else ''}{where}. Source: {text(entry['source'])}; {sure}.{note}"


def _published_row(entries: Sequence[Mapping[str, Any]], sources: Sequence[str], section: Section) -> str:
    first = entries[0]
    cells = [
        text(_config(str(first["trained_on"]), section)),
        f"{first['difficulty']:,}",
        " · ".join(_figure(entry) for entry in entries),
    ]
    shown = "".join(f'<td class="text">{value}</td>' for value in cells)
    return (
        f'<tr><th scope="row" class="text paper">{text(first["method"])}</th>{shown}'
        f"<td>{count(first['runs'])}</td>"
        f'<td class="text">[{sources.index(_source(first)) + 1}]</td></tr>'
    )


def _figure(entry: Mapping[str, Any]) -> str:
    """One figure, such as "peak 97.8 at 269"."""
    statistic, iterations = str(entry["statistic"]), entry["iterations"]
    at = "" if iterations is None else f" at {iterations:,}"
    accuracy = "" if entry["accuracy"] is None else f" <b>{100 * entry['accuracy']:.4g}</b>"
    if entry.get("standard_error") is not None:
        accuracy += f" ± {100 * entry['standard_error']:.3g} (standard error)"
    if statistic == "at iterations":
        return f"<span>{accuracy.strip()}{at}</span>"
    if statistic == "not said":
        return f"<span>{accuracy.strip()}, iteration not given</span>"
    return f"<span>{text(statistic)}{accuracy}{at}</span>"
