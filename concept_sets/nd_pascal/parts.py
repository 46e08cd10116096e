"""Reader of Pascal-Part (Chen et al., CVPR 2014), annotations of VOC2010's images.

::

    ROOT/Annotations_Part/2008_000002.mat  anno: imname, objects
        objects (1, n): class 'person', class_ind 15, mask (row, column), parts
        parts (1, n) or empty: part_name 'lfoot', mask (row, column)
    VOC2010/JPEGImages/2008_000002.jpg     in ROOT, ROOT/VOC2010 or where ?voc= says
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nd_pascal.classes import CLASSES, WORDS, add_object
from nd_pascal.folders import (
    IMAGES,
    annotated_images,
    find_annotations,
    find_images,
    split_lists,
)
from nd_pascal.part_names import PART_NAMES, plain_name
from nd_plugin import Annotation, Identity, check_aspect
from nd_plugin.reading import (
    LabelledFiles,
    PlaneStack,
    Vocabulary,
    existing_root,
    image_entry,
    load_matlab,
    set_text,
)

VERSION = "1"
ANNOTATIONS = "Annotations_Part"
LAYOUT = f"{ANNOTATIONS}/NAME.mat of Pascal-Part"
NAMES = (
    "part",
    "trainval",
    "PascalPart",
    "Pascal-Part",
)  # folders that ROOT may hold
PART = "part"
ANNO = "anno"


class Parts(LabelledFiles):
    """Images of VOC2010 with masks of objects and of their parts, each on planes of its own.

    ``voc`` names the folder with JPEGImages/ where it is not below ``root``. Raises
    ConceptSetInvalid for a folder that is not in this layout.
    """

    def __init__(self, root: str, *, voc: str = "") -> None:
        folder = existing_root(
            root, "pascal_part:ROOT", f"the folder with {LAYOUT}"
        )
        prefix = find_annotations(folder, (ANNOTATIONS,), NAMES, LAYOUT)
        voc_folder, notes = find_images(folder, voc, "pascal_part")
        vocabulary = Vocabulary()
        self._objects = {
            name: add_object(vocabulary, name) for name in (*CLASSES, *WORDS)
        }
        self._parts = {
            name: vocabulary.add(name, PART) for name in sorted(PART_NAMES.values())
        }
        self._dtype = np.min_scalar_type(len(vocabulary.concepts))
        lists = split_lists(folder / prefix, voc_folder / "ImageSets" / "Main")
        annotated = annotated_images(
            folder, f"{prefix}{ANNOTATIONS}", ".mat", voc_folder / IMAGES, lists
        )
        source = set_text("pascal_part", root, {"voc": voc})
        super().__init__(
            folder,
            Identity("pascal_part", source, VERSION, ""),
            vocabulary,
            annotated.images,
            image_folder=voc_folder / IMAGES,
            tables=annotated.tables,
            notes=[*notes, *annotated.notes],
            follows_links=True,
        )

    def annotation(self, index: int) -> Annotation:
        """Return planes of objects, and planes of parts.

        Raises ValueError for a file that is unreadable, or whose masks do not fit the image.
        """
        path = image_entry(self.images, index).label_files[0]
        what = f"the file {path}"
        anno = load_matlab(self.label_files.path(path), ANNO, what)
        size = self.size(index)
        objects = PartPlanes(what, self._objects, self._dtype)
        parts = PartPlanes(what, self._parts, self._dtype)
        for record in records(anno, what):
            for instance in records(field(record, "objects", what), what):
                name = text_of(field(instance, "class", what), what)
                objects.add(name, name, field(instance, "mask", what))
                for part in records(field(instance, "parts", what), what):
                    short = text_of(field(part, "part_name", what), what)
                    parts.add(plain_name(short), short, field(part, "mask", what))
        planes = [*objects.planes, *parts.planes]
        for plane in planes:
            check_aspect(plane.shape, size.upright, what, size.stored)
        remarks = [*objects.remarks("object"), *parts.remarks("part")]
        return Annotation(planes, remarks=tuple(remarks))


class PartPlanes:
    """Planes of one category, and the names that are not in its vocabulary."""

    def __init__(self, what: str, values: dict[str, int], dtype: Any) -> None:
        self._what = what
        self._values = values
        self._dtype = dtype
        self._stack: PlaneStack | None = None
        self._unknown: set[str] = set()

    @property
    def planes(self) -> list[npt.NDArray[np.integer[Any]]]:
        """Planes (row, column)."""
        return self._stack.planes if self._stack is not None else []

    def add(self, name: str | None, stored_name: str, mask: Any) -> None:
        """Add the mask of a concept. Raises ValueError for what is no mask."""
        value = self._values.get(name) if name is not None else None
        if value is None:
            self._unknown.add(stored_name)
            return
        if not isinstance(mask, np.ndarray) or mask.ndim != 2:
            raise ValueError(
                f"{self._what}: the mask of {stored_name!r} is no grid (row, column)"
            )
        if self._stack is None:
            self._stack = PlaneStack(mask.shape, self._dtype)
        self._stack.add(mask != 0, value)

    def remarks(self, kind: str) -> list[str]:
        """Return a remark on each name that the vocabulary lacks."""
        return [
            f"the {kind} {name!r} is none of Pascal-Part's, and is left out"
            for name in sorted(self._unknown)
        ]


def records(value: Any, what: str) -> list[np.void]:
    """Return the structs of a struct array; none of an empty array."""
    if not isinstance(value, np.ndarray):
        raise ValueError(
            f"{what} holds {type(value).__name__} where structs belong"
        )
    if value.size and value.dtype.names is None:
        raise ValueError(f"{what} holds numbers or texts where structs belong")
    return list(value.ravel()) if value.dtype.names is not None else []


def field(record: np.void, name: str, what: str) -> Any:
    """Return a field of a struct. Raises ValueError for one that it lacks."""
    if name not in (record.dtype.names or ()):
        raise ValueError(f"{what} has a struct without the field {name!r}")
    return record[name]


def text_of(value: Any, what: str) -> str:
    """Return the text of a field. Raises ValueError for anything else."""
    is_text = isinstance(value, np.ndarray) and value.dtype.kind == "U"
    if not is_text or value.size != 1:
        raise ValueError(f"{what} has a name that is no text")
    return str(value.item())
