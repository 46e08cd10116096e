"""Overlay of two concept sets of the same images: the annotations of both."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from nd_plugin.concepts.combine.combined_set import CombinedConcepts, operand_text
from nd_plugin.concepts.combine.vocabulary import Vocabulary, translated_annotation
from nd_plugin.contracts.concept_sets import Annotation, ConceptSet, image_entry
from nd_plugin.errors import ConceptSetInvalid, NDError
from nd_plugin.pictures.conversion import REMARKS, orientation_of
from nd_plugin.pictures.files import TURNING_ORIENTATIONS
from nd_plugin.pictures.masks import check_aspect
from nd_plugin.pictures.pixel_limit import pixel_limit
from nd_plugin.receptive_fields.geometry import Size

NAMES_LISTED = 3


class OverlaidConcepts(CombinedConcepts):
    """Images of the first set, with the annotations of both.

    Images are matched by their names, or else by their names without endings. The vocabulary is the
    union: a concept that both have, by name and category, is one. Masks have the size of the first
    set's. Where one set alone has native masks, they have the size of these, and its counts are the
    same as without the other set.
    Raises ConceptSetInvalid for sets of different images.
    """

    kind = "overlay"
    binds_weakly = True

    def __init__(self, first: ConceptSet, second: ConceptSet) -> None:
        self._first = first
        self._second = second
        self._index_in_second = _matched(first, second)
        vocabulary = Vocabulary.union([first, second])
        self._first_table = vocabulary.table_from(first.concepts)
        self._second_table = vocabulary.table_from(second.concepts)
        differ = first.native_masks != second.native_masks
        super().__init__(
            [first, second],
            vocabulary,
            first.native_masks or second.native_masks,
            [_note_on_masks(first, second)] if differ else [],
        )
        self._check_first_image()

    @property
    def source(self) -> str:
        """Texts of both sets, with a plus."""
        return f"{operand_text(self._first)}+{operand_text(self._second)}"

    def content(self) -> Iterable[bytes]:
        """Yield which images belong together."""
        yield np.array(self._index_in_second, "<i8").tobytes()

    def __len__(self) -> int:
        return len(self._index_in_second)

    def places(self, index: int) -> list[tuple[ConceptSet, int]]:
        """Return both sets, and the image's index in each."""
        index_in_second = image_entry(self._index_in_second, index)
        return [(self._first, index), (self._second, index_in_second)]

    def image(self, index: int) -> Image.Image:
        """Return the first set's image.

        Raises ConceptSetInvalid where the second set's has another aspect: it is another image.
        """
        image = self._first.image(index)
        if self._is_same_file(index):
            return image
        second_image = self._second.image(image_entry(self._index_in_second, index))
        size = _upright_size(image)
        second_size = _upright_size(second_image)
        if size != second_size:
            self._check_sizes(index, size, second_size)
            remark = f"of another size in {self._second.identity.source}, with the same aspect"
            remarks = image.info.get(REMARKS, ())
            if isinstance(remarks, tuple) and remark not in remarks:
                image.info[REMARKS] = (*remarks, remark)
        return image

    def annotation(self, index: int) -> Annotation:
        """Return the planes and labels of both sets."""
        first = translated_annotation(self._first, index, self._first_table)
        second = translated_annotation(
            self._second,
            image_entry(self._index_in_second, index),
            self._second_table,
        )
        is_sized_by_second = (
            self._second.native_masks and not self._first.native_masks
        )
        sizes = [first.size, second.size]
        if is_sized_by_second:
            sizes.reverse()
        size = next((size for size in sizes if size is not None), None)
        return Annotation(
            [*first.planes, *second.planes],
            tuple(dict.fromkeys([*first.labels, *second.labels])),
            size,
            tuple(dict.fromkeys([*first.remarks, *second.remarks])),
        )

    def _is_same_file(self, index: int) -> bool:
        """Return whether both sets read the image from one file: the first that they name."""
        groups = []
        for part, part_index in self.places(index):
            files_of = getattr(part, "files", lambda _: ())
            groups.append([str(path) for path in files_of(part_index)])
        first, second = groups
        return bool(first and second) and first[0] == second[0]

    def _check_first_image(self) -> None:
        """Refuse other images early; one that cannot be read is reported when the run reads it."""
        try:
            with pixel_limit(None):
                self.image(0)
        except NDError:
            raise
        except Exception:  # a concept set may raise anything
            return

    def _check_sizes(self, index: int, size: Size, second_size: Size) -> None:
        """Raise ConceptSetInvalid for sizes (rows, columns) of different aspect."""
        try:
            check_aspect(second_size, size, "the image")
        except ValueError as error:
            rows, columns = size
            second_rows, second_columns = second_size
            second_name = self._second.name(
                image_entry(self._index_in_second, index)
            )
            raise ConceptSetInvalid(
                f"{self.source} needs the same images in both sets: {self.name(index)} is "
                f"{columns}x{rows} in {self._first.identity.source}, and {second_name} is "
                f"{second_columns}x{second_rows} in {self._second.identity.source}"
            ) from error


def _upright_size(image: Image.Image) -> Size:
    """Return rows and columns of a decoded image, turned as its EXIF orientation says."""
    if orientation_of(image) in TURNING_ORIENTATIONS:
        return image.width, image.height
    return image.height, image.width


def _note_on_masks(first: ConceptSet, second: ConceptSet) -> str:
    native, resized = (first, second) if first.native_masks else (second, first)
    return (
        f"masks of {resized.identity.source} are compared at the size of those of "
        f"{native.identity.source}, as the latter are native; --mask-size sets another"
    )


def _matched(first: ConceptSet, second: ConceptSet) -> tuple[int, ...]:
    """Return the index in the second set of each image of the first, by name or without ending.

    Raises ConceptSetInvalid for images that are in one set only.
    """
    names = [first.name(index) for index in range(len(first))]
    second_names = [second.name(index) for index in range(len(second))]
    for key in (str, _stem):
        indices = {key(name): index for index, name in enumerate(second_names)}
        keys = [key(name) for name in names]
        is_unique = len(indices) == len(second_names) == len(set(keys)) == len(keys)
        if is_unique and indices.keys() == set(keys):
            return tuple(indices[name] for name in keys)
    raise ConceptSetInvalid(
        f"{operand_text(first)}+{operand_text(second)} needs the same images in both sets: "
        f"{_differences(first, names, second, second_names)}"
    )


def _stem(name: str) -> str:
    """Return a name without its ending."""
    return os.path.splitext(name)[0]  # noqa: PTH122 (a name, not a path)


def _differences(
    first: ConceptSet,
    names: Sequence[str],
    second: ConceptSet,
    second_names: Sequence[str],
) -> str:
    """Return which images are in one set only, or else which names are there more than once."""
    only_in_first = _without(names, second_names)
    only_in_second = _without(second_names, names)
    sentences = []
    if only_in_first:
        sentences.append(_only_in(first, only_in_first))
    if only_in_second:
        sentences.append(_only_in(second, only_in_second))
    if not sentences:
        counts = Counter(map(_stem, names)) + Counter(map(_stem, second_names))
        name, _ = counts.most_common(1)[0]
        return f"several images of one of them are named {name!r}, with any ending"
    return (
        f"{'; '.join(sentences)}; select the same images of both first (SET[split=val]), or put "
        "one set behind the other: concat(a, b)"
    )


def _without(names: Sequence[str], other_names: Sequence[str]) -> list[str]:
    """Return the names that, without their endings, are not among others."""
    stems = set(map(_stem, other_names))
    return [name for name in names if _stem(name) not in stems]


def _only_in(concepts: ConceptSet, names: Sequence[str]) -> str:
    listed = ", ".join(names[:NAMES_LISTED])
    beyond = " …" if len(names) > NAMES_LISTED else ""
    return f"{len(names)} are only in {concepts.identity.source}: {listed}{beyond}"
