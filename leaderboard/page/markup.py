"""Numbers and names as the page shows them. Everything that came from a file is text, never markup."""

import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

NONE: Final = "–"
_WORDS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_STEPS: Final = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_WEB_ADDRESS: Final = re.compile(r"https?://[^\s\"'<>\\]+", re.ASCII)
_CLASSES: Final[Mapping[str, str]] = {
    "self-reported": "self",
    "re-scored": "again",
    "re-scored on a fresh seed": "fresh",
}


def text(value: object) -> str:
    """Any value as escaped text for a page, safe in attributes too."""
    return escape(str(value))


def words(name: str) -> str:
    """A name in the package as words: "open_start" -> "open start"."""
    return name.replace("_", " ")


def slug(name: str) -> str:
    """The part of a name that ids and file names allow: lowercase letters, digits and dashes, at most 60."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")


def percent(share: float | None) -> str:
    """A share in [0, 1] in percent with one decimal, without the sign; only a share of 1 is 100.0, only 0 is 0.0."""
    if share is None:
        return NONE
    rounded = f"{100 * share:.1f}"
    if rounded == "100.0" and share < 1:
        return ">99.9"
    return "<0.1" if rounded == "0.0" and share > 0 else rounded


def interval(ends: Iterable[float]) -> str:
    """An interval of shares in percent, such as "89.8–96.5"."""
    return "–".join(f"{100 * end:.1f}" for end in ends)


def count(number: float | None) -> str:
    """A number with commas between thousands and at most one decimal."""
    if number is None:
        return NONE
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:,.1f}"


def number_word(number: int) -> str:
    """A small number in words: 3 -> "three"."""
    return _WORDS[number] if number < len(_WORDS) else str(number)


def engineering(number: float | None) -> str:
    """A large number to three digits: 1234567 -> "1.23 M"."""
    if number is None:
        return NONE
    for size, letter in _STEPS:
        if number >= 0.9995 * size:
            shown = number / size
            decimals = 2 if shown < 9.995 else 1 if shown < 99.95 else 0
            return f"{shown:.{decimals}f} {letter}"
    return f"{number:.0f}"


def seconds(number: float | None) -> str:
    """A time span in words; None means not known."""
    if number is None:
        return "–"
    if number < 120:
        return f"{number:.0f} s" if number >= 10 or number == 0 else f"{number:.1f} s"
    return f"{number / 60:.0f} min" if number < 7200 else f"{number / 3600:.1f} h"


def link(address: str, label: str) -> str:
    """A link to the web, or plain text if the address is not http(s), as other kinds could run a script."""
    if not _WEB_ADDRESS.fullmatch(address):
        return text(label)
    return f'<a href="{text(address)}" rel="noopener">{text(label)}</a>'


def heading(
    label: str, *, kind: str = "", first: str = "descending", hint: str = "", sorted_at_first: bool = False
) -> str:
    """The heading of a sortable column.

    Args:
        label: what is in the column.
        kind: its class: "text" is sorted as text, all others as numbers.
        first: "ascending" or "descending", how the first click sorts.
        hint: what it means, shown when the pointer hovers over it.
        sorted_at_first: whether the table is initially sorted by it.
    """
    title = f' title="{text(hint)}"' if hint else ""
    now = f' aria-sort="{first}"' if sorted_at_first else ""
    return (
        f'<th scope="col"{_class(kind)} data-first="{first}"{now}{title}>'
        f'<button type="button">{text(label)}</button></th>'
    )


def cell(value: object, shown: str, *, kind: str = "", style: str = "", row_heading: bool = False) -> str:
    """A cell of a sortable column.

    Args:
        value: the sort key; None or "" always comes last.
        shown: markup.
        kind: its class.
        style: inline style for the style sheet to use, such as the length of a bar.
        row_heading: whether it names the row.
    """
    tag, scope = ("th", ' scope="row"') if row_heading else ("td", "")
    look = f' style="{text(style)}"' if style else ""
    return f'<{tag}{scope}{_class(kind)} data-value="{text("" if value is None else value)}"{look}>{shown}</{tag}>'


def _class(kind: str) -> str:
    return f' class="{text(kind)}"' if kind else ""


def plain_table(caption: str, headings: Iterable[str], rows: Iterable[Iterable[str]], *, texts: int = 1) -> str:
    """A table that cannot be sorted, in a scrollable box.

    Args:
        caption: what the table holds; plain text.
        headings: plain text.
        rows: cells as markup; the first of each names the row.
        texts: how many of the first columns are text.
    """
    labels = list(headings)
    kinds = [_class("text") if column < texts else "" for column in range(len(labels))]
    head = "".join(f'<th scope="col"{kind}>{text(label)}</th>' for kind, label in zip(kinds, labels, strict=True))
    lines = []
    for row in rows:
        first, *others = row
        cells = "".join(f"<td{kind}>{shown}</td>" for kind, shown in zip(kinds[1:], others, strict=True))
        lines.append(f'<tr><th scope="row"{kinds[0]}>{first}</th>{cells}</tr>')
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def mark(provenance: str) -> str:
    """The mark that says who scored a result."""
    return f'<span class="mark {_CLASSES[provenance]}">{text(provenance)}</span>'


def facts(terms: Mapping[str, str]) -> str:
    """A list of terms (plain text) and their descriptions (markup)."""
    lines = "".join(f"<div><dt>{text(term)}</dt><dd>{fact}</dd></div>" for term, fact in terms.items())
    return f"<dl>{lines}</dl>"


def full_name(result: Mapping[str, Any]) -> str:
    """Method, preset and seed of a result in one line."""
    parts = [str(result["method"]), str(result["preset"]), f"seed {result['seed']}"]
    return " · ".join(part for part in parts if part)
