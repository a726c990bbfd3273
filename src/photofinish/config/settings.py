"""Every setting of a comparison, in the order in which it takes effect: data, training, one cell."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from photofinish.config.base import Settings

Fraction = Annotated[float, Field(gt=0, lt=1)]
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
ScheduleName = Literal["constant", "cosine", "exponential"]
PrecisionName = Literal["float32", "bfloat16"]
BackendName = Literal["jax", "tensorflow", "torch"]


class DataSettings(Settings):
    """Which pictures, and how they are divided.

    Attributes:
        source: `digits`, `cifar10`, `cifar100`, or the path of a folder or archive.
        image_size: Height and width in pixels at which the models see the pictures.
        validation_fraction: Share of the training pictures set aside for validation, unless the source has its own.
        test_fraction: Share of all pictures set aside for testing, unless the source has its own test split.
        limit_train: Use only so many training pictures (before validation is set aside), or None for all.
        limit_test: Use only so many test pictures, or None for all.
        limit_mode: `stratified` keeps the class shares; `first` takes them in the order of the source.
        split_seed: Another seed gives another division of the same pictures.
        skip_unreadable: Leave out pictures that do not decode (and list them) instead of stopping.
    """

    source: Annotated[str, Field(min_length=1)] = "digits"
    image_size: Annotated[int, Field(ge=8, le=2048)] = 32
    validation_fraction: Fraction = 0.2
    test_fraction: Fraction = 0.2
    limit_train: Annotated[int, Field(ge=2)] | None = None
    limit_test: Annotated[int, Field(ge=1)] | None = None
    limit_mode: Literal["stratified", "first"] = "stratified"
    split_seed: Annotated[int, Field(ge=0)] = 0
    skip_unreadable: bool = False


class TrainingSettings(Settings):
    """How every model of a comparison is trained.

    Attributes:
        epochs: Passes over the training pictures.
        batch_size: Pictures per step.
        optimizer: `adam`, `adamw`, `sgd` (Nesterov momentum 0.9) or `rmsprop` (decay 0.9, momentum 0.9).
        learning_rate: The peak of the schedule.
        schedule: `constant`, `cosine` (to zero at the last step) or `exponential` (x0.97 every 2.4 epochs).
        warmup_epochs: Epochs over which the rate rises linearly from zero.
        weight_decay: Decoupled decay of kernels per step, as a multiple of the rate; biases and BatchNormalization
            are left alone.
        label_smoothing: Share of the target spread evenly over all classes.
        ema_decay: Decay of the moving average of all weights that is evaluated in their place, or None.
        precision: `float32`, or `bfloat16` for the activations with float32 weights.
        flip: Mirror half of the training pictures from left to right.
        shift: Move training pictures by up to this share of their size in each direction.
        batch_normalization_momentum: Momentum of the moving averages, the same in every model.
        reestimate_statistics: Estimate BatchNormalization's averages anew from training pictures before evaluation:
            `always`, `never`, or `auto` where a run has fewer steps than 50 / (1 - momentum).
        weights: `none` (random), `imagenet`, or a `.h5` file in Keras' layout.
        head_units: Width of a hidden dense layer before the classifier, or None.
        dropout: Dropout before the classifier, the same in every model.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 32
    optimizer: OptimizerName = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    schedule: ScheduleName = "constant"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    precision: PrecisionName = "float32"
    flip: bool = False
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    batch_normalization_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    reestimate_statistics: Literal["auto", "always", "never"] = "auto"
    weights: str | None = None
    head_units: Annotated[int, Field(ge=1)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs:g} must be less than epochs={self.epochs}: "
                "the rate would never reach its peak"
            )
        return self


class CellSettings(Settings):
    """One cell of a study: a model, a seed, and everything that all cells share.

    Attributes:
        model: A name from the catalog, or `path/to/model.py:function`.
        seed: Decides initial values, order and augmentation.
        backend: The library that Keras computes with.
        data: Which pictures.
        training: How to train.
    """

    model: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    backend: BackendName = "jax"
    data: DataSettings = DataSettings()
    training: TrainingSettings = TrainingSettings()
