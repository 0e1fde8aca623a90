"""The numbers that the page's script plots, as JSON within the page."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from easy_to_hard.leaderboard.page.markup import full_name
from easy_to_hard.leaderboard.page.sections import Section, row_id
from easy_to_hard.leaderboard.ranking import Standing

# Decimals of an accuracy; a chart is only a few hundred pixels high.
_DECIMALS: Final = 5
_ESCAPES: Final[Mapping[int, str]] = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def chart_data(sections: Sequence[Section]) -> str:
    """The data of all charts as JSON, escaped so that no name in it can end the element that holds it.

    Returns:
        ``{"sections": [{id, axis, linear, from, to, rows}]}``; a row is ``{id, name, label, trained, points, runs}``, a
        point ``[difficulty, accuracy, low, high, right, items]``. A run is a list of curves
        ``[difficulty, iterations, accuracies]``; the ranked run comes first, then those of `Standing.also`. Accuracies
        and ends of intervals are in [0, 1]. Rows are in the order of the ranking.
    """
    content = {"sections": [_section(section) for section in sections if section.standings]}
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False).translate(_ESCAPES)


def _section(section: Section) -> dict[str, Any]:
    tested = [score["difficulty"] for standing in section.standings for score in standing.result["scores"]]
    return {
        "id": section.id,
        "axis": section.facts.difficulty_name,
        "linear": section.facts.imported,
        "from": min(section.ladder[0], *tested),
        "to": max(section.ladder[-1], *tested),
        "rows": [_row(standing) for standing in section.standings],
    }


def _row(standing: Standing) -> dict[str, Any]:
    result = standing.result
    scores = sorted(result["scores"], key=lambda score: score["difficulty"])
    return {
        "id": row_id(standing),
        "name": full_name(result),
        "label": f"{str(result['preset']).partition('(')[0].strip() or result['method']} {result['seed']}",
        "trained": result["trained_iterations"],
        "points": [
            [
                score["difficulty"],
                *(_short(share) for share in (score["accuracy"], *score["interval_95"])),
                score["num_correct"],
                score["num_items"],
            ]
            for score in scores
        ],
        "runs": [_curves(result), *(_curves(other) for other in standing.also)],
    }


def _curves(result: Mapping[str, Any]) -> list[list[Any]]:
    return [
        [score["difficulty"], score["recorded_iterations"], [_short(share) for share in score["recorded_accuracy"]]]
        for score in sorted(result["scores"], key=lambda score: score["difficulty"])
        if score["recorded_iterations"]
    ]


def _short(share: float) -> float | int:
    rounded = round(share, _DECIMALS)
    return int(rounded) if math.isclose(rounded, round(rounded), abs_tol=0.0) else rounded
