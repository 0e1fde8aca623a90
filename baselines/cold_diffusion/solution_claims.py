"""Whether what the paper says of its algorithms was so on the benchmark's tasks, from the figures alone."""

from collections.abc import Callable, Sequence
from typing import Final

from easy_to_hard.baselines.cold_diffusion.solver_recipes import SolverRecipe
from easy_to_hard.reference.results import Claim, Measurement
from easy_to_hard.scoring import wilson_interval

_PAPER: Final = "arXiv 2208.09392"
_ALGORITHMS: Final = ("algorithm_1", "algorithm_2")


def claims_of(recipe: SolverRecipe, measurements: Sequence[Measurement]) -> list[Claim]:
    """Each claim, with the figures that decide it.

    Of two shares one is ahead where their Wilson intervals do not meet; else it is not decided. The first net of the
    recipe stands for all, in as many steps as it was trained on, over all its difficulties together.
    """
    rates = [one for one in measurements if one.name == "solve rate"]
    net = recipe.nets[0]
    of_net = [
        one
        for one in rates
        if one.condition["restorer"] == net.name and one.condition["degradation"] == net.degradation
    ]
    middle = min(net.steps, key=lambda steps: abs(steps - recipe.trained_steps))
    direct = _pooled(of_net, lambda condition: condition["sampler"] == "direct")
    first, second = (
        _pooled(of_net, lambda condition, name=name: condition["sampler"] == name and condition["steps"] == middle)
        for name in _ALGORITHMS
    )
    where = f"{net.name}, {net.degradation}, difficulties {', '.join(map(str, net.difficulties))}, {middle} steps"
    return [
        _oracle_claim(rates),
        _ahead("Algorithm 2 restores better than Algorithm 1", "section 3.2", second, first, where),
        _ahead("Algorithm 2 restores better than the direct answer", "section 4", second, direct, where),
        _ahead("Algorithm 1 restores worse than the direct answer", "section 3.2", direct, first, where),
        *_noise_claims(rates),
    ]


def _pooled(rates: Sequence[Measurement], chosen: Callable[..., bool]) -> tuple[int, int]:
    """Solved and tried of all measurements whose condition is chosen."""
    found = [one for one in rates if chosen(one.condition)]
    return sum(round(one.value * one.num_items) for one in found), sum(one.num_items for one in found)


def _oracle_claim(rates: Sequence[Measurement]) -> Claim:
    solved, total = _pooled(rates, lambda condition: condition["restorer"] == "oracle")
    return Claim(
        text="with a perfect restorer both algorithms restore exactly, at any difficulty",
        source=f"{_PAPER}, section 3.2",
        held=solved == total,
        evidence=f"oracle: {solved} of {total} solved, all degradations, samplers and difficulties together",
    )


def _noise_claims(rates: Sequence[Measurement]) -> list[Claim]:
    """One for each kind of noise: does it separate the algorithms?"""
    noisy = [one for one in rates if one.condition["restorer"] == "noisy oracle"]
    claims = []
    for noise in dict.fromkeys(one.condition["noise"] for one in noisy):
        shares = [
            _pooled(
                noisy,
                lambda condition, name=name, noise=noise: condition["sampler"] == name and condition["noise"] == noise,
            )
            for name in _ALGORITHMS
        ]
        text = f"Algorithm 2 tolerates a restorer's errors better than Algorithm 1 ({noise} errors)"
        claims.append(
            _ahead(text, "section 3.2", shares[1], shares[0], "noisy oracle, all degradations and error rates")
        )
    return claims


def _ahead(text: str, section: str, this: tuple[int, int], other: tuple[int, int], where: str) -> Claim:
    """That this share of (solved, tried) is above the other."""
    lows, highs = zip(wilson_interval(*this), wilson_interval(*other), strict=True)
    held = True if lows[0] > highs[1] else False if highs[0] < lows[1] else None
    return Claim(
        text=text,
        source=f"{_PAPER}, {section}",
        held=held,
        evidence=f"{where}: solved {this[0]} of {this[1]} against {other[0]} of {other[1]}",
    )
