"""timm's tf_efficientnetv2 models beside ours with equal random weights: largest difference of the logits.

Command: `python benchmarks/timm_parity.py [--variants b0 s] [--write-reference]`

Needs torch, timm, keras and jax in one environment. timm imports torchvision, which is not used. For every variant a
state of random weights (`tests/catalog/timm_state.py`) is loaded into timm's model and, as a `.safetensors` file
through `weights=PATH`, into ours; both predict the same pictures at 64 and 131 pixels. The mean and deviation of every
weight set in our catalog are compared with timm's. Writes `benchmarks/results/<date>-timm-parity.json`;
`--write-reference` also writes what the tests compare with, `tests/catalog/timm/*.json`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

# Registers operators that the CPU build of torch lacks.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")

import timm  # noqa: E402  # torchvision is prepared first
import torch  # noqa: E402  # as above
from safetensors.numpy import save_file  # noqa: E402  # as above
from saving import save  # noqa: E402  # as above

from photofinish import backend  # noqa: E402  # as above

backend.select("jax")

from photofinish.catalog import CATALOG  # noqa: E402  # the backend comes first
from photofinish.models import EfficientNetV2  # noqa: E402  # as above

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCES = REPOSITORY / "tests" / "catalog" / "timm"
VARIANTS = ("b0", "b1", "b2", "b3", "s", "m", "l", "xl")
REFERENCE_VARIANTS = ("b0", "s")
SIZES, CLASSES = (64, 131), 10


def shared_state() -> types.ModuleType:
    """Load the tests' generator of weights, which is on no search path."""
    path = REPOSITORY / "tests" / "catalog" / "timm_state.py"
    specification = importlib.util.spec_from_file_location("timm_state", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


timm_state = shared_state()


class Theirs:
    """A model of timm, filled with random weights."""

    def __init__(self, variant: str) -> None:
        training = "in21k_ft_in1k" if variant == "xl" else "in1k"
        self.model = timm.create_model(f"tf_efficientnetv2_{variant}.{training}", num_classes=CLASSES).eval()
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self.model.state_dict().items()}
        config = self.model.pretrained_cfg
        self.mean, self.deviation = (np.float32(config[key]) for key in ("mean", "std"))
        self.state = {}
        self.gain, self.classifier_scale = self._settings()

    def fill(self, gain: float, classifier_scale: float) -> None:
        """Load random weights."""
        self.state = timm_state.state(self.shapes, gain, classifier_scale)
        self.model.load_state_dict({name: torch.from_numpy(array) for name, array in self.state.items()})

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """Return logits of pictures of 0-255."""
        with torch.no_grad():
            return self.model(self._tensor(pictures)).numpy()

    def sensitivity(self, pictures: np.ndarray) -> float:
        """Return how much the logits follow the tensor they follow least: to first order, its size times the slope."""
        self.model.zero_grad()
        logits = self.model(self._tensor(pictures))
        logits.square().sum().sqrt().backward()
        scale = float(logits.detach().abs().max())
        sizes = [float(one.grad.norm() * one.detach().norm()) / scale for one in self.model.parameters()]
        self.model.zero_grad(set_to_none=True)
        return min(sizes)

    def _tensor(self, pictures: np.ndarray) -> torch.Tensor:
        scaled = (pictures / np.float32(255) - self.mean) / self.deviation
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))

    def _settings(self) -> tuple[float, float]:
        """Choose weights that make logits tell pictures apart without magnifying rounding."""
        pictures = timm_state.pictures(SIZES[-1])
        for gain in np.arange(44, 14, -1) / 10:
            self.fill(gain, 1.0)
            logits = self.predict(pictures)
            scale = np.abs(logits).max()
            rounding = np.abs(self.predict(pictures * np.float32(1 + 1e-6)) - logits).max() / scale
            if np.isfinite(scale) and np.abs(logits[0] - logits[1]).max() > 0.02 * scale and rounding < 2e-5:
                classifier_scale = float(f"{1 / scale:.2g}")
                self.fill(gain, classifier_scale)
                return float(gain), classifier_scale
        raise SystemExit("no random weights tell two pictures apart without magnifying rounding")


def ours(variant: str, state: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return our logits at each size, the weights having gone through a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file(state, path)
        model = EfficientNetV2(variant, classes=CLASSES, weights=path)
    predict = backend.compiled(lambda images: model(images, training=False), model.variables, assigns=False)
    return [np.asarray(predict(timm_state.pictures(size))) for size in SIZES]


def compare(variant: str, *, write_reference: bool) -> dict[str, object]:
    """Compare one variant; return its row of the table."""
    theirs = Theirs(variant)
    expected = [theirs.predict(timm_state.pictures(size)) for size in SIZES]
    found = ours(variant, theirs.state)
    row = {
        "variant": variant,
        "tensors": len(theirs.shapes),
        "gain": theirs.gain,
        "least_sensitivity": theirs.sensitivity(timm_state.pictures(SIZES[-1])),
        "sizes": [
            {
                "pixels": size,
                "largest_logit": float(np.abs(logits).max()),
                "pictures_differ_by": float(np.abs(logits[0] - logits[1]).max()),
                "absolute": float(np.abs(mine - logits).max()),
                "relative": float(np.abs(mine - logits).max() / np.abs(logits).max()),
            }
            for size, logits, mine in zip(SIZES, expected, found, strict=True)
        ],
    }
    if write_reference and variant in REFERENCE_VARIANTS:
        reference = {
            "gain": theirs.gain,
            "classifier_scale": theirs.classifier_scale,
            "shapes": theirs.shapes,
            "logits": {
                str(size): [[float(f"{one:.8g}") for one in logits] for logits in batch]
                for size, batch in zip(SIZES, expected, strict=True)
            },
        }
        REFERENCES.mkdir(exist_ok=True)
        (REFERENCES / f"{variant}.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")
    return row


def check_scalings() -> list[str]:
    """Compare the scaling of pictures of all our sets of timm's weights with what timm says of them."""
    checked = []
    for architecture in CATALOG.values():
        for name, weights in architecture.weights.items():
            kind, _, theirs = name.partition(":")
            if kind == "timm":
                config = timm.get_pretrained_cfg(theirs)
                stated = (config.mean, config.std, config.num_classes, config.hf_hub_id)
                convention = weights.scaling
                mean, deviation = (np.divide(values, 255) for values in (convention.mean, convention.deviation))
                equal = np.allclose(mean, config.mean, rtol=1e-6) and np.allclose(deviation, config.std, rtol=1e-6)
                if not equal or (weights.classes, weights.file.repository) != stated[2:]:
                    raise SystemExit(f"our {name} is not timm's: {weights} and {stated}")
                checked.append(theirs)
    if set(checked) != set(timm.list_pretrained("tf_efficientnetv2_*")):
        raise SystemExit(f"timm has other weights than {checked}")
    return sorted(checked)


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--write-reference", action="store_true", help="write what the tests compare with")
    arguments = parser.parse_args()
    checked = check_scalings()
    print(f"{len(checked)} weight sets have the mean, deviation and number of classes that timm gives them\n")
    print("variant  gain  least sensitivity   pixels  largest logit  pictures differ by   absolute   relative")
    rows = []
    for variant in arguments.variants:
        row = compare(variant, write_reference=arguments.write_reference)
        rows.append(row)
        for one in row["sizes"]:
            print(
                f"{variant:8}{row['gain']:5.1f}{row['least_sensitivity']:19.2g}{one['pixels']:9}"
                f"{one['largest_logit']:15.3f}{one['pictures_differ_by']:20.3f}"
                f"{one['absolute']:11.1e}{one['relative']:11.1e}",
                flush=True,
            )
    content = {"rows": rows, "weight_sets_checked": checked}
    print(save("timm-parity", content, timm=timm.__version__, torch=torch.__version__))


if __name__ == "__main__":
    main()
