"""The rule that decides claims: one table for every boundary, and what must be reached before anything is decided."""

from pathlib import Path

import pytest

from easy_to_hard.baselines.kit.claims import Criterion, Direction, Statement, judge
from easy_to_hard.baselines.kit.statistics import of_share
from easy_to_hard.scores.reference import Measurement, Verdict, read_reference_result

RESULTS = Path(__file__).parents[3] / "leaderboard" / "results" / "reference"
HELD, NOT_HELD, OPEN, UNTESTED = "held", "did not hold", "not decided", "not tested"
DIRECTIONS: tuple[Direction, ...] = ("greater", "less", "at least", "at most", "equal within")


def figure(name: str, low: float | None, high: float | None, value: float | None = None) -> Measurement:
    middle = 0.0 if low is None or high is None else (low + high) / 2
    value = middle if value is None else value
    return Measurement(name=name, value=value, low=low, high=high, num_items=10, num_seeds=1 if low is None else 3)


def verdict_of(direction: Direction, bound: float, measured: Measurement, *, exact: bool = False) -> Verdict:
    within = 0.1 if direction == "equal within" else 0.0
    criterion = Criterion(name=measured.name, direction=direction, bound=bound, within=within, exact=exact)
    (claim,) = judge([Statement(text="It is so.", source="here", criteria=(criterion,))], [measured])
    assert claim.held is {HELD: True, NOT_HELD: False}.get(claim.verdict)
    return claim.verdict


@pytest.mark.parametrize(
    ("low", "high", "verdicts"),
    [
        # The null is 0, and 0.1 is what "equal within" allows; verdicts as in DIRECTIONS.
        (0.0, 0.0, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (0.5, 0.5, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (0.0, 1.0, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (-1.0, 0.0, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (-1.0, 1.0, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (None, None, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (0.2, 0.3, (HELD, NOT_HELD, HELD, NOT_HELD, NOT_HELD)),
        (-0.3, -0.2, (NOT_HELD, HELD, NOT_HELD, HELD, NOT_HELD)),
        (-0.05, 0.05, (OPEN, OPEN, OPEN, OPEN, HELD)),
        (0.01, 0.05, (HELD, NOT_HELD, HELD, NOT_HELD, HELD)),
        # Touching what "equal within" allows, from inside and from outside.
        (-0.05, 0.1, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (-0.1, 0.05, (OPEN, OPEN, OPEN, OPEN, OPEN)),
        (0.1, 0.2, (HELD, NOT_HELD, HELD, NOT_HELD, OPEN)),
        (-0.2, -0.1, (NOT_HELD, HELD, NOT_HELD, HELD, OPEN)),
    ],
)
def test_every_boundary(low: float | None, high: float | None, verdicts: tuple[str, ...]) -> None:
    assert tuple(verdict_of(direction, 0.0, figure("x", low, high)) for direction in DIRECTIONS) == verdicts


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_rule_knows_no_place(direction: Direction) -> None:
    """Where the null is does not matter, only how the interval lies to it."""
    for bound in (-0.5, 0.25, 0.5):
        for low, high in ((0.0, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.25, 0.5), (-0.5, -0.25)):
            moved = verdict_of(direction, bound, figure("x", low + bound, high + bound))
            assert moved == verdict_of(direction, 0.0, figure("x", low, high))


def test_counted_items_always_have_a_width() -> None:
    assert verdict_of("greater", 0.5, of_share("x", 100, 100)) == HELD
    assert verdict_of("less", 0.5, of_share("x", 0, 100)) == HELD
    assert verdict_of("greater", 0.5, of_share("x", 1, 1)) == OPEN


@pytest.mark.parametrize(
    ("value", "verdicts"),
    [
        (0.0, (NOT_HELD, NOT_HELD, HELD, HELD, HELD)),
        (0.1, (HELD, NOT_HELD, HELD, NOT_HELD, HELD)),
        (-0.2, (NOT_HELD, HELD, NOT_HELD, HELD, NOT_HELD)),
    ],
)
def test_what_is_computed_is_decided_by_its_value(value: float, verdicts: tuple[str, ...]) -> None:
    found = [verdict_of(one, 0.0, figure("x", None, None, value), exact=True) for one in DIRECTIONS]
    assert tuple(found) == verdicts


@pytest.mark.parametrize(
    ("need", "verdict"),
    [
        (figure("able", 0.6, 0.9), HELD),
        (figure("able", 0.1, 0.4), UNTESTED),
        (figure("able", 0.1, 0.9), OPEN),
        (figure("able", 0.5, 0.9), OPEN),
        # Nets that all do it, or one that does, are able; nets that all do not are not.
        (figure("able", 1.0, 1.0), HELD),
        (figure("able", 0.0, 0.0), UNTESTED),
        (figure("able", None, None, 0.8), HELD),
        (figure("able", None, None, 0.2), UNTESTED),
        (figure("another", 0.6, 0.9), OPEN),
    ],
)
def test_what_the_nets_must_reach(need: Measurement, verdict: str) -> None:
    able = Criterion(name="able", direction="at least", bound=0.5)
    met = Criterion(name="x", direction="greater", bound=0.0)
    statement = Statement(text="It is so.", source="here", criteria=(met,), needs=(able,))
    (claim,) = judge([statement], [figure("x", 0.1, 0.2), need])
    assert claim.verdict == verdict
    assert "judged where able at least 0.5: " in claim.evidence
    # A need that is not met comes before a quantity that was not measured or does not decide.
    for measurements in ([need], [figure("x", -0.1, 0.2), need]):
        (claim,) = judge([statement], measurements)
        assert claim.verdict == (UNTESTED if verdict == UNTESTED else OPEN)


def test_all_criteria_must_be_met() -> None:
    criteria = tuple(Criterion(name=name, direction="greater", bound=0.0) for name in ("x", "y"))
    statement = Statement(text="Both.", source="here", criteria=criteria)
    for low, verdict in ((0.1, HELD), (-0.1, OPEN), (-0.9, NOT_HELD)):
        (claim,) = judge([statement], [figure("x", 0.1, 0.2), figure("y", low, low + 0.2)])
        assert claim.verdict == verdict
    (claim,) = judge([statement], [figure("x", -0.9, -0.8)])
    assert (claim.verdict, "y: not measured" in claim.evidence) == (NOT_HELD, True)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"direction must be one of greater, .*, not 'more'"):
        Criterion(name="x", direction="more", bound=0.0)  # type: ignore[arg-type]
    for direction, within in (("greater", 0.1), ("equal within", 0.0)):
        with pytest.raises(ValueError, match="within must be above 0 for 'equal within' and 0 otherwise"):
            Criterion(name="x", direction=direction, bound=0.0, within=within)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"at least one criterion: 'It is so\.'"):
        Statement(text="It is so.", source="here", criteria=())


def test_no_shipped_verdict_is_of_nets_that_cannot_do_the_task() -> None:
    claims = [claim for path in RESULTS.glob("*.json") for claim in read_reference_result(path).claims]
    assert {claim.verdict for claim in claims} == {HELD, NOT_HELD, OPEN, UNTESTED}
    (stopped,) = [
        claim
        for claim in read_reference_result(RESULTS / "augmentation-defense-prefix-sums-small.json").claims
        if claim.text.startswith("dp_sgd stops it")
    ]
    # These nets solve 0.1 % of the clean strings.
    assert (stopped.verdict, stopped.held) == (UNTESTED, None)
