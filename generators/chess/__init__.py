"""Chess: positions, legal moves, forced mates, and puzzles made of them.

- `board`: how a position and a move are stored, and tables for the board
- `attacks`: which squares a piece attacks
- `moves`: legal moves, and making them
- `perft`: how many sequences of legal moves there are
- `fen`, `uci`, `san`, `text`: positions and moves as text: FEN, UCI, SAN, many at once
- `hashes`: hashes of positions, up to the symmetries of chess
- `planes`: converts puzzles to a network's inputs and targets
- `mates`: forced mates: in how many moves, by which key moves, by which line
- `solving`: the solver for many positions at once
- `checking`: the check that leaves the fewest replies
- `games`: random play that leads to positions that look like chess
- `balanced`: play by some judgment, whose positions and mates look like those of people
- `relations`: what each piece attacks, where it may go, and from where it gives check
- `sampling`: puzzles of a split, in any order
"""

from easy_to_hard.generators.chess.checking import tightest_checks as tightest_checks
from easy_to_hard.generators.chess.hashes import canonical_hashes as canonical_hashes
from easy_to_hard.generators.chess.planes import from_planes as from_planes
from easy_to_hard.generators.chess.planes import to_planes as to_planes
from easy_to_hard.generators.chess.relations import find_relations as find_relations
from easy_to_hard.generators.chess.sampling import VARIANTS as VARIANTS
from easy_to_hard.generators.chess.sampling import MateBatch as MateBatch
from easy_to_hard.generators.chess.sampling import check_mate_in as check_mate_in
from easy_to_hard.generators.chess.sampling import draw_seconds as draw_seconds
from easy_to_hard.generators.chess.sampling import first_distinct as first_distinct
from easy_to_hard.generators.chess.sampling import sample as sample
from easy_to_hard.generators.chess.solving import Solution as Solution
from easy_to_hard.generators.chess.solving import solve as solve
from easy_to_hard.generators.chess.text import parse_fens as parse_fens
from easy_to_hard.generators.chess.text import parse_ucis as parse_ucis
from easy_to_hard.generators.chess.text import to_fens as to_fens
from easy_to_hard.generators.chess.text import to_lines as to_lines
from easy_to_hard.generators.chess.text import to_ucis as to_ucis
