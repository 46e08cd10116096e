"""Concept sets of ``torch.utils.data.Dataset``s that yield (image, mask)."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from PIL import Image

from nd_plugin.concepts.datasets.items import (
    Integers,
    label_numbers,
    picture_of,
    split_item,
)
from nd_plugin.concepts.datasets.value_names import (
    add_named_values,
    names_of_values,
)
from nd_plugin.concepts.sources.value_tables import ValueTable, unlisted_remarks
from nd_plugin.concepts.sources.vocabulary import Vocabulary
from nd_plugin.contracts.concept_sets import Annotation, Concept, image_entry
from nd_plugin.contracts.provenance import Identity, fingerprint
from nd_plugin.errors import BadInput, ConceptSetInvalid
from nd_plugin.foreign_code import describe_error, translating_errors
from nd_plugin.pictures.masks import check_aspect

VERSION = "1"
IGNORED = (255,)  # values that many data sets have for "no label"
MOST_HASHED = 16  # items whose pixels the fingerprint is of

UNREADABLE = b"unreadable"  # reading such an item is what reports it


class DatasetConcepts:
    """Concept set of a data set's items; see `concepts_from_dataset`."""

    native_masks = False

    def __init__(
        self,
        dataset: Any,
        names: Mapping[int, str] | Sequence[str],
        category: str,
        ignored: tuple[int, ...],
        name: str,
    ) -> None:
        self._dataset = dataset
        self._name = name
        self._length = _length(dataset, name)
        self._ignored = ignored
        what = f"names of {name}"
        self._names = names_of_values(names, what)
        vocabulary = Vocabulary()
        values = add_named_values(vocabulary, self._names, category, ignored, what)
        self.concepts: tuple[Concept, ...] = vocabulary.concepts
        self.categories: tuple[str, ...] = vocabulary.categories
        self._table = ValueTable.of(values, len(self.concepts))
        self._last: tuple[int, Any] | None = None
        self._check_first_item()
        self.notes: tuple[str, ...] = self._fingerprint_notes()

    def _check_first_item(self) -> None:
        """Refuse a data set whose first item is no labelled image, or another each time."""

        def refusal(error: BaseException) -> ConceptSetInvalid:
            reason = (
                str(error) if type(error) is ValueError else describe_error(error)
            )
            return ConceptSetInvalid(f"the data set {self._name}: {reason}")

        with translating_errors(refusal):
            first = self._content(0)
            self.annotation(0)
            self._last = None
            second = self._content(0)
        if first != second:
            raise ConceptSetInvalid(
                f"the data set {self._name} returns another item 0 each time; turn its random "
                "transforms off"
            )

    def _fingerprint_notes(self) -> tuple[str, ...]:
        if self._length <= MOST_HASHED:
            return ()
        return (
            f"the fingerprint of {self._name} is of {MOST_HASHED} of its {self._length} items, "
            "spread evenly: a change of others is not noticed",
        )

    @cached_property
    def identity(self) -> Identity:
        """Identity; a few items are read for the fingerprint, at the first look at it."""
        content = fingerprint(self._identifying_chunks())
        return Identity("dataset", self._name, VERSION, content)

    def _identifying_chunks(self) -> Iterator[bytes]:
        """Yield the number of items, the names, and the pixels of some items."""
        categories = ", ".join(self.categories)
        yield f"{self._length} {categories} {self._ignored}\n".encode()
        for value, concept_name in sorted(self._names.items()):
            yield f"{value} {concept_name}\n".encode()
        count = min(self._length, MOST_HASHED)
        for number in range(count):
            yield self._identifying_content(number * self._length // count)

    def _identifying_content(self, index: int) -> bytes:
        """Return an item's content; `UNREADABLE` for one that cannot be read."""
        try:
            return self._content(index)
        # the data set is the user's, and may raise any
        except Exception:
            return UNREADABLE

    def _content(self, index: int) -> bytes:
        """Return the pixels of an item's image and mask, with their sizes and types."""
        image, mask = self._item(index)
        picture = self._picture(image, index)
        numbers = self._label_numbers(mask, index)
        head = f"{picture.mode} {picture.size} {numbers.shape} {numbers.dtype}\n"
        return head.encode() + picture.tobytes() + numbers.tobytes()

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def name(self, index: int) -> str:
        """Return the item's number, such as ``item-00012``."""
        return f"item-{image_entry(range(self._length), index):05d}"

    def image(self, index: int) -> Image.Image:
        """Return the image. Raises ValueError for an item that holds none."""
        image, _ = self._item(index)
        # the item is kept for the annotation, and a data set may keep its own
        return self._picture(image, index).copy()

    def annotation(self, index: int) -> Annotation:
        """Return one plane, at the mask's own size.

        Raises ValueError for an item without mask, and for a mask of another aspect.
        """
        image, mask = self._item(index)
        picture = self._picture(image, index)
        numbers = self._label_numbers(mask, index)
        what = f"the mask of item {index}"
        height, width = numbers.shape
        check_aspect((height, width), (picture.height, picture.width), what)
        plane, unlisted = self._table.plane(numbers)
        unnamed = unlisted.difference(self._ignored)
        remarks = unlisted_remarks(unnamed, "masks", "names")
        return Annotation([plane], remarks=remarks)

    def _item(self, index: int) -> tuple[Any, Any]:
        """Return an item. The last is kept: image and annotation are asked for one by one."""
        if self._last is None or self._last[0] != index:
            number = image_entry(range(self._length), index)
            item = split_item(self._dataset[number], f"item {index}")
            self._last = (index, item)
            return item
        pair: tuple[Any, Any] = self._last[1]
        return pair

    def _picture(self, image: Any, index: int) -> Image.Image:
        return picture_of(image, f"the image of item {index}")

    def _label_numbers(self, mask: Any, index: int) -> Integers:
        return label_numbers(mask, f"the mask of item {index}")


def concepts_from_dataset(
    dataset: Any,
    names: Mapping[int, str] | Sequence[str],
    *,
    category: str = "object",
    ignore: Iterable[int] = IGNORED,
    name: str = "",
) -> DatasetConcepts:
    """Convert a ``torch.utils.data.Dataset`` that yields (image, mask) to a concept set.

    Images are PIL images, or tensors and NumPy arrays in ``uint8`` or in floats from 0 to 1, before
    they are normalised; tensors are (channel, row, column). Masks are integers (row, column). Item
    0 is read at once, and nothing of the others.

    Args:
        dataset: Object with ``__len__`` and ``__getitem__``; picklable, for worker processes.
        names: Names by mask value, or a sequence in which the name at index v is v's. Values
            without a name, or with an empty one, are "no label".
        category: Category of all concepts.
        ignore: Values that are "no label", also where they have a name.
        name: Source in results; "": the data set's class.

    Raises:
        ConceptSetInvalid: A data set without length, an item 0 that is no pair of image and mask,
            or differs when it is read again, or names that are none.
    """
    cls = type(dataset)
    source = name or f"{cls.__module__}.{cls.__qualname__}"
    ignored = tuple(_integer(value) for value in ignore)
    return DatasetConcepts(dataset, names, category, ignored, source)


def _integer(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise BadInput(
            f"ignore: {value!r} is no mask value, a whole number"
        ) from error


def _length(dataset: Any, name: str) -> int:
    """Return the number of items. Raises ConceptSetInvalid for a data set without one."""
    cls = type(dataset)
    if not hasattr(cls, "__getitem__") or not hasattr(cls, "__len__"):
        raise ConceptSetInvalid(
            f"{name} has no length and no numbered items, as an IterableDataset; give a data set "
            "with __len__ and __getitem__ (a list of its items is one)"
        )

    def refusal(error: BaseException) -> ConceptSetInvalid:
        return ConceptSetInvalid(
            f"the length of the data set {name} cannot be told: {describe_error(error)}"
        )

    with translating_errors(refusal):
        length = len(dataset)
    if length == 0:
        raise ConceptSetInvalid(f"the data set {name} has no items")
    return length
