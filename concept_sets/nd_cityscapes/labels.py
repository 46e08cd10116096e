"""Label ids of Cityscapes, as its scripts list them (``cityscapesscripts/helpers/labels.py``).

Ids 0 to 6 are of the official category ``void``: no class of objects (``ground`` is any ground that
cars and people do not move on, ``static`` and ``dynamic`` are clutter). They are "no label". Ids 7
to 33 are concepts, those too that the benchmark leaves out of its evaluation for being rare, such
as caravan. ``license plate`` has the id -1, and is not drawn into masks.
"""

from __future__ import annotations

VOID = (
    "unlabeled",
    "ego vehicle",
    "rectification border",
    "out of roi",
    "static",
    "dynamic",
    "ground",
)
CLASSES = (
    "road",
    "sidewalk",
    "parking",
    "rail track",
    "building",
    "wall",
    "fence",
    "guard rail",
    "bridge",
    "tunnel",
    "pole",
    "polegroup",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "caravan",
    "trailer",
    "train",
    "motorcycle",
    "bicycle",
)
NAMES = dict(enumerate((*VOID, *CLASSES)))  # by id, 0 to 33
