"""Images in Broden's layout: a picture, masks of label numbers, and the row of index.csv.

::

    images/camvid/train_0001.jpg
    images/camvid/train_0001_object.png                  the only mask of its category
    images/camvid/train_0001_part_1.png, …_part_2.png    several: labels overlap

Source: README.txt of Broden 1_224.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.stored_integers import strips_of
from nd_plugin.storage.durable_files import create_unsynced

LARGEST_NUMBER = 65535  # red + 256 * green
JPEG_QUALITY = 95
JPEG_ENDINGS = (".jpg", ".jpeg")
Planes = Sequence[npt.NDArray[np.integer[Any]]]


@dataclass(frozen=True)
class LabelledImage:
    """Image with its labels, by category."""

    image: Image.Image  # RGB, upright
    name: str  # path below images/ without an ending: "camvid/train_0001"
    split: str = ""
    # (row, column) of label numbers, 0 for none; all planes of an image are of one size
    planes: Mapping[str, Planes] = field(default_factory=dict)
    # label numbers of the whole image
    labels: Mapping[str, Sequence[int]] = field(default_factory=dict)
    # (height, width) of masks where there is no plane; None: half the image
    mask_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class IndexRow:
    """Row of index.csv."""

    image: str  # path below images/
    split: str
    image_size: tuple[int, int]  # ih, iw
    mask_size: tuple[int, int]  # sh, sw
    # by category: paths of masks below images/, then numbers of whole-image labels
    entries: Mapping[str, tuple[str, ...]]


def write_labelled_image(
    root: Path,
    sample: LabelledImage,
    categories: Sequence[str],
    *,
    ending: str = ".jpg",
    content: bytes | None = None,
    create: Callable[[Path, bytes], None] = create_unsynced,
) -> IndexRow:
    """Write an image and its masks below ``root``/images, and return its row of index.csv.

    ``ending`` is the picture's: .jpg, or .png, which keeps every value. ``content`` is its file,
    where that is copied rather than encoded. ``create`` writes a new file; by default not
    through to the disk (see `sync_all`). Files of an earlier attempt are replaced. Raises
    ConceptSetInvalid for planes of several sizes, for a label number beyond 65535, and for a
    category that ``categories`` lacks; OSError.
    """
    _check_categories(sample, categories)
    mask_size = _mask_size(sample)
    picture_name = f"{sample.name}{ending}"
    picture = content or encode_picture(sample.image, ending)
    _write(root, picture_name, picture, create)
    entries = {}
    for category in categories:
        masks = _write_masks(root, sample, category, create)
        numbers = [str(number) for number in sample.labels.get(category, ())]
        entries[category] = (*masks, *numbers)
    image_size = (sample.image.height, sample.image.width)
    return IndexRow(picture_name, sample.split, image_size, mask_size, entries)


def mask_names(name: str, category: str, count: int) -> list[str]:
    """Return the paths of an image's masks of one category, as Broden names them."""
    if count == 1:
        return [f"{name}_{category}.png"]
    return [f"{name}_{category}_{number}.png" for number in range(1, count + 1)]


def encode_picture(image: Image.Image, ending: str) -> bytes:
    """Return the content of a picture's file: JPEG, or PNG, which keeps every value."""
    file = io.BytesIO()
    if ending.lower() in JPEG_ENDINGS:
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    else:
        image.save(file, "PNG")
    return file.getvalue()


def encode_mask(plane: npt.NDArray[np.integer[Any]], name: str) -> bytes:
    """Return the PNG of a plane of label numbers: red + 256 * green.

    Raises ConceptSetInvalid for a number outside 0 to 65535; ``name`` is the mask's.
    """
    lowest = int(plane.min(initial=0))
    highest = int(plane.max(initial=0))
    if lowest < 0 or highest > LARGEST_NUMBER:
        number = lowest if lowest < 0 else highest
        raise ConceptSetInvalid(
            f"the mask {name} would hold the label number {number}; Broden's masks hold 0 to "
            f"{LARGEST_NUMBER}"
        )
    pixels = np.zeros((*plane.shape, 3), np.uint8)
    # strip by strip: a type that holds 65535 takes 4 bytes a pixel
    for strip in strips_of(plane.shape):
        numbers = plane[strip].astype(np.int32)
        pixels[strip][..., 0] = numbers & 255
        pixels[strip][..., 1] = numbers >> 8
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _check_categories(sample: LabelledImage, categories: Sequence[str]) -> None:
    for category in (*sample.planes, *sample.labels):
        if category not in categories:
            listed = ", ".join(map(repr, categories))
            raise ConceptSetInvalid(
                f"{sample.name} has labels of the category {category!r}; expected one of {listed}"
            )


def _mask_size(sample: LabelledImage) -> tuple[int, int]:
    """Return the size of an image's masks, (height, width)."""
    sizes = {plane.shape for planes in sample.planes.values() for plane in planes}
    if len(sizes) > 1:
        listed = ", ".join(str(size) for size in sorted(sizes))
        raise ConceptSetInvalid(
            f"the planes of {sample.name} are of several sizes: {listed}; in Broden's layout an "
            "image's masks are of one size"
        )
    if sizes:
        rows, columns = sizes.pop()
        return rows, columns
    if sample.mask_size is not None:
        return sample.mask_size
    return (sample.image.height + 1) // 2, (sample.image.width + 1) // 2


def _write_masks(
    root: Path,
    sample: LabelledImage,
    category: str,
    create: Callable[[Path, bytes], None],
) -> list[str]:
    """Write an image's masks of one category, and return their paths below images/."""
    planes = sample.planes.get(category, ())
    names = mask_names(sample.name, category, len(planes))
    for name, plane in zip(names, planes, strict=True):
        _write(root, name, encode_mask(plane, name), create)
    return names


def _write(
    root: Path, name: str, content: bytes, create: Callable[[Path, bytes], None]
) -> None:
    """Write a file below images/."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise ConceptSetInvalid(f"the name {name!r} leads out of images/")
    path = root / "images" / parts
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    create(path, content)
