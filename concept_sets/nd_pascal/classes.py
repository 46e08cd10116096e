"""The twenty classes of Pascal VOC, in the words of the data sets that annotate its images."""

from __future__ import annotations

from nd_plugin.reading import Vocabulary

OBJECT = "object"
# in the order of their values in masks, from 1
CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
# the data sets' name: name, synonyms
WORDS = {
    "aeroplane": ("aeroplane", ("airplane",)),
    "diningtable": ("dining table", ("diningtable",)),
    "motorbike": ("motorbike", ("motorcycle",)),
    "pottedplant": ("potted plant", ("pottedplant",)),
    "table": ("dining table", ("diningtable",)),  # so in Pascal-Part
    "tvmonitor": ("tv monitor", ("tvmonitor",)),
}


def add_object(vocabulary: Vocabulary, name: str) -> int:
    """Return the plane value of a class, which is added in plain words."""
    words, synonyms = WORDS.get(name, (name, ()))
    return vocabulary.add(words, OBJECT, synonyms)
