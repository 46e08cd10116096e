"""Tables of annotations in COCO's JSON format (cocodataset.org/#format-data)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nd_plugin import ConceptSetInvalid
from nd_plugin.reading import parse_json, read_value

# category of stuff_*.json for all pixels of things; it says nothing of what is there
ALL_THINGS = ("other", "other")  # name and supercategory
# entries of images; of LVIS, which has the last two of them
FILE = "file_name"
URL = "coco_url"
UNLABELLED = "not_exhaustive_category_ids"
NO_SEGMENTATION = (
    "{} has annotations without segmentation only; boxes, key points and captions are "
    "no masks"
)


@dataclass(frozen=True)
class TableImage:
    """Image of a table, with its annotations."""

    name: str  # below the folder of images
    size: tuple[int, int]  # height, width
    mask: str  # name of the panoptic mask; "" for none
    # JSON, of which many images fit into memory: instances, [id, category, segmentation] each, or
    # segments of the panoptic mask, [id, category] each
    annotations: bytes


@dataclass
class Record:
    """Annotations of one image."""

    mask: str
    entries: list[list[Any]]


@dataclass(frozen=True)
class CategoryNames:
    """Categories of a table."""

    names: Mapping[int, str]  # by id; without those that are no concepts
    unlabelled: tuple[int, ...]  # ids of those


@dataclass(frozen=True)
class Table:
    """Content of a table."""

    is_panoptic: bool
    categories: CategoryNames
    images: tuple[TableImage, ...]
    notes: tuple[str, ...]


def read_annotations(path: Path, name: str) -> Table:
    """Read a table. Raises ConceptSetInvalid for one that is malformed, naming the entry."""
    try:
        content = parse_json(path.read_bytes())
        return _table(content, name)
    except ConceptSetInvalid:
        raise
    except (ValueError, OSError) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error


def _table(content: Any, name: str) -> Table:
    if not isinstance(content, dict):
        raise ValueError("it is no table of COCO, with images and annotations")
    images = _objects(content, "images")
    annotations = _objects(content, "annotations")
    categories = _categories(_objects(content, "categories"))
    names = _image_names(images)
    image_positions = _positions(images)
    is_panoptic = any("segments_info" in entry for entry in annotations)
    records, notes = _records_of_images(
        annotations, image_positions, categories, is_panoptic=is_panoptic
    )
    if not records:
        raise ConceptSetInvalid(NO_SEGMENTATION.format(name))
    table_images = tuple(
        _image(entry, names[position], position, records.get(position))
        for position, entry in enumerate(images)
    )
    notes += _notes_on_images(images)
    notes = [f"{name}: {note}" for note in notes]
    return Table(is_panoptic, categories, table_images, tuple(notes))


def _objects(
    content: Mapping[str, Any], key: str, place: str = "it"
) -> list[dict[str, Any]]:
    """Return a list of objects. Raises ValueError for anything else."""
    entries = content.get(key)
    if not isinstance(entries, list):
        raise ValueError(f"{place} has no list {key!r}, as a table of COCO has")
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"{key}[{position}] is no object")
    return entries


def _entry(kind: Any, entry: Mapping[str, Any], key: str, place: str) -> Any:
    """Return an entry of an object, of a type. Raises ValueError that names its place."""
    if key not in entry:
        raise ValueError(f"{place} has no entry {key!r}")
    return read_value(kind, entry[key], f"{place}.{key}")


def _categories(entries: Sequence[Mapping[str, Any]]) -> CategoryNames:
    names: dict[int, str] = {}
    unlabelled = []
    for position, entry in enumerate(entries):
        place = f"categories[{position}]"
        number = _entry(int, entry, "id", place)
        name = _entry(str, entry, "name", place).strip()
        if not name:
            raise ValueError(f"{place}.name is empty")
        if number in names or number in unlabelled:
            raise ValueError(f"{place}: the id {number} is there twice")
        if (name, entry.get("supercategory")) == ALL_THINGS:
            unlabelled.append(number)
        else:
            names[number] = name
    if not names:
        raise ValueError("it has no categories")
    return CategoryNames(names, tuple(unlabelled))


def _image_names(images: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the files of images, each once. Raises ValueError."""
    names: dict[str, None] = {}
    for position, entry in enumerate(images):
        place = f"images[{position}]"
        name = _file_name(entry, place)
        if name in names:
            raise ValueError(f"{place}: the file {name!r} is there twice")
        names[name] = None
    return list(names)


def _file_name(entry: Mapping[str, Any], place: str) -> str:
    """Return the file of an image; LVIS has it, with its folder, at the end of a URL only."""
    if FILE in entry or URL not in entry:
        return str(_entry(str, entry, FILE, place))
    url = _entry(str, entry, URL, place)
    return "/".join(url.split("/")[-2:])


def _notes_on_images(images: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return notes on what images of LVIS have, and those of COCO have not."""
    notes = []
    if any(FILE not in entry for entry in images):
        notes.append(
            f"images are named by the end of their {URL}, as they have no {FILE}"
        )
    if any(UNLABELLED in entry for entry in images):
        notes.append(
            "each image is labelled for some of the categories only; what is not labelled counts "
            "as absent"
        )
    return notes


def _positions(images: Iterable[Mapping[str, Any]]) -> dict[int | str, int]:
    """Return the position of each image by its id. Raises ValueError for one that is repeated."""
    positions: dict[int | str, int] = {}
    for position, entry in enumerate(images):
        place = f"images[{position}]"
        number = _entry(int | str, entry, "id", place)
        if number in positions:
            raise ValueError(f"{place}: the id {number} is there twice")
        positions[number] = position
    return positions


def _image(
    entry: Mapping[str, Any], name: str, position: int, record: Record | None
) -> TableImage:
    place = f"images[{position}]"
    height = _entry(int, entry, "height", place)
    width = _entry(int, entry, "width", place)
    if height < 1 or width < 1:
        raise ValueError(f"{place} is {width}x{height}: a size is at least 1x1")
    size = (height, width)
    if record is None:
        return TableImage(name, size, "", b"[]")
    annotations = json.dumps(record.entries).encode()
    return TableImage(name, size, record.mask, annotations)


def _records_of_images(
    annotations: Sequence[Mapping[str, Any]],
    image_positions: Mapping[int | str, int],
    categories: CategoryNames,
    *,
    is_panoptic: bool,
) -> tuple[dict[int, Record], list[str]]:
    """Return the annotations of each image by its position, and notes on those left out."""
    records: dict[int, Record] = {}
    strangers = 0
    without_mask = 0
    for position, entry in enumerate(annotations):
        place = f"annotations[{position}]"
        image = image_positions.get(_entry(int | str, entry, "image_id", place))
        if image is None:
            strangers += 1
        elif is_panoptic:
            if image in records:
                raise ValueError(f"{place}: the image has two panoptic masks")
            records[image] = _panoptic_record(entry, place, categories)
        elif entry.get("segmentation"):
            record = records.setdefault(image, Record("", []))
            record.entries.append(_instance(entry, place, categories))
        else:
            without_mask += 1
    notes = []
    if strangers:
        notes.append(
            f"{strangers} annotations left out, of image ids that images does not list"
        )
    if without_mask:
        notes.append(f"{without_mask} annotations left out, without segmentation")
    if categories.unlabelled:
        notes.append("the category 'other', all things, is taken as no label")
    return records, notes


def _instance(
    entry: Mapping[str, Any], place: str, categories: CategoryNames
) -> list[Any]:
    category = _category_id(entry, place, categories)
    number = entry.get("id", place)
    return [str(number), category, entry["segmentation"]]


def _panoptic_record(
    entry: Mapping[str, Any], place: str, categories: CategoryNames
) -> Record:
    name = _entry(str, entry, "file_name", place)
    segments = []
    for position, segment in enumerate(_objects(entry, "segments_info", place)):
        segment_place = f"{place}.segments_info[{position}]"
        number = _entry(int, segment, "id", segment_place)
        if not 0 < number < 256**3:
            raise ValueError(
                f"{segment_place}: the id {number} is no colour of a pixel, 1 to 256**3 - 1"
            )
        category = _category_id(segment, segment_place, categories)
        segments.append([number, category])
    return Record(name, segments)


def _category_id(
    entry: Mapping[str, Any], place: str, categories: CategoryNames
) -> int:
    number: int = _entry(int, entry, "category_id", place)
    if number not in categories.names and number not in categories.unlabelled:
        raise ValueError(
            f"{place}: the category_id {number} is not in the list of categories"
        )
    return number
