"""Reads folders of images and masks.

::

    ROOT/images/**/NAME.(jpg|png|…)
    ROOT/masks/CATEGORY/**/NAME.png        one index per pixel: 8 or 16 bit grey, or palette
    ROOT/masks/CATEGORY/**/NAME.1.png …    further planes of the same category
    ROOT/concepts.csv                      category,value,name; a value that is not listed is unlabelled
    ROOT/image_labels.csv                  image,category,name (optional)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nd_masks.tables import VALUES, concept_of, read_csv, value_tables
from nd_plugin import Annotation, Concept, ConceptSetInvalid, Identity, TableLine, check_aspect, read_mask

VERSION = "1"
GREY_OR_PALETTE = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
MODES = "a mask is 8 or 16 bit grey, or palette, and holds one index per pixel"


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
        whole = read_csv(self.root / "image_labels.csv", ("image", "category", "name"))
        if not rows and not whole:
            raise ConceptSetInvalid(
                f"no concepts: {self.root} has neither a concepts.csv that lists category,value,name nor an "
                "image_labels.csv that lists image,category,name"
            )
        self.concepts = tuple(dict.fromkeys(concept_of(line) for _, line in [*rows, *whole]))
        self.categories = tuple(dict.fromkeys(concept.category for concept in self.concepts))
        value_of = {concept: value for value, concept in enumerate(self.concepts, start=1)}
        self._tables = value_tables(rows, value_of)
        labels = self._labels(whole, value_of)
        masks = self._found_masks()
        self.entries = _entries(labels, masks)
        self.notes = tuple(_notes(self.entries, masks))
        self._check_masks()
        self._check_modes()
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
            size = (image.height, image.width)
        planes = [self._plane(category, path, size) for category, path in entry.masks]
        return Annotation(planes, entry.labels)

    def _plane(self, category: str, path: str, size: tuple[int, int]) -> npt.NDArray[np.int32]:
        mode, values = read_mask(self.root / "masks" / path, f"the mask {path}")
        if mode not in GREY_OR_PALETTE:
            raise ValueError(f"the mask {path} is of mode {mode}; {MODES}")
        check_aspect((values.shape[0], values.shape[1]), size, f"the mask {path}")
        wide = values.astype(np.int64)
        return self._tables[category][np.where((wide < 0) | (wide > VALUES), VALUES, wide)]

    def _labels(self, whole: Sequence[TableLine], value_of: Mapping[Concept, int]) -> dict[str, list[int]]:
        """The whole-image labels of every image, as values of planes."""
        openable = [ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN]
        labels: dict[str, list[int]] = {image: [] for image in sorted(find(self.root / "images", openable))}
        if not labels:
            raise ConceptSetInvalid(f"no images in {self.root / 'images'}")
        for where, line in whole:
            if line["image"] not in labels:
                raise ConceptSetInvalid(f"{where}: no image {line['image']!r} below images/")
            labels[line["image"]].append(value_of[concept_of(line)])
        return labels

    def _found_masks(self) -> dict[str, dict[str, str]]:
        """By category and stem: the paths below masks/."""
        return {
            category: {
                stem(path): f"{category}/{path}" for path in sorted(find(self.root / "masks" / category, [".png"]))
            }
            for category in self._tables
        }

    def _check_masks(self) -> None:
        masked = {category for entry in self.entries for category, _ in entry.masks}
        labelled = {self.concepts[value - 1].category for entry in self.entries for value in entry.labels}
        folder = self.root / "masks"
        for category in self._tables:
            if category not in masked and (category not in labelled or (folder / category).is_dir()):
                raise ConceptSetInvalid(
                    f"no mask in {folder / category} belongs to an image: a mask has the path of its "
                    "image below images/, with the ending .png"
                )
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            unknown = path.is_dir() and not path.name.startswith(".") and path.name not in self._tables
            if unknown and any(find(path, [".png"])):
                raise ConceptSetInvalid(f"{path} holds masks, but concepts.csv lists no concept of {path.name!r}")

    def _check_modes(self) -> None:
        """The first mask of each category, so that a set exported in another form is refused before anything runs."""
        first = {category: path for entry in reversed(self.entries) for category, path in entry.masks}
        for path in first.values():
            try:
                with Image.open(self.root / "masks" / path) as image:
                    mode = image.mode
            except OSError:  # asked for, it is named and skipped
                continue
            if mode not in GREY_OR_PALETTE:
                raise ConceptSetInvalid(f"the mask {path} is of mode {mode}; {MODES}")

    def _fingerprint(self) -> str:
        """SHA-256 over the tables and over the paths and sizes of all files; the first 16 digits."""
        digest = hashlib.sha256()
        for name in ("concepts.csv", "image_labels.csv"):
            if (self.root / name).is_file():
                digest.update(name.encode() + (self.root / name).read_bytes())
        paths = [f"images/{e.image}" for e in self.entries] + [f"masks/{m}" for e in self.entries for _, m in e.masks]
        for path in paths:
            digest.update(os.fsencode(f"{path} {_bytes(self.root / path)}\n"))
        return digest.hexdigest()[:16]


def _entries(labels: Mapping[str, Sequence[int]], masks: Mapping[str, Mapping[str, str]]) -> list[Entry]:
    stems = {stem(image) for image in labels}
    return [
        Entry(
            image,
            tuple((category, path) for category in masks for path in masks_of(stem(image), masks[category], stems)),
            tuple(values),
        )
        for image, values in labels.items()
    ]


def _notes(entries: Sequence[Entry], masks: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """What does not belong together: it may be meant, or a slip of names."""
    for category in masks:
        without = [entry.image for entry in entries if category not in {own for own, _ in entry.masks}]
        if without:
            yield f"{len(without)} of {len(entries)} images have no mask of {category}, such as {without[0]}"
    used = {path for entry in entries for _, path in entry.masks}
    left = [path for paths in masks.values() for path in paths.values() if path not in used]
    if left:
        yield f"{len(left)} masks belong to no image, such as {left[0]}"


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nowhere: asked for, it is named and skipped
        return -1


def masks_of(name: str, masks: Mapping[str, str], stems: Iterable[str]) -> Iterator[str]:
    """The masks of the image with this stem: NAME, and NAME.1, NAME.2 … where they are no image's own."""
    if name in masks:
        yield masks[name]
    plane = 1
    while f"{name}.{plane}" in masks and f"{name}.{plane}" not in stems:
        yield masks[f"{name}.{plane}"]
        plane += 1


def stem(path: str) -> str:
    """A relative path without its last ending."""
    return path.removesuffix(Path(path).suffix)


def find(folder: Path, endings: Iterable[str]) -> Iterator[str]:
    """Relative paths of the files below a folder that have one of these endings; hidden ones are left out."""
    known = {ending.lower() for ending in endings}
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = Path(parent).relative_to(folder)
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in known:
                yield (inside / name).as_posix()
