"""Concatenation of concept sets: the images of one behind those of the other."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

from nd_plugin.concepts.combine.combined_set import CombinedConcepts, operand_text
from nd_plugin.concepts.combine.vocabulary import Vocabulary, translated_annotation
from nd_plugin.contracts.concept_sets import Annotation, ConceptSet, image_entry


class ConcatenatedConcepts(CombinedConcepts):
    """Images of all parts, in the order of the parts.

    The vocabulary is the union; an image has no label of the categories that its part lacks, and so
    does not count for them. An image whose name several parts have is named with the number of its
    part in front: ``2/street.jpg``.
    """

    kind = "concatenation"

    def __init__(self, parts: Sequence[ConceptSet]) -> None:
        vocabulary = Vocabulary.union(parts)
        self._tables = [vocabulary.table_from(part.concepts) for part in parts]
        self._ends = list(accumulate(len(part) for part in parts))
        self._names, repeated = _unique_names(parts)
        notes = []
        if repeated:
            notes.append(
                f"{len(repeated)} names of images are those of several sets, such as "
                f"{repeated[0]}: these images are named with the number of their set in front"
            )
        native_masks = all(part.native_masks for part in parts)
        if not native_masks and any(part.native_masks for part in parts):
            notes.append(_note_on_masks(parts))
        super().__init__(parts, vocabulary, native_masks, notes)

    @property
    def source(self) -> str:
        """Texts of all parts, in order."""
        return f"concat({', '.join(map(operand_text, self.parts))})"

    def content(self) -> Iterable[bytes]:
        """Yield the number of images of each part."""
        yield f"{self._ends}\n".encode()

    def __len__(self) -> int:
        return self._ends[-1]

    def name(self, index: int) -> str:
        """Return the name of an image, unique among all parts."""
        return image_entry(self._names, index)

    def places(self, index: int) -> list[tuple[ConceptSet, int]]:
        """Return the part that an image belongs to, and the image's index there."""
        part, part_index = self._place(index)
        return [(self.parts[part], part_index)]

    def annotation(self, index: int) -> Annotation:
        """Return the labels of an image in the numbers of the union."""
        part, part_index = self._place(index)
        return translated_annotation(
            self.parts[part], part_index, self._tables[part]
        )

    def _place(self, index: int) -> tuple[int, int]:
        """Return the number of the part that an image belongs to, and the index there."""
        if not 0 <= index < len(self):
            raise IndexError(f"no image {index}: there are {len(self)}")
        part = bisect_right(self._ends, index)
        return part, index - (self._ends[part - 1] if part else 0)


def _unique_names(parts: Sequence[ConceptSet]) -> tuple[list[str], list[str]]:
    """Return the name of each image, and the names that several parts have."""
    names_of_parts = [
        [part.name(index) for index in range(len(part))] for part in parts
    ]
    counts: Counter[str] = Counter()
    for part_names in names_of_parts:
        counts.update(set(part_names))
    names: list[str] = []
    for number, part_names in enumerate(names_of_parts, start=1):
        prefix = f"{number}/"
        while any(f"{prefix}{name}" in counts for name in part_names):
            prefix = f"{number}/{prefix}"
        for name in part_names:
            names.append(f"{prefix}{name}" if counts[name] > 1 else name)
    repeated = [name for name, count in counts.items() if count > 1]
    return names, repeated


def _note_on_masks(parts: Sequence[ConceptSet]) -> str:
    native = [part.identity.source for part in parts if part.native_masks]
    return (
        f"masks of {', '.join(native)} are native and those of other sets are not: all are "
        "compared at half the model's input, so that images weigh the same; --mask-size sets "
        "another size"
    )
