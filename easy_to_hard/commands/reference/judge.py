"""`easy-to-hard reference judge`: intervals and verdicts of result files anew, from their own measurements."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from easy_to_hard.scores.reference import Claim, Measurement, ReferenceResult


@dataclass(frozen=True, kw_only=True)
class JudgeReference:
    """Restate intervals and verdicts of result files by this version's rules, in place and without training."""

    results: Annotated[Positional[tuple[Path, ...]], arg(help="result files", metavar="RESULT")]

    def run(self) -> int:
        """Rewrite what changes, and say what did."""
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
    """The result with its intervals as `kit.statistics` has them, and its claims judged by `kit.claims`.

    Args:
        result: of any version of the package.
        path: of its file, for messages.

    Raises:
        ValueError: it is of a method that makes no claims, or lacks what its claims go by; the message names the file.
    """
    from easy_to_hard.baselines.kit.statistics import restated

    measurements = tuple(restated(one) for one in result.measurements)
    try:
        claims = _claims_of(replace(result, measurements=measurements))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"{path} lacks what {result.method}'s claims go by: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return replace(result, measurements=measurements, claims=claims)


def describe_changes(before: "ReferenceResult", after: "ReferenceResult", path: Path) -> list[str]:
    """What differs, for people: a line on the intervals, and one for each verdict that is another."""
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


_Claims: TypeAlias = "Callable[[ReferenceResult], tuple[Claim, ...]]"


def _claims_of(result: "ReferenceResult") -> "tuple[Claim, ...]":
    """The claims of a result's method, asked of its measurements alone."""
    from easy_to_hard.baselines import get_baseline
    from easy_to_hard.tasks import TASKS

    puzzles = result.data in TASKS
    methods: dict[str, _Claims] = {
        "augmentation_defense": _of_solvers if puzzles else _of_poisons,
        "canary": _of_memorisation if puzzles else _of_canaries,
        "cold_diffusion": _of_solutions if puzzles else _of_images,
        "dp_instahide": _of_mixed_puzzles if puzzles else _of_mixed_images,
        "parameter_saliency": get_baseline("parameter_saliency").claims,
        "vit_visualization": get_baseline("vit_visualization").claims,
    }
    if result.method not in methods:
        raise ValueError(f"method must be one that makes claims, {', '.join(methods)}, not {result.method!r}")
    return methods[result.method](result)


def _of_poisons(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.augmentation_defense.claims import image_claims

    return image_claims(result.settings["attack"], result.settings["defenses"], result.measurements)


def _of_solvers(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.augmentation_defense.solver_claims import solver_claims

    names = ("defenses", "budget", "difficulty", "sizes", "iterations")
    return solver_claims(result.measurements, **{name: result.settings[name] for name in names})


def _of_canaries(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.canary.claims import decide_image_claims

    return decide_image_claims(result.measurements)


def _of_memorisation(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.canary.claims import decide_task_claims

    settings = result.settings
    return decide_task_claims(
        result.measurements, sizes=settings["sizes"], trained_iterations=settings["max_iterations"]
    )


def _of_images(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.cold_diffusion.claims import decide_claims

    return decide_claims(result.measurements)


def _of_solutions(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.cold_diffusion.solution_claims import claims_of
    from easy_to_hard.baselines.cold_diffusion.solver_recipes import NetRun

    return claims_of(NetRun(**result.settings["nets"][0]), result.settings["trained_steps"], result.measurements)


def _of_mixed_images(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.dp_instahide.claims import image_claims
    from easy_to_hard.baselines.dp_instahide.measuring import reference_cell

    cell = reference_cell(result.settings["mix_counts"], result.settings["noise_scales"])
    return image_claims(result.measurements, cell)


def _of_mixed_puzzles(result: "ReferenceResult") -> "tuple[Claim, ...]":
    from easy_to_hard.baselines.dp_instahide.puzzle_claims import puzzle_claims

    return puzzle_claims(result.measurements, result.settings["difficulty"])
