"""What a defence let through, in figures with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from easy_to_hard.baselines.kit.statistics import SHARE, of_differences, of_share, over_seeds
from easy_to_hard.scores.reference import Condition, Measurement


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of attacks under one defence; the lists have one value a seed, in [0, 1].

    Attributes:
        success: share of attacked items that a poisoned net gives the attacker's class, a mean over the keys.
        unpoisoned: the same of nets trained alike on the clean set.
        accuracy: of poisoned nets on clean test items.
        clean_accuracy: of nets trained on the clean set.
        hits, attacked: successes, and what they are of, of all seeds and keys together.
        num_test: clean test items.
    """

    success: Sequence[float]
    unpoisoned: Sequence[float]
    accuracy: Sequence[float]
    clean_accuracy: Sequence[float]
    hits: int
    attacked: int
    num_test: int


def measurements_of(
    outcomes: Mapping[str, Outcome], epsilons: Mapping[str, float], *, num_train: int
) -> list[Measurement]:
    """Figures of each defence, and its differences from none, seed by seed.

    Args:
        outcomes: by defence, with "none" among them.
        epsilons: of the defences that have one; an infinite one, of training without noise, is left out.
        num_train: items that epsilon is of.
    """
    found = []
    bare = outcomes["none"]
    for defense, outcome in outcomes.items():
        condition: Condition = {"defense": defense}
        items = max(1, outcome.attacked // len(outcome.success))
        shares = {
            "attack success": (outcome.success, items),
            "attack success of unpoisoned nets": (outcome.unpoisoned, items),
            "clean accuracy": (outcome.accuracy, outcome.num_test),
            "clean accuracy of unpoisoned nets": (outcome.clean_accuracy, outcome.num_test),
        }
        differences = {"attack success above unpoisoned": (outcome.success, outcome.unpoisoned, items)}
        if defense != "none":
            differences |= {
                "attack success less that of none": (outcome.success, bare.success, items),
                "clean accuracy less that of none": (outcome.accuracy, bare.accuracy, outcome.num_test),
            }
        for name, (values, count) in shares.items():
            found.append(over_seeds(name, values, unit=SHARE, condition=condition, num_items=count))
        for name, (values, others, count) in differences.items():
            found.append(of_differences(name, values, others, condition=condition, num_items=count))
        num_seeds = len(outcome.success)
        # Attacked items of one net are no independent draws: this interval is of items, that above of nets.
        share = of_share(
            "attacked items given the target", outcome.hits, outcome.attacked, condition=condition, num_seeds=num_seeds
        )
        found.append(share)
    for defense, epsilon in epsilons.items():
        if isfinite(epsilon):
            found.append(
                Measurement(name="epsilon", value=epsilon, condition={"defense": defense}, num_items=num_train)
            )
    return found
