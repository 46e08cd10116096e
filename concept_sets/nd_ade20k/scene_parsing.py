"""Reader of ADE20K's scene parsing benchmark (Zhou et al., CVPR 2017).

::

    ADEChallengeData2016/images/training/ADE_train_00000001.jpg
    ADEChallengeData2016/annotations/training/ADE_train_00000001.png   grey: 1 to 150, 0 none
    ADEChallengeData2016/objectInfo150.txt     Idx Ratio Train Val Name, separated by tabs
    ADEChallengeData2016/sceneCategories.txt   ADE_train_00000001 airport_terminal
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from nd_plugin import (
    Annotation,
    ConceptSetInvalid,
    Identity,
    check_mask_format,
    list_files,
)
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    ValueTable,
    Vocabulary,
    image_entry,
    read_lines,
    split_synonyms,
    unlisted_remarks,
)

VERSION = "1"
OBJECTS = "objectInfo150.txt"
SCENES = "sceneCategories.txt"
COLUMNS = ("Idx", "Name")
LARGEST = 255  # in a mask of 8 bits
SPLITS = {"training": "train", "validation": "val"}
NO_SCENE = "misc"  # of images that show none of the scenes


class SceneParsing(LabelledFiles):
    """Images with masks of 150 objects and kinds of surroundings, and scenes."""

    def __init__(self, root: Path, source: str, note: str) -> None:
        vocabulary = Vocabulary(("object", "scene"))
        values = _objects(root / OBJECTS, vocabulary)
        listing = list_files(root / "images", (".jpg",))
        masks = list_files(root / "annotations", (".png",))
        notes = [note, *listing.notes("images"), *masks.notes("annotations")]
        scenes = _scenes(root / SCENES, vocabulary, notes)
        self._table = ValueTable.of(values, len(vocabulary.concepts))
        images = _images(listing.paths, frozenset(masks.paths), scenes, notes)
        super().__init__(
            root,
            Identity("ade20k", source, VERSION, ""),
            vocabulary,
            images,
            image_folder=root / "images",
            tables=[
                path for path in (root / OBJECTS, root / SCENES) if path.exists()
            ],
            notes=notes,
            follows_links=True,
        )
        path = images[0].label_files[0]
        check_mask_format(self.label_files.path(path), f"the mask {path}")

    def annotation(self, index: int) -> Annotation:
        """Return a plane of objects, and the scene.

        Raises ValueError for a mask that is unreadable, in colour or of another aspect.
        """
        image = image_entry(self.images, index)
        pixels = self.mask(image.label_files[0], self.size(index), ("L", "P"))
        plane, unlisted = self._table.plane(pixels)
        remarks = unlisted_remarks(unlisted, "masks of annotations/", OBJECTS)
        return Annotation([plane], image.labels, remarks=remarks)


def _objects(path: Path, vocabulary: Vocabulary) -> dict[int, int]:
    """Return the plane value of each number of a mask."""
    rows = [
        (position, [cell.strip() for cell in line.split("\t")])
        for position, line in read_lines(path)
    ]
    header = rows[0][1] if rows else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise ConceptSetInvalid(
            f"{path} has no column {', '.join(missing)}; its first line has Idx, Ratio, Train, Val "
            "and Name, separated by tabs"
        )
    numbers: dict[int, str] = {}
    for position, cells in rows[1:]:
        number, name = _object(dict(zip(header, cells, strict=False)), position)
        if number in numbers:
            raise ConceptSetInvalid(
                f"{position}: the number {number} is there twice"
            )
        numbers[number] = name
    names = split_synonyms(numbers.values())
    return {
        number: vocabulary.add(names[name][0], "object", names[name][1])
        for number, name in numbers.items()
    }


def _object(cells: Mapping[str, str], position: str) -> tuple[int, str]:
    """Return the number and the names that a line has."""
    number = cells.get("Idx", "")
    name = cells.get("Name", "")
    is_number = number.isascii() and number.isdecimal() and len(number) <= 9
    if not is_number or not 1 <= int(number) <= LARGEST or not name:
        raise ConceptSetInvalid(
            f"{position}: expected a number from 1 to {LARGEST} as Idx and a Name, separated by "
            f"tabs, but they are {number[:40]!r} and {name[:40]!r}"
        )
    return int(number), name


def _scenes(path: Path, vocabulary: Vocabulary, notes: list[str]) -> dict[str, int]:
    """Return the plane value of the scene of each image, by the image's name."""
    if not path.exists():
        notes.append(f"no {SCENES}: images have no scenes")
        return {}
    scenes = {}
    for position, line in read_lines(path):
        image, _, scene = line.partition(" ")
        if not scene.strip():
            raise ConceptSetInvalid(
                f"{position}: {line[:60]!r} is not an image and its scene, such as "
                "'ADE_train_00000001 airport_terminal'"
            )
        scenes[image] = scene.strip()
    values = {
        scene: vocabulary.add(scene, "scene")
        for scene in sorted(set(scenes.values()) - {NO_SCENE})
    }
    return {
        image: values[scene] for image, scene in scenes.items() if scene in values
    }


def _images(
    paths: Collection[str],
    masks: Collection[str],
    scenes: Mapping[str, int],
    notes: list[str],
) -> list[LabelledImage]:
    """Return the images that have a mask; ``notes`` says of those without, as of the test set."""
    images = []
    without_mask = []
    image_masks = set()
    for path in paths:
        stem = path.removesuffix(Path(path).suffix)
        mask = f"{stem}.png"
        image_masks.add(mask)
        if mask not in masks:
            without_mask.append(path)
            continue
        folder, _, name = stem.rpartition("/")
        split = SPLITS.get(folder, folder)
        labels = (scenes[name],) if name in scenes else ()
        images.append(LabelledImage(path, (f"annotations/{mask}",), labels, split))
    if without_mask:
        notes.append(
            f"{len(without_mask)} images without a mask in annotations/ are left out, for example "
            f"{without_mask[0]}"
        )
    without_image = sorted(set(masks) - image_masks)
    if without_image:
        notes.append(
            f"{len(without_image)} masks in annotations/ have no image, for example "
            f"{without_image[0]}"
        )
    return images
