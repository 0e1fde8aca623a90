"""`easy-to-hard reference judge`: recompute the intervals and verdicts of result files from their measurements."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from easy_to_hard.scores.reference import Measurement, ReferenceResult


@dataclass(frozen=True, kw_only=True)
class JudgeReference:
    """Update the intervals and verdicts of result files to this version's rules, in place and without training."""

    results: Annotated[Positional[tuple[Path, ...]], arg(help="result files", metavar="RESULT")]

    def run(self) -> int:
        """Rewrite the files that change, and print what did."""
        from easy_to_hard.scores.reference import read_reference_result, write_reference_result

        if not self.results:
            raise ValueError("give at least one result file")
        # All are judged before any is written.
        pairs = [(read_reference_result(path), path) for path in self.results]
        judged = [judge_again(result, path) for result, path in pairs]
        for (result, path), again in zip(pairs, judged, strict=True):
            if again.to_dict() != result.to_dict():
                write_reference_result(again, path)
            print("\n".join(describe_changes(result, again, path)))
        return 0


def judge_again(result: "ReferenceResult", path: Path) -> "ReferenceResult":
    """The result with its intervals by `kit.statistics`, and its claims judged by `kit.claims`.

    Args:
        result: a result of any version of the package.
        path: its file, for messages.

    Raises:
        ValueError: its method makes no claims, or it lacks what the claims are judged by; the message names the file.
    """
    from easy_to_hard.baselines import BASELINES, get_baseline
    from easy_to_hard.baselines.kit.statistics import restated

    known = [name for name, method in BASELINES.items() if method.makes_claims]
    if result.method not in known:
        raise ValueError(f"{path}: method must be one that makes claims, {', '.join(known)}, not {result.method!r}")
    measurements = tuple(restated(one) for one in result.measurements)
    try:
        claims = get_baseline(result.method).claims(replace(result, measurements=measurements))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} lacks what {result.method}'s claims are judged by: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return replace(result, measurements=measurements, claims=claims)


def describe_changes(before: "ReferenceResult", after: "ReferenceResult", path: Path) -> list[str]:
    """What differs, as lines to print: one on the intervals, and one for each verdict that changed."""
    pairs = list(zip(before.measurements, after.measurements, strict=True))
    changed = sum((old.low, old.high) != (new.low, new.high) for old, new in pairs)
    were, are = (sum(_is_outside(pair[place], pair[1].unit) for pair in pairs) for place in (0, 1))
    lines = [f"{path}: {changed:,} of {len(pairs):,} intervals changed; {were:,} were outside their range, {are:,} are"]
    old_verdicts = {claim.text: claim.verdict for claim in before.claims}
    for claim in after.claims:
        old = old_verdicts.get(claim.text, "not there")
        if claim.verdict != old:
            lines.append(f"  {old} -> {claim.verdict}: {claim.text}\n    {claim.evidence}")
    return lines


def _is_outside(measurement: "Measurement", unit: str) -> bool:
    from easy_to_hard.baselines.kit.statistics import RANGES

    if unit not in RANGES or measurement.low is None or measurement.high is None:
        return False
    return measurement.low < RANGES[unit][0] or measurement.high > RANGES[unit][1]
