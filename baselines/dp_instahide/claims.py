"""What the paper says, and how the measurements decide it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from easy_to_hard.baselines.dp_instahide.accountant import VACUOUS_ABOVE
from easy_to_hard.baselines.dp_instahide.comparing import (
    ACCURACY_DIFFERENCE,
    MATCHED,
    MIXUP_ALONE,
    NOISE_ALONE,
    SUCCESS_DIFFERENCE,
    UNDEFENDED,
)
from easy_to_hard.baselines.dp_instahide.measuring import (
    CLAIMED,
    EFFECT,
    EXACT,
    PROVEN,
    RELEASE_EPSILON,
    TOTAL_EPSILON,
    cell_condition,
    reference_cell,
)
from easy_to_hard.baselines.dp_instahide.recipes import ImageRecipe
from easy_to_hard.reference.results import Claim, Measurement, find_measurement

SOURCE: Final = "arXiv 2103.02079"

# What counts as a nullified attack, as a small loss of accuracy, and as the same accuracy.
NULLIFIED: Final = 0.1
SMALL_LOSS: Final = 0.05
SAME_ACCURACY: Final = 0.05


def image_claims(measurements: Sequence[Measurement], recipe: ImageRecipe) -> tuple[Claim, ...]:
    """The paper's claims on guarantee, defence and accuracy; each holds or not only where the interval says so."""
    cell = reference_cell(recipe)
    here = {"defence": "fixed releases", **cell_condition(cell)}
    defended = [one for one in measurements if one.name == EFFECT and dict(one.condition) == here]
    pairs = [
        _defence_claim(defended[0]),
        _accuracy_claim(find_measurement(measurements, ACCURACY_DIFFERENCE, {**here, "against": UNDEFENDED})),
    ]
    halves = [one for one in measurements if one.condition.get("against") in (NOISE_ALONE, MIXUP_ALONE)]
    if halves:
        pairs.append(_both_claim([one for one in halves if one.name == SUCCESS_DIFFERENCE]))
    if any(one.condition.get("against") == MATCHED for one in measurements):
        pairs.append(_private_claim(measurements, here))
    return (stronger_claim(measurements), *vacuity_claim(measurements, here), *pairs, *audit_claims(measurements))


def below(measurement: Measurement, limit: float) -> bool | None:
    """Whether all of the interval is below the limit: True, or none of it: False, or neither: None."""
    if measurement.low is None or measurement.high is None:
        return None
    if measurement.high < limit:
        return True
    return False if measurement.low >= limit else None


def shown(measurement: Measurement) -> str:
    """The value with its interval."""
    if measurement.low is None or measurement.high is None:
        return f"{measurement.value:.3f} (one seed, which decides nothing)"
    return f"{measurement.value:.3f} [{measurement.low:.3f}, {measurement.high:.3f}], {measurement.num_seeds} seeds"


def stronger_claim(measurements: Sequence[Measurement]) -> Claim:
    """Of every release in the grid, with the diameter of its data."""
    ratios = []
    for one in measurements:
        if one.name != TOTAL_EPSILON or "diameter" not in one.condition:
            continue
        kept = {name: value for name, value in one.condition.items() if name in ("defence", "k", "b", "train items")}
        release = find_measurement(measurements, RELEASE_EPSILON, kept)
        mix_count, naive = float(one.condition["k"]), float(one.condition["diameter"]) / float(one.condition["b"])
        ratios.append((naive / release.value / mix_count, kept))
    least = min(ratios, key=lambda one: one[0], default=(0.0, {}))
    # b is shown to four digits, and k = 1 of so large an exponent is log n short of the naive mechanism at most.
    return Claim(
        text="A release by k-way mixing has an epsilon at least k times smaller than a naive noisy release, D1 / b.",
        source=f"{SOURCE}, theorem 1",
        held=least[0] >= 1 - 1e-3 if ratios else None,
        evidence=f"naive epsilon over k times epsilon: at least {least[0]:.4f} over {len(ratios)} settings with noise",
    )


def vacuity_claim(measurements: Sequence[Measurement], here: Mapping[str, Any]) -> tuple[Claim, ...]:
    """Whether the guarantee says anything where the defence is measured."""
    for one in measurements:
        if one.name == TOTAL_EPSILON and here.items() <= one.condition.items():
            facts = one.condition
            return (
                Claim(
                    text=f"At the paper's setting the released set has a guarantee: epsilon at most {VACUOUS_ABOVE:g}.",
                    source=f"{SOURCE}, theorem 1, with the L1 diameter of the data as they are",
                    held=one.value <= VACUOUS_ABOVE,
                    evidence=f"epsilon {one.value:.4g} of {facts['releases']} releases by {facts['composition']} "
                    f"composition, L1 diameter {facts['diameter']:g}, k {facts['k']}, b {facts['b']:g}",
                ),
            )
    return ()


def _defence_claim(effect: Measurement) -> Claim:
    return Claim(
        text=f"Mixing with noise nullifies the attack: it succeeds in less than {NULLIFIED:.0%} more than by chance.",
        source=f"{SOURCE}, abstract",
        held=below(effect, NULLIFIED),
        evidence=f"attack success less that of clean nets: {shown(effect)}",
    )


def _accuracy_claim(difference: Measurement) -> Claim:
    worse = below(difference, -SMALL_LOSS)
    return Claim(
        text=f"It costs little: clean accuracy is less than {SMALL_LOSS:.0%} below that without defence.",
        source=f"{SOURCE}, abstract",
        held=None if worse is None else not worse,
        evidence=f"clean accuracy less that without defence: {shown(difference)}",
    )


def _both_claim(differences: Sequence[Measurement]) -> Claim:
    decided = [below(one, 0.0) for one in differences]
    held = False if False in decided else None if None in decided else True
    listed = "; ".join(f"against {one.condition['against']} {shown(one)}" for one in differences)
    return Claim(
        text="Both together defend better than noise alone and than mixup alone.",
        source=f"{SOURCE}, section 4",
        held=held,
        evidence=f"difference of attack success, {listed}",
    )


def _private_claim(measurements: Sequence[Measurement], here: Mapping[str, Any]) -> Claim:
    condition = {**here, "against": MATCHED}
    accuracy = find_measurement(measurements, ACCURACY_DIFFERENCE, condition)
    success = find_measurement(measurements, SUCCESS_DIFFERENCE, condition)
    comparable = abs(accuracy.value) <= SAME_ACCURACY
    note = "" if comparable else f", which is more than {SAME_ACCURACY:.0%} and so decides nothing"
    return Claim(
        text="At the same accuracy it defends better than DP-SGD.",
        source=f"{SOURCE}, section 4",
        held=below(success, 0.0) if comparable else None,
        evidence=f"difference of attack success {shown(success)}; of clean accuracy {accuracy.value:.3f}{note}",
    )


def audit_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """Whether the guarantee was kept against the best attack, and that mixup's own weights break it."""
    kept: list[tuple[float, float]] = []
    broken: list[tuple[float, float]] = []
    for one in measurements:
        if one.name == PROVEN:
            claimed = find_measurement(measurements, CLAIMED, one.condition)
            (kept if one.condition["weights"] == "equal" else broken).append((one.value, claimed.value))
    exact = [
        one.value - find_measurement(measurements, CLAIMED, one.condition).value
        for one in measurements
        if one.name == EXACT
    ]
    if not kept:
        return ()
    closest = max(proven / claimed for proven, claimed in kept)
    excess = f"; exact epsilon of a release above the claim by at most {max(exact):.1g}" if exact else ""
    found = [
        Claim(
            text="No attack on the releases does better than exp(epsilon) allows: TPR <= exp(epsilon) FPR.",
            source=f"{SOURCE}, theorem 1",
            held=all(proven <= claimed for proven, claimed in kept) and max(exact, default=0.0) < 1e-9,
            evidence=f"likelihood-ratio attack in {len(kept)} settings: it refutes at most {closest:.3f} of the "
            f"claimed epsilon with 95 % confidence{excess}",
        )
    ]
    if broken:
        refuted, void = broken[0]
        found.append(
            Claim(
                text="The guarantee needs equal weights: with weights drawn as in mixup it would be broken.",
                source=f"{SOURCE}, theorem 1 (equal weights)",
                held=True if refuted > void else None,
                evidence=f"with Dirichlet weights an attack refutes {refuted:.3f}, the claim would be {void:.3f}",
            )
        )
    return tuple(found)
