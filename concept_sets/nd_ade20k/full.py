"""Reader of ADE20K in full: objects, parts and parts of parts, scenes (Zhou et al., IJCV 2019).

::

    ADE20K_2016_07_26/images/training/a/airport_terminal/ADE_train_00000001.jpg, beside it
        ADE_train_00000001_seg.png       class: red // 10 * 256 + green; blue: instances
        ADE_train_00000001_parts_1.png … parts of objects, parts of parts, in the same way
        ADE_train_00000001_atr.txt       instances in words, without the classes' numbers
    ADE20K_2016_07_26/index_ade20k.mat   index: objectnames {'-', …}, proportionClassIsPart, …

    ADE20K_2021_17_01/images/ADE/training/urban/street/ADE_train_00016869.jpg, beside it
        …_seg.png, …_parts_1.png …       as in 2016
        ADE_train_00016869.json          annotation.object: name, name_ndx, parts.part_level
        ADE_train_00016869/              a mask of each instance, not read
    ADE20K_2021_17_01/index_ade20k.pkl   a pickle, never loaded
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_ade20k.class_names import ClassNames, names_of_index, names_of_records
from nd_plugin import Annotation, FolderListing, Identity, NamedFiles, list_files
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    ValueTable,
    Vocabulary,
    image_entry,
    split_synonyms,
    unlisted_remarks,
)

VERSION = "1"
INDEX = "index_ade20k.mat"
CATEGORIES = ("object", "part", "scene")
SPLITS = {"training": "train", "validation": "val"}
# folders of images without a scene
NO_SCENE = ("misc", "outliers")
# the part of a class's number that each value of red stands for
OF_RED = np.arange(256, dtype=np.uint16) // 10 * 256
MOST_LEVELS = 9  # of parts
ENDING = ".jpg"  # of images


@dataclass(frozen=True)
class AdeFiles:
    """Files of one release, and the names of its classes."""

    listing: FolderListing  # of images and masks, below images/
    folder: str  # of the splits, below images/: "" or "ADE/"
    names: ClassNames
    tables: tuple[Path, ...]
    record_ending: (
        str  # of a file for each image beside its masks; "": none that is read
    )


def read_2016(root: Path) -> AdeFiles:
    """Read the index and the listing of the release of 2016. Raises ConceptSetInvalid."""
    listing = _listing(root)
    return AdeFiles(
        listing, "", names_of_index(root / INDEX), (root / INDEX,), record_ending=""
    )


def read_2021(root: Path) -> AdeFiles:
    """Read the records of all images of the release of 2021, which name its classes."""
    listing = _listing(root)
    stems = [_stem(path) for path in listing.paths if _is_image(path)]
    records = [f"{stem}.json" for stem in stems]
    names = names_of_records(NamedFiles(root, root / "images"), records)
    return AdeFiles(listing, "ADE/", names, (), record_ending=".json")


class FullAde(LabelledFiles):
    """Images with masks of thousands of objects and parts, and scenes."""

    def __init__(self, root: Path, source: str, files: AdeFiles, note: str) -> None:
        vocabulary = Vocabulary(CATEGORIES)
        names = split_synonyms(files.names.texts)
        objects = _values(files.names.objects, names, "object", vocabulary)
        parts = _values(files.names.parts, names, "part", vocabulary)
        images, notes = _images(files, vocabulary)
        largest = len(vocabulary.concepts)
        self._objects = ValueTable.of(objects, largest)
        self._parts = ValueTable.of(parts, largest)
        super().__init__(
            root,
            Identity("ade20k", source, VERSION, ""),
            vocabulary,
            images,
            image_folder=root / "images",
            tables=files.tables,
            notes=[
                note,
                *files.listing.notes("images"),
                *files.names.notes,
                *notes,
            ],
            follows_links=True,
        )

    def annotation(self, index: int) -> Annotation:
        """Return a plane of objects and one of parts for each level, and the scene.

        Raises ValueError for a mask that is unreadable, not of RGB, or of another aspect.
        """
        image = image_entry(self.images, index)
        size = self.size(index)
        planes = []
        remarks: list[str] = []
        for path in image.label_files:
            if not path.endswith(".png"):
                continue
            is_objects = path.endswith("_seg.png")
            table = self._objects if is_objects else self._parts
            pixels = self.mask(path, size, ("RGB",))
            plane, unlisted = table.plane(pixels, class_numbers)
            planes.append(plane)
            kind = "objects" if is_objects else "parts"
            remarks += unlisted_remarks(
                unlisted, f"masks of {kind}", "the data set's list of classes"
            )
        return Annotation(planes, image.labels, remarks=tuple(remarks))


def class_numbers(
    pixels: npt.NDArray[np.integer[Any]],
) -> npt.NDArray[np.integer[Any]]:
    """Return the numbers of classes (row, column) in a mask's pixels (row, column, channel)."""
    return OF_RED.take(pixels[:, :, 0]) + pixels[:, :, 1]


def _listing(root: Path) -> FolderListing:
    return list_files(root / "images", (ENDING, ".png"), skips_namesakes=True)


def _is_image(path: str) -> bool:
    return path.lower().endswith(ENDING)


def _stem(path: str) -> str:
    """Return an image's path without its ending."""
    return path[: -len(ENDING)]


def _values(
    texts: Mapping[int, str],
    names: Mapping[str, tuple[str, tuple[str, ...]]],
    category: str,
    vocabulary: Vocabulary,
) -> dict[int, int]:
    """Return the plane value of each class's number."""
    return {
        number: vocabulary.add(names[text][0], category, names[text][1])
        for number, text in sorted(texts.items())
    }


def _images(
    files: AdeFiles, vocabulary: Vocabulary
) -> tuple[list[LabelledImage], list[str]]:
    """Return the images that have a mask of objects, and a note on those that have none."""
    listed = frozenset(files.listing.paths)
    paths = [path for path in files.listing.paths if _is_image(path)]
    with_mask = [path for path in paths if f"{_stem(path)}_seg.png" in listed]
    scenes = {path: _scene(path, files.folder) for path in with_mask}
    values = {
        scene: vocabulary.add(scene, "scene")
        for scene in sorted(set(scenes.values()) - {""})
    }
    images = []
    for path in with_mask:
        labels = (values[scenes[path]],) if scenes[path] else ()
        split = path.removeprefix(files.folder).partition("/")[0]
        images.append(
            LabelledImage(
                path,
                tuple(_label_files(_stem(path), listed, files.record_ending)),
                labels,
                SPLITS.get(split, split),
            )
        )
    without_mask = len(paths) - len(with_mask)
    note = f"{without_mask} images without a mask …_seg.png are left out"
    return images, [note] if without_mask else []


def _scene(path: str, folder: str) -> str:
    """Return the scene that an image's folder names: after the split and a letter or a group."""
    _, *groups = path.removeprefix(folder).split("/")[:-1]
    if not groups or groups[0] in NO_SCENE:
        return ""
    return "-".join(groups[1:])


def _label_files(
    stem: str, listed: Collection[str], record_ending: str
) -> Sequence[str]:
    """Return the paths of an image's masks and record, below the set's root."""
    masks = [f"{stem}_seg.png"]
    for level in range(1, MOST_LEVELS + 1):
        path = f"{stem}_parts_{level}.png"
        if path in listed:
            masks.append(path)
    records = [f"{stem}{record_ending}"] if record_ending else []
    return [f"images/{path}" for path in (*masks, *records)]
