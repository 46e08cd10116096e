"""Reader of OpenSurfaces (Bell et al., SIGGRAPH 2013), as its release's own script renders it.

``process_opensurfaces_release_0.py``, which comes with release 0, writes these files from the
release's JSON, and downloads the photos::

    ROOT/photos/ID.jpg
    ROOT/photos-labels/ID.png          RGB: red the material, green the object, blue the scene
    ROOT/photos.csv                    photo_id,scene_category_name,…
    ROOT/label-substance-colors.csv    substance_id,substance_name,red_color
    ROOT/label-name-colors.csv         name_id,name_name,green_color
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import Annotation, ConceptSetInvalid, Identity, TableLine, read_table
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    ValueTable,
    Vocabulary,
    check_layout,
    existing_root,
    image_entry,
    inner_root,
    names_in,
    split_synonyms,
    unlisted_remarks,
)

VERSION = "1"
PHOTOS = "photos.csv"
MATERIALS = "label-substance-colors.csv"
OBJECTS = "label-name-colors.csv"
NEEDED = ("photos", "photos-labels", PHOTOS, MATERIALS, OBJECTS)
LAYOUT = (
    "the folder in which the release's process_opensurfaces_release_0.py has run, with photos/, "
    f"photos-labels/, {PHOTOS}, {MATERIALS} and {OBJECTS}"
)
CATEGORIES = ("material", "object", "scene")
# table, column of names, column of the colour, channel
CHANNELS = {
    "material": (MATERIALS, "substance_name", "red_color", 0),
    "object": (OBJECTS, "name_name", "green_color", 1),
}
NUMBER = re.compile(r"[0-9]{1,9}")
NO_SCENE = "~"  # begins names that stand for no scene


class Surfaces(LabelledFiles):
    """Photos with the materials and the objects of their surfaces, and scenes of whole photos.

    Raises ConceptSetInvalid for a folder that is not in this layout.
    """

    def __init__(self, root: str) -> None:
        folder = existing_root(root, "opensurfaces:ROOT", LAYOUT)
        folder, notes = inner_root(folder, NEEDED, ["opensurfaces"])
        check_layout(folder, NEEDED, LAYOUT)
        vocabulary = Vocabulary(CATEGORIES)
        colours = {
            category: _colours(folder, category, vocabulary)
            for category in CHANNELS
        }
        lines = read_table(folder / PHOTOS, ["photo_id", "scene_category_name"])
        scenes = _scenes(lines, vocabulary)
        largest = len(vocabulary.concepts)
        self._channels = {
            category: ValueTable.of(values, largest)
            for category, values in colours.items()
        }
        super().__init__(
            folder,
            Identity("opensurfaces", f"opensurfaces:{root}", VERSION, ""),
            vocabulary,
            _images(folder, lines, scenes, notes),
            image_folder=folder / "photos",
            tables=[folder / name for name in (PHOTOS, MATERIALS, OBJECTS)],
            notes=notes,
            follows_links=True,
        )

    def annotation(self, index: int) -> Annotation:
        """Return a plane of materials and one of objects, and the scene.

        Raises ValueError for a mask that is unreadable or not of RGB, or of another aspect than its
        photo.
        """
        image = image_entry(self.images, index)
        planes: list[npt.NDArray[np.integer[Any]]] = []
        remarks: list[str] = []
        for path in image.label_files:
            pixels = self.mask(path, self.size(index), ("RGB", "RGBA"))
            for category, table in self._channels.items():
                name, _, column, channel = CHANNELS[category]
                plane, unlisted = table.plane(pixels[:, :, channel])
                planes.append(plane)
                masks = f"{column} of photos-labels/"
                remarks += unlisted_remarks(unlisted, masks, name)
        return Annotation(planes, image.labels, remarks=tuple(remarks))


def _colours(folder: Path, category: str, vocabulary: Vocabulary) -> dict[int, int]:
    """Return the plane value of each colour of a table, whose concepts are added."""
    name, name_column, colour_column, _ = CHANNELS[category]
    lines = read_table(folder / name, [name_column, colour_column])
    names = split_synonyms((_plain(line[name_column]) for _, line in lines), "/")
    values: dict[int, int] = {}
    for position, line in lines:
        colour = _colour(line[colour_column], position)
        if colour in values:
            raise ConceptSetInvalid(
                f"{position}: the {colour_column} {colour} is listed twice; it stands for one "
                f"{category}"
            )
        concept, synonyms = names[_plain(line[name_column])]
        values[colour] = vocabulary.add(concept, category, synonyms)
    return values


def _plain(name: str) -> str:
    """Return a name as Broden has it: in lower case, ``plastic-clear`` of ``Plastic - clear``."""
    return name.replace(" - ", "-").lower()


def _colour(text: str, position: str) -> int:
    if not NUMBER.fullmatch(text) or not 1 <= int(text) <= 255:
        raise ConceptSetInvalid(
            f"{position}: {text[:40]!r} is no colour from 1 to 255; 0 is unlabelled"
        )
    return int(text)


def _scenes(lines: Sequence[TableLine], vocabulary: Vocabulary) -> dict[str, int]:
    """Return the plane value of each name of a scene, without those that stand for none."""
    names = sorted({line["scene_category_name"] for _, line in lines})
    return {
        name: vocabulary.add(_plain(name).replace("/", "-"), "scene")
        for name in names
        if name and not name.startswith(NO_SCENE)
    }


def _images(
    folder: Path,
    lines: Sequence[TableLine],
    scenes: Mapping[str, int],
    notes: list[str],
) -> list[LabelledImage]:
    """Return the photos that are there; ``notes`` says of those that are not."""
    photos = frozenset(names_in(folder / "photos"))
    masks = frozenset(names_in(folder / "photos-labels"))
    images: dict[str, LabelledImage] = {}
    missing_photos = []
    missing_masks = []
    for position, line in lines:
        photo = line["photo_id"]
        if not NUMBER.fullmatch(photo) or photo in images:
            raise ConceptSetInvalid(
                f"{position}: the photo_id {photo[:40]!r} is no number, or is listed twice"
            )
        if f"{photo}.jpg" not in photos:
            missing_photos.append(f"{photo}.jpg")
            continue
        mask = f"{photo}.png"
        if mask not in masks:
            missing_masks.append(mask)
        scene = scenes.get(line["scene_category_name"])
        images[photo] = LabelledImage(
            f"{photo}.jpg",
            (f"photos-labels/{mask}",) if mask in masks else (),
            () if scene is None else (scene,),
        )
    for names, kind in (
        (missing_photos, "photos"),
        (missing_masks, "photos-labels"),
    ):
        if names:
            notes.append(
                f"{len(names)} of {PHOTOS} are not in {kind}/, for example {names[0]}"
            )
    return list(images.values())
