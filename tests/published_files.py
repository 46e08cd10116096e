"""Small files in the true layouts of others: the authors' summary, tables, descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

CATEGORIES = ("object", "part", "scene", "material", "texture", "color")
NETWORKS = ("net_random", "net_places", "net_wide")
LAYERS = ("conv5", "conv5", "res5c")
UNITS = (256, 256, 512)
# of all categories and of each, as `CATEGORIES`
UNIQUE = ((2, 0, 0, 0, 0, 2, 0), (9, 4, 1, 1, 0, 2, 1), (12, 6, 2, 2, 1, 1, 0))
DETECTORS = (
    (9, 0, 0, 0, 0, 9, 0),
    (20, 8, 2, 3, 0, 10, 1),
    (40, 20, 9, 8, 3, 5, 0),
)

DESCRIPTIONS = """\
layer,unit,description,similarity
layer1,0,Red,0.25
layer1,1,dog,0.5
layer2,0,dog,0.125
layer2,1,"Cats, and
dogs",0.1
layer2,2,highway,0.3
"""
# as NetDissect-Lite writes it: units by IoU, the concept 0 without a name
LITE = """\
unit,category,label,score,object-label,object-truth,object-activation,object-intersect,\
object-iou,texture-label,texture-truth,texture-activation,texture-intersect,texture-iou
2,object,dog,0.25,dog,100,100,40,0.25,,900,20,10,0.010989
3,texture,,0.2,cat,90,90,15,0.090909,,900,300,200,0.2
1,object,cat,0.1,cat,90,86,16,0.1,striped,70,90,5,0.032258
"""


def cells(*texts: str) -> Any:
    """Return a cell array of MATLAB."""
    array = np.empty((1, len(texts)), object)
    array[0, :] = texts
    return array


def summary_fields() -> dict[str, Any]:
    """Return the fields of the authors' struct, of three networks."""
    detectors = np.array(DETECTORS, np.uint16)
    return {
        "networks_name": cells(*NETWORKS),
        "layers_name": cells(*LAYERS).T,
        "ratio_detectors": detectors / np.array(UNITS)[:, None],
        "num_uniquedetectors": np.array(UNIQUE, np.uint16),
        "num_detectors": detectors,
        "concepts": cells("all", *CATEGORIES),
        "thresh_concepts": 0.04,
    }


def write_summary(path: Path, **changes: Any) -> Path:
    """Write a summary of networks, with some fields replaced; None leaves one out."""
    fields = {**summary_fields(), **changes}
    fields = {name: value for name, value in fields.items() if value is not None}
    savemat(path, {"stat": fields}, appendmat=False, do_compression=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a table; return its path."""
    path.write_text(text, encoding="utf-8")
    return path
