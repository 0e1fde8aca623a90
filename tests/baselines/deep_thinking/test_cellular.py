"""Cellular nets: the rule, cells where there is input, thinking where something changes, training on a pool."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thinking import make_net, mazes, same_weights, strings
from torch import Tensor

from easy_to_hard.baselines.deep_thinking import accuracy_by_iteration
from easy_to_hard.baselines.deep_thinking.accuracy_by_iteration import TensorItems, evaluate
from easy_to_hard.baselines.deep_thinking.batches import draw_batches
from easy_to_hard.baselines.deep_thinking.cellular import CellularNet
from easy_to_hard.baselines.deep_thinking.checkpoint import load_model, save_model
from easy_to_hard.baselines.deep_thinking.exit_rules import EvaluationConfig
from easy_to_hard.baselines.deep_thinking.pool_training import PoolConfig, PoolTrainer
from easy_to_hard.baselines.deep_thinking.recipes import get_recipe
from easy_to_hard.baselines.deep_thinking.rest import CALM_ITERATIONS
from easy_to_hard.baselines.deep_thinking.sparse_thinking import SparseThinking, rule_of, scene_of
from easy_to_hard.baselines.deep_thinking.training import train
from easy_to_hard.baselines.deep_thinking.training_run import make_facts
from easy_to_hard.tasks import get_task

TASKS = {"prefix_sums": strings(6, 20), "mazes": mazes(6)}


def _cellular(task: str, *, seed: int = 0, liveliness: float = 4.0, **sizes: Any) -> CellularNet:
    """A net with random weights, large enough that states change for a while."""
    shape = {"in_channels": 3, "dimensions": 2, "patch": 2} if task == "mazes" else {}
    net: CellularNet = make_net("cellular", seed=seed, hidden=10, **{**shape, **sizes})
    with torch.no_grad():
        net.change.weight *= liveliness
    return net.eval()


def _dense_states(net: CellularNet, inputs: Tensor, iterations: int) -> list[Tensor]:
    with torch.inference_mode():
        return list(net.states(net.initial_state(inputs), inputs, iterations))


def test_the_rule_by_hand() -> None:
    net = make_net("cellular", width=1, hidden=1, levels=4)
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        net.look.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))  # the left neighbor's state
        net.recall.weight.copy_(torch.tensor([[0.0, 2.0, 0.0]]))  # twice the own input
        net.change.weight.fill_(0.6)
    inputs = torch.tensor([[[0.5, -0.5, 0.5]]])
    first, second = _dense_states(net, inputs, 2)
    # ReLU(0 + 2 x) 0.6 is 0.6, 0, 0.6, rounded to quarters.
    assert first.flatten().tolist() == [0.5, 0.0, 0.5]
    # 0.5 + 0.6; 0 + 0.6 ReLU(0.5 - 1); 0.5 + 0.6 ReLU(0 + 1): bounded by 1.
    assert second.flatten().tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("levels", [2, 8, 0])
def test_states_are_bounded_and_multiples_of_a_step(levels: int) -> None:
    net = _cellular("mazes", levels=levels)
    state = _dense_states(net, TASKS["mazes"][0], 20)[-1]
    assert state.abs().max() == 1
    if levels:
        assert torch.equal(state * levels, (state * levels).round())
        assert len(state.unique()) > 1
    else:
        assert len(state.unique()) > 20


def test_walls_are_like_what_lies_beyond_the_border() -> None:
    net = _cellular("mazes")
    inputs, _ = TASKS["mazes"]
    small = _dense_states(net, inputs, 15)[-1]
    # Two positions more of wall above, four to the left, none below and to the right.
    large = _dense_states(net, torch.nn.functional.pad(inputs, (8, 0, 4, 0)), 15)[-1]
    assert torch.equal(large[..., 2:, 4:], small)
    assert not large[..., :2, :].any()
    assert not small.movedim(1, -1)[net.cells(inputs).places.logical_not()].any()


def test_the_gradient_of_the_bound_points_inwards() -> None:
    net = _cellular("prefix_sums")
    values = torch.tensor([-2.0, -2.0, 0.5, 2.0, 2.0], requires_grad=True)
    bounded = net.bounded(values)
    assert bounded.tolist() == [-1, -1, 0.5, 1, 1]
    # Descent subtracts the gradient: of the values outside, only those that it would lead further out get none.
    (bounded * torch.tensor([1.0, -1.0, 3.0, 1.0, -1.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, -1, 3, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("shakes", [0, 2])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sparse_states_equal_the_dense_ones_bit_for_bit(task: str, seed: int, shakes: int) -> None:
    net = _cellular(task, seed=seed, shakes=shakes)
    dense = copy.deepcopy(net).double()
    inputs, targets = TASKS[task]
    rule, idle = rule_of(net), False
    for item in range(len(inputs)):
        x = inputs[item : item + 1]
        cells, scene = scene_of(net, x, targets[item : item + 1])
        thinking = SparseThinking(rule, scene, net.shakes)
        for expected in _dense_states(dense, x.double(), 700):
            thinking.iterate(1)
            idle |= 0 < thinking.due < len(scene.neighbors)
            assert np.array_equal(thinking.thought.states, cells.rows(expected).numpy())
    assert idle  # some cells were left out on the way


def test_an_item_is_at_rest_if_its_answers_no_longer_change() -> None:
    net = make_net("cellular", width=1, hidden=1, levels=1)
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        # A state s becomes s - 1 + ReLU(2 - 2 s).
        net.look.weight.copy_(torch.tensor([[0.0, -2.0, 0.0]]))
        net.look.bias.fill_(2.0)
        net.change.weight.fill_(1.0)
        net.change.bias.fill_(-1.0)
    inputs, targets = strings(2, 8)
    states = _dense_states(net, inputs, 4)
    assert [float(state[0, 0, 0]) for state in states] == [1.0, 0.0, 1.0, 0.0]
    # The answers of such states are all 0: from then on they are at rest, whichever iteration is asked for.
    states = _dense_states(net, inputs, CALM_ITERATIONS + 4)
    assert not torch.equal(states[CALM_ITERATIONS - 2], states[CALM_ITERATIONS - 1])
    assert torch.equal(states[CALM_ITERATIONS - 1], states[CALM_ITERATIONS])
    assert torch.equal(states[CALM_ITERATIONS], states[-1])
    rules = get_task("prefix_sums").answers
    for changes in ({}, {"exit_rule": "fixed", "exit_iteration": 400}, {"exit_rule": "max_confidence"}):
        config = EvaluationConfig(max_iterations=1000, stop_when_settled=True, threads=1, **changes)
        result = evaluate(net, TensorItems(inputs, targets), rules, config, progress=False)
        assert result.num_settled == 2
        assert len(result.correct) == CALM_ITERATIONS + 1


def _with_a_false_rest(shakes: int) -> CellularNet:
    """A net that starts at a fixed point from which noise leads to another: 0, then 1."""
    net: CellularNet = make_net("cellular", width=1, hidden=1, levels=8, shakes=shakes)
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        # A state s becomes s + ReLU(4 s).
        net.look.weight.copy_(torch.tensor([[0.0, 4.0, 0.0]]))
        net.change.weight.fill_(1.0)
        net.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    return net.eval()


@pytest.mark.parametrize("sparse", [True, False])
def test_a_shake_leads_away_from_a_false_rest(sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not sparse:
        monkeypatch.setattr(accuracy_by_iteration, "thinks_sparsely", lambda *_: False)
    inputs, targets = strings(1, 40)[0], torch.ones(1, 40, dtype=torch.long)
    config = EvaluationConfig(max_iterations=100, stop_when_settled=True, threads=1)
    right = []
    for shakes in (0, 1, 3):
        net = _with_a_false_rest(shakes)
        kept = torch.zeros(1, 40, dtype=torch.uint8)
        rules = get_task("prefix_sums").answers
        result = evaluate(net, TensorItems(inputs, targets), rules, config, progress=False, on_answers=kept.__setitem__)
        assert result.num_settled == 1
        right.append(int(kept.sum()))
        # Rest, four iterations with noise of which the first is that of the rest, and again.
        assert (result.last_iteration == 1) == (shakes == 0)
        assert result.last_iteration >= 1 + 4 * shakes
    assert right[0] == 0
    assert 10 < right[1] <= right[2]


@pytest.mark.parametrize("shakes", [0, 2])
@pytest.mark.parametrize("exit_rule", ["settled", "fixed"])
@pytest.mark.parametrize("stop_when_settled", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_sparse_evaluation_counts_what_the_dense_one_counts(
    task: str, stop_when_settled: bool, exit_rule: Any, shakes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, rules = _cellular(task, seed=1, shakes=shakes), get_task(task).answers
    inputs, _ = TASKS[task]
    # Held against its own answers at iteration 9, so that some are right, for a while.
    with torch.inference_mode():
        targets = rules.decode(net(inputs, 9)[0], inputs)
    config = EvaluationConfig(
        max_iterations=30,
        exit_rule=exit_rule,
        exit_iteration=9 if exit_rule == "fixed" else None,
        stop_when_settled=stop_when_settled,
        min_iterations=12,
        batch_size=4,
        threads=1,
    )
    found, answers = [], []
    for sparse in (True, False):
        if not sparse:
            monkeypatch.setattr(accuracy_by_iteration, "thinks_sparsely", lambda *_: False)
        kept = torch.full(targets.shape, 9, dtype=torch.uint8)
        result = evaluate(net, TensorItems(inputs, targets), rules, config, progress=False, on_answers=kept.__setitem__)
        found.append(replace(result, seconds=0.0))
        answers.append(kept)
    assert found[0] == found[1]
    assert torch.equal(answers[0], answers[1])
    assert max(found[0].correct) > 0
    if exit_rule == "fixed":
        assert found[0].num_correct == len(inputs)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_progress_ends_at_all_iterations(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    class Bar:
        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, iterations: int) -> None:
            shown.append(iterations)

    monkeypatch.setattr(accuracy_by_iteration, "progress_bar", lambda **_: Bar())
    config = EvaluationConfig(max_iterations=30, batch_size=batch_size, stop_when_settled=True, threads=1)
    evaluate(_cellular("mazes"), TensorItems(*TASKS["mazes"]), get_task("mazes").answers, config)
    assert min(shown) >= 0
    assert sum(shown) == 30 * -(-6 // batch_size)


def test_an_input_without_a_cell() -> None:
    net, rules = _cellular("mazes"), get_task("mazes").answers
    items = TensorItems(torch.zeros(2, 3, 20, 20), torch.zeros(2, 20, 20, dtype=torch.long))
    result = evaluate(net, items, rules, EvaluationConfig(max_iterations=5, threads=1), progress=False)
    assert (result.num_correct, result.num_settled) == (2, 2)


def test_saved_and_read_back(tmp_path: Path) -> None:
    recipe = get_recipe("mazes-cellular")
    net = recipe.build_net()
    batches = draw_batches(*TASKS["mazes"], batch_size=4, seed=0)
    report = train(net, batches, replace(recipe.training, steps=1), progress=False)
    save_model(net, tmp_path, make_facts(recipe, report, "CPU"))
    again, facts = load_model(str(tmp_path))
    assert isinstance(again, CellularNet)
    assert (again.hidden, again.levels, facts.max_iterations) == (48, 8, 80)
    assert same_weights(again.state_dict(), net.state_dict())
    assert same_weights(CellularNet.from_pretrained(tmp_path).state_dict(), net.state_dict())


# ---- training

SMALL = PoolConfig(steps=12, iterations=8, pool_size=8, judged_from=2, quiet_iterations=2)


@pytest.mark.parametrize("task", TASKS)
def test_a_stopped_run_goes_on_bit_for_bit(task: str, tmp_path: Path) -> None:
    batches = draw_batches(*TASKS[task], batch_size=4, seed=0)

    def stop(step: int) -> None:
        if step == 6:
            raise RuntimeError("stop")

    whole, parted = _cellular(task), _cellular(task)
    train(whole, batches, SMALL, progress=False)
    with pytest.raises(RuntimeError, match="stop"):
        train(parted, batches, SMALL, folder=tmp_path, checkpoint_seconds=0, progress=False, after_step=stop)
    train(parted, batches, SMALL, folder=tmp_path, progress=False)
    assert same_weights(whole.state_dict(), parted.state_dict())


@pytest.mark.slow
def test_learns_a_few_strings() -> None:
    inputs, targets = strings(8, 8)
    net = make_net("cellular", width=12, hidden=32)
    config = replace(
        SMALL, steps=300, iterations=16, pool_size=16, patience=1.0, noise=0.05, average_decay=0.9, learning_rate=5e-3
    )
    report = train(net, draw_batches(inputs, targets, batch_size=8, seed=0), config, progress=False)
    assert report.loss < 0.5
    found = evaluate(
        net,
        TensorItems(inputs, targets),
        get_task("prefix_sums").answers,
        EvaluationConfig(max_iterations=30, exit_rule="fixed", threads=1),
        progress=False,
    )
    assert found.num_correct >= 6


def test_the_pool_holds_new_damaged_and_old_items() -> None:
    inputs, targets = mazes(8)
    net = _cellular("mazes")
    trainer = PoolTrainer(net, replace(SMALL, pool_size=8, fresh_share=0.25, damage_share=1.0))
    trainer.update(0, inputs, targets)
    pool = trainer.state()["pool"]
    (age,) = set(pool["ages"].tolist())  # all were new
    assert 4 <= age <= 12
    assert pool["states"].abs().sum(dim=(1, 2, 3)).min() > 0
    assert {tuple(x.flatten().tolist()) for x in pool["inputs"]} == {tuple(x.flatten().tolist()) for x in inputs}
    trainer.update(1, *mazes(8, split="test"))
    # Two new ones of a batch of eight; the other six were damaged, and so are as young.
    assert len(set(trainer.state()["pool"]["ages"].tolist())) == 1
    test_mazes = {tuple(x.flatten().tolist()) for x in mazes(8, split="test")[0]}
    assert sum(tuple(x.flatten().tolist()) in test_mazes for x in trainer.state()["pool"]["inputs"]) == 2
    undamaged = PoolTrainer(_cellular("mazes"), replace(SMALL, pool_size=8, fresh_share=0.25, damage_share=0.0))
    undamaged.update(0, inputs, targets)
    first = int(undamaged.state()["pool"]["ages"][0])
    undamaged.update(1, inputs, targets)
    second = int(undamaged.state()["pool"]["ages"].min())
    assert sorted(undamaged.state()["pool"]["ages"].tolist()) == [second, second] + [first + second] * 6


def test_the_number_of_iterations_varies() -> None:
    trainer = PoolTrainer(_cellular("mazes"), replace(SMALL, damage_share=0.0, pool_size=4))
    lengths = set()
    for step in range(40):
        trainer.update(step, *mazes(4))
        lengths.add(int(trainer.state()["pool"]["ages"].min()))  # of the item that was new
    assert lengths == set(range(4, 13))


def test_an_item_is_judged_from_an_age_on() -> None:
    trainer = PoolTrainer(_net_that_says_yes(), replace(SMALL, judged_from=13, damage_share=0.0, noise=0.0))
    young, _ = trainer.update(0, *mazes(8))
    older, _ = trainer.update(1, *mazes(8))
    assert young == 0
    assert older > 0


def _net_that_says_yes() -> CellularNet:
    """A net in which nothing moves, and every cell says yes by a margin of 2."""
    net = _cellular("mazes", liveliness=0.0)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([-1.0] * 4 + [1.0] * 4))
    return net


def test_a_wrong_yes_costs_less_while_an_item_is_young() -> None:
    inputs, targets = mazes(4)
    losses = {}
    for patience in (1.0, 1e6):
        trainer = PoolTrainer(_net_that_says_yes(), replace(SMALL, patience=patience, noise=0.0))
        losses[patience], _ = trainer.update(0, inputs, targets)
    free = inputs.amax(dim=1) > 0
    wrong = float((free & (targets == 0)).sum() / free.sum())
    assert losses[1.0] == pytest.approx(wrong * (1 + 2) ** 2, rel=1e-5)
    assert losses[1e6] < 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"fresh_share": 0.0}, "fresh_share must be above 0 and at most 1, not 0.0"),
        ({"noise": -0.1}, "noise must be at least 0, not -0.1"),
        ({"quiet_iterations": 9}, "quiet_iterations must be from 1 to iterations, not 9"),
        ({"noiseless_share": 1.5}, "noiseless_share must be from 0 to 1, not 1.5"),
        ({"precision": "bfloat16"}, "precision must be float32, not 'bfloat16'"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


def test_a_pool_is_for_cellular_nets_and_large_enough() -> None:
    batches = draw_batches(*strings(20, 8), batch_size=10, seed=0)
    with pytest.raises(ValueError, match="only a cellular net is trained on a pool of states, not a RecurrentNet"):
        train(make_net(), batches, SMALL, progress=False)
    with pytest.raises(ValueError, match="pool_size must be at least the batch's 10, not 8"):
        train(_cellular("prefix_sums"), batches, SMALL, progress=False)
    recipe = get_recipe("mazes-cellular")
    with pytest.raises(
        ValueError, match="PoolConfig is for cellular nets, and they for it, not for recurrent nets with PoolConfig"
    ):
        replace(recipe, net=replace(recipe.net, architecture="recurrent"))


@pytest.mark.parametrize(
    ("sizes", "message"), [({"hidden": 0}, "hidden must be at least 1"), ({"levels": -1}, "levels")]
)
def test_sizes_out_of_range(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CellularNet(**{"in_channels": 1, "width": 4, "dimensions": 1, "hidden": 4, **sizes})
