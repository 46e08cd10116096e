"""Columns of a data set for object detection: the images, and the boxes with their classes.

::

    image: Image
    objects: {bbox: list of 4 numbers each, category: list of ClassLabel, …}
    objects: [{bbox: 4 numbers, category: ClassLabel, …}]     the same, box by box

Names differ between data sets: those that are in use are found, others are chosen by options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nd_plugin import ConceptSetInvalid

IMAGES = ("image",)
OBJECTS = ("objects", "annotations", "detections", "labels")
BOXES = ("bbox", "bboxes", "box", "boxes")
CLASSES = ("category", "categories", "category_id", "label", "labels", "class")


@dataclass(frozen=True)
class Columns:
    """Names of the columns, of fields within that of the objects, and of the classes."""

    image: str
    objects: str
    bbox: str
    label: str
    class_names: tuple[str, ...]  # () of numbers without names


def find_columns(
    features: Mapping[str, Any], image: str, objects: str, bbox: str, label: str
) -> Columns:
    """Return the columns and fields of these names; "" for one that is to be found.

    Raises ConceptSetInvalid, listing what there is, where one is missing.
    """
    pictures = [name for name in features if _is_picture(features[name])]
    image = _chosen(
        "image", image, IMAGES, pictures, "column of pictures", features
    )
    fields_of = {name: fields_of_objects(features[name]) for name in features}
    nested = [name for name, fields in fields_of.items() if fields]
    what = "column of objects with fields"
    objects = _chosen("objects", objects, OBJECTS, nested, what, features)
    fields = fields_of[objects]
    what = f"field of {objects!r}"
    bbox = _chosen("bbox", bbox, BOXES, list(fields), what, fields)
    others = [name for name in fields if name != bbox]
    label = _chosen("label", label, CLASSES, others, what, fields)
    names = getattr(_item(fields[label]), "names", None) or ()
    return Columns(image, objects, bbox, label, tuple(names))


def fields_of_objects(feature: Any) -> Mapping[str, Any]:
    """Return the fields of a column of objects; {} of any other column."""
    item = _item(feature)
    return item if isinstance(item, Mapping) else {}


def _item(feature: Any) -> Any:
    """Return the feature of a list's items; of what is no list, the feature itself."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", feature)


def _is_picture(feature: Any) -> bool:
    import datasets

    return isinstance(feature, datasets.Image)


def _chosen(
    option: str,
    name: str,
    usual: Sequence[str],
    names: Sequence[str],
    what: str,
    features: Mapping[str, Any],
) -> str:
    """Return the name that an option gives, or the only one in use. Raises ConceptSetInvalid."""
    kinds = [f"{key} ({_kind(feature)})" for key, feature in features.items()]
    listed = f"there are {', '.join(kinds)}"
    if name:
        if name not in names:
            raise ConceptSetInvalid(
                f"boxes: {option}={name} is no {what}; {listed}"
            )
        return name
    candidates = [name for name in usual if name in names] or list(names)
    if len(candidates) == 1 or (candidates and candidates[0] in usual):
        return candidates[0]
    problem = f"several may be the {what}" if candidates else f"no {what}"
    raise ConceptSetInvalid(
        f"boxes: {problem} that {option}= is; choose one with {option}=NAME; {listed}"
    )


def _kind(feature: Any) -> str:
    """Return what a column holds, in a word."""
    item = _item(feature)
    is_list = item is not feature
    kind = type(item).__name__
    if isinstance(item, Mapping):
        kind = f"fields {', '.join(item)}"
    return f"list of {kind}" if is_list else kind
