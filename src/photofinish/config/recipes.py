"""Named recipes. A recipe's docstring is its claim: source, command, cost, expected figure."""

from __future__ import annotations

from collections.abc import Callable

from photofinish.config.paper_recipes import (
    paper_cifar,
    paper_imagenet_l,
    paper_imagenet_m,
    paper_imagenet_s,
    progressive_cifar10,
)
from photofinish.config.recipe import Published, PublishedFigure, Recipe, claim_of
from photofinish.config.settings import DataSettings, TrainingSettings
from photofinish.errors import SettingsError, nearest

EFFICIENTNETV2_L_PARAMETERS = 119_027_848
"""With 1,000 classes, as in the file of published weights."""


def quick() -> Recipe:
    """EfficientNetV2-B0 against ResNet-50 on scikit-learn's handwritten digits, in minutes on two cores.

    Source: ours; the digits are 1,797 pictures of 8x8 pixels that come with scikit-learn (Alpaydin and Kaynak 1998).
    Command: `photofinish compare --recipe quick --seeds 2`.
    Cost: under four minutes on two cores with empty caches (measured, `docs/quick.md`).
    Expected figure: 95 to 96% for EfficientNetV2-B0 and about 95% for ResNet-50, undecided (measured, likewise).
    """
    return Recipe(
        name="quick",
        claim=claim_of(quick),
        models=("efficientnetv2-b0", "resnet50"),
        data=DataSettings(source="digits", image_size=32),
        training=TrainingSettings(epochs=4, batch_size=32, learning_rate=3e-3, schedule="cosine", warmup_epochs=0.5),
    )


def case_study() -> Recipe:
    """EfficientNetV2-L against ResNet-50 on CIFAR-10, as the case study promises it.

    Source: the case study behind this project: CIFAR-10 at 224x224, batches of 32, ImageNet weights, a new layer for
    ten classes, Adam, sparse categorical cross-entropy, 10 epochs, 20% of the training pictures for validation.
    Command: `photofinish compare --recipe case-study`.
    Cost: not yet measured by us; the case study claims about two hours for EfficientNetV2-L and three for ResNet-50
    on an unnamed GPU. A GPU is needed in practice.
    Expected figure: the case study prints 90.5% and 88.2% test accuracy; nothing in it produced them. From the same
    weights the paper reports 99.1% for EfficientNetV2-L after 10,000 steps (arXiv:2104.00298, section 5.3).
    """
    return Recipe(
        name="case-study",
        claim=claim_of(case_study),
        models=("efficientnetv2-l", "resnet50"),
        data=DataSettings(source="cifar10", image_size=224, validation_fraction=0.2),
        training=TrainingSettings(epochs=10, batch_size=32, optimizer="adam", weights="imagenet"),
        published=Published(
            source="the case study: a course notebook on EfficientNetV2-L against ResNet-50",
            figures=(
                PublishedFigure(model="efficientnetv2-l", quantity="test_accuracy", value=0.905),
                PublishedFigure(model="resnet50", quantity="test_accuracy", value=0.882),
                PublishedFigure(model="efficientnetv2-l", quantity="train_seconds", value=2 * 3600),
                PublishedFigure(model="resnet50", quantity="train_seconds", value=3 * 3600),
                PublishedFigure(
                    model="efficientnetv2-l", quantity="parameters", value=480e6, known=EFFICIENTNETV2_L_PARAMETERS
                ),
            ),
            remarks=(
                (
                    "Nothing in the notebook produced the figures it prints: it trained MobileNetV2 0.35 and ResNet-50 "
                    "on 10,000 pictures."
                ),
                (
                    "The notebook divides pictures by 255 in front of a network that scales its own input. Here every "
                    "network scales pictures once, as its weights want it."
                ),
            ),
        ),
    )


def case_study_notebook() -> Recipe:
    """MobileNetV2 0.35 against ResNet-50 on part of CIFAR-10: what the case study's notebook really runs.

    Source: the notebook of the case study: the first 10,000 training pictures at 64x64, batches of 4, ImageNet
    weights, a dense layer of 256 before the classifier.
    Command: `photofinish compare --recipe case-study-notebook`.
    Cost: not yet measured by us.
    Expected figure: none; the notebook's own plot shows one history under two names.
    """
    return Recipe(
        name="case-study-notebook",
        claim=claim_of(case_study_notebook),
        models=("mobilenetv2-0.35", "resnet50"),
        data=DataSettings(
            source="cifar10", image_size=64, validation_fraction=0.2, limit_train=10_000, limit_mode="first"
        ),
        training=TrainingSettings(epochs=10, batch_size=4, optimizer="adam", weights="imagenet", head_units=256),
        published=Published(
            source="the notebook of the case study",
            remarks=(
                (
                    "The notebook's plot of both networks shows one training history under two names, so that it "
                    "compares nothing. The curves here are each network's own."
                ),
            ),
        ),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "quick": quick,
    "case-study": case_study,
    "case-study-notebook": case_study_notebook,
    "paper-cifar": paper_cifar,
    "paper-imagenet-s": paper_imagenet_s,
    "paper-imagenet-m": paper_imagenet_m,
    "paper-imagenet-l": paper_imagenet_l,
    "progressive-cifar10": progressive_cifar10,
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        SettingsError: There is none; the nearest name is given.

    Examples:
        >>> find_recipe("quick").data.source
        'digits'
    """
    if name not in RECIPES:
        raise SettingsError(f"unknown recipe '{name}': {nearest(name, RECIPES)}")
    return RECIPES[name]()
