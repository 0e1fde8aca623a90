"""The version of the package, for all that writes it into files."""

from typing import Final

__version__: Final = "0.1.0"
