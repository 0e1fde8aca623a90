"""What the paper says of its defences."""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, Criterion, Statement, judge
from easy_to_hard.scores.reference import Claim, Condition, Measurement

SOURCE: Final = "arXiv 2011.09527"
# The paper's attack on an undefended net works always; the share that counts as such here.
WORKS: Final = 0.9
# "No accuracy cost" is taken as less than a point.
NO_COST: Final = 0.01

_MIXING: Final = ("mixup", "mixup4", "cutmix")


def image_claims(attack: str, defenses: Sequence[str], measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims of an attack on images, judged by the figures.

    What a defence does to an attack is not tested where the attack does nothing without one, or where the defended
    nets do not classify.

    Args:
        attack: one of `ATTACKS`.
        defenses: that were tried; claims of others are left out.
        measurements: of the run.
    """
    backdoor = attack.endswith("backdoor")
    statements = [_works()] if backdoor else []
    for defense in (name for name in _MIXING if name in defenses):
        useless = backdoor and defense.startswith("mixup")
        statements += [_falls(defense, useless=useless), _cost(defense)]
    if "dp_sgd" in defenses:
        statements.append(_cost("dp_sgd", costs=True))
    return judge(statements, measurements)


def _classifies(defense: str) -> Criterion:
    condition: Condition = {"defense": defense}
    words = f"clean accuracy with {defense}"
    return Criterion(name="clean accuracy", condition=condition, direction="at least", bound=CAN_CLASSIFY, words=words)


def _works() -> Statement:
    success = Criterion(
        name="attack success",
        condition={"defense": "none"},
        direction="at least",
        bound=WORKS,
        words="attack success without a defence",
    )
    return Statement(
        text=f"The backdoor works on an undefended net: success of at least {WORKS:.0%}.",
        source=f"{SOURCE}, which gives 100 %",
        criteria=(success,),
        needs=(_classifies("none"),),
    )


def _falls(defense: str, *, useless: bool) -> Statement:
    """That a defence makes an attack succeed less often, or that it is useless."""
    made = Criterion(
        name="attack success above unpoisoned",
        condition={"defense": "none"},
        direction="greater",
        bound=0.0,
        words="success above that of unpoisoned nets without a defence",
    )
    fall = Criterion(
        name="attack success less that of none",
        condition={"defense": defense},
        direction="at least" if useless else "less",
        bound=0.0,
        words=f"success with {defense} less that with none",
    )
    return Statement(
        text=f"{defense} is no defence against the backdoor: it does not lower its success."
        if useless
        else f"{defense} makes the attack succeed less often.",
        source=SOURCE,
        criteria=(fall,),
        needs=(made, _classifies(defense)),
    )


def _cost(defense: str, *, costs: bool = False) -> Statement:
    """That a defence costs no clean accuracy, or that it does."""
    cost = Criterion(
        name="clean accuracy less that of none",
        condition={"defense": defense},
        direction="less" if costs else "greater",
        bound=-NO_COST,
        words=f"clean accuracy with {defense} less that with none",
    )
    return Statement(
        text="DP-SGD costs clean accuracy: more than a point."
        if costs
        else f"{defense} costs no clean accuracy: less than {100 * NO_COST:g} point.",
        source=SOURCE,
        criteria=(cost,),
        needs=(_classifies("none"),),
    )
