"""How pictures of 0-255 are scaled before a network sees them."""

from __future__ import annotations

from photofinish.config import Settings


class Scaling(Settings):
    """A convention of input scaling.

    Attributes:
        description: In words, for reports.
        mean: Subtracted from each channel, in 0-255.
        deviation: Divides each channel, likewise.
        reverse_channels: Whether blue comes first.
    """

    description: str
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    reverse_channels: bool = False


# Mean and deviation of ImageNet's training pictures, as every framework prints them, on 0-255.
IMAGENET = Scaling(
    description="ImageNet mean and standard deviation",
    mean=(123.675, 116.28, 103.53),
    deviation=(58.395, 57.12, 57.375),
)
HALF = Scaling(description="x / 127.5 - 1", mean=(127.5, 127.5, 127.5), deviation=(127.5, 127.5, 127.5))
BY_128 = Scaling(description="x / 128 - 1", mean=(128.0, 128.0, 128.0), deviation=(128.0, 128.0, 128.0))
CAFFE = Scaling(
    description="ImageNet mean subtracted, blue first",
    mean=(123.68, 116.779, 103.939),
    deviation=(1.0, 1.0, 1.0),
    reverse_channels=True,
)
OWN = Scaling(description="the model's own", mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
