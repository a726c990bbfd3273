"""A real backbone sees in real pictures what it was trained to see."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from photofinish import backend
from photofinish.config import DataSettings
from photofinish.data import PreparedData, prepare
from photofinish.data.augment import resize
from photofinish.models import EfficientNetV2, build_with_initial_values
from photofinish.models.inference import Predictor

pytestmark = pytest.mark.shared_data

SIZE = 96


@pytest.fixture(scope="module")
def weights(shared_file: Callable[[str], Path]) -> Path:
    return shared_file("efficientnetv2-b0_notop.h5")


@pytest.fixture(scope="module")
def data(shared_file: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedData]:
    cache = tmp_path_factory.mktemp("cache")
    settings = DataSettings(
        source=str(shared_file("cifar10-jpeg.tar.xz")), limit_train=3000, limit_test=1000, image_size=SIZE
    )
    yield prepare(settings, cache=cache)
    shutil.rmtree(cache)


def test_features_of_real_pictures_are_those_of_keras(weights: Path, data: PreparedData) -> None:
    theirs = build_with_initial_values(
        lambda: keras.applications.EfficientNetV2B0(
            weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3)
        ),
        seed=None,
    )
    theirs.load_weights(weights)
    ours = EfficientNetV2("b0", classes=None, weights=weights)
    pictures = np.asarray(resize(data.images[data.splits["test"][:8]], size=SIZE), np.float32)
    found, expected = (
        np.asarray(backend.compiled(lambda x, m=m: m(x, training=False), m.variables, assigns=False)(pictures))
        for m in (ours, theirs)
    )
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.1 * scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * scale)


def test_a_linear_classifier_of_the_features_tells_cifar10_apart(weights: Path, data: PreparedData) -> None:
    model = EfficientNetV2("b0", classes=None, weights=weights, image_size=SIZE)
    fitted = np.concatenate([data.splits["train"], data.splits["validation"]])
    tested = data.splits["test"]
    assert (len(fitted), len(tested)) == (3000, 1000)
    predictor = Predictor(model, functools.partial(resize, size=SIZE), SIZE, len(fitted))
    features = {name: predictor(data.images, chosen).logits for name, chosen in (("fit", fitted), ("test", tested))}
    classifier = LogisticRegression(C=0.01, max_iter=3000)
    classifier.fit(features["fit"], data.labels[fitted])
    # 18% from a randomly initialised backbone.
    assert classifier.score(features["test"], data.labels[tested]) == pytest.approx(0.785, abs=0.015)
