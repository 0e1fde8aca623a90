"""Writes the site: pictures, style and script first, the page that needs them last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from easy_to_hard.environment import __version__
from easy_to_hard.leaderboard.page.chart_data import chart_data
from easy_to_hard.leaderboard.page.details import details
from easy_to_hard.leaderboard.page.eval_results import eval_results
from easy_to_hard.leaderboard.page.markup import count, link, number_word, text
from easy_to_hard.leaderboard.page.sections import Section, make_sections, row_id
from easy_to_hard.leaderboard.page.tables import overview_table, published_block, results_table
from easy_to_hard.leaderboard.ranking import FEWEST_ITEMS, Standing, overview, ranked_tasks, standings
from easy_to_hard.storage.files import write_atomically
from easy_to_hard.tasks import Task
from easy_to_hard.tasks.pictures import Picture

INDEX: Final = "index.html"
TITLE: Final = "easy-to-hard leaderboard"
# Placeholder for the benchmark's dataset on the Hub; whoever publishes it gives the real id.
DATASET_ID: Final = "easy-to-hard/easy-to-hard"
_ASSETS: Final = ("style.css", "charts.js", "page.js")
_PICTURES: Final = "assets/pictures"


@dataclass(frozen=True)
class Figure:
    """A picture of the overview.

    Attributes:
        name: of a file in the site's folder.
        caption: what it shows.
    """

    name: str
    caption: str


def write_site(
    results: Sequence[Mapping[str, Any]],
    out: Path,
    *,
    published: Sequence[Mapping[str, Any]] = (),
    shown: Sequence[Figure] = (),
    title: str = TITLE,
    take_part: str = "",
    dataset_id: str = DATASET_ID,
) -> Path:
    """Write the leaderboard to a folder; the same results give the same bytes.

    `index.html` is written last and atomically, so an interrupted run leaves the previous page, or none.

    Args:
        results: what `easy_to_hard.scores.results.read_result` returns, at least one.
        out: the folder, created if missing. Anything in it that is not part of the site stays.
        published: figures from papers, entries of `published.json`; shown separately.
        shown: pictures of the overview; their files must be in the folder already.
        title: of the page.
        take_part: address of the README's section "How to take part"; "" to name it without a link.
        dataset_id: of the benchmark's dataset on the Hub, for the `eval_results`.

    Returns:
        The page, `out`/index.html. Beside it are `assets/` and, for each result on the frozen benchmark,
        `eval_results/<id>.yaml` for the `.eval_results` folder of its model repo.

    Raises:
        ImportError: there are results on chess mates, and matplotlib, which draws the boards, is not installed.
        OSError: the folder cannot be written.
        ValueError: there are no results, or the ranking rejects one.
    """
    if not results:
        raise ValueError("a page needs at least one result")
    ranking = standings(results)
    sections = make_sections(ranking, published)
    galleries = {section.id: _pictures(section) for section in sections}
    page = _page(ranking, sections, galleries, shown, title=title, take_part=take_part)
    for picture in (picture for gallery in galleries.values() for picture in gallery.values()):
        _write(out / _PICTURES / picture.name, picture.png)
    for name in _ASSETS:
        _write(out / "assets" / name, _asset(name))
    for standing in ranking:
        if entries := eval_results(standing, dataset_id):
            _write(out / "eval_results" / f"{row_id(standing)}.yaml", entries)
    _write(out / INDEX, page)
    return out / INDEX


def _page(
    ranking: Sequence[Standing],
    sections: Sequence[Section],
    galleries: Mapping[str, Mapping[int, Picture]],
    shown: Sequence[Figure],
    *,
    title: str,
    take_part: str,
) -> str:
    return Template(_asset("page.html")).substitute(
        title=text(title),
        # Do not break names at hyphens.
        heading=text(title).replace("-", "&#8209;"),
        version=text(__version__),
        navigation="".join(f'<li><a href="#{section.id}">{text(section.title)}</a></li>' for section in sections),
        overview=overview_table(overview(ranking)) + "".join(_shown(figure) for figure in shown),
        sections="\n".join(_section(section, galleries[section.id]) for section in sections),
        take_part=link(take_part, "How to take part") if take_part else "“How to take part”",
        tasks=number_word(len(ranked_tasks())),
        fewest=str(FEWEST_ITEMS),
        total=f"{len(ranking):,}",
        data=chart_data(sections),
    )


def _asset(name: str) -> str:
    return (files("easy_to_hard.leaderboard.page") / "assets" / name).read_text(encoding="utf-8")


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)


def _pictures(section: Section) -> dict[int, Picture]:
    drawn = {difficulty: _draw(section.facts, section.variant, difficulty) for difficulty in section.ladder}
    return {difficulty: picture for difficulty, picture in drawn.items() if picture is not None}


@lru_cache(maxsize=256)
def _draw(task: Task, variant: str, difficulty: int) -> Picture | None:
    return task.picture(variant, difficulty)


def _section(section: Section, pictures: Mapping[int, Picture]) -> str:
    about = section.facts.title.rpartition(": ")[2]
    about = text(about[:1].upper() + about[1:])
    chart = (
        f'<figure class="chart" data-chart="difficulty" data-section="{section.id}"><figcaption>Accuracy against '
        f"{text(section.facts.difficulty_name)}, with 95&nbsp;% intervals. Tick rows of the table to choose which are "
        "drawn.</figcaption></figure>"
    )
    full = "".join(details(section, standing) for standing in section.standings)
    return (
        f'<section id="{section.id}" aria-labelledby="{section.id}-title">'
        f'<h2 id="{section.id}-title">{text(section.title)}</h2><p class="lead">{about}.</p>'
        f"{_gallery(section, pictures)}{results_table(section)}{chart if section.standings else ''}"
        f'<div class="in-full">{full}</div>{published_block(section)}</section>'
    )


def _gallery(section: Section, pictures: Mapping[int, Picture]) -> str:
    """The pictures in a row that scrolls sideways; each links to its full size."""
    if not pictures:
        return ""
    name = section.facts.difficulty_name
    figures = "".join(_figure(difficulty, picture) for difficulty, picture in pictures.items())
    label = f"Instances by {name}"
    return (
        f'<div class="gallery" tabindex="0" role="region" aria-label="{text(label)}">{figures}</div>'
        f'<p class="quiet">The first test instance of each difficulty ({text(name)}), solved.</p>'
    )


def _shown(figure: Figure) -> str:
    name, caption = text(figure.name), text(figure.caption)
    return (
        f'<figure class="shown"><a href="{name}"><img src="{name}" loading="lazy" alt="{caption}"></a>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _figure(difficulty: int, picture: Picture) -> str:
    address = f"{_PICTURES}/{picture.name}"
    look = ' class="sharp"' if picture.sharp else ""
    return (
        f'<figure><a href="{address}"><img src="{address}" width="{picture.width}" height="{picture.height}"{look} '
        f'loading="lazy" alt="{text(picture.label)}"></a><figcaption>{count(difficulty)}</figcaption></figure>'
    )
