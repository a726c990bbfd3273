"""Every setting of a comparison, in the order in which it takes effect: data, training, one cell."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from photofinish.config.base import Settings
from photofinish.config.ramps import Between, Ramp
from photofinish.errors import SettingsError

Fraction = Annotated[float, Field(gt=0, lt=1)]
OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
ScheduleName = Literal["constant", "cosine", "exponential"]
PrecisionName = Literal["float32", "bfloat16"]
TrainName = Literal["all", "head", "gradual"]
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


GRADUAL_LAYER_DECAY = 0.65
# Ranges of `TrainingSettings`, and what makes a picture another one from epoch to epoch.
MOST_ROUNDING = 0.1
RAMPS = ("training_size", "randaugment", "mixup", "cutmix", "dropout")
SEEN_ANEW = ("training_size", "flip", "shift", "crop", "randaugment", "cutout", "mixup", "cutmix")


class TrainingSettings(Settings):
    """How every model of a comparison is trained.

    A setting described as a range may be one value or `first:last`: with several stages of progressive learning (Tan
    and Le 2021, algorithm 1) it then goes linearly from the first stage's to the last's.

    Attributes:
        epochs: Passes over the training pictures.
        steps: Train for so many steps instead, rounded to whole epochs.
        batch_size: Pictures per step, or `auto`: the largest power of two that fits into memory.
        micro_batch_size: Pictures that pass through the network at once, a divisor of the batch size, or `auto`: the
            largest that fits into memory; none is the whole batch. The gradients of a step's passes are summed;
            BatchNormalization takes its statistics over one pass.
        train: What is trained: `all`; `head`, a new classifier on the frozen network, whose features are computed
            once; or `gradual`, first the head, then more and more of the network from the top.
        layer_decay: Factor by which the learning rate falls from each part of the network to the one below it;
            none is 1 for `all` and 0.65 for `gradual`.
        optimizer: `adam`, `adamw`, `sgd` (Nesterov momentum 0.9) or `rmsprop` (decay 0.9, momentum 0.9).
        learning_rate: The peak of the schedule.
        schedule: `constant`, `cosine` (to zero at the last step) or `exponential` (x0.97 every 2.4 epochs).
        warmup_epochs: Epochs over which the rate rises linearly from zero.
        weight_decay: Decoupled decay of kernels per step, as a multiple of the rate; biases and BatchNormalization
            are left alone.
        label_smoothing: Share of the target spread evenly over all classes.
        ema_decay: Decay of the moving average of all weights that is evaluated in their place, or None.
        precision: `float32`, or `bfloat16` for the activations with float32 weights.
        stages: Stages of progressive learning, of equal length in epochs.
        training_size: Height and width of training pictures in pixels, a range; none is image_size.
        flip: Mirror half of the training pictures from left to right.
        shift: Move training pictures by up to this share of their size in each direction.
        crop: Train on random crops of at least this share of the picture's area, resized; 1 is the whole picture.
        randaugment: Magnitude of RandAugment, a range; 2 of 16 operations per picture, 0 is off, 10 is strong.
        cutout: Side of a square blanked in each training picture, as a share of the picture's side.
        mixup: Parameter of the Beta distribution by which mixup blends two pictures, a range; 0 is off.
        cutmix: Likewise for CutMix, which pastes a part of one picture into another; with both on, half the pictures
            get the one and half the other.
        batch_normalization_momentum: Momentum of the moving averages, the same in every model.
        reestimate_statistics: Estimate BatchNormalization's averages anew from training pictures before evaluation:
            `always`, `never`, or `auto` where a run has fewer steps than 50 / (1 - momentum).
        weights: `none` (random), `imagenet`, `imagenet21k`, `timm:NAME` (see: photofinish models), or the path of a
            `.h5`, `.weights.h5`, `.keras` or `.safetensors` file or of a run folder. To give every model its own:
            `MODEL=WEIGHTS,MODEL=WEIGHTS`.
        head_units: Width of a hidden dense layer before the classifier, or None.
        dropout: Dropout before the classifier, the same in every model, a range.
        on_nonfinite: What follows a step whose loss or gradient is not a finite number, which is never applied: `stop`
            ends the run, `lower-rate` goes on at half the learning rate, ten times at most.
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] = 32
    micro_batch_size: Annotated[int, Field(ge=1)] | None = None
    train: TrainName = "all"
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    optimizer: OptimizerName = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    schedule: ScheduleName = "constant"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    precision: PrecisionName = "float32"
    stages: Annotated[int, Field(ge=1)] = 1
    training_size: Annotated[Ramp, Between(8, 2048)] | None = None
    flip: bool = False
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    crop: Annotated[float, Field(ge=0.01, le=1)] = 1.0
    randaugment: Annotated[Ramp, Between(0, 30)] = Ramp(0, 0)
    cutout: Annotated[float, Field(ge=0, le=1)] = 0.0
    mixup: Annotated[Ramp, Between(0, 10)] = Ramp(0, 0)
    cutmix: Annotated[Ramp, Between(0, 10)] = Ramp(0, 0)
    batch_normalization_momentum: Annotated[float, Field(gt=0, lt=1)] = 0.9
    reestimate_statistics: Literal["auto", "always", "never"] = "auto"
    weights: str | None = None
    head_units: Annotated[int, Field(ge=1)] | None = None
    dropout: Annotated[Ramp, Between(0, 0.99)] = Ramp(0.2, 0.2)
    on_nonfinite: Literal["stop", "lower-rate"] = "stop"

    @property
    def pictures_at_once(self) -> int:
        """Pictures that pass through the network at once in training.

        Examples:
            >>> settings = TrainingSettings(batch_size=64, micro_batch_size=16)
            >>> settings.pictures_at_once, settings.passes
            (16, 4)
        """
        return self.micro_batch_size or self.batch_size

    @property
    def passes(self) -> int:
        """Passes through the network in a training step."""
        return self.batch_size // self.pictures_at_once

    @property
    def is_augmented(self) -> bool:
        """Whether anything but its size makes a training picture another one from epoch to epoch.

        Examples:
            >>> TrainingSettings().is_augmented, TrainingSettings(flip=True).is_augmented
            (False, True)
        """
        return any(
            getattr(self, name) != type(self).model_fields[name].default
            for name in SEEN_ANEW
            if name != "training_size"
        )

    @property
    def layer_decay_used(self) -> float:
        """The factor by which the learning rate falls from each part of the network to the one below.

        Examples:
            >>> TrainingSettings().layer_decay_used, TrainingSettings(train="gradual").layer_decay_used
            (1.0, 0.65)
        """
        if self.layer_decay is not None:
            return self.layer_decay
        return GRADUAL_LAYER_DECAY if self.train == "gradual" else 1.0

    @model_validator(mode="after")
    def _divided(self) -> Self:
        size = self.micro_batch_size
        if size is not None and (size >= self.batch_size or self.batch_size % size):
            smaller = [one for one in range(1, min(size, self.batch_size - 1) + 1) if self.batch_size % one == 0]
            remedy = f"for example {smaller[-1]}, or leave it out" if smaller else "leave it out"
            raise ValueError(
                f"micro_batch_size={size} must be a divisor of batch_size={self.batch_size} and less than it: {remedy}"
            )
        return self

    @model_validator(mode="after")
    def _progressive(self) -> Self:
        if self.steps is None and self.stages > self.epochs:
            raise ValueError(f"stages={self.stages} must not be more than epochs={self.epochs}")
        ramps = {name: getattr(self, name) for name in RAMPS}
        rising = [f"{name}={ramp}" for name, ramp in ramps.items() if ramp is not None and not ramp.is_constant]
        if rising and self.stages == 1:
            raise ValueError(f"{rising[0]} is a range, but there is one stage only: set stages, for example to 4")
        if self.stages > 1 and not rising:
            raise ValueError(f"stages={self.stages} changes nothing: give a range, for example training_size=128:300")
        return self

    @model_validator(mode="after")
    def _transfer(self) -> Self:
        if self.train == "head":
            changed = [name for name in SEEN_ANEW if getattr(self, name) != type(self).model_fields[name].default]
            if changed:
                raise ValueError(
                    f"train=head computes the features of each picture once, so that {', '.join(changed)} cannot "
                    "change the pictures from epoch to epoch: switch it off, or choose train=gradual or train=all"
                )
            if self.layer_decay is not None:
                raise ValueError("layer_decay has no meaning with train=head: there is one part only")
        if self.train == "gradual" and self.steps is None and self.epochs == 1:
            raise ValueError("train=gradual needs at least two epochs: one for the head, one for all")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.steps is None and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs={self.warmup_epochs:g} must be less than epochs={self.epochs}: "
                "the rate would never reach its peak"
            )
        return self

    def for_pictures(self, pictures: int) -> Self:
        """Return the settings with `steps`, where it is given, turned into whole epochs.

        Args:
            pictures: Number of training pictures.

        Raises:
            SettingsError: The steps are far from whole epochs, or so few epochs do not fit the other settings.

        Examples:
            >>> TrainingSettings(steps=10_000, batch_size=512).for_pictures(45_000).epochs
            114
        """
        if self.steps is None:
            return self
        steps_per_epoch = math.ceil(pictures / self.batch_size)
        epochs = max(1, round(self.steps / steps_per_epoch))
        if abs(epochs * steps_per_epoch - self.steps) > MOST_ROUNDING * self.steps:
            raise SettingsError(
                f"steps={self.steps} are {self.steps / steps_per_epoch:.2f} epochs of {pictures:,} pictures in batches "
                f"of {self.batch_size}, and only whole epochs are trained: give about {epochs * steps_per_epoch} steps"
            )
        return self.but(steps=None, epochs=epochs)


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
