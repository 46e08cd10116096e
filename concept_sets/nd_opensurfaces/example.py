"""Small set of surfaces on which the reader is checked (``nd plugins --check opensurfaces``)."""

from pathlib import Path

import numpy as np
from PIL import Image

TABLES = {
    "photos.csv": """\
photo_id,scene_category_name,scene_category_score,whitebalanced
122,kitchen,1.5,True
123,kitchen,1.2,False
""",
    "label-substance-colors.csv": """\
substance_id,substance_name,red_color
98,Glass,14
105,Granite,15
""",
    "label-name-colors.csv": """\
name_id,name_name,green_color
218,Wall,215
223,Window,220
""",
    "label-scene-colors.csv": """\
scene_category_id,scene_category_name,blue_color
4,kitchen,5
""",
}


def example(folder: Path) -> str:
    """Write two photos of a window in a wall, and return the text that opens them."""
    root = folder / "opensurfaces"
    mask = np.empty((24, 32, 3), np.uint8)
    mask[:, :16] = (14, 220, 5)
    mask[:, 16:] = (15, 215, 5)
    for photo in (122, 123):
        random = np.random.default_rng(photo)
        pixels = random.integers(0, 256, (48, 64, 3), np.uint8)
        pictures = {
            root / "photos" / f"{photo}.jpg": pixels,
            root / "photos-labels" / f"{photo}.png": mask,
        }
        for path, values in pictures.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(path)
    for name, content in TABLES.items():
        (root / name).write_text(content)
    return f"opensurfaces:{root}"
