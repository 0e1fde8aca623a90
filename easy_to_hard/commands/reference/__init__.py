"""`easy-to-hard reference`: evaluations of other papers' methods, each command in a file of its own.

Commands are above all layers, and import the baselines only when they run.
"""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from tyro.conf import OmitSubcommandPrefixes, subcommand

from easy_to_hard.commands.reference.augmentation_defense import AugmentationDefense
from easy_to_hard.commands.reference.canary import Canary
from easy_to_hard.commands.reference.cold_diffusion import ColdDiffusion
from easy_to_hard.commands.reference.dp_instahide import DpInstaHide
from easy_to_hard.commands.reference.judge import JudgeReference
from easy_to_hard.commands.reference.parameter_saliency import ParameterSaliency
from easy_to_hard.commands.reference.show import ShowReference
from easy_to_hard.commands.reference.vit_visualization import VitVisualization

Method: TypeAlias = (
    Annotated[ColdDiffusion, subcommand("cold-diffusion")]
    | Annotated[Canary, subcommand("canary")]
    | Annotated[ParameterSaliency, subcommand("parameter-saliency")]
    | Annotated[VitVisualization, subcommand("vit-visualization")]
    | Annotated[AugmentationDefense, subcommand("augmentation-defense")]
    | Annotated[DpInstaHide, subcommand("dp-instahide")]
    | Annotated[ShowReference, subcommand("show")]
    | Annotated[JudgeReference, subcommand("judge")]
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Evaluate another paper's method, show its results, or judge them again."""

    method: OmitSubcommandPrefixes[Method]

    def when_stopped(self) -> str:
        """What an interrupt leaves behind, or what to do after it."""
        if isinstance(self.method, ShowReference):
            return "nothing was written"
        if isinstance(self.method, JudgeReference):
            return "every file is intact, unchanged or judged again; run the same command again for the rest"
        return "run the same command again to continue after the finished parts"

    def run(self) -> int:
        """Run the method's command."""
        return self.method.run()
