"""Folders of Pascal VOC's development kit, and of what others annotate its images with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin import BadInput, ConceptSetInvalid
from nd_plugin.reading import (
    LabelledImage,
    check_layout,
    existing_root,
    missing_names,
    names_in,
    read_splits,
)

IMAGES = "JPEGImages"
VOC_LAYOUT = "VOCdevkit/VOC2012 with JPEGImages/, SegmentationClass/ and ImageSets/"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class AnnotatedImages:
    """Images that have an annotation, and what was read to find them."""

    images: Sequence[LabelledImage]
    tables: Sequence[Path]  # lists of splits
    notes: Sequence[str]


def find_voc(
    root: Path, needed: Sequence[str], year: str = ""
) -> tuple[Path, list[str]]:
    """Return the folder VOCyyyy that is ``root`` or below it, and what is to be said of it.

    The latest year is taken, unless one is asked for. Raises ConceptSetInvalid for none that has
    what is ``needed``.
    """
    if year and not (year.isascii() and year.isdecimal()):
        raise BadInput(f"voc: year={year[:40]} is no year, such as 2012")
    folders = [root, *_years(root), *_years(root / "VOCdevkit")]
    if year:
        folders = [folder for folder in folders if folder.name == f"VOC{year}"]
    fitting = [folder for folder in folders if not missing_names(folder, needed)]
    if not fitting:
        check_layout(
            folders[0] if folders else root / f"VOC{year}", needed, VOC_LAYOUT
        )
    if fitting[0] == root:
        return root, []
    note = f"read from {fitting[0].relative_to(root)} in {root}"
    if len(fitting) > 1:
        names = ", ".join(folder.name for folder in fitting)
        note += f", the latest of {names}; another with ?year="
    return fitting[0], [note]


def _years(folder: Path) -> list[Path]:
    """Return the folders VOCyyyy in a folder, the latest first."""
    return sorted(
        (path for path in folder.glob("VOC[0-9][0-9][0-9][0-9]") if path.is_dir()),
        reverse=True,
    )


def find_annotations(
    root: Path, needed: Sequence[str], names: Sequence[str], layout: str
) -> str:
    """Return the path below ``root`` of the folder that has what is ``needed``; "" for itself.

    Looked for in ``root``, in folders of these ``names`` and in those of the development kit.
    Raises ConceptSetInvalid for none.
    """
    folders = [root, *[root / name for name in names]]
    folders += [*_years(root), *_years(root / "VOCdevkit")]
    fitting = [folder for folder in folders if not missing_names(folder, needed)]
    if not fitting:
        check_layout(root, needed, layout)
    prefix = fitting[0].relative_to(root).as_posix()
    return "" if prefix == "." else f"{prefix}/"


def find_images(root: Path, voc: str, whose: str) -> tuple[Path, list[str]]:
    """Return the folder VOCyyyy with the images, and a note on it.

    ``voc`` names it, or the development kit; "": it is below ``root``. VOC2010, which was
    annotated, comes first; later years hold its images, too. Raises ConceptSetInvalid for none,
    naming the option of ``whose`` text.
    """
    folder = root
    if voc:
        folder = existing_root(voc, f"{whose}:ROOT?voc=FOLDER", VOC_LAYOUT)
    years = [*_years(folder), *_years(folder / "VOCdevkit")]
    years.sort(key=lambda path: path.name != "VOC2010")
    for path in (folder, *years):
        if (path / IMAGES).is_dir():
            return path, [f"images are those in {path / IMAGES}"]
    raise ConceptSetInvalid(
        f"no {IMAGES}/ of VOC2010 in {folder}, nor in VOC2010/ or VOCdevkit/VOC2010/ there; it "
        f"holds the images of {whose}: unpack it there, or name its folder: "
        f"{whose}:ROOT?voc=VOCdevkit/VOC2010"
    )


def split_lists(*folders: Path) -> dict[str, Path]:
    """Return the lists of splits in the first of these folders that has that of training."""
    for folder in folders:
        if (folder / "train.txt").is_file():
            lists = {split: folder / f"{split}.txt" for split in SPLITS}
            return {
                split: path
                for split, path in lists.items()
                if split != "test" or path.exists()
            }
    return {}


def stems(folder: Path, ending: str) -> list[str]:
    """Return the names of the files with an ending in a folder, without it, sorted."""
    return sorted(
        name.removesuffix(ending)
        for name in names_in(folder)
        if name.endswith(ending) and not name.startswith(".")
    )


def annotated_images(
    root: Path,
    annotations: str,
    ending: str,
    images: Path,
    lists: Mapping[str, Path],
) -> AnnotatedImages:
    """Return the images NAME.jpg in a folder that have an annotation NAME + ``ending``.

    ``annotations`` is the folder of those, below ``root``; ``lists`` are the files of splits.
    """
    annotated = stems(root / annotations, ending)
    names, notes = with_images(annotated, images, annotations)
    splits, notes_on_splits = read_splits(lists, names)
    labelled_images = [
        LabelledImage(
            f"{name}.jpg",
            (f"{annotations}/{name}{ending}",),
            split=splits.get(name, ""),
        )
        for name in names
    ]
    tables = [path for path in lists.values() if path.exists()]
    return AnnotatedImages(labelled_images, tables, [*notes, *notes_on_splits])


def with_images(
    names: Sequence[str], images: Path, annotations: str
) -> tuple[list[str], list[str]]:
    """Return the names that have an image NAME.jpg, and a note on those that have none."""
    image_names = frozenset(names_in(images))
    without_image = [name for name in names if f"{name}.jpg" not in image_names]
    if not without_image:
        return list(names), []
    with_image = [name for name in names if f"{name}.jpg" in image_names]
    note = (
        f"{len(without_image)} of {len(names)} files in {annotations} have no image in {images}, "
        f"for example {without_image[0]}"
    )
    return with_image, [note]
