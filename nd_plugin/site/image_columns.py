"""Pictures of a layer and their annotations as columns of numbers, for scripts of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from nd_plugin.site.packing import pack_integers

if TYPE_CHECKING:
    from nd_plugin.results.top_pictures import TopPictures


@dataclass
class PictureFiles:
    """Files of pictures, each content once, under names of this package's own."""

    names: dict[bytes, str] = field(default_factory=dict)

    def add(self, content: bytes, suffix: str) -> str:
        """Return the name of a picture's file."""
        return self.names.setdefault(content, f"{len(self.names) + 1:05d}{suffix}")


def picture_columns(pictures: TopPictures, files: PictureFiles) -> dict[str, Any]:
    """Return index, file, width, height, mask size and concepts of each picture."""
    columns: dict[str, Any] = {
        name: []
        for name in ("image", "file", "width", "height", "rows", "columns", "areas")
    }
    for image in pictures.images.tolist():
        encoded = pictures.encoded_picture(image)
        height, width = pictures.picture_size(image)
        rows, mask_columns = pictures.mask_size(image)
        annotation = pictures.annotation(image)
        areas: list[int] = []
        if annotation is not None:
            pairs = np.stack([annotation.concepts, annotation.areas], axis=1)
            areas = pairs.ravel().tolist()
        values: Mapping[str, Any] = {
            "image": image,
            "file": files.add(encoded, pictures.suffix(image)),
            "width": width,
            "height": height,
            "rows": rows,
            "columns": mask_columns,
            "areas": areas,
        }
        for name, value in values.items():
            columns[name].append(value)
    return columns


def annotation_columns(
    pictures: TopPictures, images: Sequence[int]
) -> dict[str, Any]:
    """Return the label combinations of images: members of each, and one of them a pixel."""
    members: list[list[list[int]] | None] = []
    bytes_of_pixel = []
    combinations = []
    for image in images:
        annotation = pictures.annotation(image)
        if annotation is None:
            members.append(None)
            bytes_of_pixel.append(0)
            continue
        members.append(
            [
                [int(label) - 1 for label in row if label]
                for row in annotation.members
            ]
        )
        pixels = annotation.combinations
        bytes_of_pixel.append(pixels.dtype.itemsize)
        combinations.append(pixels)
    return {
        "images": images,
        "members": members,
        "bytes": bytes_of_pixel,
        "pixels": pack_integers(combinations),
    }
