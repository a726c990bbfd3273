"""What an accelerator makes of CIFAR-10: progressive learning from scratch, and fine-tuning with the paper's recipe.

Command: `python benchmarks/accelerator_training.py --data FOLDER [--weights FILE] [--epochs 30] [--steps 2000]`

FOLDER holds CIFAR-10 as pictures, FILE the weights of EfficientNetV2-B0 without its head. Runs, one after the other:
    scratch    EfficientNetV2-S and ResNet-50, all training pictures but a tenth, 64 to 128 pixels in four stages,
               RandAugment 2 to 8, dropout 0.1 to 0.3, bfloat16, the same epochs
    fine-tune  EfficientNetV2-B0 from FILE at 224 pixels with the recipe `paper-cifar`, cut to --steps
Writes `benchmarks/results/<date>-accelerator-training.json` anew after every run, so that what is done is kept when
the time lent is over.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from saving import save

import photofinish as pf
from photofinish.runs import Predictions, RunFolder, read_epochs

FROM_SCRATCH = {
    "image_size": 128, "validation_fraction": 0.1, "batch_size": 256, "optimizer": "adamw", "learning_rate": 3e-3,
    "weight_decay": 0.05, "schedule": "cosine", "warmup_epochs": 2, "label_smoothing": 0.1, "ema_decay": 0.999,
    "precision": "bfloat16", "flip": True, "shift": 0.125, "stages": 4, "training_size": "64:128",
    "randaugment": "2:8", "dropout": "0.1:0.3",
}  # fmt: skip


def main() -> None:
    """Run what is asked for, saving after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", help="without it nothing is fine-tuned")
    parser.add_argument("--models", nargs="+", default=["efficientnetv2-s", "resnet50"])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--limit-train", type=int, help="fewer pictures, to try the script")
    parser.add_argument("--limit-test", type=int, help="likewise")
    arguments = parser.parse_args()
    limits = {"limit_train": arguments.limit_train, "limit_test": arguments.limit_test}
    runs = [(model, {**FROM_SCRATCH, "epochs": arguments.epochs}, None) for model in arguments.models]
    if arguments.weights:
        fine_tuning = {"image_size": 224, "steps": arguments.steps, "weights": arguments.weights}
        runs.append(("efficientnetv2-b0", fine_tuning, "paper-cifar"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (model, settings, recipe) in enumerate(runs):
            path, record = pf.train(
                model, arguments.data, recipe=recipe, output=Path(folder) / str(number), **settings, **limits
            )
            test = Predictions.read(RunFolder(path).predictions("test"))
            row = {
                "model": model, "recipe": recipe,
                "settings": record.settings.training.model_dump(mode="json", exclude={"weights"}),
                "image_size": record.settings.data.image_size, "test_accuracy": float(test.correct.mean()),
                "train_images_per_second": record.train_images_per_second,
                "inference_images_per_second": record.inference_images_per_second,
                "seconds": record.seconds.model_dump(), "stages": [stage.model_dump() for stage in record.stages],
                "steps": record.steps, "peak_memory_bytes": record.peak_memory_bytes, "device": record.hardware,
                "epochs": [epoch.model_dump() for epoch in read_epochs(RunFolder(path).metrics)],
            }  # fmt: skip
            rows.append(row)
            print(
                f"{model:20} {recipe or 'from scratch':14} {row['test_accuracy']:.2%}  training "
                f"{record.seconds.train:.0f} s, compilation {record.seconds.compile:.0f} s, in all "
                f"{record.seconds.total:.0f} s, {record.train_images_per_second:.0f} img/s",
                flush=True,
            )
            print(save("accelerator-training", {"rows": rows}), flush=True)


if __name__ == "__main__":
    main()
