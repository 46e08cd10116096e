"""Reader of Cityscapes (arXiv 1604.01685).

::

    ROOT/leftImg8bit/SPLIT/CITY/CITY_000000_000019_leftImg8bit.png
    ROOT/gtFine/SPLIT/CITY/CITY_000000_000019_gtFine_labelIds.png
    ROOT/gtCoarse/SPLIT/CITY/CITY_000000_000019_gtCoarse_labelIds.png
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nd_cityscapes.labels import CLASSES, NAMES, VOID
from nd_plugin import Annotation, ConceptSetInvalid, Identity, list_files
from nd_plugin.reading import (
    LabelledFiles,
    LabelledImage,
    ValueTable,
    Vocabulary,
    check_layout,
    existing_root,
    image_entry,
    set_text,
    unlisted_remarks,
)

VERSION = "1"
CATEGORY = "object"
IMAGES = "leftImg8bit"
ANNOTATIONS = ("gtFine", "gtCoarse")
DEFAULTS = {"annotations": ANNOTATIONS[0]}
# splits whose annotations are not published: masks there hold void only
WITHHELD = "test"
LAYOUT = (
    "the folder that holds leftImg8bit/SPLIT/CITY/…_leftImg8bit.png and "
    "gtFine/SPLIT/CITY/…_gtFine_labelIds.png, as the archives leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip of cityscapes-dataset.com unpack"
)


class Cityscapes(LabelledFiles):
    """Cityscapes, all splits that are there: 27 classes of objects, without the void ones.

    ``annotations`` is gtFine or gtCoarse. Raises ConceptSetInvalid for a folder that is not in this
    layout.
    """

    def __init__(self, root: str, *, annotations: str = ANNOTATIONS[0]) -> None:
        folder = existing_root(root, "cityscapes:ROOT", LAYOUT)
        if annotations not in ANNOTATIONS:
            raise ConceptSetInvalid(
                f"cityscapes: annotations={annotations} is none of {', '.join(ANNOTATIONS)}"
            )
        _check_folders(folder, annotations)
        vocabulary = Vocabulary()
        values = {}
        for number, name in NAMES.items():
            if name in CLASSES:
                values[number] = vocabulary.add(name, CATEGORY)
        self._table = ValueTable.of(values)
        self._masks = f"{annotations} masks"
        images, notes = _pair(folder, annotations)
        options = {"annotations": annotations}
        source = set_text("cityscapes", root, options, DEFAULTS)
        identity = Identity("cityscapes", source, VERSION, "")
        super().__init__(
            folder, identity, vocabulary, images, notes=notes, follows_links=True
        )

    def annotation(self, index: int) -> Annotation:
        """Return one plane. Raises ValueError for a mask that cannot be read or does not fit."""
        (path,) = image_entry(self.images, index).label_files
        pixels = self.mask(path, self.size(index), ("L",))
        plane, unlisted = self._table.plane(pixels)
        unknown = unlisted.difference(NAMES)
        remarks = unlisted_remarks(unknown, self._masks, "Cityscapes")
        return Annotation([plane], remarks=remarks)


def _check_folders(root: Path, annotations: str) -> None:
    """Raise ConceptSetInvalid for a folder without images or annotations."""
    available = [name for name in ANNOTATIONS if (root / name).is_dir()]
    if available and annotations not in available:
        raise ConceptSetInvalid(
            f"{root} has no {annotations}/, but {available[0]}/: "
            f"cityscapes:ROOT?annotations={available[0]} reads that"
        )
    check_layout(root, (IMAGES, annotations), LAYOUT)


def _pair(root: Path, annotations: str) -> tuple[list[LabelledImage], list[str]]:
    """Return images with their masks, and notes on what is left out."""
    image_ending = f"_{IMAGES}.png"
    mask_ending = f"_{annotations}_labelIds.png"
    image_listing = list_files(root / IMAGES, (".png",))
    folders = {path.rpartition("/")[0] for path in image_listing.paths}
    # masks belong to images by name, whatever files they are links to
    mask_listing = list_files(root / annotations, (".png",), folders)
    images = _by_frame(image_listing.paths, image_ending)
    masks = _by_frame(mask_listing.paths, mask_ending)
    paired = [
        LabelledImage(
            f"{IMAGES}/{images[frame]}",
            (f"{annotations}/{masks[frame]}",),
            split=frame.partition("/")[0],
        )
        for frame in images
        if frame in masks
    ]
    if not paired:
        raise ConceptSetInvalid(
            _no_pair(root, annotations, list(images), list(masks))
        )
    notes = [*image_listing.notes(IMAGES), *mask_listing.notes(annotations)]
    notes += _left_out(images, masks, f"images have no mask in {annotations}/")
    notes += _left_out(masks, images, f"masks have no image in {IMAGES}/")
    notes.append(f"no label: {', '.join(VOID)}, which Cityscapes counts as void")
    withheld = [image for image in paired if image.split == WITHHELD]
    if withheld:
        notes.append(
            f"{len(withheld)} images are of the split {WITHHELD}, whose annotations are not "
            "published"
        )
    return paired, notes


def _by_frame(paths: Sequence[str], ending: str) -> dict[str, str]:
    """Return paths by their frame, ``SPLIT/CITY/CITY_000000_000019``, of those with an ending."""
    return {
        path.removesuffix(ending): path for path in paths if path.endswith(ending)
    }


def _left_out(
    frames: dict[str, str], partners: dict[str, str], problem: str
) -> list[str]:
    alone = [path for frame, path in frames.items() if frame not in partners]
    if not alone:
        return []
    return [f"{len(alone)} {problem}, and are left out: for example {alone[0]}"]


def _no_pair(
    root: Path, annotations: str, images: Sequence[str], masks: Sequence[str]
) -> str:
    """Return the message for a folder in which no image has a mask."""
    if not images:
        problem = f"no …_{IMAGES}.png in {root / IMAGES}"
    elif not masks:
        problem = f"no …_{annotations}_labelIds.png in {root / annotations}"
    else:
        problem = (
            f"no image in {root} has a mask of its name: the first image is {images[0]}, and the "
            f"first mask {masks[0]}"
        )
    return f"{problem}; expected {LAYOUT}"
