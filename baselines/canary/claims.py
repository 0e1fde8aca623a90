"""The paper's claims, and the questions asked on the benchmark's tasks."""

from collections.abc import Iterator, Sequence
from typing import Final

from easy_to_hard.baselines.canary.attacks import (
    ALL_NETS,
    AUGMENTED,
    CANARY,
    CANARY_NETS,
    HELD_OUT_NETS,
    PROTOCOLS,
    THRESHOLD,
    TWO_SIDED,
    attack_name,
)
from easy_to_hard.baselines.canary.metrics import AUC, level_name
from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, CAN_SOLVE, Criterion, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.scores.reference import Claim, Condition, Measurement, ReferenceResult, look_up

SOURCE: Final = "arXiv 2210.10750, abstract"
LIRA_SOURCE: Final = "arXiv 2112.03570"
PUZZLE_SOURCE: Final = "asked here of the benchmark's nets, with the attack of arXiv 2112.03570"
# Name of the training set of nets that get new items at each step.
NEW_ITEMS: Final = "new ones at each step"
MEMBERS: Final = "members"
TEST_SPLIT: Final = "the test split"

LIRA: Final = "LiRA, log odds"
CHANCE: Final = 0.5
# How close to chance an AUC must be to count as chance.
NOTHING: Final = 0.05
_LEVEL: Final = 0.01
_FITTED: Final = {
    CANARY_NETS: "both fitted to the nets that made the canaries (the authors' protocol)",
    HELD_OUT_NETS: "both fitted to held-out nets",
    ALL_NETS: "both fitted to all nets but the target",
}


def claims(result: ReferenceResult) -> tuple[Claim, ...]:
    """The claims on images or on puzzles, judged from a result's measurements and settings alone."""
    if result.data in IMAGES:
        return image_claims(result.measurements)
    settings = result.settings
    return puzzle_claims(result.measurements, sizes=settings["sizes"], trained_iterations=settings["max_iterations"])


def image_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The papers' claims, judged by the figures that were measured, those on canaries by each protocol.

    Attacks are not compared if the nets do not classify their members, or if LiRA is no better than chance.
    """
    statements = [
        Statement(
            text=text,
            source=source,
            criteria=(Criterion(name=name, condition=condition, direction="greater", bound=0.0),),
            needs=_image_needs(fit),
        )
        for name, condition, text, source, fit in (*_canary_claims(), *_lira_claims())
        if look_up(measurements, name, condition)
    ]
    return judge(statements, measurements)


def _canary_claims() -> Iterator[tuple[str, Condition, str, str, str]]:
    """Name and condition of a measurement that should be above 0, text, source, and the protocol."""
    for fit in PROTOCOLS:
        scores = [(CANARY[mode], mode) for mode in CANARY]
        if fit == CANARY_NETS:
            scores.append((CANARY["offline"], TWO_SIDED))
        for queries, score in scores:
            pair: Condition = {
                "attack": attack_name(queries, score, "fixed", fit),
                "against": attack_name(AUGMENTED, score, "fixed", fit),
            }
            for metric in (AUC, level_name(_LEVEL)):
                text = f"Canaries beat LiRA's queries {score}, {_FITTED[fit]}: their {metric} is higher."
                yield f"{metric} difference", pair, text, SOURCE, fit
        gain: Condition = {"gain": "offline", "against": "online", "fit": fit}
        text = f"Canaries gain more offline than online, {_FITTED[fit]}, in AUC."
        yield "gain in AUC difference", gain, text, SOURCE, fit


def _lira_claims() -> Iterator[tuple[str, Condition, str, str, str]]:
    """As `_canary_claims`, with all nets but the target; files from before that protocol have held-out nets."""
    for fit in (ALL_NETS, HELD_OUT_NETS):
        online = attack_name(AUGMENTED, "online", "fixed", fit)
        texts = {
            THRESHOLD: "LiRA online beats one threshold for all points",
            attack_name(AUGMENTED, "offline", "fixed", fit): "LiRA online beats LiRA offline",
            attack_name(AUGMENTED, "online", "per point", fit): (
                "With few shadow nets a variance for all points is better than one a point, online"
            ),
        }
        for against, text in texts.items():
            pair: Condition = {"attack": online, "against": against}
            yield f"{AUC} difference", pair, f"{text}, fitted to {fit}, in AUC.", LIRA_SOURCE, fit


def _image_needs(fit: str) -> tuple[Criterion, ...]:
    facts = {"queries": AUGMENTED, "score": "online", "variance": "fixed", "fit": fit}
    return (
        Criterion(
            name="accuracy of the nets",
            condition={"images": MEMBERS},
            direction="at least",
            bound=CAN_CLASSIFY,
            words="accuracy on members",
        ),
        Criterion(name=AUC, condition=facts, direction="greater", bound=CHANCE, words="AUC of LiRA online"),
    )


def puzzle_claims(
    measurements: Sequence[Measurement], *, sizes: Sequence[int], trained_iterations: int
) -> tuple[Claim, ...]:
    """Claims on nets that solve puzzles, by LiRA on the log odds: differences in AUC, and AUC above chance.

    The null (nets that get new items at each step) is tested with every attack. Nets that do not solve half of their
    own training set (or half of the test split, if their items are new at each step) have nothing to give away: claims
    on them are not tested.
    """
    statements = list(_puzzle_statements(measurements, sizes, trained_iterations))
    return judge(statements, measurements)


def _puzzle_statements(
    measurements: Sequence[Measurement], sizes: Sequence[int], trained_iterations: int
) -> Iterator[Statement]:
    asked = {(size, trained_iterations) for size in sizes}
    for one in measurements:
        facts = dict(one.condition)
        if one.name == f"{AUC} difference" and facts.pop("attack") == LIRA:
            yield _difference(one, facts, trained_iterations)
        elif one.name == AUC and facts["items"] == NEW_ITEMS:
            nothing = Criterion(
                name=AUC, condition=one.condition, direction="equal within", bound=CHANCE, within=NOTHING
            )
            yield Statement(
                text=f"{facts['attack']}: nets that see new items at each step give away nothing "
                f"(AUC {CHANCE:g}, within {NOTHING:g}).",
                source=PUZZLE_SOURCE,
                criteria=(nothing,),
                needs=(_solves(facts["nets"], NEW_ITEMS, facts["iterations"]),),
            )
        elif one.name == AUC and facts["attack"] == LIRA and (facts["items"], facts["iterations"]) in asked:
            yield Statement(
                text=f"{facts['nets']}: members can be told from others at {facts['items']} items: "
                f"the AUC is above {CHANCE:g}.",
                source=PUZZLE_SOURCE,
                criteria=(Criterion(name=AUC, condition=one.condition, direction="greater", bound=CHANCE),),
                needs=(_solves(facts["nets"], facts["items"], facts["iterations"]),),
            )


def _difference(one: Measurement, facts: dict[str, str | int | float], trained_iterations: int) -> Statement:
    """The statement that an AUC is higher on one side.

    Both sides must solve the items that they were trained on, in the number of iterations that they were trained with.
    """
    of, against = str(facts.pop("of")), str(facts.pop("against"))
    where = ", ".join(f"{name} {value}" for name, value in facts.items())
    sides = {}
    for side in (of, against):
        number, _, counted = side.partition(" ")
        nets, items = facts.get("nets", side), int(number) if counted == "items" else facts["items"]
        sides[nets, items] = _solves(nets, items, trained_iterations)
    return Statement(
        text=f"The AUC is higher with {of} than with {against} ({where}).",
        source=PUZZLE_SOURCE,
        criteria=(Criterion(name=one.name, condition=one.condition, direction="greater", bound=0.0),),
        needs=tuple(sides.values()),
    )


def _solves(nets: str | int | float, items: str | int | float, iterations: str | int | float) -> Criterion:
    of = TEST_SPLIT if items == NEW_ITEMS else MEMBERS
    condition: Condition = {"of": of, "nets": nets, "items": items, "iterations": iterations}
    words = f"solve rate of {of} with {nets}, {items}" + ("" if items == NEW_ITEMS else " items")
    return Criterion(name="solve rate", condition=condition, direction="at least", bound=CAN_SOLVE, words=words)
