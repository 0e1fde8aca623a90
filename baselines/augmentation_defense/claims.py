"""The paper's claims about its defenses, and the benchmark's questions about backdoors in easy puzzles."""

from typing import Final

from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, CAN_SOLVE, Criterion, Direction, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.scores.reference import Claim, Condition, ReferenceResult

SUCCESS: Final = "backdoor success"
CLEAN: Final = "clean solve rate"

SOURCE: Final = "arXiv 2011.09527"
PUZZLE_SOURCE: Final = "a question of this benchmark, not of arXiv 2011.09527"

# "No accuracy cost" is taken as less than a point.
NO_COST: Final = 0.01
# A backdoor in puzzles counts as open if it works on most of them, and as stopped if on fewer than a tenth.
OPEN: Final = 0.5
STOPPED: Final = 0.1

_MIXING: Final = ("mixup", "mixup4", "cutmix")


def claims(result: ReferenceResult) -> tuple[Claim, ...]:
    """The claims that a result decides, judged by its measurements and settings alone.

    The effect of a defense is not tested if the attack has no effect without one, or if the defended nets cannot do the
    task.
    """
    return judge(_on_images(result) if result.data in IMAGES else _on_puzzles(result), result.measurements)


def _on_images(result: ReferenceResult) -> list[Statement]:
    """The paper's claims about an attack, without those about defenses that were not tried."""
    defenses = result.settings["defenses"]
    backdoor = result.settings["attack"].endswith("backdoor")
    adaptive = bool(result.settings.get("adaptive", False))
    statements = [_works()]
    for defense in (name for name in _MIXING if name in defenses):
        useless = backdoor and defense.startswith("mixup")
        statements += [_falls(defense, useless=useless, adaptive=adaptive), _cost(defense)]
    if "dp_sgd" in defenses:
        statements.append(_cost("dp_sgd", costs=True))
    return statements


def _classifies(defense: str) -> Criterion:
    condition: Condition = {"defense": defense}
    words = f"clean accuracy with {defense}"
    return Criterion(name="clean accuracy", condition=condition, direction="at least", bound=CAN_CLASSIFY, words=words)


_MADE: Final = Criterion(
    name="attack success above unpoisoned",
    condition={"defense": "none"},
    direction="greater",
    bound=0.0,
    words="success above that of unpoisoned nets without a defense",
)


def _works() -> Statement:
    """That an attack has an effect on an undefended net."""
    return Statement(
        text="The attack works on an undefended net: it succeeds more often than without poison.",
        source=SOURCE,
        criteria=(_MADE,),
        needs=(_classifies("none"),),
    )


def _falls(defense: str, *, useless: bool, adaptive: bool) -> Statement:
    """That a defense makes an attack succeed less often, or that it is useless."""
    fall = Criterion(
        name="attack success less that of none",
        condition={"defense": defense},
        direction="at least" if useless else "less",
        bound=0.0,
        words=f"success with {defense} less that with none",
    )
    attack = "an attack that is adapted to it" if adaptive else "the attack"
    return Statement(
        text=f"{defense} is no defense against the backdoor: it does not lower its success."
        if useless
        else f"{defense} makes {attack} succeed less often.",
        source=SOURCE,
        criteria=(fall,),
        needs=(_MADE, _classifies(defense)),
    )


def _cost(defense: str, *, costs: bool = False) -> Statement:
    """That a defense costs no clean accuracy, or that it does."""
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


def _on_puzzles(result: ReferenceResult) -> list[Statement]:
    """The benchmark's questions, as statements to judge."""
    settings = result.settings
    difficulty, hard = settings["difficulty"], settings["sizes"][-1]
    few, many = settings["iterations"][0], settings["iterations"][-1]

    def criterion(
        name: str, size: int, steps: int, direction: Direction, bound: float, defense: str = "none"
    ) -> Criterion:
        condition: Condition = {
            "defense": defense,
            "recall": "yes",
            "budget": settings["budget"],
            "size": size,
            "iterations": steps,
        }
        defended = "without a defense" if defense == "none" else f"with {defense}"
        words = f"{name} {defended}, size {size}, {steps} iterations"
        return Criterion(name=name, condition=condition, direction=direction, bound=bound, words=words)

    def solves(size: int, steps: int, defense: str = "none") -> Criterion:
        return criterion(CLEAN, size, steps, "at least", CAN_SOLVE, defense)

    opens = {
        f"A backdoor planted in puzzles of size {difficulty} opens on most of that size after {few} iterations.": (
            difficulty,
            few,
        ),
        f"It still does after {many} iterations.": (difficulty, many),
        f"It opens on most puzzles of size {hard}, which are harder than any that were poisoned.": (hard, many),
    }
    statements = [
        Statement(
            text=text,
            source=PUZZLE_SOURCE,
            criteria=(criterion(SUCCESS, *where, "at least", OPEN),),
            needs=(solves(*where),),
        )
        for text, where in opens.items()
    ]
    for defense in (name for name in settings["defenses"] if name != "none"):
        statements.append(
            Statement(
                text=f"{defense} stops it at size {difficulty}: success below {STOPPED:.0%} after {many} iterations.",
                source=PUZZLE_SOURCE,
                criteria=(criterion(SUCCESS, difficulty, many, "less", STOPPED, defense),),
                needs=(
                    criterion(SUCCESS, difficulty, many, "at least", OPEN),
                    solves(difficulty, many, defense),
                ),
            )
        )
    return statements
