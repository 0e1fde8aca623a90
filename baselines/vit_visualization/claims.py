"""The paper's claims, judged by the measurements of a result.

Table 2 is judged on composed pictures, with an object in a known box; half of an image is no stand-in for one.
Where the paper gives a share of the natural accuracy that is kept, the claim holds here if at least nine tenths of that
share is kept; the limits follow from the paper's figures alone.
"""

from collections.abc import Sequence
from typing import Final

from easy_to_hard.baselines.kit.claims import CAN_CLASSIFY, CAN_SOLVE, Criterion, Statement, judge
from easy_to_hard.baselines.kit.evaluation import IMAGES
from easy_to_hard.scores.reference import Claim, Measurement, ReferenceResult, look_up

SOURCE: Final = "arXiv 2212.06727"
_NATURAL: Final = 84.20
# Table 1: ViT-B/16 on ImageNet, top-1 accuracy in percent.
_FIGURES: Final = {
    "CLS apart but for the last block": (78.61, "CLS that sees the patches only in the last block still classifies"),
    "single patch, mean over places": (75.75, "The head that was trained on CLS classifies from single patches"),
    "best patch, chosen in training": (80.16, "From the best single patch it does nearly as well as from CLS"),
}
_LENIENCE: Final = 0.9

# Names of the measurements that decide claims.
KEPT: Final = "share of the accuracy above chance kept"
LOCAL: Final = "variance within images, last layer less the least before"
SCORE: Final = "AUROC of the best feature"
KEPT_SOLVED: Final = "share of the solve rate kept, ViT less recurrent net"
KEPT_MORE: Final = "share kept, ViT less conv net"
PATH: Final = "AUROC of the path, last layer less first"
SOLVES: Final = "solve rate"

_FREQUENCIES: Final = "Taking out high frequencies hurts a convolutional net more than a ViT."


def claims(result: ReferenceResult) -> tuple[Claim, ...]:
    """The paper's claims, judged by the measurements of a result on images or on mazes."""
    return (decide_image_claims if result.data in IMAGES else decide_maze_claims)(result.measurements)


def decide_image_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The claims on images, as far as they were measured; not tested if the nets do not classify."""
    vit = (_classifies("ViT"),)
    statements = []
    for way, (figure, text) in _FIGURES.items():
        limit = _LENIENCE * figure / _NATURAL
        kept = Criterion(
            name=KEPT,
            condition={"way": way},
            direction="at least",
            bound=limit,
            words="share of the natural accuracy above chance",
        )
        statements.append(
            Statement(
                text=f"{text} ({figure:.2f} of {_NATURAL:.2f} %): at least {limit:.3f} of the accuracy is kept.",
                source=f"{SOURCE}, table 1",
                criteria=(kept,),
                needs=vit,
            )
        )
    statements += [_uniform(vit), *_against_conv_net()]
    return _judge_measured(statements, measurements)


def decide_maze_claims(measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    """The paper's claims, as far as they apply to nets that solve mazes.

    They are not tested if the net does not solve half of the mazes of the size with which it is examined.
    """
    rate = next((one for one in measurements if one.name == SOLVES), None)
    able = Criterion(name=SOLVES, condition=rate.condition if rate else {}, direction="at least", bound=CAN_SOLVE)
    path = Criterion(
        name=PATH,
        condition={"net": "trained"},
        direction="greater",
        bound=0.0,
        words="AUROC of the feature that follows the path best, last layer less first",
    )
    kept = Criterion(
        name=KEPT_SOLVED,
        direction="greater",
        bound=0.0,
        words="share of its solve rate that the ViT keeps less that of the recurrent net",
    )
    statements = [
        Statement(
            text="Features go from simple patterns in early layers to the object in late ones: here, to the path.",
            source=f"{SOURCE}, abstract",
            criteria=(path,),
            needs=(able,),
        ),
        _uniform((able,)),
        Statement(text=_FREQUENCIES, source=f"{SOURCE}, figure 14", criteria=(kept,), needs=(able,)),
    ]
    return _judge_measured(statements, measurements)


def _judge_measured(statements: Sequence[Statement], measurements: Sequence[Measurement]) -> tuple[Claim, ...]:
    measured = [
        one for one in statements if all(look_up(measurements, each.name, each.condition) for each in one.criteria)
    ]
    return judge(measured, measurements)


def _classifies(net: str, pictures: str = "") -> Criterion:
    return Criterion(
        name="accuracy",
        condition={"net": net, **({"pictures": pictures} if pictures else {})},
        direction="at least",
        bound=CAN_CLASSIFY,
        words=f"accuracy of the {net}",
    )


def _uniform(needs: tuple[Criterion, ...]) -> Statement:
    local = Criterion(
        name=LOCAL,
        condition={"net": "trained"},
        direction="less",
        bound=0.0,
        words="share of the variance within images, last block less the least before",
    )
    return Statement(
        text="Features of the last block are more uniform over space than those of all blocks before.",
        source=f"{SOURCE}, abstract",
        criteria=(local,),
        needs=needs,
    )


def _against_conv_net() -> list[Statement]:
    texts = {
        "low-pass": (_FREQUENCIES, "figure 14", ""),
        "foreground": ("The box of the object alone leaves a ViT more of its accuracy.", "table 2", "composed"),
        "background": ("All but the box of the object leaves a ViT more of its accuracy.", "table 2", "composed"),
    }
    return [
        Statement(
            text=text,
            source=f"{SOURCE}, {place}",
            criteria=(
                Criterion(
                    name=KEPT_MORE,
                    condition={"kept": kind},
                    direction="greater",
                    bound=0.0,
                    words="share of its accuracy above chance that the ViT keeps less that of the conv net",
                ),
            ),
            needs=(_classifies("ViT", pictures), _classifies("conv net", pictures)),
        )
        for kind, (text, place, pictures) in texts.items()
    ]
