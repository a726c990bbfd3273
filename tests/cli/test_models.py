"""What `photofinish models` prints."""

import json


def test_models_lists_every_set_of_weights_by_the_name_that_is_typed(photofinish):
    result = photofinish("models")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    column = lines[0].index("imagenet")
    assert max(map(len, lines)) <= 100
    xl = next(number for number, line in enumerate(lines) if line.startswith("efficientnetv2-xl "))
    assert [line[column:] for line in lines[xl : xl + 3]] == [
        "imagenet21k",
        "timm:tf_efficientnetv2_xl.in21k",
        "timm:tf_efficientnetv2_xl.in21k_ft_in1k",
    ]


def test_models_lists_them_as_json_too(photofinish):
    rows = {row["name"]: row for row in json.loads(photofinish("models", "--json").stdout)}
    assert rows["resnet50"]["weights"] == ["imagenet"]
    assert rows["efficientnetv2-b3"]["weights"][:2] == ["imagenet", "imagenet21k"]
