"""Cold diffusion as a solver of mazes and prefix sums: degradations, restorers, scores and whole runs."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.cold_diffusion.claims import puzzle_claims
from easy_to_hard.baselines.cold_diffusion.on_puzzles import evaluation, nets
from easy_to_hard.baselines.cold_diffusion.on_puzzles.degradations import (
    MAP_DEGRADATIONS,
    fully_degraded,
    map_degradation,
)
from easy_to_hard.baselines.cold_diffusion.on_puzzles.evaluation import measurements_of
from easy_to_hard.baselines.cold_diffusion.on_puzzles.nets import (
    SolutionNet,
    build_net,
    restoration_loss,
    training_batch,
)
from easy_to_hard.baselines.cold_diffusion.on_puzzles.orders import growth_orders, peeling_orders
from easy_to_hard.baselines.cold_diffusion.on_puzzles.restorers import (
    NetRestorer,
    NoisyOracle,
    SolverRestorer,
    oracle,
    with_known,
)
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solution_maps import SolutionMaps, check_solvable, first_maps
from easy_to_hard.baselines.cold_diffusion.on_puzzles.solving import (
    mean_f1,
    score_answers,
    solve_puzzles,
    way_back,
)
from easy_to_hard.baselines.cold_diffusion.pictures import curves_of, maze_picture, plot_solving
from easy_to_hard.baselines.cold_diffusion.recipes import (
    PUZZLE_RECIPES,
    NetTrials,
    PuzzleRecipe,
    SolverTrials,
    get_puzzle_recipe,
)
from easy_to_hard.baselines.cold_diffusion.sampling import SAMPLERS, at_severity
from easy_to_hard.baselines.kit.statistics import of_share
from easy_to_hard.plotting import save_figure
from easy_to_hard.scores.reference import Measurement, find_measurement
from easy_to_hard.tasks import DataSpec, get_task

MAZE_DEGRADATIONS = [name for name, of in MAP_DEGRADATIONS.items() if of.task == "mazes"]
STEPS = 7
Array = NDArray[Any]


def puzzles_of(task: str, difficulty: int, num_items: int) -> SolutionMaps:
    return first_maps(DataSpec(task=task, difficulty=difficulty, split="test"), num_items)[1]


def easy_puzzles(degradation: str) -> SolutionMaps:
    task = MAP_DEGRADATIONS[degradation].task
    return puzzles_of(task, {"mazes": 9, "prefix_sums": 16}[task], 5)


def estimates(puzzles: SolutionMaps) -> dict[str, Tensor]:
    """Right and wrong ones."""
    noise = torch.randn(puzzles.solutions.shape, generator=torch.Generator().manual_seed(0))
    return {
        "right": puzzles.solutions,
        "nothing": torch.full_like(noise, -1.0),
        "everything": torch.ones_like(noise),
        "noise": noise,
        "zeros": torch.zeros_like(noise),
    }


# ---- orders, on a comb: a corridor of five with a tooth of two at its second place, and one of one at its fourth


COMB = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 2, 1, 1, 1, 3, 0],
        [0, 0, 1, 0, 1, 0, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    dtype=np.uint8,
)[None]
CORRIDOR = np.zeros(COMB.shape, dtype=np.bool_)
CORRIDOR[0, 1, 1:6] = True


def test_growth_orders_by_hand() -> None:
    ranks, distances, totals, depths = growth_orders(COMB, CORRIDOR)
    assert (ranks[0, 1, 1:6] == 0).all()
    assert [int(ranks[0][at]) for at in ((2, 2), (2, 4), (3, 2), (5, 5))] == [1, 2, 3, 4]
    assert [int(distances[0][at]) for at in ((2, 2), (2, 4), (3, 2), (5, 5))] == [1, 1, 2, 3]
    assert (totals.tolist(), depths.tolist()) == ([4], [3])
    assert (ranks[COMB == 0] == -1).all()
    # Of nothing, growth is from the start and the goal; walls that were chosen change nothing.
    nothing = growth_orders(COMB, np.zeros_like(CORRIDOR))
    assert [int(nothing[1][0, 1, x]) for x in range(1, 6)] == [0, 1, 2, 1, 0]
    walls = growth_orders(COMB, CORRIDOR | (COMB == 0))
    assert all(np.array_equal(a, b) for a, b in zip(walls, (ranks, distances, totals, depths), strict=True))


def test_peeling_orders_by_hand() -> None:
    ranks, totals = peeling_orders(COMB, CORRIDOR)
    assert ranks[0, 1, 1:6].tolist() == [0, 1, 2, 3, 4]
    assert totals.tolist() == [5]
    assert (ranks[~CORRIDOR] == -1).all()
    # A piece that does not hang together with the start comes last, row by row; the goal always belongs to the set.
    broken = CORRIDOR.copy()
    broken[0, 1, 3], broken[0, 3, 2] = False, True
    ranks, totals = peeling_orders(COMB, broken)
    assert [int(ranks[0][at]) for at in ((1, 1), (1, 2), (1, 4), (1, 5), (3, 2))] == [0, 1, 2, 3, 4]
    assert totals.tolist() == [5]


def plain_distances(positions: Array, sources: Array) -> dict[tuple[int, int], int]:
    queue = deque((int(y), int(x)) for y, x in np.argwhere(sources))
    found = dict.fromkeys(queue, 0)
    while queue:
        y, x = queue.popleft()
        for beside in ((y, x + 1), (y + 1, x), (y, x - 1), (y - 1, x)):
            if positions[beside] and beside not in found:
                found[beside] = found[y, x] + 1
                queue.append(beside)
    return found


def test_orders_agree_with_plain_python() -> None:
    condition = puzzles_of("mazes", 13, 20).condition
    positions = (condition * torch.tensor([1.0, 1.0, 2.0])[:, None, None]).sum(1).to(torch.uint8).numpy()
    chosen = np.random.default_rng(0).random(positions.shape) < 0.1
    ranks, distances, totals, depths = growth_orders(positions, chosen)
    for n in range(len(positions)):
        sources = ((chosen[n] & (positions[n] > 0)) | (positions[n] > 1)) & (positions[n] > 0)
        wanted = plain_distances(positions[n], sources)
        assert {(int(y), int(x)): int(distances[n, y, x]) for y, x in np.argwhere(positions[n])} == wanted
        off = sorted((int(ranks[n][place]), steps) for place, steps in wanted.items() if steps)
        assert [rank for rank, _ in off] == list(range(1, totals[n] + 1))
        assert [steps for _, steps in off] == sorted(steps for _, steps in off)
        assert depths[n] == max(wanted.values())
        inside, count = peeling_orders(positions[n : n + 1], chosen[n : n + 1])
        assert sorted(inside[0][sources].tolist()) == list(range(count[0]))
        assert count[0] == sources.sum()
        reached = plain_distances(np.where(sources, positions[n], 0), positions[n] == 2)
        order = sorted(reached, key=lambda place: int(inside[0][place]))
        assert [reached[place] for place in order] == sorted(reached.values())
        assert {int(inside[0][place]) for place in order} == set(range(len(order)))


# ---- degradations


@pytest.mark.parametrize("name", MAP_DEGRADATIONS)
def test_ends_are_the_estimate_and_what_the_puzzle_shows(name: str) -> None:
    puzzles = easy_puzzles(name)
    degrade = MAP_DEGRADATIONS[name].prepare(puzzles, STEPS)
    # Of the solutions, not even the shape of the path may be in it.
    blind = replace(puzzles, solutions=torch.zeros_like(puzzles.solutions))
    start = fully_degraded(MAP_DEGRADATIONS[name].prepare(blind, STEPS), blind, STEPS)
    known = puzzles.known()
    for estimate in estimates(puzzles).values():
        before = estimate.clone()
        assert torch.equal(degrade(estimate, at_severity(0, estimate)), estimate)
        assert torch.equal(degrade(estimate, at_severity(STEPS, estimate)), start)
        for severity in range(1, STEPS + 1):
            state = degrade(estimate, at_severity(severity, estimate))
            assert torch.equal(state, degrade(estimate, at_severity(severity, estimate)))
            assert torch.equal(state[known != 0], known[known != 0])
            changed = state != estimate
            full = {"dead_end_growth": 1.0, "growth_by_distance": 1.0, "path_peeling": -1.0}
            if name in full:
                assert (state[changed & (known == 0)] == full[name]).all()
        assert torch.equal(estimate, before)


@pytest.mark.parametrize("name", MAP_DEGRADATIONS)
def test_an_item_does_not_depend_on_its_batch(name: str) -> None:
    puzzles = easy_puzzles(name)
    severity = torch.tensor([0, 2, 3, 6, 7])
    together = MAP_DEGRADATIONS[name].prepare(puzzles, STEPS)(puzzles.solutions, severity)
    for n in range(len(puzzles)):
        one = SolutionMaps(
            task=puzzles.task, condition=puzzles.condition[n : n + 1], solutions=puzzles.solutions[n : n + 1]
        )
        alone = MAP_DEGRADATIONS[name].prepare(one, STEPS)(one.solutions, severity[n : n + 1])
        assert torch.equal(alone, together[n : n + 1])


def test_growth_adds_the_nearest_share() -> None:
    puzzles = puzzles_of("mazes", 17, 10)
    path = puzzles.solutions > 0
    free = puzzles.condition[:, :1] > 0
    shares, rings = (MAP_DEGRADATIONS[name].prepare(puzzles, STEPS) for name in MAZE_DEGRADATIONS[:2])
    before = path
    for severity in range(1, STEPS + 1):
        state = shares(puzzles.solutions, at_severity(severity, path)) > 0
        assert (state | ~before).all()
        assert (state <= free).all()
        off = (free & ~path).flatten(1).sum(1)
        assert torch.equal((state & ~path).flatten(1).sum(1), off * severity // STEPS)
        before = state
        ring = rings(puzzles.solutions, at_severity(severity, path)) > 0
        for n in range(len(puzzles)):
            wanted = plain_distances(free[n, 0].numpy(), path[n, 0].numpy())
            deepest = max(wanted.values())
            within = {place for place, steps in wanted.items() if steps * STEPS <= severity * deepest}
            assert {(int(y), int(x)) for y, x in np.argwhere(ring[n, 0].numpy())} == within


def test_peeling_walks_from_the_start() -> None:
    puzzles = puzzles_of("mazes", 17, 10)
    path = puzzles.solutions > 0
    goal = puzzles.condition[:, 2:] > 0
    # As many steps as the first path is long, so that each takes one position of it.
    steps = int(path[0].sum())
    peel = MAP_DEGRADATIONS["path_peeling"].prepare(puzzles, steps)
    for severity in range(1, steps):
        state = peel(puzzles.solutions, at_severity(severity, path)) > 0
        for n in range(len(puzzles)):
            length = int(path[n].sum())
            walked = plain_distances(path[n, 0].numpy(), puzzles.condition[n, 1].numpy() > 0)
            left = math.ceil(length * (steps - severity) / steps)
            wanted = {place for place, distance in walked.items() if distance < left}
            found = {(int(y), int(x)) for y, x in np.argwhere((state & ~goal)[n, 0].numpy())}
            assert found == wanted - {(int(y), int(x)) for y, x in np.argwhere(goal[n, 0].numpy())}


def test_prefix_masking_by_hand() -> None:
    bits = torch.tensor([[[1.0, -1, 1, 1, -1]]])
    parities = torch.tensor([[[1.0, 1, -1, 1, 1]]])
    puzzles = SolutionMaps(task="prefix_sums", condition=bits, solutions=parities)
    masked, to_input = (MAP_DEGRADATIONS[name].prepare(puzzles, 5) for name in ("prefix_masking", "prefix_to_input"))
    two = torch.tensor([2])
    assert masked(parities, two).flatten().tolist() == [1, 1, -1, 0, 0]
    assert to_input(parities, two).flatten().tolist() == [1, 1, -1, 1, -1]
    # 5 positions in 2 steps: after one, the first 2.5 are kept, which is three.
    halves = MAP_DEGRADATIONS["prefix_masking"].prepare(puzzles, 2)
    assert halves(0.3 * parities, torch.tensor([1])).flatten().tolist() == pytest.approx([0.3, 0.3, -0.3, 0, 0])


@pytest.mark.parametrize("severity", [-1, STEPS + 1])
@pytest.mark.parametrize("name", MAP_DEGRADATIONS)
def test_severity_out_of_range(name: str, severity: int) -> None:
    puzzles = easy_puzzles(name)
    severities = torch.tensor([1, 1, severity, 1, 1])
    with pytest.raises(ValueError, match=rf"severity must be from 0 to {STEPS}, not {severity}"):
        MAP_DEGRADATIONS[name].prepare(puzzles, STEPS)(puzzles.solutions, severities)


def test_unknown_names() -> None:
    with pytest.raises(
        ValueError, match=r"unknown degradation 'blur' of mazes: choose one of dead_end_growth, .*peeling"
    ):
        map_degradation("blur", "mazes")
    with pytest.raises(ValueError, match=r"unknown degradation 'path_peeling' of prefix_sums: .*prefix_masking"):
        map_degradation("path_peeling", "prefix_sums")
    with pytest.raises(ValueError, match=r"does not solve 'chess_mates': choose one of mazes, prefix_sums"):
        check_solvable("chess_mates")
    with pytest.raises(ValueError, match=r"unknown preset 'paper' of mazes: choose one of smoke, small"):
        get_puzzle_recipe("paper", "mazes")
    with pytest.raises(ValueError, match=r"unknown noise 'pink': choose one of frozen, fresh, fading"):
        NoisyOracle(noise="pink", probability=0.1, seed=0)
    with pytest.raises(ValueError, match=r"probability must be from 0 to 1, not 1.5"):
        NoisyOracle(noise="fresh", probability=1.5, seed=0)
    recipe = get_puzzle_recipe("smoke", "mazes")
    large = replace(recipe.nets[0], difficulties=(33,))
    with pytest.raises(ValueError, match=r"no items are given for difficulty 33"):
        replace(recipe, nets=(large,))


@pytest.mark.parametrize(("task", "difficulty"), [("mazes", 9), ("mazes", 33), ("prefix_sums", 65)])
def test_solutions_are_answers(task: str, difficulty: int) -> None:
    instances, puzzles = first_maps(DataSpec(task=task, difficulty=difficulty, split="test"), 4)
    answers = puzzles.answers(puzzles.solutions)
    inputs, targets = get_task(task).encode(instances.data, difficulty, None)
    assert answers.dtype == np.uint8
    assert np.array_equal(answers, targets)
    known = puzzles.known()
    assert torch.equal(known[known != 0], puzzles.solutions[known != 0])
    assert (known != 0).any() == (task == "mazes")
    if task == "mazes":
        free = inputs.any(axis=1)[:, None, 1:-1:2, 1:-1:2]
        assert np.array_equal((known == -1).numpy(), ~free)


# ---- restorers


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", MAP_DEGRADATIONS)
def test_an_oracle_solves_all_sizes(name: str, sampler: str) -> None:
    task = MAP_DEGRADATIONS[name].task
    for difficulty in PUZZLE_RECIPES[task, "small"].items:
        instances, puzzles = first_maps(DataSpec(task=task, difficulty=difficulty, split="test"), 3)
        for steps in (1, 6):
            answers = solve_puzzles(oracle, puzzles, degradation=name, sampler=sampler, steps=steps)
            score = score_answers(task, difficulty, instances, answers)
            checks = {"valid_path": 3} if task == "mazes" else {}
            assert score == {"num_items": 3, "num_solved": 3, "checks": checks, "mean_f1": 1.0}


def solved_by(noise: str, sampler: str, degradation: str = "dead_end_growth") -> Array:
    puzzles = puzzles_of("mazes", 13, 40)
    restorer = NoisyOracle(noise=noise, probability=0.02, seed=3)
    return solve_puzzles(restorer, puzzles, degradation=degradation, sampler=sampler, steps=10)


@pytest.mark.parametrize("name", MAZE_DEGRADATIONS)
def test_frozen_errors_come_through_whole(name: str) -> None:
    """x_0 = x_T - D(xh, T) + D(xh, 0) = xh where xh is always the same."""
    direct, first, second = (solved_by("frozen", sampler, name) for sampler in SAMPLERS)
    assert np.array_equal(direct, first)
    assert np.array_equal(direct, second)
    assert not np.array_equal(direct, solved_by("fresh", "direct", name))


def test_fading_errors_separate_the_algorithms() -> None:
    puzzles = puzzles_of("mazes", 13, 40)
    targets = puzzles.answers(puzzles.solutions)
    solved = {sampler: (solved_by("fading", sampler) == targets).all(axis=(1, 2)).sum() for sampler in SAMPLERS}
    # Algorithm 1 answers with the last estimate, which is nearly right; Algorithm 2 keeps what was ever wrong.
    assert solved["algorithm_1"] > 30
    assert solved["algorithm_2"] < 20
    assert solved["direct"] < 20


def test_noise_is_as_much_as_was_asked_for() -> None:
    puzzles = puzzles_of("mazes", 33, 20)
    hidden = puzzles.known() == 0
    for noise, severity, wanted in (("fresh", 2, 0.2), ("fading", 2, 0.04), ("fading", 10, 0.2), ("frozen", 1, 0.2)):
        restore = NoisyOracle(noise=noise, probability=0.2, seed=0)(puzzles, 10)
        estimate = restore(puzzles.solutions, at_severity(severity, puzzles.solutions))
        wrong = estimate != puzzles.solutions
        assert not wrong[~hidden].any()
        assert wrong[hidden].float().mean().item() == pytest.approx(wanted, abs=0.01)
    other = NoisyOracle(noise="fresh", probability=0.2, seed=1)(puzzles, 10)(
        puzzles.solutions, at_severity(2, estimate)
    )
    assert not torch.equal(
        other, NoisyOracle(noise="fresh", probability=0.2, seed=0)(puzzles, 10)(other, at_severity(2, other))
    )


class Recorder(torch.nn.Module):
    """Notes the levels that it is told, and says 0.3 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[float] = []

    def forward(self, states: Tensor, condition: Tensor, level: Tensor) -> Tensor:
        self.levels += level.unique().tolist()
        return torch.full_like(states, 0.3).logit()


@pytest.mark.parametrize(
    ("steps", "indices"), [(4, [4, 3, 2, 1]), (2, [4, 2]), (8, [4, 4, 3, 3, 2, 2, 1, 1]), (1, [4])]
)
def test_severities_are_scaled_into_the_trained_range(steps: int, indices: list[int]) -> None:
    puzzles = easy_puzzles("prefix_masking")
    net = Recorder()
    restorer = NetRestorer(net=net, trained_steps=4, threshold=0.5, precision="float32")  # type: ignore[arg-type]
    solve_puzzles(restorer, puzzles, degradation="prefix_masking", sampler="algorithm_1", steps=steps)
    assert [level * 4 for level in net.levels] == pytest.approx(indices)


def test_threshold() -> None:
    puzzles = puzzles_of("mazes", 9, 3)
    states = puzzles.solutions
    for threshold, on in ((0.29, True), (0.31, False)):
        restorer = NetRestorer(net=Recorder(), trained_steps=4, threshold=threshold, precision="float32")  # type: ignore[arg-type]
        wanted = with_known(puzzles, torch.full_like(states, on, dtype=torch.bool))
        assert torch.equal(restorer(puzzles, 4)(states, at_severity(1, states)), wanted)
    with pytest.raises(ValueError, match=r"threshold must be between 0 and 1, not 1"):
        NetRestorer(net=Recorder(), trained_steps=4, threshold=1, precision="float32")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MAP_DEGRADATIONS)
def test_one_step_is_the_direct_answer(name: str) -> None:
    puzzles = easy_puzzles(name)
    channels, dimensions = puzzles.condition.shape[1], puzzles.condition.ndim - 2
    torch.manual_seed(0)
    net = SolutionNet(dimensions=dimensions, condition_channels=channels, width=8, blocks=1, time_code=True)
    for weights in net.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    restorer = NetRestorer(net=net, trained_steps=4, threshold=0.5, precision="float32")
    answers = [solve_puzzles(restorer, puzzles, degradation=name, sampler=one, steps=1) for one in SAMPLERS]
    assert all(np.array_equal(answers[0], answer) for answer in answers)
    assert answers[0].min() != answers[0].max()


def test_a_solver_sees_the_maze_that_is_left() -> None:
    instances, puzzles = first_maps(DataSpec(task="mazes", difficulty=13, split="test"), 6)
    seen: list[Array] = []

    def solver(pictures: Tensor, iterations: int) -> Tensor:
        assert iterations == 3
        seen.append(pictures.numpy())
        solve = get_task("mazes").solve
        assert solve is not None
        return torch.from_numpy(solve(pictures.numpy(), 13))

    restorer = SolverRestorer(solver=solver, iterations=3)
    answers = solve_puzzles(restorer, puzzles, degradation="dead_end_growth", sampler="algorithm_1", steps=4)
    inputs, targets = get_task("mazes").encode(instances.data, 13, None)
    assert np.array_equal(answers, targets)
    # At first the whole maze, in the end not much more than its path, with its start and goal.
    assert np.array_equal(seen[0], inputs)
    free = [picture.any(axis=1).sum() for picture in seen]
    assert free == sorted(free, reverse=True)
    assert free[-1] < free[0]
    assert (seen[-1].any(axis=1) >= (targets > 0)).all()
    assert all(np.array_equal(picture[:, 0] != picture[:, 1], inputs[:, 0] != inputs[:, 1]) for picture in seen)


# ---- nets and training


@pytest.mark.parametrize("dimensions", [1, 2])
def test_nets_take_any_size(dimensions: int) -> None:
    torch.manual_seed(0)
    for time_code in (False, True):
        net = SolutionNet(dimensions=dimensions, condition_channels=2, width=8, blocks=2, time_code=time_code)
        for side in (5, 12):
            size = (side,) * dimensions
            states, condition = torch.randn(3, 1, *size), torch.randn(3, 2, *size)
            low, high = (net(states, condition, torch.full((3,), level)) for level in (0.1, 0.9))
            assert low.shape == (3, 1, *size)
            assert torch.equal(low, high) != time_code


def test_what_a_net_sees() -> None:
    """2 blocks + 1 positions to each side, and no more."""
    torch.manual_seed(0)
    net = SolutionNet(dimensions=1, condition_channels=1, width=16, blocks=2, time_code=False)
    states = torch.randn(1, 1, 31, requires_grad=True)
    net(states, torch.randn(1, 1, 31), torch.ones(1))[0, 0, 15].backward()
    assert states.grad is not None
    seen = states.grad[0, 0].nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (10, 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"dimensions": 3}, "dimensions must be 1 or 2, not 3"), ({"blocks": 0}, "blocks must be at least 1, not 0")],
)
def test_net_errors(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SolutionNet(
            **({"dimensions": 1, "condition_channels": 1, "width": 4, "blocks": 1, "time_code": False} | changes)
        )  # type: ignore[arg-type]


def test_loss_by_hand() -> None:
    """Only the free positions that are neither start nor goal count: here one on the path, one off it."""
    condition = torch.zeros(1, 3, 3, 4)
    condition[0, 0, 1] = 1
    condition[0, 1, 1, 0] = condition[0, 2, 1, 3] = 1
    solutions = torch.full((1, 1, 3, 4), -1.0)
    solutions[0, 0, 1, [0, 1, 3]] = 1
    puzzles = SolutionMaps(task="mazes", condition=condition, solutions=solutions)
    logits = torch.full((1, 1, 3, 4), 50.0)
    logits[0, 0, 1, 1], logits[0, 0, 1, 2] = 0.0, math.log(3)
    wanted = (math.log(2) - math.log(0.25)) / 2
    assert restoration_loss(logits, puzzles).item() == pytest.approx(wanted)


@pytest.mark.parametrize("name", ["dead_end_growth", "prefix_masking"])
def test_a_net_learns_eight_puzzles_by_heart(name: str) -> None:
    recipe = get_puzzle_recipe("smoke", MAP_DEGRADATIONS[name].task)
    recipe = replace(recipe, batch_size=8, blocks=4)
    puzzles = training_batch(recipe, 0, 0)[0]
    net = build_net(recipe, NetTrials(degradation=name, time_code=True, steps=(1,), difficulties=(9,)), seed=0)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    severity = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8])
    states = MAP_DEGRADATIONS[name].prepare(puzzles, 8)(puzzles.solutions, severity)
    losses = []
    for _ in range(80):
        loss = restoration_loss(net(states, puzzles.condition, severity / 8), puzzles)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.4
    assert losses[-1] < 0.03


def test_training_batches() -> None:
    recipe = get_puzzle_recipe("smoke", "mazes")
    batches = [training_batch(recipe, seed, step) for seed, step in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert torch.equal(batches[0][0].solutions, batches[1][0].solutions)
    assert torch.equal(batches[0][1], batches[1][1])
    for other in batches[2:]:
        assert not torch.equal(batches[0][0].solutions, other[0].solutions)
        assert not torch.equal(batches[0][1], other[1])
    drawn = torch.cat([training_batch(recipe, 0, step)[1] for step in range(20)])
    assert sorted(set(drawn.tolist())) == list(range(1, recipe.trained_steps + 1))


# ---- scores and results


def test_f1_by_hand() -> None:
    targets = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=np.uint8)
    predictions = np.array([[1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=np.uint8)
    assert mean_f1(predictions, targets) == pytest.approx((0.5 + 6 / 7 + 1) / 3)


def row(condition: dict[str, Any], num_solved: int, *, mean: float = 0.5, valid: int = 7) -> dict[str, Any]:
    scores = {"num_items": 10, "num_solved": num_solved, "checks": {"valid_path": valid}, "mean_f1": mean}
    return {"condition": condition, **scores}


def test_measurements_of_two_seeds() -> None:
    condition = {"degradation": "d", "restorer": "r", "sampler": "direct", "difficulty": 9, "steps": 1}
    perfect = condition | {"restorer": "oracle"}
    rows = [[row(condition, 4, mean=0.25), row(perfect, 10)], [row(condition, 8, mean=0.75, valid=9)]]
    measured = list(measurements_of(rows))
    names = ["solve rate", "solve rate over seeds", "F1", "valid_path rate", "solve rate"]
    assert [one.name for one in measured] == names
    assert measured[0] == of_share("solve rate", 12, 20, condition=condition, num_seeds=2)
    assert measured[1].value == pytest.approx(0.6)
    # Of two seeds alone a mean of shares has no interval.
    assert measured[1].low is None
    third = [row(condition, 6, mean=0.5), row(perfect, 10)]
    over_three = list(measurements_of([*rows, third]))
    # Values 0.2 apart: 4.30265 times 0.2 over the root of 3.
    assert over_three[1].low == pytest.approx(0.6 - 4.30265 * 0.2 / 3**0.5, abs=1e-3)
    assert (measured[2].value, measured[3].value, measured[4].value) == (0.5, 0.8, 1.0)


def claimed(solved: Sequence[tuple[str, str, int]]) -> dict[str, bool | None]:
    recipe, net = get_puzzle_recipe("smoke", "mazes"), "time-free net"
    facts = {"degradation": "dead_end_growth", "difficulty": 9}
    measured = []
    for restorer, sampler, number in solved:
        for steps in (1,) if sampler == "direct" else (10, 20):
            condition = facts | {"restorer": restorer, "sampler": sampler, "steps": steps}
            # In twice as many steps as it was trained on, a net does otherwise; that does not count.
            share = 50 if (restorer, steps) == (net, 20) else number
            measured.append(of_share("solve rate", share, 100, condition=condition))
    noise = {"restorer": "noisy oracle", "noise": "fresh", "probability": 0.1, "steps": 10}
    for sampler, number in (("algorithm_1", 90), ("algorithm_2", 10)):
        measured.append(of_share("solve rate", number, 100, condition=facts | noise | {"sampler": sampler}))
    return {claim.text: claim.held for claim in puzzle_claims(recipe.nets[0], recipe.trained_steps, measured)}


def test_claims_go_by_intervals() -> None:
    net = "time-free net"
    held = claimed([("oracle", "direct", 100), (net, "direct", 20), (net, "algorithm_1", 90), (net, "algorithm_2", 18)])
    assert list(held.values()) == [True, False, None, False, False]
    held = claimed([("oracle", "direct", 99), (net, "direct", 60), (net, "algorithm_1", 10), (net, "algorithm_2", 95)])
    assert list(held.values()) == [False, True, True, True, False]
    # A net with which no way solves half of the puzzles shows nothing of the ways.
    held = claimed([("oracle", "direct", 99), (net, "direct", 40), (net, "algorithm_1", 1), (net, "algorithm_2", 9)])
    assert list(held.values()) == [False, None, None, None, False]


TINY = replace(
    get_puzzle_recipe("smoke", "mazes"),
    preset="tiny",
    seeds=(5, 6),
    items={9: 4, 13: 3},
    loop=replace(get_puzzle_recipe("smoke", "mazes").loop, steps=3),
    batch_size=4,
    width=4,
    blocks=1,
    nets=(NetTrials(degradation="path_peeling", time_code=True, steps=(2, 3), difficulties=(9, 13)),),
    solver=SolverTrials(degradation="dead_end_growth", iterations=2, steps=(1, 2), difficulties=(9,)),
    strip_difficulty=9,
)


@pytest.mark.slow
def test_a_run_is_kept_and_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def solver(pictures: Tensor, iterations: int) -> Tensor:
        return pictures[:, 0] * (iterations > 2)

    monkeypatch.setattr(evaluation, "shipped_maze_solver", lambda device: solver)

    def run(folder: str, recipe: PuzzleRecipe = TINY) -> Sequence[Measurement]:
        return get_baseline("cold_diffusion").run(recipe, tmp_path / folder, progress=False).measurements

    first = run("a")
    assert (tmp_path / "a" / "solving.png").is_file()
    assert run("b") == first
    assert run("c", replace(TINY, seeds=(6, 7))) != first
    facts = {"degradation": "path_peeling", "restorer": "time-coded net", "sampler": "algorithm_2", "difficulty": 13}
    found = find_measurement(first, "solve rate", facts | {"steps": 3})
    assert (found.num_items, found.num_seeds) == (6, 2)
    of_solver = [one for one in first if one.condition["restorer"] == "recurrent net" and one.name == "solve rate"]
    assert [
        (one.condition["sampler"], one.condition["steps"], one.condition["iterations_a_step"]) for one in of_solver
    ] == [
        ("direct", 1, 2),
        ("direct", 1, 4),
        ("algorithm_1", 2, 2),
        ("algorithm_2", 2, 2),
    ]
    # What is kept is not done again, but for the picture; another run does not get mixed up with it.
    monkeypatch.setattr(evaluation, "solve_puzzles", None)
    assert run("a") == first
    with pytest.raises(ValueError, match=r"it belongs to a run that differs in threshold; choose another --out"):
        run("a", replace(TINY, threshold=0.4))


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(TINY, solver=None, strip_difficulty=None)

    def run(folder: str) -> Sequence[Measurement]:
        return get_baseline("cold_diffusion").run(recipe, tmp_path / folder, progress=False).measurements

    loss, calls = nets.restoration_loss, []

    def stopped(logits: Tensor, puzzles: SolutionMaps) -> Tensor:
        calls.append(1)
        # In the second step of the second seed's training.
        if len(calls) == 5:
            raise KeyboardInterrupt
        return loss(logits, puzzles)

    monkeypatch.setattr(nets, "restoration_loss", stopped)
    with pytest.raises(KeyboardInterrupt):
        run("a")
    kept = {path.name for path in (tmp_path / "a").glob("*.json")} - {"precision.json"}
    assert kept == {"oracles-seed5.json", "path_peeling-time-coded-net-seed5.json", "oracles-seed6.json"}
    again = run("a")
    # Two steps were left, of which the first was begun before.
    assert len(calls) == 7
    assert again == run("b")


def test_run_errors(tmp_path: Path) -> None:
    for changes, message in (
        ({"data": "chess_mates"}, "cold diffusion does not solve 'chess_mates'"),
        ({"seeds": (-1,)}, r"seeds must be at least one, all different, each at least 0, not \[-1\]"),
        ({"trained_steps": 0}, "trained_steps must be at least 1, not 0"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(TINY, **changes)
    with pytest.raises(ValueError, match="device must be cpu"):
        get_baseline("cold_diffusion").run(TINY, tmp_path / "run", device="tpu", progress=False)
    with pytest.raises(ValueError, match="unknown preset 'huge' of mazes"):
        get_puzzle_recipe("huge", "mazes")
    assert not list(tmp_path.iterdir())


# ---- pictures


def test_way_back_and_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    puzzles = puzzles_of("mazes", 9, 1)
    states = way_back(oracle, puzzles, degradation="dead_end_growth", sampler="algorithm_1", steps=5)
    assert list(states) == [5, 4, 3, 2, 1, 0]
    assert torch.equal(states[0], puzzles.solutions)
    assert torch.equal(states[5] > 0, puzzles.condition[:, :1] > 0)
    picture = maze_picture(puzzles.condition[0], states[0][0, 0])
    assert picture.shape == (11, 11, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 5
    facts = {"degradation": "dead_end_growth", "restorer": "net"}
    measured = [
        of_share("solve rate", solved, 10, condition=facts | {"sampler": sampler, "difficulty": 9, "steps": steps})
        for sampler, steps, solved in (
            ("algorithm_1", 20, 9),
            ("algorithm_1", 5, 7),
            ("algorithm_2", 5, 3),
            ("direct", 1, 4),
        )
    ]
    found = curves_of(measured, restorer="net", degradation="dead_end_growth", sampler="algorithm_1")
    assert found == {9: ([1, 5, 20], [0.4, 0.7, 0.9])}
    figure = plot_solving(
        measured,
        restorer="net",
        degradation="dead_end_growth",
        trained_steps=20,
        difficulty_name="size",
        strip=(puzzles, states),
    )
    assert save_figure(figure, tmp_path / "solving.png", dpi=60).stat().st_size > 1000
