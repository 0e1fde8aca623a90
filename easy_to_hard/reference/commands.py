"""`easy-to-hard reference`: evaluations of other papers' methods, each command in a file of its own.

Commands are above all layers: they load the baselines when they are run, and not before.
"""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from tyro.conf import OmitSubcommandPrefixes, subcommand

from easy_to_hard.reference.cold_diffusion import ColdDiffusion
from easy_to_hard.reference.show import ShowReference

Method: TypeAlias = (
    Annotated[ColdDiffusion, subcommand("cold-diffusion")] | Annotated[ShowReference, subcommand("show")]
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Evaluate another paper's method, or show what came out of it."""

    method: OmitSubcommandPrefixes[Method]

    def run(self) -> int:
        """Run the method's command."""
        return self.method.run()
