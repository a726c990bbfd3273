"""Recipes after the paper: Tan and Le 2021, "EfficientNetV2: Smaller Models and Faster Training", arXiv:2104.00298."""

from __future__ import annotations

from collections.abc import Callable

from photofinish.config.ramps import Ramp
from photofinish.config.recipe import Recipe, claim_of
from photofinish.config.settings import DataSettings, TrainingSettings


def paper_cifar() -> Recipe:
    """EfficientNetV2-S fine-tuned from ImageNet weights on CIFAR-10, as the paper does it.

    Source: section 5.3 of the paper: batches of 512, a learning rate of 0.001 with cosine decay, 10,000 steps, no
    weight decay, simple cutout; and the official code where the paper is silent: RMSProp, moving average 0.9996, label
    smoothing 0.1, pictures resized to 384 pixels and mirrored, cutout of a quarter of the side. The paper trains on
    all 50,000 pictures; here a tenth of them validates.
    Command: `photofinish compare --recipe paper-cifar`; for M and L add their names and `--image-size 480`.
    Cost: not yet measured by us; a GPU is needed.
    Expected figure: from ImageNet-1k weights, mean of five runs: S 98.7 +- 0.04, M 99.0 +- 0.08, L 99.1 +- 0.03
    (section 5.3 of the paper).
    """
    return Recipe(
        name="paper-cifar",
        claim=claim_of(paper_cifar),
        models=("efficientnetv2-s", "resnet50"),
        data=DataSettings(source="cifar10", image_size=384, validation_fraction=0.1),
        training=TrainingSettings(
            steps=10_000,
            batch_size=512,
            optimizer="rmsprop",
            learning_rate=1e-3,
            schedule="cosine",
            label_smoothing=0.1,
            ema_decay=0.9996,
            precision="bfloat16",
            flip=True,
            cutout=0.25,
            weights="imagenet",
        ),
    )


def paper_imagenet_s() -> Recipe:
    """EfficientNetV2-S trained on ImageNet with progressive learning.

    Source: section 4 of the paper: four stages, 128 to 300 pixels, RandAugment 5 to 15, dropout 0.1 to 0.3, no mixup;
    evaluated at 384. Section 5.1 and the official code: RMSProp, batches of 4,096, rate 0.256 after five epochs of
    warm-up, x0.97 every 2.4 epochs, moving average 0.9999, label smoothing 0.1, crops of 5% of the area and more, 350
    epochs; 10,000 training pictures are set aside. Two things differ: our weight decay is decoupled, the paper's is
    part of the loss; and crops are cut from the middle square of each picture, kept at 384 pixels, the paper's from
    the whole picture.
    Command: `photofinish train efficientnetv2-s --recipe paper-imagenet-s --data IMAGENET`, a folder with `train/` and
    `test/` of one folder a class.
    Cost: not measured by us.
    Expected figure: 83.9% top-1 (section 5.1 of the paper).
    """
    return _imagenet(paper_imagenet_s, "s", size=Ramp(128, 300), strength=Ramp(5, 15), dropout=Ramp(0.1, 0.3))


def paper_imagenet_m() -> Recipe:
    """EfficientNetV2-M trained on ImageNet with progressive learning.

    Source: as `paper-imagenet-s`, with 128 to 380 pixels, RandAugment 5 to 20, mixup 0 to 0.2, dropout 0.1 to 0.4;
    evaluated at 480.
    Command: `photofinish train efficientnetv2-m --recipe paper-imagenet-m --data IMAGENET`.
    Cost: not measured by us.
    Expected figure: 85.2% top-1 (official repository).
    """
    return _imagenet(
        paper_imagenet_m, "m", size=Ramp(128, 380), strength=Ramp(5, 20), dropout=Ramp(0.1, 0.4), mixup=Ramp(0, 0.2)
    )


def paper_imagenet_l() -> Recipe:
    """EfficientNetV2-L trained on ImageNet with progressive learning.

    Source: as `paper-imagenet-s`, with 128 to 380 pixels, RandAugment 5 to 25, mixup 0 to 0.5, dropout 0.1 to 0.5;
    evaluated at 480.
    Command: `photofinish train efficientnetv2-l --recipe paper-imagenet-l --data IMAGENET`.
    Cost: not measured by us.
    Expected figure: 85.7% top-1 (section 5.1 of the paper).
    """
    return _imagenet(
        paper_imagenet_l, "l", size=Ramp(128, 380), strength=Ramp(5, 25), dropout=Ramp(0.1, 0.5), mixup=Ramp(0, 0.5)
    )


def progressive_cifar10() -> Recipe:
    """EfficientNetV2-S against ResNet-50 on CIFAR-10 from random values, with progressive learning for small pictures.

    Source: the paper's ranges for S carried over to pictures of 32 pixels: sizes from half of the last one (the paper:
    128 of 300), RandAugment 5 to 10 (the official code's end for S), dropout 0.1 to 0.3, no mixup. RandAugment moves
    and blanks by shares of the picture, not by pixels, so that its magnitudes mean the same.
    Command: `photofinish compare --recipe progressive-cifar10`.
    Cost: not yet measured by us.
    Expected figure: not yet measured by us; `docs/progressive.md` has what such stages made of short runs of
    EfficientNetV2-B0.
    """
    return Recipe(
        name="progressive-cifar10",
        claim=claim_of(progressive_cifar10),
        models=("efficientnetv2-s", "resnet50"),
        data=DataSettings(source="cifar10", image_size=32, validation_fraction=0.1),
        training=TrainingSettings(
            epochs=40,
            batch_size=128,
            optimizer="adamw",
            learning_rate=2e-3,
            schedule="cosine",
            warmup_epochs=2,
            weight_decay=0.05,
            label_smoothing=0.1,
            stages=4,
            training_size=Ramp(16, 32),
            flip=True,
            shift=0.125,
            randaugment=Ramp(5, 10),
            dropout=Ramp(0.1, 0.3),
        ),
    )


NONE = Ramp(0, 0)
EVALUATED_AT = {"s": 384, "m": 480, "l": 480}
IMAGENET_MINIVAL = 10_000 / 1_281_167


def _imagenet(
    make: Callable[[], Recipe], variant: str, *, size: Ramp, strength: Ramp, dropout: Ramp, mixup: Ramp = NONE
) -> Recipe:
    return Recipe(
        name=f"paper-imagenet-{variant}",
        claim=claim_of(make),
        models=(f"efficientnetv2-{variant}", "resnet50"),
        data=DataSettings(source="imagenet", image_size=EVALUATED_AT[variant], validation_fraction=IMAGENET_MINIVAL),
        training=TrainingSettings(
            epochs=350,
            batch_size=4096,
            optimizer="rmsprop",
            learning_rate=0.256,
            schedule="exponential",
            warmup_epochs=5,
            weight_decay=1e-5,
            label_smoothing=0.1,
            ema_decay=0.9999,
            precision="bfloat16",
            stages=4,
            training_size=size,
            flip=True,
            crop=0.05,
            randaugment=strength,
            mixup=mixup,
            dropout=dropout,
        ),
    )
