"""Backdoors that are planted in easy puzzles and tried on harder ones: a question of this benchmark."""
