"""From a model's name to a network ready to train: scaling, features, one head for all."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from photofinish.catalog import Architecture, find, scaling
from photofinish.catalog.scaling import Scaling
from photofinish.catalog.weight_files import CLASSIFIER, open_weights
from photofinish.config import is_custom
from photofinish.config.names import OWN
from photofinish.errors import SettingsError
from photofinish.models.custom import build_custom
from photofinish.models.filling import LAYERS_WITHOUT_COUNTERPART, fill, named_variables
from photofinish.models.initial_values import build_with_initial_values, keras_seeds
from photofinish.models.layers import InputScaling, use_fast_layers
from photofinish.models.networks import FEATURES

HEAD_LAYERS = frozenset({"avg_pool", "top_dense", "top_dropout", CLASSIFIER})
RANDOM = "random"
OFFICIAL_CLASSIFIER = keras.initializers.VarianceScaling(1 / 3, "fan_out", "uniform")


@dataclass(frozen=True)
class Head:
    """What stands on the feature map, the same for every model.

    Attributes:
        classes: Number of classes, or None to end in the pooled features.
        dropout: Dropout before the classifier.
        units: Width of a hidden dense layer with ReLU, or None.
        as_published: Start the classifier as the official EfficientNet code does, uniform within 1 / sqrt(classes).
            For a thousand classes that is small; for ten it gives logits so large that the first loss is three to
            six times that of guessing. Otherwise it starts from Glorot's uniform distribution.
        reuse_classifier: Take the classifier of the weight file where it has exactly so many classes. In a race every
            model's is new.
    """

    classes: int | None
    dropout: float = 0.2
    units: int | None = None
    as_published: bool = False
    reuse_classifier: bool = False

    def __post_init__(self) -> None:
        """Refuse what no head can be built of.

        Raises:
            SettingsError: A value that the message names.
        """
        if self.classes is not None and self.classes < 1:
            raise SettingsError(f"classes={self.classes} must be at least 1, or None for the pooled features")
        if self.units is not None and self.units < 1:
            raise SettingsError(f"head_units={self.units} must be at least 1, or None for no hidden layer")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"dropout={self.dropout:g} must be at least 0 and below 1")

    @property
    def description(self) -> str:
        """The head in words, for the report."""
        hidden = f"a dense layer of {self.units}, " if self.units else ""
        dropout = f"dropout {self.dropout:g}, " if self.dropout else ""
        return f"average pooling, {hidden}{dropout}a linear layer"

    def __call__(self, x: Any) -> Any:
        """Build the head on a feature map (batch, height, width, channels), symbolic."""
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        if self.classes is None:
            return x
        if self.units is not None:
            x = keras.layers.Dense(self.units, activation="relu", kernel_initializer="he_normal", name="top_dense")(x)
        if self.dropout > 0:
            x = keras.layers.Dropout(self.dropout, name="top_dropout")(x)
        initializer = OFFICIAL_CLASSIFIER if self.as_published else "glorot_uniform"
        # Logits leave in float32 whatever the precision of the layers below.
        return keras.layers.Dense(self.classes, kernel_initializer=initializer, dtype="float32", name=CLASSIFIER)(x)


@dataclass(frozen=True)
class Entrant:
    """A network and what the report has to say of it.

    Attributes:
        model: Takes pictures of 0-255, gives logits (or pooled features).
        input_scaling: How it scales pictures.
        weights: `random`, or the name of the weight set it started from.
        head: What stands on the feature map, in words.
    """

    model: keras.Model
    input_scaling: Scaling
    weights: str
    head: str


def build(
    name: str,
    head: Head,
    *,
    image_size: int | None = None,
    any_size: bool = False,
    weights: str | Path | None = None,
    seed: int | None = 0,
    batch_normalization_momentum: float | None = None,
    input_scaling: Scaling | None = None,
) -> Entrant:
    """Build a model from the catalog, or someone's own.

    Args:
        name: A name from the catalog, or `path/to/model.py:function`.
        head: What stands on the feature map.
        image_size: Height and width in pixels; None leaves them open.
        any_size: Leave them open all the same, for training at other sizes too.
        weights: None (random), the name of a published set (`imagenet`, `imagenet21k`, `timm:NAME`), or the path of a
            file or run folder.
        seed: Decides random initial values; None fills them with zeros, for descriptions.
        batch_normalization_momentum: For every BatchNormalization; None leaves the networks' own.
        input_scaling: How to scale pictures; None takes what the weights expect, and ImageNet's mean and deviation
            for random ones.

    Raises:
        SettingsError: The model or its weight set is unknown.
        WeightsError: The weights do not fit.
        DownloadError: The weights could not be fetched.
    """
    if image_size is not None and image_size < 1:
        raise SettingsError(f"image_size={image_size} must be at least 1, or None for any size")
    if is_custom(name):
        entrant = _build_custom(name, head, image_size, any_size, weights, seed)
    else:
        size = None if any_size else image_size
        entrant = _build_from_catalog(find(name), head, size, weights, seed, input_scaling)
    use_fast_layers(all_layers(entrant.model))
    if batch_normalization_momentum is not None:
        for layer in all_layers(entrant.model):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = batch_normalization_momentum
    return entrant


def _build_from_catalog(
    architecture: Architecture,
    head: Head,
    image_size: int | None,
    weights: str | Path | None,
    seed: int | None,
    input_scaling: Scaling | None,
) -> Entrant:
    with contextlib.ExitStack() as stack:
        file = None
        if weights is not None:
            classes = head.classes if head.reuse_classifier and head.units is None else None
            file = stack.enter_context(open_weights(architecture, weights, classes=classes))
        convention = input_scaling or (file.scaling if file else scaling.IMAGENET)

        def assemble() -> keras.Model:
            inputs = keras.Input((image_size, image_size, 3), name="images")
            outputs = head(FEATURES[architecture.name](_scaled(inputs, convention)))
            return keras.Model(inputs, outputs, name=architecture.name)

        model = build_with_initial_values(assemble, seed)
        if file is not None:
            new = HEAD_LAYERS - {CLASSIFIER} if file.has_wanted_classifier else HEAD_LAYERS
            fill(
                named_variables(model, without=new),
                file.arrays,
                path=file.path,
                model=model.name,
                passed_over=LAYERS_WITHOUT_COUNTERPART,
            )
    return Entrant(model, convention, RANDOM if weights is None else str(weights), head.description)


def _scaled(inputs: Any, convention: Scaling) -> Any:
    scale = InputScaling(
        convention.mean, convention.deviation, reverse_channels=convention.reverse_channels, name="input_scaling"
    )
    return scale(inputs)


def _build_custom(  # as `build`
    name: str, head: Head, image_size: int | None, any_size: bool, weights: str | Path | None, seed: int | None
) -> Entrant:
    if weights is not None:
        raise SettingsError(
            f"{name} cannot be given weights={weights}: load them in your function, and leave weights out"
        )
    if image_size is None or head.classes is None:
        raise SettingsError(f"{name} needs an image size and a number of classes")
    with keras_seeds(seed or 0):
        model = build_custom(name, head.classes, image_size)
        if any_size and set(getattr(model, "input_shape", (None, 0, 0))[1:3]) != {None}:
            raise SettingsError(
                f"{name} takes pictures of one size only, and training_size asks for others: "
                "let it begin with keras.Input((None, None, 3))"
            )
        size = None if any_size else image_size
        inputs = keras.Input((size, size, 3), name="images")
        outputs = model(inputs)
        if len(outputs.shape) == 4:
            return Entrant(keras.Model(inputs, head(outputs), name=model.name), scaling.OWN, OWN, head.description)
    return Entrant(model, scaling.OWN, OWN, OWN)


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return every layer, also those of models inside the model, each once and in the order in which they lie.

    Keras' own walk gives the layers of a model inside a model backwards.
    """
    found: dict[int, keras.layers.Layer] = {}

    def walk(layer: keras.layers.Layer) -> None:
        for part in layer._layers:  # noqa: SLF001  # Keras has no public recursive walk
            if id(part) not in found:
                found[id(part)] = part
                walk(part)

    walk(model)
    return list(found.values())
