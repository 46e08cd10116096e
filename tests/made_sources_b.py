"""Small sets on disk, each in its format's true layout; ``write_X(root)`` returns the set's text.

Sizes are given as (height, width). Whatever holds pixels is written by Pillow, not by the readers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = (24, 32)
Integers = npt.NDArray[np.integer[Any]]


def save_photo(path: Path, seed: int, size: tuple[int, int] = SIZE) -> None:
    """Save an image of blocks in random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(blocks).resize(size[::-1], Image.Resampling.NEAREST).save(path)


def save_grey(path: Path, values: Integers) -> None:
    """Save a mask as a PNG file of 8 bit grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def halves(left: int, right: int, size: tuple[int, int] = SIZE) -> Integers:
    """Return a mask of two values, side by side."""
    values = np.full(size, left, np.int32)
    values[:, size[1] // 2 :] = right
    return values


# ---- COCO -------------------------------------------------------------------------------------

COCO_NAMES = ("000000000139.jpg", "000000000285.jpg", "000000000632.jpg")
COCO_CATEGORIES = (
    {"supercategory": "person", "isthing": 1, "id": 1, "name": "person"},
    {"supercategory": "animal", "isthing": 1, "id": 18, "name": "dog"},
    {"supercategory": "plant", "isthing": 0, "id": 184, "name": "tree-merged"},
    {"supercategory": "wall", "isthing": 0, "id": 199, "name": "wall-other-merged"},
)


def coco_table(
    names: Sequence[str],
    annotations: Sequence[Mapping[str, Any]],
    categories: Sequence[Mapping[str, Any]],
    size: tuple[int, int] = SIZE,
) -> dict[str, Any]:
    """Return a table as COCO has them, with the entries that nobody needs."""
    images = [
        {
            "license": 2,
            "file_name": name,
            "coco_url": f"http://images.cocodataset.org/val2017/{name}",
            "height": size[0],
            "width": size[1],
            "date_captured": "2013-11-21 01:34:01",
            "flickr_url": "http://farm9.staticflickr.com/8035/8024364858_z.jpg",
            "id": image_id(name),
        }
        for name in names
    ]
    return {
        "info": {"description": "COCO 2018 Panoptic Dataset", "year": 2018},
        "licenses": [{"url": "http://creativecommons.org/", "id": 2, "name": "CC"}],
        "images": images,
        "annotations": list(annotations),
        "categories": list(categories),
    }


def image_id(name: str) -> int:
    return int(name.partition(".")[0])


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_coco_images(folder: Path, size: tuple[int, int] = SIZE) -> None:
    for name in COCO_NAMES:
        save_photo(folder / name, image_id(name), size)


def segment_colours(numbers: Integers) -> npt.NDArray[np.uint8]:
    """Return the colours (row, column, channel) of segment ids: R + 256 G + 256² B."""
    channels = [numbers % 256, numbers // 256 % 256, numbers // 256**2]
    return np.stack(channels, axis=2).astype(np.uint8)


def write_coco_panoptic(root: Path) -> str:
    """Write three images: a person beside a wall, two dogs beside trees, nothing but void."""
    segments = (
        {3226956: 1, 70000: 199},
        {257: 18, 513: 18, 16777215: 184},
        {},
    )
    annotations = []
    for name, categories in zip(COCO_NAMES, segments, strict=True):
        numbers = np.zeros(SIZE, np.int32)
        for position, number in enumerate(categories):
            columns = slice(8 * position, 8 * position + 8)
            numbers[4:, columns] = number
        stem = name.partition(".")[0]
        path = root / "annotations" / "panoptic_val2017" / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(segment_colours(numbers)).save(path)
        infos = [
            {
                "id": number,
                "category_id": category,
                "iscrowd": 0,
                "bbox": [8 * position, 4, 8, 20],
                "area": 160,
            }
            for position, (number, category) in enumerate(categories.items())
        ]
        annotations.append(
            {
                "segments_info": infos,
                "file_name": path.name,
                "image_id": image_id(name),
            }
        )
    table = coco_table(COCO_NAMES, annotations, COCO_CATEGORIES)
    write_json(root / "annotations" / "panoptic_val2017.json", table)
    write_coco_images(root / "val2017")
    return f"coco:{root}"


def run_lengths(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a mask, column by column, the first of what is not in it."""
    counts = [0]
    value = False
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def compressed(counts: Sequence[int]) -> str:
    """Return run lengths as COCO's API compresses them (``rleToString``)."""
    text = ""
    for position, count in enumerate(counts):
        number = count - (counts[position - 2] if position > 2 else 0)
        more = True
        while more:
            code = number & 0x1F
            number >>= 5
            more = number != -1 if code & 0x10 else number != 0
            text += chr(48 + (code | 0x20 if more else code))
    return text


def instance(
    number: int, name: str, category: int, segmentation: Any, crowd: int = 0
) -> dict[str, Any]:
    return {
        "segmentation": segmentation,
        "area": 100.5,
        "iscrowd": crowd,
        "image_id": image_id(name),
        "bbox": [4.0, 4.0, 8.0, 8.0],
        "category_id": category,
        "id": number,
    }


def rectangle(rows: slice, columns: slice) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[rows, columns] = True
    return mask


def polygon(rows: slice, columns: slice) -> list[float]:
    """Return the outline of a rectangle of whole pixels as x, y, x, y …"""
    top, bottom = float(rows.start), float(rows.stop)
    left, right = float(columns.start), float(columns.stop)
    return [left, top, right, top, right, bottom, left, bottom]


def write_coco_instances(root: Path) -> str:
    """Write three images: a person over a dog and another person, a crowd, and no annotation."""
    persons = (slice(4, 12), slice(4, 12)), (slice(4, 12), slice(16, 24))
    dog = slice(8, 16), slice(8, 20)
    crowd = rectangle(slice(0, 24), slice(0, 10))
    stuff = rectangle(slice(20, 24), slice(0, 32))
    first, second, _ = COCO_NAMES
    annotations = [
        instance(1, first, 1, [polygon(*persons[0])]),
        instance(2, first, 18, [polygon(*dog)]),
        instance(3, first, 1, [polygon(*persons[1])]),
        instance(
            900100, second, 1, {"counts": run_lengths(crowd), "size": [*SIZE]}, 1
        ),
        instance(
            5,
            second,
            18,
            {"counts": compressed(run_lengths(stuff)), "size": [*SIZE]},
        ),
    ]
    categories = [
        {key: entry[key] for key in ("supercategory", "id", "name")}
        for entry in COCO_CATEGORIES[:2]
    ]
    table = coco_table(COCO_NAMES, annotations, categories)
    write_json(root / "annotations" / "instances_val2017.json", table)
    write_coco_images(root / "images" / "val2017")
    return f"coco:{root}"


# ---- Cityscapes -------------------------------------------------------------------------------

CITY_FRAMES = (
    ("train", "aachen", "aachen_000000_000019"),
    ("train", "zurich", "zurich_000001_000019"),
    ("val", "frankfurt", "frankfurt_000000_000294"),
)
CAR, ROAD, EGO_VEHICLE = 26, 7, 1


def write_cityscapes(root: Path, annotations: str = "gtFine") -> str:
    """Write three frames: a car beside a road, and the hood of the own car, which is void."""
    size = (16, 32)
    for number, (split, city, frame) in enumerate(CITY_FRAMES):
        image = root / "leftImg8bit" / split / city / f"{frame}_leftImg8bit.png"
        save_photo(image, number, size)
        values = halves(CAR, ROAD, size)
        values[12:] = EGO_VEHICLE
        folder = root / annotations / split / city
        save_grey(folder / f"{frame}_{annotations}_labelIds.png", values)
        save_grey(folder / f"{frame}_{annotations}_instanceIds.png", values)
        save_photo(folder / f"{frame}_{annotations}_color.png", number, size)
        write_json(
            folder / f"{frame}_{annotations}_polygons.json",
            {"imgHeight": 16, "imgWidth": 32, "objects": []},
        )
    return f"cityscapes:{root}"


# ---- folders of images ------------------------------------------------------------------------


def write_folders(root: Path) -> str:
    """Write two scenes of two and one images."""
    save_photo(root / "kitchen" / "0001.jpg", 0)
    save_photo(root / "kitchen" / "ikea" / "0002.png", 1)
    save_photo(root / "street" / "0001.jpg", 2)
    return f"folders:{root}"


# ---- data sets of PyTorch ---------------------------------------------------------------------


class MaskedBlocks:
    """Data set of (image, mask): a left half of value 1, a right half of value 2, a void edge."""

    classes = ("background", "left", "right")

    def __init__(self, count: int = 3, kind: str = "pil") -> None:
        self.count = count
        self.kind = kind

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        blocks = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
        pixels = np.kron(blocks, np.ones((6, 8, 1), np.uint8))
        mask = halves(1, 2)
        mask[:2] = 255
        if self.kind == "pil":
            return Image.fromarray(pixels), Image.fromarray(mask.astype(np.uint8))
        return pixels, mask


def write_dataset(root: Path) -> str:
    """Write the names of the values; the data set is a class of this module."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "names.csv").write_text("value,name\n1,left\n2,right\n")
    return f"dataset:made_sources_b:MaskedBlocks?count=4&names={root / 'names.csv'}"


# ---- Hugging Face -----------------------------------------------------------------------------

SCENES = ("kitchen", "street")


def hugging_face_rows(count: int = 3) -> Any:
    """Return a data set with pictures, label maps and scenes; needs the library `datasets`."""
    import datasets

    values = halves(1, 2)
    values[:2] = 0
    items = [MaskedBlocks(count)[number] for number in range(count)]
    label_map = Image.fromarray(values.astype(np.uint8))
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "annotation": datasets.Image(),
            "scene_category": datasets.ClassLabel(names=list(SCENES)),
        }
    )
    columns = {
        "image": [image for image, _ in items],
        "annotation": [label_map] * count,
        "scene_category": [number % 2 for number in range(count)],
    }
    return datasets.Dataset.from_dict(columns, features=features)


def write_huggingface(root: Path) -> str:
    """Write three rows as ``save_to_disk`` does, and the names of the label maps' values."""
    hugging_face_rows().save_to_disk(root)
    write_json(root / "id2label.json", {"0": "", "1": "left", "2": "right"})
    return f"huggingface:{root}"
