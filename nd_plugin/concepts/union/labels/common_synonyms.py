"""Synonyms of names that data sets use for the same thing, without listing them.

Pascal VOC has an aeroplane where COCO has an airplane, and neither comes with synonyms, as ADE20K's
labels do. Only words that mean the same wherever images are labelled are here.
"""

from __future__ import annotations

# names that mean the same, each line
GROUPS = (
    ("airplane", "aeroplane"),
    ("bicycle", "bike"),
    ("car", "automobile", "motorcar"),
    ("curb", "kerb"),
    ("dining table", "diningtable"),
    ("donut", "doughnut"),
    ("motorcycle", "motorbike"),
    ("potted plant", "pottedplant"),
    ("refrigerator", "fridge"),
    ("sofa", "couch"),
    ("television", "tv", "tv monitor", "tvmonitor"),
    ("tire", "tyre"),
)


def common_synonyms(name: str) -> tuple[str, ...]:
    """Return the other names of a thing; none of most."""
    for names in GROUPS:
        if name in names:
            return tuple(word for word in names if word != name)
    return ()
