"""Columns of a data set of Hugging Face: that of the images and that of the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nd_plugin import ConceptSetInvalid

IMAGE = "image"
MAP = "label map"
CLASS = "class"
CLASSES = "classes"  # several of one image


@dataclass(frozen=True)
class Columns:
    """Names of the columns, and the kind of labels."""

    image: str
    label: str
    kind: str  # MAP, CLASS or CLASSES
    class_names: tuple[str, ...]  # of a column of classes; () of label maps


def choose_columns(splits: Mapping[str, Any], image: str, label: str) -> Columns:
    """Return the columns of the first split that has both: one for tests may lack labels.

    Raises ConceptSetInvalid where none has, with what the first one lacks.
    """
    problems = []
    for rows in splits.values():
        try:
            return columns_of(rows.features, image, label)
        except ConceptSetInvalid as problem:
            problems.append(problem)
    raise problems[0]


def columns_of(features: Mapping[str, Any], image: str, label: str) -> Columns:
    """Return the columns of images and labels; "" for one that is to be found.

    The image is the column of that name, or the only one with pictures that is not the label. The
    label is the only other column with pictures, a label map, or else the only column of classes.
    Raises ConceptSetInvalid, listing the columns, where there is none or more than one.
    """
    kinds = {name: kind_of_feature(feature) for name, feature in features.items()}
    pictures = [name for name, kind in kinds.items() if kind == IMAGE]
    if image and kinds.get(image) != IMAGE:
        raise ConceptSetInvalid(
            f"huggingface: image={image} is no column of pictures; {_listed(features)}"
        )
    image = image or _only(
        _image_candidates(pictures, label), "image", "images", features
    )
    if label and (label == image or not kinds.get(label)):
        raise ConceptSetInvalid(
            f"huggingface: label={label} is no column of label maps or classes beside the column "
            f"of images {image!r}; {_listed(features)}"
        )
    maps = [name for name in pictures if name != image]
    classes = [name for name, kind in kinds.items() if kind in (CLASS, CLASSES)]
    label = label or _only(maps or classes, "label", "labels", features)
    kind = kinds[label]
    return Columns(
        image,
        label,
        MAP if kind == IMAGE else kind,
        class_names_of(features[label]),
    )


def _image_candidates(pictures: list[str], label: str) -> list[str]:
    candidates = [name for name in pictures if name != label]
    return [IMAGE] if IMAGE in candidates else candidates


def _only(
    names: list[str], option: str, what: str, features: Mapping[str, Any]
) -> str:
    """Return the only one of some columns. Raises ConceptSetInvalid."""
    if len(names) == 1:
        return names[0]
    problem = "several columns" if names else "no column"
    raise ConceptSetInvalid(
        f"huggingface: {problem} may hold the {what}: choose one with {option}=NAME; "
        f"{_listed(features)}"
    )


def kind_of_feature(feature: Any) -> str:
    """Return what a column holds: IMAGE, CLASS, CLASSES; "" for anything else."""
    import datasets

    if isinstance(feature, datasets.Image) or _is_stored_picture(feature):
        return IMAGE
    if isinstance(feature, datasets.ClassLabel):
        return CLASS
    if isinstance(_item_feature(feature), datasets.ClassLabel):
        return CLASSES
    return ""


def class_names_of(feature: Any) -> tuple[str, ...]:
    """Return the names of a column of classes; () of another column."""
    names = getattr(feature, "names", None) or getattr(
        _item_feature(feature), "names", None
    )
    return tuple(names or ())


def _item_feature(feature: Any) -> Any:
    """Return the feature of a list's items; None of what is no list."""
    if isinstance(feature, list):
        return feature[0]
    return getattr(feature, "feature", None)


def _is_stored_picture(feature: Any) -> bool:
    """Return whether a column holds pictures, but lost its description: bytes and path."""
    return isinstance(feature, dict) and set(feature) == {"bytes", "path"}


def _listed(features: Mapping[str, Any]) -> str:
    columns = [
        f"{name} ({type(feature).__name__})" for name, feature in features.items()
    ]
    return f"the columns are {', '.join(columns)}"
