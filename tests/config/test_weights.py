"""Weights for all models, or for each its own."""

import pytest

from photofinish.config import weights_by_model, weights_for
from photofinish.errors import SettingsError


@pytest.mark.parametrize(
    "weights",
    [None, "imagenet", "timm:tf_efficientnetv2_s.in1k", "runs/a=b/w.h5", "./a=b.h5", "/data/x=1,y=2/w.h5", "w,v.h5"],
)
def test_one_name_or_path_serves_all_models(weights):
    assert weights_for(weights, "resnet50") == weights
    assert weights is None or weights_by_model(weights) is None


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("resnet50=imagenet", {"resnet50": "imagenet"}),
        ("mobilenetv2-0.35=a.h5,resnet50=none", {"mobilenetv2-0.35": "a.h5", "resnet50": None}),
        ("resnet50=a,b.h5,mobilenetv2=/x=1/c.h5", {"resnet50": "a,b.h5", "mobilenetv2": "/x=1/c.h5"}),
        ("efficientnetv2-s=timm:tf_efficientnetv2_s.in21k", {"efficientnetv2-s": "timm:tf_efficientnetv2_s.in21k"}),
    ],
)
def test_a_list_gives_each_model_its_own(weights, expected):
    assert weights_by_model(weights) == expected
    assert {model: weights_for(weights, model) for model in expected} == expected


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ("mobilenetv2=imagenet", "names no weights for resnet50; add resnet50=imagenet"),
        ("resnet50=", "nothing stands after resnet50="),
        ("resnet50=,mobilenetv2=imagenet", "nothing stands after resnet50="),
        ("resnet50=imagenet,resnet50=none", "resnet50 is named twice"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(weights, says):
    with pytest.raises(SettingsError, match=says):
        weights_for(weights, "resnet50")
