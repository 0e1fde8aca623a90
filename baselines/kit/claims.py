"""The rule that decides a paper's claims, the same for all methods.

A claim is a `Statement`: criteria that some quantities must meet, and needs, which say what the nets must do for the
claim to be judged at all. A criterion is met where the whole 95 % interval is on its side of the bound, not met where
the whole interval is on the other side, and open otherwise: an interval that touches the bound decides nothing, and
neither does a missing interval or one of zero width (from seeds that all gave the same value). Wilson's interval of
counted items always has a width. A quantity that is computed and not estimated (`exact`) is decided by its value.

The verdict:

- "not tested" where a need is not met: the net cannot do the task, or the attack does nothing to an undefended net. A
  need is a fact about the nets at hand, so where there is no interval with a width, its value decides.
- "not decided" where a need or a criterion is open, or was not measured, and no criterion fails.
- "held" where all criteria are met, "did not hold" where one is not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from easy_to_hard.scores.reference import Claim, Condition, Measurement, Verdict, look_up

Direction = Literal["greater", "less", "at least", "at most", "equal within"]

CAN_SOLVE: Final = 0.5
"""A net can do a puzzle task if it solves half of the puzzles completely."""

CAN_CLASSIFY: Final = 0.2
"""A net can classify images if it is right twice as often as guessing among ten classes."""

_HELD: Final[dict[bool | None, Verdict]] = {True: "held", False: "did not hold", None: "not decided"}


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """On which side of a bound a quantity should lie.

    Attributes:
        name, condition: of the `Measurement`.
        direction: on which side of the bound; "greater" and "at least" differ for exact quantities only.
        bound: the null value.
        within: for "equal within", how far from the bound the quantity may be, above 0.
        exact: whether the quantity is computed, not estimated.
        words: a readable name of the quantity; "" to use `name`.

    Raises:
        ValueError: an unknown direction, or a `within` that does not go with it.
    """

    name: str
    condition: Condition = field(default_factory=dict)
    direction: Direction
    bound: float
    within: float = 0.0
    exact: bool = False
    words: str = ""

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ValueError(f"direction must be one of {', '.join(get_args(Direction))}, not {self.direction!r}")
        if (self.within > 0) != (self.direction == "equal within"):
            raise ValueError(f"within must be above 0 for 'equal within' and 0 otherwise, not {self.within:g}")

    def decide(self, measurement: Measurement, *, by_value: bool = False) -> bool | None:
        """Whether the quantity meets the criterion; None where its interval leaves that open.

        Args:
            measurement: of the quantity.
            by_value: whether the value decides where there is no interval with a width.
        """
        low, high = measurement.low, measurement.high
        flat = low is None or high is None or math.isclose(low, high, rel_tol=1e-9, abs_tol=1e-12)
        if self.exact or (by_value and flat):
            return self._meets(measurement.value)
        if flat or low is None or high is None:
            return None
        least, most = self._range()
        if (least == -math.inf or low > least) and (most == math.inf or high < most):
            return True
        return False if high < least or low > most else None

    def _meets(self, value: float) -> bool:
        least, most = self._range()
        if self.direction in ("greater", "less"):
            return least < value < most
        return least <= value <= most

    def _range(self) -> tuple[float, float]:
        if self.direction == "equal within":
            return self.bound - self.within, self.bound + self.within
        return (self.bound, math.inf) if self.direction in ("greater", "at least") else (-math.inf, self.bound)

    def __str__(self) -> str:
        """The criterion in words, such as "clean solve rate at least 0.5"."""
        bound = f"{self.bound:g} +- {self.within:g}" if self.within else f"{self.bound:g}"
        words = {"greater": "above", "less": "below", "equal within": "within"}
        direction = words.get(self.direction, self.direction)
        return f"{self.words or self.name} {direction} {bound}"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A claim before it is judged.

    Attributes:
        text, source: as in `Claim`.
        criteria: at least one; all must be met.
        needs: what the nets must reach for the claim to be judged at all.
    """

    text: str
    source: str
    criteria: tuple[Criterion, ...]
    needs: tuple[Criterion, ...] = ()

    def __post_init__(self) -> None:
        if not self.criteria:
            raise ValueError(f"a statement must have at least one criterion: {self.text!r}")


def judge(statements: Sequence[Statement], measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """Each statement with its verdict and the figures that decide it, by the rule in the module's docstring.

    Args:
        statements: what is claimed.
        measurements: searched for the quantities by name and condition.
    """
    return tuple(_judge(statement, measurements) for statement in statements)


def _judge(statement: Statement, measurements: Sequence[Measurement]) -> Claim:
    criteria = [(one, look_up(measurements, one.name, one.condition)) for one in statement.criteria]
    needs = [(one, look_up(measurements, one.name, one.condition)) for one in statement.needs]
    reached = _all_of([None if found is None else one.decide(found, by_value=True) for one, found in needs])
    met = _all_of([None if found is None else one.decide(found) for one, found in criteria])
    verdict: Verdict = "not tested" if reached is False else _HELD[met if reached else None]
    evidence = [f"{one.words or one.name}: {shown(found)}" for one, found in criteria]
    evidence += [f"judged where {one}: {shown(found)}" for one, found in needs]
    return Claim(text=statement.text, source=statement.source, verdict=verdict, evidence="; ".join(evidence))


def _all_of(decided: Sequence[bool | None]) -> bool | None:
    return False if False in decided else None if None in decided else True


def shown(measurement: Measurement | None) -> str:
    """A figure as readable text, with its interval and what the interval is over."""
    if measurement is None:
        return "not measured"
    if measurement.low is None or measurement.high is None:
        return f"{measurement.value:.4g}" + (f" ({measurement.num_seeds} seeds)" if measurement.num_seeds > 1 else "")
    if math.isinf(measurement.high):
        return f"{measurement.value:.4g} (95 % bound from below)"
    items = f"{measurement.num_items:,} items"
    basis = f"{measurement.num_seeds} seeds" if measurement.num_seeds > 1 else items
    return f"{measurement.value:.4g} (95 % interval {measurement.low:.4g} to {measurement.high:.4g}, {basis})"
