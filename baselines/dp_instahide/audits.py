"""The attacks on released numbers that a run makes."""

from typing import Final

from easy_to_hard.baselines.dp_instahide.auditing import Audit, run_audit
from easy_to_hard.baselines.dp_instahide.brute_force import largest_log_ratio
from easy_to_hard.baselines.dp_instahide.stages import Row

_ZEROS: Final = (0.0,) * 6
_SPREAD: Final = (0.1, 0.9, 0.3, 0.5, 0.7, 0.2)


def audits(trials: int) -> tuple[Audit, ...]:
    """One record among six that is 1 or 0: alone at each k, over many releases, among others, and with mixup's weights.

    Args:
        trials: of each.
    """
    worst = [Audit(records=_ZEROS, replaced_by=1.0, mix_count=k, noise_scale=0.2, trials=trials) for k in (1, 2, 4, 6)]
    many = Audit(records=_ZEROS, replaced_by=1.0, mix_count=2, noise_scale=0.5, releases=8, trials=trials)
    spread = Audit(records=_SPREAD, replaced_by=1.0, mix_count=2, noise_scale=0.2, releases=2, trials=trials)
    uneven = Audit(
        records=_ZEROS, replaced_by=1.0, mix_count=2, noise_scale=1 / 6, weights="dirichlet", trials=2 * trials
    )
    return *worst, many, spread, uneven


def audit_rows(trials: int) -> list[Row]:
    """Of each attack what is claimed, what is so (of one release, exactly), and what the attack proves."""
    rows = []
    for audit in audits(trials):
        found = run_audit(audit, seed=0)
        exact = None
        if audit.weights == "equal" and audit.releases == 1:
            exact = largest_log_ratio(audit.records, audit.neighbour, audit.mix_count, audit.noise_scale)
        rows.append(
            {
                "condition": audit.condition,
                "claimed": audit.claimed,
                "exact": exact,
                "proven": found.epsilon,
                "trials": found.trials,
            }
        )
    return rows
