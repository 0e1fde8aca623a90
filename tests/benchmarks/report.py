"""Turn the JSON of a benchmark run into a Markdown table: ``python tests/benchmarks/report.py latest.json``."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ORIGINALS = ("original script", "original procedure", "plain Python")
PEER_VARIANTS = {"gen_dfs": "depth_first", "gen_wilson": "wilson", "gen_kruskal": "kruskal"}
REFERENCES = (
    "original script",
    "original procedure",
    "original conversion",
    "plain ",
    "a class like",
    "easy_to_hard_data",
    "1 thread",
)


def rows(run: dict[str, Any]) -> list[str]:
    """A line for each timing; the ratio is to the reference of its group, in the same run."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in run["benchmarks"]:
        groups[entry["group"]].append(entry)
    lines = ["| | | items/s | time an item | times the reference |", "|---|---|---:|---:|---:|"]
    for group, entries in groups.items():
        speeds = {e["extra_info"]["label"]: e["extra_info"]["items"] / e["stats"]["median"] for e in entries}
        reference = next((speeds[label] for label in speeds if label.startswith(REFERENCES)), None)
        for entry in entries:
            label = entry["extra_info"]["label"]
            own = label.startswith(REFERENCES) or reference is None
            ratio = "" if own else f"{speeds[label] / reference:,.1f}"
            memory = entry["extra_info"].get("megabytes")
            shown = label + (f" ({memory:,.2f} MB)" if memory else "")
            lines.append(f"| {group} | {shown} | {speeds[label]:,.0f} | {_duration(1 / speeds[label])} | {ratio} |")
    return lines


def summary(run: dict[str, Any]) -> list[str]:
    """A line for each task and difficulty that was timed beside another implementation, in the same run."""
    speeds: dict[tuple[str, str], float] = {}
    for entry in run["benchmarks"]:
        label = entry["extra_info"]["label"]
        speeds[entry["group"], label] = entry["extra_info"]["items"] / entry["stats"]["median"]
    lines = ["| task | difficulty | ours, per core | other | by | ratio |", "|---|---:|---:|---:|---|---:|"]
    for (group, label), other in speeds.items():
        task, _, difficulty = group.rpartition(" ")
        if label in ORIGINALS:
            ours = {each: speeds.get((group, f"{each} split")) for each in ("train", "test")}
        elif label.rpartition(" ")[2] in PEER_VARIANTS:
            variant = PEER_VARIANTS[label.rpartition(" ")[2]]
            task, ours = "mazes", {variant: speeds.get((group, variant))}
        else:
            continue
        for name, speed in ours.items():
            if speed is not None:
                ratio = f"{speed / other:,.0f}"
                lines.append(f"| {task}, {name} | {difficulty} | {speed:,.0f}/s | {other:,.1f}/s | {label} | {ratio} |")
    return lines


def perft(run: dict[str, Any]) -> list[str]:
    """A line for each position of which legal moves were counted, with and without making the last ones."""
    found: dict[tuple[str, int, int], dict[str, float]] = defaultdict(dict)
    for entry in run["benchmarks"]:
        told = entry["extra_info"]
        if "depth" in told:
            found[told["position"], told["depth"], told["items"]][told["how"]] = entry["stats"]["median"]
    lines = ["| perft | depth | nodes | every move made | | bulk | |", "|---|---:|---:|---:|---:|---:|---:|"]
    for (position, depth, nodes), seconds in found.items():
        cells = [
            cell
            for how in ("every move made", "bulk")
            for cell in ((f"{seconds[how]:.2f} s", f"{nodes / seconds[how] / 1e6:.1f} M/s") if how in seconds else "--")
        ]
        lines.append(f"| {position} | {depth} | {nodes:,} | {' | '.join(cells)} |")
    return [*lines, ""] if found else []


def _duration(seconds: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def main() -> int:
    """Print the comparison, all timings and the machine; returns the exit code."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        print("usage: report.py FILE.json (of pytest --benchmark-json)", file=sys.stderr)
        return 2
    run = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    machine = run["machine_info"]
    print("\n".join([*summary(run), "", *perft(run), *rows(run)]))
    print(f"\n{machine['cpu']['brand_raw']}, {machine['cpu']['count']} cores, Python {machine['python_version']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
