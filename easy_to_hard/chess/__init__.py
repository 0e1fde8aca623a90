"""Chess for people and networks, on top of the engine in `easy_to_hard.generators.chess`.

- `columns`: FENs and moves of files to positions
- `puzzle_folder`: the folder of Lichess puzzles, by rank
- `datasets`: the PyTorch classes
- `plots`, `text`: drawings
"""
