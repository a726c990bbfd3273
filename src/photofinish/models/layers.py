"""Layers that compute what Keras' do, faster, and the scaling of pictures that Keras leaves to the user."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
from keras import ops

from photofinish import backend
from photofinish.models.depthwise import shifted_depthwise
from photofinish.models.normalization import PACKAGE, OnePassNormalization


@keras.saving.register_keras_serializable(package=PACKAGE)
class InputScaling(keras.layers.Layer):
    """Scale pictures from 0-255 to what a network's weights expect: `(x - mean) / deviation`, channel by channel.

    Args:
        mean: Mean of each channel, in 0-255, in the order red, green, blue.
        deviation: Divisor of each channel, likewise.
        reverse_channels: Hand on blue, green, red, as networks converted from Caffe expect.

    Examples:
        >>> layer = InputScaling(mean=(127.5,) * 3, deviation=(127.5,) * 3)
        >>> float(layer(ops.full((1, 1, 1, 3), 255, dtype="uint8"))[0, 0, 0, 0])
        1.0
    """

    def __init__(
        self,
        mean: Sequence[float],
        deviation: Sequence[float],
        *,
        reverse_channels: bool = False,
        **kwargs: Any,
    ) -> None:
        # Pictures cast to bfloat16 before they are scaled would lose what interpolation gave them.
        super().__init__(autocast=False, **kwargs)
        self.mean = tuple(float(value) for value in mean)
        self.deviation = tuple(float(value) for value in deviation)
        self.reverse_channels = reverse_channels

    def call(self, inputs: Any) -> Any:
        """Scale pictures.

        Args:
            inputs: (batch, height, width, 3), uint8 or float in 0-255.

        Returns:
            (batch, height, width, 3) in the layer's compute type.
        """
        scaled = (ops.cast(inputs, "float32") - ops.array(self.mean, "float32")) / ops.array(self.deviation, "float32")
        if self.reverse_channels:
            scaled = ops.flip(scaled, axis=-1)
        return ops.cast(scaled, self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> Any:
        """Return the same shape in the compute type."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        own = {"mean": self.mean, "deviation": self.deviation, "reverse_channels": self.reverse_channels}
        return {**super().get_config(), **own}


def _with_bias_and_activation(layer: Any, outputs: Any) -> Any:
    """Finish a convolution as Keras does."""
    if layer.use_bias:
        outputs = ops.add(outputs, layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)


@keras.saving.register_keras_serializable(package=PACKAGE)
class PointwiseConvolution(keras.layers.Conv2D):
    """A 1x1 convolution computed as a matrix product of every pixel, or of every second where its stride is 2.

    XLA's convolution on the CPU does not recognise it as one: 147 against 99 ms for a gradient step of
    EfficientNetV2-B0 (32x32, batch 32, 2 cores). Under JAX on the CPU the product has a gradient of its own.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve (batch, height, width, channels) to (batch, new height, new width, filters)."""
        rows, columns = self.strides
        if (rows, columns) != (1, 1):
            inputs = inputs[:, ::rows, ::columns]
        # Of single pixels, as in squeeze-and-excite, keeping writes more than it spares.
        if inputs.shape[1:3] != (1, 1):
            inputs = backend.worth_keeping(inputs)
        own = backend.active() == "jax" and backend.on_cpu()
        outputs = (pixel_product if own else ops.matmul)(inputs, ops.convert_to_tensor(self.kernel)[0, 0])
        return _with_bias_and_activation(self, outputs)

    @classmethod
    def replaces(cls, layer: keras.layers.Layer) -> bool:
        """Return whether `layer` is a convolution that this class computes alike."""
        return (
            type(layer) is keras.layers.Conv2D
            and layer.kernel_size == (1, 1)
            and layer.groups == 1
            and layer.data_format == "channels_last"
        )


@ops.custom_gradient  # type: ignore[untyped-decorator]
def pixel_product(pixels: Any, matrix: Any) -> tuple[Any, Callable[[Any], tuple[Any, Any]]]:
    """Multiply every pixel with a matrix. Under JAX only.

    The gradient of the matrix is written as a product of the pixels, in one line, with the slopes. Left to itself JAX
    multiplies the slopes with the pixels and turns the result round, for which XLA on the CPU first computes the slopes
    a second time, transposed; and from pixels in rows and columns XLA likewise makes a transposed copy.

    Args:
        pixels: (batch, height, width, channels).
        matrix: (channels, filters).

    Returns:
        (batch, height, width, filters).
    """

    def gradient(slopes: Any) -> tuple[Any, Any]:
        flat = [ops.reshape(array, (-1, array.shape[-1])) for array in (pixels, slopes)]
        return ops.einsum("bhwf,cf->bhwc", slopes, matrix), ops.einsum("nc,nf->cf", *flat)

    return ops.matmul(pixels, matrix), gradient


@keras.saving.register_keras_serializable(package=PACKAGE)
class DepthwiseConvolution(keras.layers.DepthwiseConv2D):
    """A depthwise convolution that, under JAX on the CPU, is a sum of shifted products.

    XLA's grouped convolution on the CPU is 10-20 times slower (forward and backward, in isolation); the values agree
    to 1e-6. Elsewhere Keras' own operation is used.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve (batch, height, width, channels) to (batch, new height, new width, channels)."""
        if not (backend.active() == "jax" and backend.on_cpu()):
            return super().call(inputs)
        outputs = shifted_depthwise(inputs, self.kernel[..., 0], self.strides[0], self.padding)
        outputs = backend.worth_keeping(outputs)
        return _with_bias_and_activation(self, outputs)

    @classmethod
    def replaces(cls, layer: keras.layers.Layer) -> bool:
        """Return whether `layer` is a convolution that this class computes alike."""
        return (
            type(layer) is keras.layers.DepthwiseConv2D
            and layer.depth_multiplier == 1
            and layer.dilation_rate == (1, 1)
            and layer.strides[0] == layer.strides[1]
            and layer.data_format == "channels_last"
        )


@keras.saving.register_keras_serializable(package=PACKAGE)
class SpatialConvolution(keras.layers.Conv2D):
    """A convolution that, under JAX on the CPU, is a sum of shifted matrix products where the feature map is tiny.

    On maps of 2x2 and 1x1 pixels, where ResNet-50 ends at 32-pixel pictures, XLA's convolution is pathologically slow:
    25 against 1.9 ms for 3x3 and 256 channels at 2x2, batch 32, 2 cores; from 3x3 pixels on it is not
    (`benchmarks/small_convolution.py`).
    """

    def call(self, inputs: Any) -> Any:
        """Convolve (batch, height, width, channels) to (batch, height, width, filters)."""
        inputs = backend.worth_keeping(inputs)
        height, width = inputs.shape[1], inputs.shape[2]
        is_tiny = height is not None and width is not None and max(height, width) <= LARGEST_TINY_MAP
        if not (is_tiny and backend.active() == "jax" and backend.on_cpu()):
            return super().call(inputs)
        outputs = shifted_convolution(inputs, self.kernel)
        return _with_bias_and_activation(self, outputs)

    @classmethod
    def replaces(cls, layer: keras.layers.Layer) -> bool:
        """Return whether `layer` is a convolution that this class computes alike."""
        return (
            type(layer) is keras.layers.Conv2D
            and layer.kernel_size != (1, 1)
            and layer.strides == (1, 1)
            and layer.dilation_rate == (1, 1)
            and layer.padding == "same"
            and layer.groups == 1
            and layer.data_format == "channels_last"
        )


LARGEST_TINY_MAP = 2


def shifted_convolution(inputs: Any, kernel: Any) -> Any:
    """Convolve with stride 1 and `same` padding as a sum of shifted matrix products.

    `outputs[b, y, x] = sum_ij inputs[b, y + i - top, x + j - left] @ kernel[i, j]`; parts of the kernel that only ever
    meet padding are left out.

    Args:
        inputs: (batch, height, width, channels) with known height and width.
        kernel: (kernel height, kernel width, channels, filters).

    Returns:
        (batch, height, width, filters).
    """
    height, width = inputs.shape[1], inputs.shape[2]
    rows, columns = kernel.shape[0], kernel.shape[1]
    top, left = (rows - 1) // 2, (columns - 1) // 2
    padded = ops.pad(inputs, ((0, 0), (top, rows - 1 - top), (left, columns - 1 - left), (0, 0)))
    products = [
        ops.matmul(padded[:, i : i + height, j : j + width], kernel[i, j])
        for i in range(rows)
        for j in range(columns)
        if abs(i - top) < height and abs(j - left) < width
    ]
    return functools.reduce(ops.add, products)


@keras.saving.register_keras_serializable(package=PACKAGE)
class StochasticDepth(keras.layers.Dropout):
    """Drop a residual branch for some pictures of a batch and scale up the others (Huang et al. 2016).

    Each picture keeps its branch with probability `1 - rate`, and a kept branch is divided by that probability, as in
    the official EfficientNet code.

    Args:
        rate: Probability of dropping, between 0 and 1.
    """

    def __init__(self, rate: float, **kwargs: Any) -> None:
        super().__init__(rate, **{"noise_shape": (None, 1, 1, 1), **kwargs})

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop in training, (batch, height, width, channels); otherwise hand on the inputs."""
        return self.drop(inputs, self.rate) if training and self.rate > 0 else inputs

    def drop(self, inputs: Any, rate: Any) -> Any:
        """Drop as in training, at a rate that may be computed.

        Args:
            inputs: (batch, height, width, channels).
            rate: From 0 to less than 1, a number or an array without axes.
        """
        kept = ops.cast(1 - rate, "float32")
        pictures = ops.shape(inputs)[0]
        if backend.active() == "jax" and backend.on_cpu():
            drawn = ops.reshape(backend.few_uniform(self.seed_generator.next(), pictures), (pictures, 1, 1, 1))
        else:
            drawn = keras.random.uniform((pictures, 1, 1, 1), dtype="float32", seed=self.seed_generator)
        return ops.where(drawn < kept, inputs / ops.cast(kept, inputs.dtype), ops.zeros_like(inputs))


@keras.saving.register_keras_serializable(package=PACKAGE)
class StridePadding(keras.layers.ZeroPadding2D):
    """Zeros around pictures for a 3x3 convolution with stride 2 that does not pad, as many as TensorFlow's SAME adds.

    Keras' MobileNetV2 decides on them when it is built, and takes every size for even where it is not known then: at
    other sizes its maps come out too small, down to none at all.
    """

    def _amounts(self, size: int | None) -> tuple[int, int]:
        # One row more at the end; an odd number of rows needs one before them too.
        return (0, 1) if size is None or size % 2 == 0 else (1, 1)

    def call(self, inputs: Any) -> Any:
        """Pad (batch, height, width, channels)."""
        return ops.pad(inputs, ((0, 0), self._amounts(inputs.shape[1]), self._amounts(inputs.shape[2]), (0, 0)))

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape after padding."""
        batch, height, width, channels = input_shape
        rows, columns = (None if size is None else size + sum(self._amounts(size)) for size in (height, width))
        return (batch, rows, columns, channels)


FAST_LAYERS = (PointwiseConvolution, SpatialConvolution, DepthwiseConvolution, OnePassNormalization)


def use_fast_layers(layers: Iterable[keras.layers.Layer]) -> None:
    """Let Keras' own convolutions and normalisations compute as ours do.

    Args:
        layers: Layers of a model; those that ours compute alike become ours, the others stay. A copy of the model
            made of our layers would do the same, but takes every configuration through Keras' serialisation, which
            imports TensorFlow where it is installed.
    """
    for layer in layers:
        for fast in FAST_LAYERS:
            if fast.replaces(layer):
                # Ours add no state to Keras': the class decides nothing but how `call` computes.
                layer.__class__ = fast
