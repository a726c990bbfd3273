"""The networks as ordinary `keras.Model`s, for use in anyone's program."""

from __future__ import annotations

from pathlib import Path

import keras

from photofinish.catalog.variants import VARIANTS
from photofinish.errors import SettingsError, nearest
from photofinish.models.building import Head, build


def EfficientNetV2(  # noqa: N802  # networks are named like classes throughout the field
    variant: str,
    *,
    classes: int | None = 1000,
    weights: str | Path | None = None,
    image_size: int | None = None,
    dropout: float | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build EfficientNetV2 (Tan and Le 2021, arXiv:2104.00298).

    Args:
        variant: `b0`, `b1`, `b2`, `b3`, `s`, `m`, `l` or `xl`.
        classes: Number of classes, or None for the pooled features. Where the weights hold a classifier of exactly so
            many classes, it is taken too: `weights="imagenet"` with 1000 classes is the published classifier of
            ImageNet. With another number the classifier is new.
        weights: None (random); `imagenet` (Keras' own, B0 to L); `imagenet21k` (timm's, B3 to XL); `timm:NAME`, for
            example `timm:tf_efficientnetv2_s.in21k_ft_in1k`; or a path: a `.h5`, `.weights.h5` or `.keras` file of
            Keras, a `.safetensors` file of timm or of ours, or the folder of a run. Weights bring the scaling of
            pictures that they were trained with.
        image_size: Height and width in pixels; None takes any size.
        dropout: Before the classifier; None takes the paper's for the variant.
        seed: Decides random initial values.

    Returns:
        A model from pictures (batch, height, width, 3) of 0-255, scaled inside, to logits (batch, classes) or
        features (batch, channels). Logits also where the published model ends in a softmax.

    Raises:
        SettingsError: The variant or its weight set is unknown.
        WeightsError: The weights do not fit.
        DownloadError: The weights could not be fetched; the message says where to put them by hand.

    Examples:
        >>> model = EfficientNetV2("b0", classes=10)
        >>> model.name, model.output_shape
        ('efficientnetv2-b0', (None, 10))
    """
    if variant not in VARIANTS:
        raise SettingsError(f"unknown variant '{variant}' of EfficientNetV2: {nearest(variant, VARIANTS)}")
    head = Head(
        classes, VARIANTS[variant].dropout if dropout is None else dropout, as_published=True, reuse_classifier=True
    )
    return build(f"efficientnetv2-{variant}", head, image_size=image_size, weights=weights, seed=seed).model


def ResNet50(  # noqa: N802  # as above
    *,
    classes: int | None = 1000,
    weights: str | Path | None = None,
    image_size: int | None = None,
    dropout: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """Build ResNet-50 (He et al. 2016, arXiv:1512.03385) on top of keras.applications.

    Args and returns are those of `EfficientNetV2`, without a variant; of published weights there is `imagenet`.

    Examples:
        >>> ResNet50(classes=10).output_shape
        (None, 10)
    """
    return build(
        "resnet50", Head(classes, dropout, reuse_classifier=True), image_size=image_size, weights=weights, seed=seed
    ).model


def MobileNetV2(  # noqa: N802  # as above
    width: float = 1.0,
    *,
    classes: int | None = 1000,
    weights: str | Path | None = None,
    image_size: int | None = None,
    dropout: float = 0.2,
    seed: int = 0,
) -> keras.Model:
    """Build MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) on top of keras.applications.

    Args and returns are those of `EfficientNetV2`; `width` is 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4. Of
    published weights there is `imagenet`.

    Examples:
        >>> MobileNetV2(0.35, classes=10).output_shape
        (None, 10)
    """
    name = "mobilenetv2" if width == 1 else f"mobilenetv2-{width:g}"
    return build(
        name, Head(classes, dropout, reuse_classifier=True), image_size=image_size, weights=weights, seed=seed
    ).model
