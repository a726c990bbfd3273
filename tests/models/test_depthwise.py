"""Sums of shifted products against Keras' own depthwise convolution."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras import ops

from photofinish.models.depthwise import shifted_depthwise


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(
    ("height", "width", "kernel"),
    [(8, 8, 3), (7, 10, 3), (9, 5, 5), (6, 7, 4), (6, 7, 1), (5, 7, 2), (2, 1, 2), (2, 2, 3), (1, 1, 3)],
)
def test_shifted_products_are_a_depthwise_convolution_with_its_gradients(
    padding: str, stride: int, height: int, width: int, kernel: int, agreement: ModuleType
) -> None:
    if padding == "valid" and kernel > min(height, width):
        pytest.skip("there is no valid place for this kernel")
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape).astype(np.float32) for shape in ((2, height, width, 4), (kernel, kernel, 4))]

    def ours(x: Any, k: Any) -> Any:
        return shifted_depthwise(x, k, stride, padding)

    def keras_own(x: Any, k: Any) -> Any:
        return ops.depthwise_conv(x, k[..., None], strides=stride, padding=padding)

    agreement.assert_same_with_gradients(ours, keras_own, *arrays)
