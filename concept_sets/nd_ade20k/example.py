"""Small scene parsing benchmark on which the reader is checked (``nd plugins --check ade20k``)."""

from pathlib import Path

import numpy as np
from PIL import Image

SCENES = {
    "training/ADE_train_00000001": "airport_terminal",
    "validation/ADE_val_00000001": "abbey",
}
CLASSES = """\
Idx\tRatio\tTrain\tVal\tName
1\t0.1576\t11664\t1172\twall
2\t0.1072\t6046\t612\tbuilding, edifice
"""


def example(folder: Path) -> str:
    """Write two images of a wall beside a building, and return the text that opens them."""
    root = folder / "ADEChallengeData2016"
    mask = np.ones((24, 32), np.uint8)
    mask[:, 16:] = 2
    lines = []
    for seed, (name, scene) in enumerate(SCENES.items()):
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
        pictures = {
            root / "images" / f"{name}.jpg": pixels,
            root / "annotations" / f"{name}.png": mask,
        }
        for path, values in pictures.items():
            path.parent.mkdir(parents=True)
            Image.fromarray(values).save(path)
        lines.append(f"{name.rpartition('/')[2]} {scene}\n")
    (root / "objectInfo150.txt").write_text(CLASSES)
    (root / "sceneCategories.txt").write_text("".join(lines))
    return f"ade20k:{root}"
