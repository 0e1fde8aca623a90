"""Backdoors that are planted in easy puzzles and tried on harder ones: a question of this benchmark."""

from easy_to_hard.baselines.augmentation_defense.on_puzzles.evaluation import run as run
