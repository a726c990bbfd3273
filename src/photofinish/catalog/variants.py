"""The variants of EfficientNetV2, one table.

As in the paper (Tan and Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298, tables 4 and
7) and in its official code.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Stage:
    """Blocks that share a row of the paper's table.

    Attributes:
        kind: `fused` (Fused-MBConv) or `mbconv` (MBConv).
        repeats: Number of blocks.
        channels: Output channels of each block.
        expansion: Width of the hidden layer as a multiple of the block's input channels.
        stride: Of the first block; the others have 1.
    """

    kind: Literal["fused", "mbconv"]
    repeats: int
    channels: int
    expansion: int
    stride: int

    @property
    def operator(self) -> str:
        """Name of the operator as the paper prints it."""
        return f"{'Fused-MBConv' if self.kind == 'fused' else 'MBConv'}{self.expansion}, k3x3"


@dataclass(frozen=True)
class Variant:
    """One row of the family.

    Attributes:
        stem: Channels after the first convolution.
        stages: The stages in order.
        head: Channels of the last convolution.
        dropout: Dropout before the classifier in the paper's ImageNet training.
        image_size: Size at which the paper evaluates.
    """

    stem: int
    stages: tuple[Stage, ...]
    head: int
    dropout: float
    image_size: int

    @property
    def blocks(self) -> int:
        """Number of blocks in all stages."""
        return sum(stage.repeats for stage in self.stages)


def _stages(text: str) -> tuple[Stage, ...]:
    """Read a row such as `F1:2x24/1 MB4:6x128/2`: operator and expansion, repeats x channels / stride."""

    def stage(item: str) -> Stage:
        operator, _, rest = item.partition(":")
        kind: Literal["fused", "mbconv"] = "mbconv" if operator.startswith("MB") else "fused"
        repeats, channels, stride = (int(number) for number in rest.replace("x", "/").split("/"))
        return Stage(kind, repeats, channels, int(operator.lstrip("FMB")), stride)

    return tuple(stage(item) for item in text.split())


_B0 = Variant(
    stem=32,
    stages=_stages("F1:1x16/1 F4:2x32/2 F4:2x48/2 MB4:3x96/2 MB6:5x112/1 MB6:8x192/2"),
    head=1280,
    dropout=0.2,
    image_size=224,
)


def _scaled(width: float, depth: float, dropout: float, image_size: int) -> Variant:
    """Scale B0 in width and depth; channels become multiples of eight, repeats round up."""

    def channels(count: int) -> int:
        # The official code rounds to the nearest multiple of eight here without EfficientNetV1's 10% guard.
        return max(8, int(count * width + 4) // 8 * 8)

    stages = tuple(
        replace(stage, repeats=math.ceil(stage.repeats * depth), channels=channels(stage.channels))
        for stage in _B0.stages
    )
    return Variant(channels(_B0.stem), stages, channels(_B0.head), dropout, image_size)


VARIANTS: dict[str, Variant] = {
    "b0": _B0,
    "b1": _scaled(1.0, 1.1, 0.2, 240),
    "b2": _scaled(1.1, 1.2, 0.3, 260),
    "b3": _scaled(1.2, 1.4, 0.3, 300),
    "s": Variant(24, _stages("F1:2x24/1 F4:4x48/2 F4:4x64/2 MB4:6x128/2 MB6:9x160/1 MB6:15x256/2"), 1280, 0.2, 384),
    "m": Variant(
        24,
        _stages("F1:3x24/1 F4:5x48/2 F4:5x80/2 MB4:7x160/2 MB6:14x176/1 MB6:18x304/2 MB6:5x512/1"),
        1280,
        0.3,
        480,
    ),
    "l": Variant(
        32,
        _stages("F1:4x32/1 F4:7x64/2 F4:7x96/2 MB4:10x192/2 MB6:19x224/1 MB6:25x384/2 MB6:7x640/1"),
        1280,
        0.4,
        480,
    ),
    "xl": Variant(
        32,
        _stages("F1:4x32/1 F4:8x64/2 F4:8x96/2 MB4:16x192/2 MB6:24x256/1 MB6:32x512/2 MB6:8x640/1"),
        1280,
        0.4,
        512,
    ),
}


def block_letters() -> Iterator[str]:
    """Yield what names the blocks of a stage: a, b, ..., z, aa, ab, ...; XL has more than the alphabet has letters."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters)
