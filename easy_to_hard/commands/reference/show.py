"""The printed form of a reference evaluation's result, and `easy-to-hard reference show`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from easy_to_hard.scores.reference import Measurement, ReferenceResult


@dataclass(frozen=True, kw_only=True)
class ShowReference:
    """Print the result files of reference evaluations: the measurements, and which of the paper's claims held."""

    results: Annotated[Positional[tuple[Path, ...]], arg(help="result files", metavar="RESULT")]

    def run(self) -> int:
        """Print."""
        from easy_to_hard.scores.reference import read_reference_result

        if not self.results:
            raise ValueError("give at least one result file")
        for path in self.results:
            print(describe_reference(read_reference_result(path)))
        return 0


def describe_reference(result: "ReferenceResult", most: int | None = None) -> str:
    """A result as text: a heading, a line for each measurement (no more than `most`, if given), and the claims."""
    seeds = ", ".join(str(seed) for seed in result.seeds)
    where = f"seeds {seeds}; {result.seconds:,.0f} s on {result.device}"
    lines = [f"{result.method}, {result.preset}, on {result.data} ({where})"]
    lines += [f"  {_describe_measurement(measurement)}" for measurement in result.measurements[:most]]
    if most is not None and len(result.measurements) > most:
        lines.append(f"  and {len(result.measurements) - most:,} more: 'easy-to-hard reference show' prints them all")
    for claim in result.claims:
        lines += [f"  {claim.verdict}: {claim.text} ({claim.source})", f"    {claim.evidence}"]
    return "\n".join(lines)


def _describe_measurement(measurement: "Measurement") -> str:
    condition = ", ".join(f"{name} {value}" for name, value in measurement.condition.items())
    interval = ""
    if measurement.low is not None and measurement.high is not None:
        interval = f" [{measurement.low:.4g}, {measurement.high:.4g}]"
    unit = f" {measurement.unit}" if measurement.unit else ""
    where = f" ({condition})" if condition else ""
    return f"{measurement.name}{where}: {measurement.value:.4g}{interval}{unit}, {measurement.num_items:,} items"
