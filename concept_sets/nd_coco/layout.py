"""Files of COCO's layout: tables of annotations, and the folders of their images and masks.

::

    ROOT/annotations/panoptic_val2017.json     with panoptic_val2017/*.png beside it
    ROOT/annotations/instances_val2017.json
    ROOT/annotations/stuff_val2017.json
    ROOT/val2017/*.jpg                         or ROOT/images/val2017/*.jpg
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin import ConceptSetInvalid, check_relative
from nd_plugin.reading import check_layout

TABLES = "annotations"  # folder of the tables
KINDS = ("panoptic", "instances", "stuff")  # the first that is there is read
SPLIT = re.compile(r"(?:^|[_/.-])(train|val|valid|test)(?:-dev)?\d*(?=$|[_/.-])")
LAYOUT = (
    "COCO's folder: it has annotations/panoptic_val2017.json (with the folder "
    "panoptic_val2017/ of masks beside it), annotations/instances_val2017.json or "
    "annotations/stuff_val2017.json, and its images in val2017/ or images/val2017/; "
    "coco:ROOT?annotations=FILE&images=FOLDER names others"
)


@dataclass(frozen=True)
class TableFiles:
    """Table of annotations with its folders; paths below the set's root, with slashes."""

    table: str
    images: str  # folder that names of images start from
    masks: str  # folder of panoptic masks; "" for none
    split: str  # "train", "val" …; "" for none


def choose_tables(
    root: Path, annotations: str, images: str
) -> tuple[list[TableFiles], list[str]]:
    """Return the table that ``annotations`` names, else those of the layout, and notes on others.

    ``images`` names the folder of images; "" to look for it. Raises ConceptSetInvalid for none.
    """
    if annotations:
        return [named_table(root, annotations, images)], []
    return find_tables(root, images)


def find_tables(root: Path, images: str) -> tuple[list[TableFiles], list[str]]:
    """Find the tables of the first kind that is complete, and notes on those left out.

    ``images`` names the folder of images; "" to look for it. Raises ConceptSetInvalid for none.
    """
    check_layout(root, (TABLES,), LAYOUT)
    incomplete: list[str] = []
    for number, kind in enumerate(KINDS):
        tables = []
        for path in _regular_files(root / TABLES, f"{kind}_*.json"):
            files = files_of_table(root, f"{TABLES}/{path.name}", images)
            problem = missing_folder(files)
            if problem:
                incomplete.append(f"{files.table} left out: {problem}")
            else:
                tables.append(files)
        if tables:
            return tables, [*incomplete, *_unread_kinds(root, kind, number)]
    reasons = "; ".join(incomplete) or f"no such table in {root / TABLES}"
    raise ConceptSetInvalid(
        f"no annotations of COCO in {root}: {reasons}; ROOT is {LAYOUT}"
    )


def _regular_files(folder: Path, pattern: str) -> list[Path]:
    """Return files of a pattern; reading a FIFO would wait for a writer."""
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _unread_kinds(root: Path, kind: str, number: int) -> Iterator[str]:
    """Yield a note on the tables of the kinds behind the one that is read."""
    for later_kind in KINDS[number + 1 :]:
        paths = _regular_files(root / TABLES, f"{later_kind}_*.json")
        if paths:
            yield (
                f"{kind} annotations are read, and {later_kind} annotations are not: "
                f"annotations={TABLES}/{paths[0].name} chooses them"
            )


def named_table(root: Path, table: str, images: str) -> TableFiles:
    """Return the files of a table that is named. Raises ConceptSetInvalid for one that is absent.

    Missing masks are no error: only a panoptic table needs them.
    """
    check_relative(table, root, f"annotations={table}")
    if not (root / table).is_file():
        raise ConceptSetInvalid(
            f"coco: annotations={table} is no file in {root}; ROOT is {LAYOUT}"
        )
    files = files_of_table(root, table, images)
    if not files.images:
        raise ConceptSetInvalid(
            f"{table}: {missing_folder(files)}; ROOT is {LAYOUT}"
        )
    return files


def files_of_table(root: Path, table: str, images: str) -> TableFiles:
    """Return a table with its folders; "" for a folder that is absent."""
    stem = Path(table).stem
    name = stem.partition("_")[2] or stem  # "val2017" of "instances_val2017"
    parent = table.rpartition("/")[0]
    match = SPLIT.search(table)
    if images:
        check_relative(images, root, f"images={images}")
    image_folders = [images] if images else [f"images/{name}", name, "images"]
    masks_beside = f"{parent}/{stem}" if parent else stem
    return TableFiles(
        table,
        _first_folder(root, image_folders),
        _first_folder(root, [masks_beside, stem]),
        match[1] if match else "",
    )


def _first_folder(root: Path, names: Sequence[str]) -> str:
    """Return the first name of a folder that is there; "" for none."""
    return next((name for name in names if (root / name).is_dir()), "")


def missing_folder(files: TableFiles) -> str:
    """Return which folder of a table is missing; "" for none."""
    name = Path(files.table).stem
    if not files.images:
        folder = name.partition("_")[2] or name
        return f"no folder of its images, such as {folder}/ or images/{folder}/"
    if name.startswith(KINDS[0]) and not files.masks:
        return missing_masks(files)
    return ""


def missing_masks(files: TableFiles) -> str:
    """Return what a panoptic table without a folder of masks is told."""
    name = Path(files.table).stem
    return f"no folder {name}/ of its masks beside it: unpack {name}.zip there"
