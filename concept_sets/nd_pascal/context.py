"""Reader of Pascal-Context (Mottaghi et al., CVPR 2014), annotations of VOC2010's images.

::

    ROOT/trainval/2008_000002.mat          LabelMap (row, column): 1 to 459
    ROOT/labels.txt                        1: accordion
    ROOT/59_context_labels/2008_000002.png with ROOT/59_labels.txt, of the 59 or 33 most frequent
    VOC2010/JPEGImages/2008_000002.jpg     in ROOT, ROOT/VOC2010 or where ?voc= says
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_pascal.classes import add_object
from nd_pascal.folders import (
    IMAGES,
    annotated_images,
    find_annotations,
    find_images,
    split_lists,
)
from nd_plugin import (
    Annotation,
    BadInput,
    ConceptSetInvalid,
    Identity,
    PictureSize,
    check_aspect,
)
from nd_plugin.reading import (
    LabelledFiles,
    ValueTable,
    Vocabulary,
    existing_root,
    image_entry,
    load_matlab,
    read_lines,
    set_text,
    unlisted_remarks,
)

VERSION = "1"
ALL = "459"
# number of labels: folder of their masks, their ending, their names
MASKS = {
    ALL: ("trainval", ".mat", "labels.txt"),
    "59": ("59_context_labels", ".png", "59_labels.txt"),
    "33": ("33_context_labels", ".png", "33_labels.txt"),
}
NAMES = ("context", "pascal-context", "PASCALContext")  # folders that ROOT may hold
LINE = re.compile(r"([0-9]{1,9})\s*:\s*(.+)")
LARGEST = 65535  # in a mask of 16 bits
UNKNOWN = "unknown"  # a label for what has none
LABEL_MAP = "LabelMap"


class Context(LabelledFiles):
    """Images of VOC2010, in which every pixel has a label: objects and what surrounds them.

    ``labels`` is 459 for all, or 59 or 33 for the masks of the most frequent ones; ``voc`` names
    the folder with JPEGImages/ where it is not below ``root``. Raises ConceptSetInvalid for a
    folder that is not in this layout.
    """

    def __init__(self, root: str, *, voc: str = "", labels: str = ALL) -> None:
        masks, ending, table = _masks_of(labels)
        layout = f"{masks}/NAME{ending} and {table} of Pascal-Context"
        folder = existing_root(
            root, "pascal_context:ROOT", f"the folder with {layout}"
        )
        prefix = find_annotations(folder, (masks, table), NAMES, layout)
        voc_folder, notes = find_images(folder, voc, "pascal_context")
        vocabulary = Vocabulary()
        values = _labels(folder / prefix / table, vocabulary)
        self._table = ValueTable.of(values)
        self._unlabelled = {number for number, value in values.items() if not value}
        self._labels = f"{prefix}{table}"
        sets = voc_folder / "ImageSets"
        lists = split_lists(
            folder / prefix, sets / "SegmentationContext", sets / "Main"
        )
        annotated = annotated_images(
            folder, f"{prefix}{masks}", ending, voc_folder / IMAGES, lists
        )
        options = {"voc": voc, "labels": labels}
        source = set_text("pascal_context", root, options, {"labels": ALL})
        super().__init__(
            folder,
            Identity("pascal_context", source, VERSION, ""),
            vocabulary,
            annotated.images,
            image_folder=voc_folder / IMAGES,
            tables=[folder / self._labels, *annotated.tables],
            notes=[*notes, *annotated.notes],
            follows_links=True,
        )

    def annotation(self, index: int) -> Annotation:
        """Return a plane of objects. Raises ValueError for a file that is unreadable."""
        path = image_entry(self.images, index).label_files[0]
        size = self.size(index)
        if path.endswith(".mat"):
            pixels = self._label_map(path, size)
        else:
            pixels = self.mask(path, size, ("P", "L"))
        plane, unlisted = self._table.plane(pixels)
        where = f"masks of {path.rpartition('/')[0]}/"
        remarks = unlisted_remarks(unlisted - self._unlabelled, where, self._labels)
        return Annotation([plane], remarks=remarks)

    def _label_map(
        self, path: str, size: PictureSize
    ) -> npt.NDArray[np.integer[Any]]:
        """Return the labels (row, column) of a MATLAB file. Raises ValueError."""
        what = f"the file {path}"
        values = load_matlab(self.label_files.path(path), LABEL_MAP, what)
        is_grid = isinstance(values, np.ndarray) and values.ndim == 2
        if not is_grid or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"{what}: its {LABEL_MAP} is no grid of integers (row, column)"
            )
        check_aspect(values.shape, size.upright, what, size.stored)
        pixels: npt.NDArray[np.integer[Any]] = values
        return pixels


def _masks_of(labels: str) -> tuple[str, str, str]:
    """Return the folder of the masks with so many labels, their ending, and the table of names."""
    if labels not in MASKS:
        raise BadInput(
            f"pascal_context: labels={labels[:40]} is none of {', '.join(MASKS)}"
        )
    return MASKS[labels]


def _labels(path: Path, vocabulary: Vocabulary) -> dict[int, int]:
    """Return the plane value of each label's number; 0 for the label of what has none."""
    values: dict[int, int] = {0: 0}
    for position, line in read_lines(path):
        match = LINE.fullmatch(line)
        if match is None or int(match[1]) > LARGEST:
            raise ConceptSetInvalid(
                f"{position}: {line[:40]!r} is no label; expected a number and a name, such as "
                "'1: accordion'"
            )
        number = int(match[1])
        if number == 0:
            continue
        if number in values:
            raise ConceptSetInvalid(
                f"{position}: the number {number} is listed twice; delete one of the two"
            )
        is_unknown = match[2] == UNKNOWN
        values[number] = 0 if is_unknown else add_object(vocabulary, match[2])
    return values
