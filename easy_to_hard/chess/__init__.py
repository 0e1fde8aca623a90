"""Chess datasets and drawings, on top of the engine in `easy_to_hard.generators.chess`.

- `columns`: reads the FENs and moves in files as positions
- `puzzle_folder`: the folder of Lichess puzzles, by rank
- `datasets`: the PyTorch classes
- `plots`, `text`: drawings
"""
