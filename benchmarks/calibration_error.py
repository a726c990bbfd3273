"""How far the calibration error of a model with a known error is off: bins of equal width, and of equal numbers.

Command: `python benchmarks/calibration_error.py`

Confidences are drawn from three Beta distributions and answers are right with the confidence less a gap, so that the
true error is the gap. Means and standard deviations over 300 draws. Writes
`benchmarks/results/<date>-calibration-error.json`.
"""

from __future__ import annotations

import numpy as np
from saving import save

from photofinish.evaluation.metrics import CALIBRATION_BINS, bins_of

DRAWS = 300
CONFIDENCES = {"unsure": (4.0, 2.0), "sure": (8.0, 0.5), "very sure": (20.0, 0.3)}


def error(confidence, right, bin_of) -> float:
    """Return the mean gap between confidence and accuracy over bins."""
    return float(np.abs(np.bincount(bin_of, weights=right - confidence)).sum() / len(confidence))


def equal_numbers(confidence):
    """Put as many answers into each bin."""
    return np.argsort(np.argsort(confidence)) * CALIBRATION_BINS // len(confidence)


def main() -> None:
    """Print the table and write it."""
    generator = np.random.default_rng(0)
    rows = []
    print("confidence  pictures  true error   equal width         equal numbers")
    for name, shape in CONFIDENCES.items():
        for pictures in (300, 1000, 10000):
            for gap in (0.0, 0.03):
                found = {"equal width": [], "equal numbers": []}
                for _ in range(DRAWS):
                    confidence = np.clip(generator.beta(*shape, pictures), 0.1, 1.0)
                    right = generator.random(pictures) < confidence - gap
                    found["equal width"].append(error(confidence, right, bins_of(confidence)))
                    found["equal numbers"].append(error(confidence, right, equal_numbers(confidence)))
                row = {"confidence": name, "pictures": pictures, "true error": gap}
                for bins, errors in found.items():
                    row |= {f"{bins}, mean": float(np.mean(errors)), f"{bins}, deviation": float(np.std(errors))}
                rows.append(row)
                print(
                    f"{name:12}{pictures:8}{gap:12.2f}"
                    + "".join(f"   {row[f'{bins}, mean']:.4f} +- {row[f'{bins}, deviation']:.4f}" for bins in found)
                )
    print(save("calibration-error", {"rows": rows}))


if __name__ == "__main__":
    main()
