"""Reads folders of images and masks.

::

    ROOT/images/**/NAME.(jpg|png|…)
    ROOT/masks/CATEGORY/**/NAME.png        one index per pixel: 8 or 16 bit grey, or palette
    ROOT/masks/CATEGORY/**/NAME.1.png …    further planes of the same category
    ROOT/concepts.csv                      category,value,name; a value that is not listed is unlabelled
    ROOT/image_labels.csv                  image,category,name (optional)
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity

VERSION = "1"
GREY_OR_PALETTE = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
VALUES = 65536


@dataclass(frozen=True)
class Entry:
    """One image and what belongs to it."""

    image: str  # path below images/
    masks: tuple[tuple[str, str], ...]  # category, path below masks/
    labels: tuple[int, ...]  # whole-image concepts, as values of planes


class Masks:
    """Custom concepts in the masks format (DESIGN section 6)."""

    native_masks = False

    def __init__(self, root: str) -> None:
        self.root = Path(root).expanduser()
        if not root or not self.root.is_dir():
            shown = f"no folder {root!r}" if root else "a folder is missing"
            raise ConceptSetInvalid(f"{shown}: say masks:ROOT, ROOT being the folder that holds images/ and masks/")
        rows = read_csv(self.root / "concepts.csv", ("category", "value", "name"))
        whole = read_csv(self.root / "image_labels.csv", ("image", "category", "name"), optional=True)
        if not rows and not whole:
            raise ConceptSetInvalid(f"no concepts: {self.root} has neither concepts.csv nor image_labels.csv with lines")
        self.concepts = tuple(dict.fromkeys(Concept(row["name"], row["category"]) for row in [*rows, *whole]))
        self.categories = tuple(dict.fromkeys(concept.category for concept in self.concepts))
        self._tables = self._value_tables(rows)
        images = sorted(find(self.root / "images", Image.registered_extensions().keys()))
        self.entries = self._entries(images, whole)
        self._check_masks()
        self.identity = Identity("masks", f"masks:{root}", VERSION, self._fingerprint())

    def __len__(self) -> int:
        return len(self.entries)

    def name(self, index: int) -> str:
        """The image's path below images/."""
        return self.entries[index].image

    def image(self, index: int) -> Image.Image:
        """The image, decoded."""
        with Image.open(self.root / "images" / self.entries[index].image) as image:
            image.load()
            return image

    def annotation(self, index: int) -> Annotation:
        """Planes at their own sizes, and labels. Raises ValueError where a mask does not fit its image."""
        entry = self.entries[index]
        with Image.open(self.root / "images" / entry.image) as image:
            size = image.size
        planes = [self._plane(category, path, size) for category, path in entry.masks]
        return Annotation(planes, entry.labels)

    def _plane(self, category: str, path: str, size: tuple[int, int]) -> npt.NDArray[np.int32]:
        with Image.open(self.root / "masks" / path) as image:
            if image.mode not in GREY_OR_PALETTE:
                raise ValueError(f"the mask {path} is of mode {image.mode}; a mask is 8 or 16 bit grey, or palette")
            if not same_aspect(image.size, size):
                raise ValueError(
                    f"the mask {path} is {image.width}x{image.height}, which has not the aspect of its image, "
                    f"{size[0]}x{size[1]}"
                )
            values = np.asarray(image).astype(np.int64)
        return self._tables[category][np.clip(values, 0, VALUES - 1)]

    def _value_tables(self, rows: Sequence[Mapping[str, str]]) -> dict[str, npt.NDArray[np.int32]]:
        """Per category the plane value of every mask value; 0 where it is not listed."""
        tables: dict[str, npt.NDArray[np.int32]] = {}
        listed: set[tuple[str, int]] = set()
        for row in rows:
            if not row["value"].isdecimal() or int(row["value"]) >= VALUES:
                raise ConceptSetInvalid(f"{self.root / 'concepts.csv'}: the value {row['value']!r} is not in 0..65535")
            key = (row["category"], int(row["value"]))
            if key in listed:
                raise ConceptSetInvalid(f"{self.root / 'concepts.csv'} lists {key[0]} {key[1]} twice")
            listed.add(key)
            table = tables.setdefault(row["category"], np.zeros(VALUES, dtype=np.int32))
            table[key[1]] = 1 + self.concepts.index(Concept(row["name"], row["category"]))
        return tables

    def _entries(self, images: Sequence[str], whole: Sequence[Mapping[str, str]]) -> list[Entry]:
        labels = self._labels(images, whole)
        stems = {stem(image) for image in images}
        masks = {category: set(find(self.root / "masks" / category, [".png"])) for category in self._tables}
        return [
            Entry(
                image,
                tuple(
                    (category, f"{category}/{path}")
                    for category, paths in masks.items()
                    for path in _planes(stem(image), paths, stems)
                ),
                labels.get(image, ()),
            )
            for image in images
        ]

    def _labels(self, images: Sequence[str], whole: Sequence[Mapping[str, str]]) -> dict[str, tuple[int, ...]]:
        known, labels = set(images), dict[str, tuple[int, ...]]()
        for row in whole:
            if row["image"] not in known:
                raise ConceptSetInvalid(f"{self.root / 'image_labels.csv'}: no image {row['image']!r} below images/")
            value = 1 + self.concepts.index(Concept(row["name"], row["category"]))
            labels[row["image"]] = (*labels.get(row["image"], ()), value)
        return labels

    def _check_masks(self) -> None:
        if not self.entries:
            raise ConceptSetInvalid(f"no images in {self.root / 'images'}")
        used = {category for entry in self.entries for category, _ in entry.masks}
        for category in self._tables:
            if category not in used:
                raise ConceptSetInvalid(
                    f"no mask in {self.root / 'masks' / category} belongs to an image: a mask has the path of its "
                    "image below images/, with the ending .png"
                )
        folder = self.root / "masks"
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and path.name not in self._tables:
                raise ConceptSetInvalid(f"{path} holds masks, but concepts.csv lists no concept of {path.name!r}")

    def _fingerprint(self) -> str:
        """SHA-256 over the tables and over the paths and sizes of all files; the first 16 digits."""
        digest = hashlib.sha256()
        for name in ("concepts.csv", "image_labels.csv"):
            if (self.root / name).is_file():
                digest.update(name.encode() + (self.root / name).read_bytes())
        paths = [f"images/{e.image}" for e in self.entries] + [f"masks/{m}" for e in self.entries for _, m in e.masks]
        for path in paths:
            digest.update(f"{path} {(self.root / path).stat().st_size}\n".encode())
        return digest.hexdigest()[:16]


def _planes(name: str, paths: set[str], stems: set[str]) -> Iterator[str]:
    if f"{name}.png" in paths:
        yield f"{name}.png"
    plane = 1
    while f"{name}.{plane}.png" in paths and f"{name}.{plane}" not in stems:
        yield f"{name}.{plane}.png"
        plane += 1


def stem(path: str) -> str:
    """A relative path without its last ending."""
    return path[: -len(Path(path).suffix)]


def find(folder: Path, endings: Sequence[str] | Mapping[str, str] | object) -> Iterator[str]:
    """Relative paths of the files below a folder that have one of these endings; hidden ones are left out."""
    known = {str(ending).lower() for ending in endings}  # type: ignore[attr-defined]
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.suffix.lower() in known and path.is_file() and not any(p.startswith(".") for p in inside.parts):
            yield inside.as_posix()


def same_aspect(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    """Whether a mask covers its image, to within one of its own pixels."""
    width, height = mask
    return abs(width * image[1] - height * image[0]) <= max(image)


def read_csv(path: Path, columns: Sequence[str], *, optional: bool = False) -> list[dict[str, str]]:
    """The lines of a CSV file that has these columns; none where it is absent and optional."""
    if not path.is_file():
        if optional:
            return []
        raise ConceptSetInvalid(f"no {path.name} in {path.parent}: it lists {','.join(columns)}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise ConceptSetInvalid(f"{path} has no column {', '.join(map(repr, missing))}")
            return [{key: (row[key] or "").strip() for key in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConceptSetInvalid(f"{path} cannot be read: {error}") from error
