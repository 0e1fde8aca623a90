"""Mazes: generated, solved, hashed and converted to the original's pictures (arXiv 2108.06011).

- `trees`: how the walls are drawn, one function per distribution
- `paths`: shortest paths on the board
- `layouts`: hashes of wall layouts up to the symmetries of the square
- `images`: converts mazes to pictures and back
- `solver`: an independent solver that works on the pictures
- `variants`: their names, and bounds on the length of the path
- `sampling`: items of a split, in any order
- `counting`: how many mazes there are of the smallest sizes, and the first distinct ones of a stream
- `board`: how a maze is stored, outside and inside the kernels
"""

from easy_to_hard.generators.mazes.board import EAST as EAST
from easy_to_hard.generators.mazes.board import GOAL as GOAL
from easy_to_hard.generators.mazes.board import PATH as PATH
from easy_to_hard.generators.mazes.board import SOUTH as SOUTH
from easy_to_hard.generators.mazes.board import START as START
from easy_to_hard.generators.mazes.counting import count_instances as count_instances
from easy_to_hard.generators.mazes.counting import first_distinct as first_distinct
from easy_to_hard.generators.mazes.images import from_images as from_images
from easy_to_hard.generators.mazes.images import image_side as image_side
from easy_to_hard.generators.mazes.images import to_images as to_images
from easy_to_hard.generators.mazes.layouts import layout_hashes as layout_hashes
from easy_to_hard.generators.mazes.sampling import MazeBatch as MazeBatch
from easy_to_hard.generators.mazes.sampling import sample as sample
from easy_to_hard.generators.mazes.solver import solve as solve
from easy_to_hard.generators.mazes.variants import MAX_SIZE as MAX_SIZE
from easy_to_hard.generators.mazes.variants import MIN_SIZE as MIN_SIZE
from easy_to_hard.generators.mazes.variants import VARIANTS as VARIANTS
from easy_to_hard.generators.mazes.variants import check_size as check_size
