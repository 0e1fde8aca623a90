"""The whole evaluation on images, in small, and its victims."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from easy_to_hard.baselines import get_baseline
from easy_to_hard.baselines.augmentation_defense import on_images
from easy_to_hard.baselines.augmentation_defense.claims import claims
from easy_to_hard.baselines.augmentation_defense.defenses import Cutout, MaxUp
from easy_to_hard.baselines.augmentation_defense.on_images import SHIFT, Outcome, measurements_of
from easy_to_hard.baselines.augmentation_defense.recipes import ATTACKS, IMAGE_PRESETS, ImageRecipe, get_image_recipe
from easy_to_hard.baselines.kit.image_data import ImageSet, load_images
from easy_to_hard.baselines.kit.poisoning.attacks import accuracies, clean_set, patch_backdoor
from easy_to_hard.baselines.kit.private_training import PrivacyConfig
from easy_to_hard.baselines.kit.seeds import seeded
from easy_to_hard.baselines.kit.small_nets import SmallConvNet
from easy_to_hard.baselines.kit.stacked import Stacked
from easy_to_hard.baselines.kit.victims import Classifier, VictimConfig, train_victims
from easy_to_hard.scores.reference import Measurement, ReferenceResult, find_measurement

CPU = torch.device("cpu")
DATA = Path(__file__).parents[3].parent / "shared" / "data"


def bars(count: int, *, seed: int = 0) -> ImageSet:
    """Bars that lie (class 0), stand (1) or cross (2)."""
    places = torch.randint(4, 9, (count, 2), generator=torch.Generator().manual_seed(seed)).tolist()
    images, labels = torch.zeros(count, 1, 16, 16, dtype=torch.uint8), torch.arange(count) % 3
    for image, label, (row, column) in zip(images, labels.tolist(), places, strict=True):
        if label != 1:
            image[0, row : row + 2] = 200
        if label != 0:
            image[0, :, column : column + 2] = 200
    return ImageSet(name="mnist", images=images, labels=labels)


def tiny(**changes: Any) -> ImageRecipe:
    recipe = get_image_recipe("smoke", "mnist", changes.pop("attack", ""), changes.pop("scenario", ""))
    settings = {
        "train_images": 50 if recipe.body_images else 0,
        "test_images": 0,
        "body_images": min(40, recipe.body_images),
        "victim": VictimConfig(epochs=1, widths=(4, 4), classes=3, batch_size=16, at_once=3),
        "craft": replace(recipe.craft, steps=2),
        "keys": 2,
        **changes,
    }
    return replace(recipe, **settings)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(
        on_images, "load_images", lambda *_, train, download: bars(90 if train else 30, seed=int(train))
    )

    def start(recipe: ImageRecipe, out: Path) -> ReferenceResult:
        return get_baseline("augmentation_defense").run(recipe, out, progress=False)

    return start


def plain(result: ReferenceResult) -> str:
    return json.dumps(result.to_dict() | {"seconds": 0})


def accuracy_of(result: ReferenceResult, defense: str) -> Measurement:
    return find_measurement(result.measurements, "clean accuracy", {"defense": defense})


@pytest.mark.slow
def test_what_attacks_do_is_over_targets_and_accuracy_over_seeds(run: Any, tmp_path: Path) -> None:
    recipe = tiny(attack="gradient_matching", defenses=("none",), keys=3, seeds=(0, 1))
    result = run(recipe, tmp_path)
    success = find_measurement(result.measurements, "attack success", {"defense": "none"})
    assert (success.num_seeds, accuracy_of(result, "none").num_seeds) == (3, 2)
    clean = find_measurement(result.measurements, "clean accuracy of unpoisoned nets", {"defense": "none"})
    assert clean.num_seeds == 2


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_run_is_whole_and_the_same_again(run: Any, tmp_path: Path, attack: str) -> None:
    recipe = tiny(attack=attack)
    if attack != "dirty_label_backdoor":
        recipe = replace(recipe, defenses=("none", "cutmix", "spectral_signatures"))
    result = run(recipe, tmp_path / "a")
    assert plain(run(recipe, tmp_path / "b")) == plain(result)
    assert (tmp_path / "a" / "defenses.png").read_bytes()[:4] == b"\x89PNG"
    attacked = 20 if attack.endswith("backdoor") else 4
    for defense in recipe.defenses:
        found = find_measurement(result.measurements, "attacked items given the target", {"defense": defense})
        assert (found.num_items, found.num_seeds) == (attacked, 2)
        assert accuracy_of(result, defense).num_seeds == 2
        assert accuracy_of(result, defense).num_items == (30 if attacked == 20 else 28)
        shift = find_measurement(result.measurements, SHIFT, {"defense": defense})
        assert shift.unit == "log-odds"
    for name in ("poisons removed", "other items removed"):
        removed = find_measurement(result.measurements, name, {"defense": "spectral_signatures"})
        assert 0 <= removed.value <= 1
    if attack == "dirty_label_backdoor":
        assert find_measurement(result.measurements, "epsilon", {"defense": "dp_sgd"}).num_items == 90
    assert any(claim.text.startswith("The attack works") for claim in result.claims)


@pytest.mark.slow
def test_other_budgets_have_nets_of_their_own(run: Any, tmp_path: Path) -> None:
    recipe = tiny(defenses=("none", "spectral_signatures"), budget=0.1, other_budgets=(0.2,))
    result = run(recipe, tmp_path / "both")
    assert plain(run(replace(recipe, budget=0.2, other_budgets=(0.1,)), tmp_path / "swapped")) != plain(result)
    for budget, folder in ((0.1, "both"), (0.2, "swapped")):
        alone = run(replace(recipe, budget=budget, other_budgets=()), tmp_path / f"alone-{budget}")
        assert not [one for one in alone.measurements if one.name == "attack success by budget"]
        for defense in recipe.defenses:
            found = find_measurement(
                result.measurements, "attack success by budget", {"defense": defense, "budget": budget}
            )
            expected = find_measurement(alone.measurements, "attack success", {"defense": defense})
            assert (found.value, found.low, found.num_items) == (expected.value, expected.low, expected.num_items)
        assert (tmp_path / folder / "nets-none.pt").exists()
    assert (tmp_path / "both" / "nets-spectral_signatures-0.2.pt").exists()


@pytest.mark.slow
def test_a_body_that_is_kept_is_the_same_in_all_victims(run: Any, tmp_path: Path) -> None:
    run(tiny(attack="gradient_matching", scenario="transfer", defenses=("none", "mixup")), tmp_path)
    body, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("body", "nets-none", "nets-mixup"))
    body, first, second = (part.get("tensors", part) for part in (body, first, second))
    for name, weights in body.items():
        if name.startswith("body."):
            assert torch.equal(first[name], weights.expand_as(first[name]))
            assert torch.equal(second[name], first[name])
    assert not torch.equal(first["head.weight"], second["head.weight"])


@pytest.mark.slow
def test_an_adaptive_attack_has_poisons_for_each_defense(run: Any, tmp_path: Path) -> None:
    result = run(tiny(attack="gradient_matching", defenses=("none", "mixup", "dp_sgd"), adaptive=True), tmp_path)
    names = {path.name for path in tmp_path.glob("poisons-*.pt")}
    assert names == {f"poisons-{defense}-{key}.pt" for defense in ("none", "mixup", "dp_sgd") for key in (0, 1)}
    assert any("adapted to it" in claim.text for claim in result.claims)


def test_targets_are_items_that_the_surrogates_get_right(run: Any, tmp_path: Path) -> None:
    recipe = tiny(attack="gradient_matching", victim=VictimConfig(epochs=4, widths=(4, 4), classes=3, batch_size=16))
    train, test = bars(90, seed=1), bars(30, seed=0)
    for intended in ("runner_up", "random"):
        one = on_images._Run(replace(recipe, keys=5, intended=intended), tmp_path / intended, CPU, False, train, test)
        logits = one.surrogates("none").logits(test.images)[0]
        targets = on_images.choose_targets(one)
        assert len({target.item for target in targets}) == 5
        for item, wanted in targets:
            order = logits[item].argsort(descending=True).tolist()
            assert order[0] == test.labels[item]
            assert wanted != test.labels[item]
            assert intended == "random" or wanted == order[1]
    many = on_images._Run(replace(recipe, keys=30), tmp_path / "many", CPU, False, train, test)
    with pytest.raises(ValueError, match="keys must be at most the number of test images that the surrogates get righ"):
        on_images.choose_targets(many)


def test_log_odds() -> None:
    probabilities = torch.tensor([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])
    odds = on_images.log_odds(probabilities.log(), 0)
    assert odds.exp().tolist() == pytest.approx([0.25, 9.0])


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(run: Any, tmp_path: Path) -> None:
    recipe = tiny(defenses=("none", "mixup"))
    result = run(recipe, tmp_path)
    before = (tmp_path / "nets-none.pt").stat().st_mtime_ns
    (tmp_path / "nets-mixup.pt").unlink()
    assert plain(run(recipe, tmp_path)) == plain(result)
    assert (tmp_path / "nets-none.pt").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match=r"cannot resume from .*: it belongs to a run that differs in budget"):
        run(replace(recipe, budget=0.5), tmp_path)
    (tmp_path / "nets-none.pt").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"cannot resume from .*nets-none\.pt"):
        run(recipe, tmp_path)


@pytest.mark.slow
def test_victims_learn_and_fall_for_a_backdoor() -> None:
    train, test = bars(240), bars(60, seed=1)
    backdoor = patch_backdoor(train.images, train.labels, source=0, target=1, share=0.1, seed=0)
    config = VictimConfig(epochs=12, widths=(8, 8), classes=3, batch_size=16)
    sets = [backdoor.train, clean_set(train.images, train.labels)]
    nets = train_victims(sets, [0, 0], config, device=CPU)
    assert min(accuracies(nets.predict(test.images), test.labels)) > 0.9
    success = (nets.predict(backdoor.attacked(test.images, test.labels)) == 1).float().mean(1)
    assert float(success[0]) > 0.9
    assert float(success[1]) < 0.2
    alone = train_victims(sets[1:], [0], config, device=CPU)
    assert torch.equal(alone.logits(test.images)[0], nets.logits(test.images)[1])
    assert torch.equal(nets.net(1)(test.images[:5].float() / 255), nets.logits(test.images[:5])[1])


def test_nets_with_batch_norm_keep_their_own_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(self: VictimConfig, channels: int, seed: int) -> Classifier:
        with seeded("victim", seed):
            net = SmallConvNet(channels, 3, widths=(4, 4), strides=(2, 2), norm=True, grid=2)
            return Classifier(net.body, net.head)

    monkeypatch.setattr(VictimConfig, "build", build)
    train = bars(48)
    config = VictimConfig(epochs=2, widths=(4, 4), classes=3, batch_size=16)
    sets = [clean_set(train.images, train.labels)]
    together = train_victims(sets * 2, [0, 1], config, device=CPU)
    means = together.buffers["body.1.running_mean"]
    assert float((means[0] - means[1]).abs().max()) > 1e-3
    assert float(means.abs().min()) > 0
    for net in (0, 1):
        alone = train_victims(sets, [net], config, device=CPU)
        for name, tensor in alone.tensors().items():
            assert torch.equal(tensor[0], together.tensors()[name][net])
        # As the module itself in evaluation mode; scoring does not change the statistics.
        assert torch.equal(together.net(net)(train.images[:5].float() / 255), together.logits(train.images[:5])[net])
    assert torch.equal(together.buffers["body.1.running_mean"], means)
    weights, buffers = together.one(0)
    kept = train_victims(sets, [5], config, body=weights | buffers, device=CPU)
    assert torch.equal(kept.buffers["body.1.running_mean"][0], means[0])
    assert torch.equal(kept.weights["body.0.weight"][0], weights["body.0.weight"])
    assert not torch.equal(kept.weights["head.weight"][0], weights["head.weight"])


def test_nets_at_once_are_as_nets_in_turn() -> None:
    train = bars(32)
    config = VictimConfig(epochs=1, widths=(4, 4), classes=3, batch_size=16)
    stacked = Stacked([config.build(1, seed) for seed in (0, 1)], CPU)
    in_turn = stacked.logits(train.images)
    stacked.in_turn = False
    assert torch.allclose(stacked.logits(train.images), in_turn, atol=1e-5)
    own = torch.stack([train.images, train.images.flip(0)])
    assert torch.allclose(stacked.logits(own)[1], in_turn[1].flip(0), atol=1e-5)


def test_private_victims_without_noise_or_clipping_take_the_gradient() -> None:
    train = bars(12)
    config = VictimConfig(epochs=1, widths=(4,), classes=3, batch_size=12, learning_rate=0.1, momentum=0.0, drops=())
    sets = [clean_set(train.images, train.labels)]
    public = train_victims(sets, [0], config, device=CPU)
    private = replace(config, private=PrivacyConfig(clip=1e6, noise_multiplier=0.0))
    exact = train_victims(sets, [0], private, device=CPU)
    for name, weights in public.weights.items():
        assert torch.allclose(weights, exact.weights[name], atol=1e-5)
    noisy = train_victims(sets, [0], replace(config, private=PrivacyConfig(clip=1.0, noise_multiplier=1.0)), device=CPU)
    assert not torch.allclose(noisy.weights["head.weight"], exact.weights["head.weight"], atol=1e-3)


def test_private_training_refuses_several_draws_of_an_item() -> None:
    train = bars(12)
    config = VictimConfig(epochs=1, widths=(4,), classes=3, private=PrivacyConfig(clip=1.0, noise_multiplier=1.0))
    maxup = MaxUp(inner=Cutout(), begins=0.0)
    with pytest.raises(ValueError, match="private training takes no augmentation but crops and flips, not MaxUp"):
        train_victims([clean_set(train.images, train.labels)], [0], config, augment=maxup, device=CPU)


def test_weights_are_those_of_the_seed_and_drawn_for_relus() -> None:
    config = VictimConfig(epochs=1, widths=(16, 64))
    weights = config.build(3, 0).body.state_dict()["2.weight"]
    assert float(weights.std()) == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.05)
    assert torch.equal(config.build(3, 0).body.state_dict()["2.weight"], weights)
    assert not torch.equal(config.build(3, 1).body.state_dict()["2.weight"], weights)


def test_learning_rate_falls() -> None:
    config = VictimConfig(epochs=40, learning_rate=0.1, drops=(1 / 2.667, 1 / 1.6, 1 / 1.142))
    rates = [config.rate_at(epoch) for epoch in range(40)]
    falls = [epoch for epoch in range(1, 40) if rates[epoch] < rates[epoch - 1]]
    assert falls == [14, 24, 35] or falls == [14, 25, 35]
    assert rates[-1] == pytest.approx(1e-4)


def outcome(success: float, accuracy: float, wide: float = 0.005, shift: float = 1.0) -> Outcome:
    spread = (-wide, 0.0, wide)
    return Outcome(
        success=[success + one for one in spread],
        unpoisoned=[0.0, 0.0, 0.0],
        shift=[shift + one for one in (-0.1, 0.0, 0.2)],
        accuracy=[accuracy + one for one in spread],
        clean_accuracy=[accuracy] * 3,
        hits=round(success * 30),
        unpoisoned_hits=0,
        attacked=30,
        num_test=100,
    )


def decided(attack: str, defenses: Iterable[str], measurements: Sequence[Measurement]) -> dict[str, str | None]:
    """Text of each claim of such a run to its verdict."""
    result = ReferenceResult(
        method="augmentation_defense",
        preset="smoke",
        data="mnist",
        question="?",
        commit=None,
        package_version="0",
        seeds=(0, 1, 2),
        device="CPU",
        seconds=0,
        settings={"attack": attack, "defenses": [*defenses]},
        measurements=measurements,
    )
    return {claim.text: claim.verdict for claim in claims(result)}


def test_claims_are_decided_by_the_figures() -> None:
    outcomes = {"none": outcome(0.95, 0.9), "mixup": outcome(0.95, 0.9), "cutmix": outcome(0.3, 0.8, 0.01)}
    found = measurements_of(outcomes | {"dp_sgd": outcome(0.1, 0.5, 0.01)}, {"dp_sgd": 3.0}, num_train=100)
    assert decided("backdoor", outcomes, found) == {
        "The attack works on an undefended net: it succeeds more often than without poison.": "held",
        # The seeds all differ by the same from those without a defense, which decides nothing.
        "mixup is no defense against the backdoor: it does not lower its success.": "not decided",
        "mixup costs no clean accuracy: less than 1 point.": "not decided",
        "cutmix makes the attack succeed less often.": "held",
        "cutmix costs no clean accuracy: less than 1 point.": "did not hold",
    }
    assert [*decided("backdoor", (*outcomes, "dp_sgd"), found).values()][-1] == "held"


def test_a_defense_is_not_judged_where_there_is_nothing_to_defend_or_nothing_is_learned() -> None:
    falls = "cutmix makes the attack succeed less often."
    nothing = {"none": replace(outcome(0.0, 0.9), success=[0.0, 0.0, 0.0]), "cutmix": outcome(0.3, 0.9)}
    assert decided("gradient_matching", nothing, measurements_of(nothing, {}, num_train=9))[falls] == "not tested"
    useless = {"none": outcome(0.95, 0.9), "cutmix": outcome(0.3, 0.1)}
    assert decided("gradient_matching", useless, measurements_of(useless, {}, num_train=9))[falls] == "not tested"


def test_a_smaller_shift_alone_is_no_defense() -> None:
    """Nets that mix are less sure of everything."""
    outcomes = {"none": outcome(0.9, 0.9, shift=4.0), "cutmix": replace(outcome(0.9, 0.9, wide=0.02), shift=[1, 1, 1])}
    verdicts = decided("gradient_matching", outcomes, measurements_of(outcomes, {}, num_train=9))
    assert verdicts["cutmix makes the attack succeed less often."] == "not decided"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"budget": 0.0}, "budget must be a share of the training set above 0 and at most 1, not 0.0"),
        ({"seeds": (1, 1)}, "seeds must be at least one, all different, each at least 0"),
        ({"keys": 0}, "keys must be at least 1, not 0"),
        ({"train_images": -1}, "train_images must be at least 0, not -1"),
        ({"defenses": ("mixup",)}, "defenses must include none"),
        ({"defenses": ("none", "prayer")}, "unknown defense .prayer.: choose from none, mixup"),
        ({"defenses": ("none", "none")}, "defenses must be all different"),
        ({"attack": "bribery"}, "unknown attack 'bribery': choose one of clean_label_backdoor"),
        ({"scenario": "transfer"}, "body_images must be above 0 for transfer, 0 otherwise, not 0"),
        (
            {"scenario": "transfer", "body_images": 9},
            "transfer needs an attack that optimizes poisons, not dirty_label",
        ),
        ({"adaptive": True}, "adaptive needs an attack that optimizes poisons, not dirty_label_backdoor"),
        ({"intended": "any"}, "intended must be one of runner_up, random, not 'any'"),
    ],
)
def test_recipes_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(get_image_recipe("smoke", "mnist"), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": 0}, "train_images must be above 0 for transfer, not 0"),
        ({"defenses": ("none", "dp_sgd")}, "dp_sgd is not for transfer"),
        ({"attack": "feature_collision"}, "craft.method must be the attack, feature_collision, not bullseye"),
    ],
)
def test_recipes_of_transfer_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(get_image_recipe("smoke", "cifar10", "bullseye"), **changes)


def test_victims_are_checked() -> None:
    for changes, message in (
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"widths": ()}, "widths must be at least one"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"drops": (1.0,)}, "drops must be between 0 and 1"),
        ({"momentum": 1.0}, "momentum must be from 0 to below 1"),
        ({"architecture": "vgg"}, "architecture must be one of small, resnet18"),
    ):
        with pytest.raises(ValueError, match=message):
            VictimConfig(**{"epochs": 1, **changes})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a set of the same shape for each seed"):
        train_victims([], [], VictimConfig(epochs=1), device=CPU)


def test_the_papers_net_takes_small_images() -> None:
    paper = IMAGE_PRESETS["paper", "cifar10", "backdoor"]
    for defense, norm in (("none", torch.nn.BatchNorm2d), ("dp_sgd", torch.nn.GroupNorm)):
        nets = Stacked([paper.victim_for(defense).build(3, 0)], CPU)
        assert nets.logits(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (1, 2, 10)
        found = {type(layer) for layer in nets.net(0).modules() if "Norm" in type(layer).__name__}
        assert found == {norm}


@pytest.mark.skipif(not (DATA / "MNIST").is_dir(), reason="the shared data is not here")
def test_a_backdoor_on_digits() -> None:
    train, test = load_images("mnist", DATA, train=True).first(1000), load_images("mnist", DATA, train=False).first(300)
    backdoor = patch_backdoor(train.images, train.labels, source=1, target=0, share=0.05, seed=0)
    nets = train_victims([backdoor.train], [0], VictimConfig(epochs=5, batch_size=32), device=CPU)
    attacked = backdoor.attacked(test.images, test.labels)
    assert float((nets.predict(attacked) == 0).float().mean()) > 0.8
    assert accuracies(nets.predict(test.images), test.labels)[0] > 0.75
