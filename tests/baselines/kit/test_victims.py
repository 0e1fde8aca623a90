"""Victims: what private training refuses."""

from dataclasses import replace

import pytest
import torch

from easy_to_hard.baselines.augmentation_defense.defenses import DEFENSES
from easy_to_hard.baselines.augmentation_defense.on_puzzles.defenses import PUZZLE_DEFENSES
from easy_to_hard.baselines.augmentation_defense.on_puzzles.training import SolverNets, train_solvers
from easy_to_hard.baselines.augmentation_defense.recipes import SolverTraining
from easy_to_hard.baselines.deep_thinking.solvers import RecurrentSolvers
from easy_to_hard.baselines.dp_instahide.mechanism import Cell
from easy_to_hard.baselines.dp_instahide.recipes import get_image_recipe
from easy_to_hard.baselines.dp_instahide.releases import Releases, train_on
from easy_to_hard.baselines.kit.poisoning.attacks import Poisoned, clean_set
from easy_to_hard.baselines.kit.private_training import PrivacyConfig
from easy_to_hard.baselines.kit.puzzles import make_puzzles
from easy_to_hard.baselines.kit.victims import VictimConfig, train_victims

CPU = torch.device("cpu")
PRIVACY = PrivacyConfig(clip=1.0, noise_multiplier=1.0)
PRIVATE = VictimConfig(epochs=1, widths=(4,), classes=2, private=PRIVACY)


def images() -> Poisoned:
    return clean_set(torch.arange(12 * 64).view(12, 1, 8, 8).byte(), torch.arange(12) % 2)


@pytest.mark.parametrize("name", [name for name, make in DEFENSES.items() if make() is not None])
def test_private_training_of_images_refuses_augmentation(name: str) -> None:
    with pytest.raises(ValueError, match="private training takes no augmentation but crops and flips, not"):
        train_victims([images()], [0], PRIVATE, augment=DEFENSES[name](), device=CPU)


@pytest.mark.parametrize("name", [name for name in PUZZLE_DEFENSES if name not in ("none", "dp_sgd")])
def test_private_training_of_puzzles_refuses_augmentation(name: str) -> None:
    nets = SolverNets(RecurrentSolvers(task="prefix_sums", width=4, max_iterations=2), (0,), CPU)
    config = SolverTraining(steps=1, batch_size=4, learning_rate=1e-3, private=PRIVACY)
    with pytest.raises(ValueError, match="private training takes puzzles as they are, without a defense"):
        train_solvers(
            nets,
            [make_puzzles("prefix_sums", 16, 6)],
            (0,),
            config,
            defense=PUZZLE_DEFENSES[name],
            device=CPU,
            progress=False,
            title="",
        )


def test_private_training_of_releases_is_refused() -> None:
    cells = [Cell(mix_count=2, noise_scale=0.1)]
    source = Releases([images()], cells, [0], count=12, classes=2, device=CPU)
    with pytest.raises(ValueError, match=r"training on releases is not private training: config\.private must be None"):
        train_on(source, PRIVATE, device=CPU)
    with pytest.raises(ValueError, match="victim must not be private: nets without a defense are trained as it says"):
        replace(get_image_recipe("smoke", "mnist"), victim=PRIVATE)
