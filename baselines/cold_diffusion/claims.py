"""The paper's claims on its ways to restore, tested on images and on the benchmark's puzzles."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from easy_to_hard.baselines.kit.claims import CAN_SOLVE, Criterion, Direction, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.baselines.kit.statistics import Figure, of_share, of_share_difference
from easy_to_hard.scores.reference import Claim, Condition, Measurement, ReferenceResult, look_up

if TYPE_CHECKING:
    from easy_to_hard.baselines.cold_diffusion.recipes import NetTrials

_PAPER: Final = "arXiv 2208.09392"

# Of RMSE by Algorithm 2 over that of direct restoration: the paper's MNIST figures, 0.154 and 0.142, give 1.08.
SMALL_COST: Final = 1.2

_PAIRS: Final = (
    ("algorithm_2", "direct"),
    ("algorithm_1", "direct"),
    ("algorithm_1", "algorithm_2"),
    ("broken symmetry", "perfect symmetry"),
    ("estimated noise", "fixed noise"),
)
_DIFFERENCES: Final = ("FID", "KID", "unpaired FID", "unpaired KID", "SSIM", "diversity")
_GAIN: Final = "RMSE of direct restoration over that of the degraded image"

_ALGORITHMS: Final = ("algorithm_1", "algorithm_2")
_ORACLE: Final = "solve rate of the oracle, all degradations, samplers and difficulties together"
_BEST: Final = "solve rate of the best way"

Counts = tuple[int, int]
"""Number of items solved, and number tried."""


def claims(result: ReferenceResult) -> tuple[Claim, ...]:
    """The paper's claims, judged from a result's measurements and settings alone."""
    from easy_to_hard.baselines.cold_diffusion.degradations import get_degradation
    from easy_to_hard.baselines.cold_diffusion.recipes import NetTrials

    if result.data in IMAGES:
        erases = get_degradation(result.settings["degradation"]["name"]).erases
        return (() if erases else restoration_claims(result.measurements)) + generation_claims(result.measurements)
    net = NetTrials(**result.settings["nets"][0])
    return puzzle_claims(net, result.settings["trained_steps"], result.measurements)


def compare(values: Mapping[tuple[str, str], float], num_items: int) -> list[Figure]:
    """Differences of FID, KID, SSIM and diversity and ratios of RMSE between two ways, for one seed.

    Args:
        values: (name of the quantity, state) -> value; those that are there are compared.
        num_items: images behind each value.

    Returns:
        figures "FID difference" and so on, with the condition {"state": one way, "against": another}.
    """
    found = []
    for state, against in _PAIRS:
        condition = {"state": state, "against": against}
        compared = {
            f"{name} difference": values[name, state] - values[name, against]
            for name in _DIFFERENCES
            if {(name, state), (name, against)} <= values.keys()
        }
        if ("RMSE", state) in values:
            compared["RMSE ratio"] = values["RMSE", state] / values["RMSE", against]
        found += [
            Figure(name=name, value=value, condition=condition, num_items=num_items) for name, value in compared.items()
        ]
    return found


def restoration_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims on restored images, judged by the figures; not tested where direct restoration gains nothing.

    As in the paper, the FID is that to the originals of the restored images.
    """
    ways: list[tuple[str, tuple[str, str, str], Direction, float, str]] = [
        (
            "Restoring step by step with Algorithm 2 gives a lower FID than restoring at once.",
            ("FID difference", "algorithm_2", "direct"),
            "less",
            0.0,
            "FID of Algorithm 2 minus FID of direct restoration",
        ),
        (
            f"It costs little in RMSE: at most {SMALL_COST:g} times that of restoring at once.",
            ("RMSE ratio", "algorithm_2", "direct"),
            "at most",
            SMALL_COST,
            "RMSE of Algorithm 2 over RMSE of direct restoration",
        ),
        (
            "Algorithm 1 is worse than Algorithm 2: its FID is higher.",
            ("FID difference", "algorithm_1", "algorithm_2"),
            "greater",
            0.0,
            "FID of Algorithm 1 minus FID of Algorithm 2",
        ),
    ]
    gains = Criterion(name=_GAIN, direction="less", bound=1.0)
    statements = []
    for text, (name, state, against), direction, bound, words in ways:
        condition: Condition = {"state": state, "against": against}
        criterion = Criterion(name=name, condition=condition, direction=direction, bound=bound, words=words)
        statements.append(Statement(text=text, source=f"{_PAPER}, section 4", criteria=(criterion,), needs=(gains,)))
    return judge(statements, [*measurements, *_gain(measurements)])


def generation_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims on generated images that are about the ways compared here, judged by the figures."""
    ways = (
        ("Noise that breaks the symmetry of blurred states lowers the FID.", "broken symmetry", "perfect symmetry"),
        ("Of hot diffusion, noise estimated at each step gives a lower FID.", "estimated noise", "fixed noise"),
    )
    statements = [
        Statement(
            text=text,
            source=f"{_PAPER}, section 5",
            criteria=(
                Criterion(
                    name="FID difference",
                    condition={"state": state, "against": against},
                    direction="less",
                    bound=0.0,
                    words=f"FID with {state} minus FID with {against}",
                ),
            ),
        )
        for text, state, against in ways
        if look_up(measurements, "FID difference", {"state": state, "against": against})
    ]
    return judge(statements, measurements)


def _gain(measurements: Sequence[Measurement]) -> list[Measurement]:
    """The share of the degraded images' RMSE that is left, from the means over seeds, without an interval."""
    degraded, direct = (look_up(measurements, "RMSE", {"state": state}) for state in ("degraded", "direct"))
    if degraded is None or direct is None:
        return []
    return [
        Measurement(
            name=_GAIN,
            value=direct.value / degraded.value,
            num_items=direct.num_items,
            num_seeds=direct.num_seeds,
        )
    ]


def puzzle_claims(net: "NetTrials", trained_steps: int, measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims, tested on puzzles and judged by the figures.

    Claims are judged by one net, in as many steps as it was trained on, over all its difficulties together; they are
    not tested if no way of restoring with the net solves half of the puzzles.

    Args:
        net: the first of the recipe's nets.
        trained_steps: of the recipe.
        measurements: of the run.
    """
    rates = [one for one in measurements if one.name == "solve rate"]
    middle = min(net.steps, key=lambda steps: abs(steps - trained_steps))
    ways = _ways(rates, net, middle)
    where = f"{net.name}, {net.degradation}, difficulties {', '.join(map(str, net.difficulties))}, {middle} steps"
    derived = [of_share(f"{_BEST}, {where}", *max(ways.values(), key=lambda counts: counts[0] / counts[1]))]
    able = Criterion(name=derived[-1].name, direction="at least", bound=CAN_SOLVE)
    oracle = _pooled(rates, {"restorer": "oracle"})
    if oracle[1]:
        derived.append(of_share(_ORACLE, *oracle))
    statements = [
        Statement(
            text="with a perfect restorer both algorithms restore exactly, at any difficulty",
            source=f"{_PAPER}, section 3.2",
            # A claim of each single puzzle: one that is not restored refutes it.
            criteria=(Criterion(name=_ORACLE, direction="at least", bound=1.0, exact=True),),
        )
    ]
    for text, section, this, other in (
        ("Algorithm 2 restores better than Algorithm 1", "section 3.2", "algorithm_2", "algorithm_1"),
        ("Algorithm 2 restores better than the direct answer", "section 4", "algorithm_2", "direct"),
        ("Algorithm 1 restores worse than the direct answer", "section 3.2", "direct", "algorithm_1"),
    ):
        derived.append(_difference(this, other, ways[this], ways[other], where))
        statements.append(_ahead(text, section, derived[-1], needs=(able,)))
    for noise, counts in _noisy(rates).items():
        this, other = (f"{name}, {noise} errors" for name in reversed(_ALGORITHMS))
        where = "noisy oracle, all degradations and error rates"
        derived.append(_difference(this, other, counts["algorithm_2"], counts["algorithm_1"], where))
        text = f"Algorithm 2 tolerates a restorer's errors better than Algorithm 1 ({noise} errors)"
        statements.append(_ahead(text, "section 3.2", derived[-1]))
    return judge(statements, derived)


def _ways(rates: Sequence[Measurement], net: "NetTrials", steps: int) -> dict[str, Counts]:
    """The counts of each way of restoring with the net; the direct answer has no steps."""
    of_net = {"restorer": net.name, "degradation": net.degradation}
    ways = {name: _pooled(rates, of_net | {"sampler": name, "steps": steps}) for name in _ALGORITHMS}
    return {"direct": _pooled(rates, of_net | {"sampler": "direct"}), **ways}


def _noisy(rates: Sequence[Measurement]) -> dict[str, dict[str, Counts]]:
    """For each kind of noise, the counts of both algorithms with a restorer that makes such errors."""
    kinds = dict.fromkeys(str(one.condition["noise"]) for one in rates if one.condition["restorer"] == "noisy oracle")
    return {noise: {name: _pooled(rates, {"noise": noise, "sampler": name}) for name in _ALGORITHMS} for noise in kinds}


def _pooled(rates: Sequence[Measurement], facts: Condition) -> Counts:
    """The summed counts of all measurements whose condition includes these facts."""
    found = [one for one in rates if facts.items() <= one.condition.items()]
    return sum(round(one.value * one.num_items) for one in found), sum(one.num_items for one in found)


def _difference(this: str, other: str, ours: Counts, theirs: Counts, where: str) -> Measurement:
    counts = f"{ours[0]} of {ours[1]} solved against {theirs[0]} of {theirs[1]}"
    return of_share_difference(f"{where}: solve rate of {this} less that of {other}, {counts}", ours, theirs)


def _ahead(text: str, section: str, difference: Measurement, needs: tuple[Criterion, ...] = ()) -> Statement:
    return Statement(
        text=text,
        source=f"{_PAPER}, {section}",
        criteria=(Criterion(name=difference.name, direction="greater", bound=0.0),),
        needs=needs,
    )
