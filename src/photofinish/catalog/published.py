"""Published weights: where they are, what they expect, and how they are fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from photofinish.catalog import scaling
from photofinish.catalog.scaling import Scaling
from photofinish.storage import cache_folder
from photofinish.storage.download import RemoteFile, download
from photofinish.storage.pointers import download_by_pointer
from photofinish.storage.progress import Progress

KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"
HUB = "https://huggingface.co"
IMAGENET_CLASSES = 1000
# All of ImageNet as the authors of EfficientNetV2 took it.
IMAGENET21K_CLASSES = 21843


@dataclass(frozen=True)
class KerasFile:
    """A file on Keras' server.

    Attributes:
        path: Below the folder of keras-applications.
        md5: As keras.applications lists it, or None where it lists none.
    """

    path: str
    md5: str | None = None

    def fetch(self, progress: Progress | None = None) -> Path:
        """Return the file in the cache, fetched where it is absent, and verified where a checksum is known."""
        target = cache_folder("weights") / self.path.rsplit("/", 1)[-1]
        return download(RemoteFile(f"{KERAS_FILES}/{self.path}", self.md5), target, progress=progress)


@dataclass(frozen=True)
class HubFile:
    """The weights of a model on the Hugging Face hub, or on the mirror that `HF_ENDPOINT` names.

    Attributes:
        repository: Owner and name.
    """

    repository: str

    def fetch(self, progress: Progress | None = None) -> Path:
        """Return the file in the cache, fetched where it is absent and verified in any case."""
        home = f"{(os.environ.get('HF_ENDPOINT') or HUB).rstrip('/')}/{self.repository}"
        target = cache_folder("weights") / f"{self.repository.rsplit('/', 1)[-1]}.safetensors"
        # The hub answers `resolve` with the file and `raw` with what git holds: the pointer, with the file's SHA-256.
        return download_by_pointer(
            f"{home}/resolve/main/model.safetensors", f"{home}/raw/main/model.safetensors", target, progress=progress
        )


@dataclass(frozen=True)
class WeightSet:
    """Published weights of a network.

    Attributes:
        file: Where they are published.
        scaling: How they expect pictures to be scaled.
        classes: Number of classes of their classifier.
        complete: The file that holds the classifier too, where `file` does not.
    """

    file: KerasFile | HubFile
    scaling: Scaling
    classes: int = IMAGENET_CLASSES
    complete: KerasFile | None = None

    def fetch(self, *, with_classifier: bool = False, progress: Progress | None = None) -> Path:
        """Return the file in the cache, fetched where it is absent.

        Args:
            with_classifier: Whether the classifier is wanted.
            progress: Is told of a download.

        Raises:
            DownloadError: It cannot be fetched or is damaged; the message says where to put it by hand.
        """
        chosen = self.complete if with_classifier and self.complete is not None else self.file
        return chosen.fetch(progress)


# MD5 of the files with and without classifier, as keras.applications lists them.
_EFFICIENTNETV2_MD5 = {
    "b0": ("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
    "b1": ("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
    "b2": ("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "b3": ("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
    "s": ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
    "m": ("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
    "l": ("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
}
_RESNET50_MD5 = ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626")

# What each variant was trained on at timm; the mean and deviation of each come from timm 1.0.31,
# timm/models/efficientnet.py.
_TIMM_TRAININGS = {
    "b0": {"in1k": scaling.IMAGENET},
    "b1": {"in1k": scaling.IMAGENET},
    "b2": {"in1k": scaling.IMAGENET},
    "b3": {"in1k": scaling.IMAGENET, "in21k": scaling.HALF, "in21k_ft_in1k": scaling.HALF},
    "s": {"in1k": scaling.HALF, "in21k": scaling.HALF, "in21k_ft_in1k": scaling.HALF},
    "m": {"in1k": scaling.HALF, "in21k": scaling.HALF, "in21k_ft_in1k": scaling.HALF},
    "l": {"in1k": scaling.HALF, "in21k": scaling.HALF, "in21k_ft_in1k": scaling.HALF},
    "xl": {"in21k": scaling.HALF, "in21k_ft_in1k": scaling.HALF},
}


def efficientnetv2_weights(variant: str) -> dict[str, WeightSet]:
    """Return the published weights of a variant of EfficientNetV2 by name.

    Examples:
        >>> list(efficientnetv2_weights("xl"))
        ['imagenet21k', 'timm:tf_efficientnetv2_xl.in21k', 'timm:tf_efficientnetv2_xl.in21k_ft_in1k']
    """
    found = {}
    if variant in _EFFICIENTNETV2_MD5:
        complete, without = (
            KerasFile(f"efficientnet_v2/efficientnetv2-{variant}{ending}.h5", md5)
            for ending, md5 in zip(("", "_notop"), _EFFICIENTNETV2_MD5[variant], strict=True)
        )
        found["imagenet"] = WeightSet(without, keras_scaling(variant), complete=complete)
    of_timm = {}
    for training, convention in _TIMM_TRAININGS[variant].items():
        name = f"tf_efficientnetv2_{variant}.{training}"
        classes = IMAGENET21K_CLASSES if training == "in21k" else IMAGENET_CLASSES
        of_timm[f"timm:{name}"] = WeightSet(HubFile(f"timm/{name}"), convention, classes)
        if training == "in21k":
            found["imagenet21k"] = of_timm[f"timm:{name}"]
    return found | of_timm


def keras_scaling(variant: str) -> Scaling:
    """Return how keras.applications scales pictures for a variant of EfficientNetV2."""
    return scaling.IMAGENET if variant.startswith("b") else scaling.BY_128


def resnet50_weights() -> dict[str, WeightSet]:
    """Return the published weights of ResNet-50 by name."""
    complete, without = (
        KerasFile(f"resnet/resnet50_weights_tf_dim_ordering_tf_kernels{ending}.h5", md5)
        for ending, md5 in zip(("", "_notop"), _RESNET50_MD5, strict=True)
    )
    return {"imagenet": WeightSet(without, scaling.CAFFE, complete=complete)}


def mobilenetv2_weights(width: float) -> dict[str, WeightSet]:
    """Return the published weights of MobileNetV2 of a width by name; Keras lists no checksums of them."""
    stem = f"mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224"
    return {
        "imagenet": WeightSet(KerasFile(f"{stem}_no_top.h5"), scaling.HALF, complete=KerasFile(f"{stem}.h5")),
    }
