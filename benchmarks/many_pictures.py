"""Memory by the number of pictures: preparing, auditing and training on 50,000 and on 200,000.

Command: `python benchmarks/many_pictures.py [--counts 50000 200000] [--image-size 32]`

Generates that many JPEG files, and runs a race of one seed and one epoch on each set with an empty cache. The network
is tiny, so that what is seen is the pictures' part. Resident memory (VmRSS) counts the pages of the mapped file of
prepared pictures that happen to lie in memory; the system takes them back when it needs them. What cannot be taken
back is anonymous memory (RssAnon), and that is what is judged: per further picture, and against the limit. Writes
`benchmarks/results/<date>-many-pictures.json`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from generated import write_jpegs
from racing import race
from saving import save

LIMIT = 1.15
NETWORK = """
import keras


def build(classes, image_size):
    images = keras.Input((image_size, image_size, 3))
    maps = keras.layers.Conv2D(8, 3, strides=4, activation="relu")(images)
    return keras.Model(images, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(maps)), name="tiny")
"""


def main() -> None:
    """Race and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs=2, default=(50_000, 200_000))
    parser.add_argument("--image-size", type=int, default=32)
    arguments = parser.parse_args()
    rows = []
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "tiny.py").write_text(NETWORK)
            write_jpegs(folder / "pictures", count, arguments.image_size)
            done = race(
                f"{folder / 'tiny.py'}:build", folder / "pictures", folder / "cache",
                image_size=arguments.image_size, batch_size=256, epochs=1,
            )  # fmt: skip
            stored = sum(path.stat().st_size for path in (folder / "cache" / "prepared").rglob("*") if path.is_file())
        rows.append({"pictures": count, "memory": done["memory"], "marks": done["marks"], "prepared_bytes": stored})
    few, many = rows
    more = many["pictures"] - few["pictures"]
    print(f"{'megabytes':22}" + "".join(f"{count:>12,}" for count in arguments.counts) + "   ratio  bytes a picture")
    for role in ("prepares", "trains", "decoders"):
        for kind in sorted(many["memory"][role]):
            sizes = [row["memory"][role].get(kind, 0) for row in rows]
            each = (sizes[1] - sizes[0]) / more
            figures = "".join(f"{size / 1e6:12.0f}" for size in sizes)
            print(f"{role + ', ' + kind:22}{figures}{sizes[1] / max(1, sizes[0]):8.2f}{each:10.0f}")
    ratios = {role: many["memory"][role]["RssAnon"] / few["memory"][role]["RssAnon"] for role in ("prepares", "trains")}
    for role, ratio in ratios.items():
        print(f"The process that {role} needs {ratio:.2f} times the memory: {'held' if ratio < LIMIT else 'NOT held'}.")
    content = {"arguments": vars(arguments), "rows": rows, "ratios": ratios, "limit": LIMIT}
    print(save("many-pictures", content))


if __name__ == "__main__":
    main()
