"""Part of a concept set: by category, name of a concept, split, and number of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from nd_plugin.concepts.combine.combined_set import (
    CombinedConcepts,
    operand_text,
    split_of,
)
from nd_plugin.concepts.combine.sample_counts import count_samples
from nd_plugin.concepts.combine.selection import Selection
from nd_plugin.concepts.combine.vocabulary import (
    Vocabulary,
    translated_annotation,
)
from nd_plugin.contracts.concept_sets import Annotation, ConceptSet, image_entry
from nd_plugin.errors import ConceptSetInvalid, nearest

NAMES_LISTED = 8  # in a message or note


class SelectedConcepts(CombinedConcepts):
    """Part of a concept set.

    Categories, names and the number of samples choose concepts: an image stays without any of them,
    as its activations count for the thresholds. A split chooses images. Raises ConceptSetInvalid
    for what the set has not, naming the nearest that it has.
    """

    kind = "selection"

    def __init__(self, whole: ConceptSet, selection: Selection) -> None:
        self._whole = whole
        self._selection = selection
        self._images = _selected_images(whole, selection)
        selected, notes = _selected_concepts(whole, selection)
        numbers, notes_on_samples = _frequent(
            whole, selected, self._images, selection
        )
        notes += notes_on_samples
        vocabulary = Vocabulary.part(whole, numbers)
        super().__init__([whole], vocabulary, whole.native_masks, notes)
        self._table = vocabulary.table_from(whole.concepts)

    @property
    def source(self) -> str:
        """Text of the set and of the selection."""
        return f"{operand_text(self._whole)}{self._selection.text}"

    def content(self) -> Iterable[bytes]:
        """Yield the numbers of the images and concepts that are selected."""
        yield np.array(self._images, "<i8").tobytes()
        yield self._table.astype("<i8").tobytes()

    def __len__(self) -> int:
        return len(self._images)

    def places(self, index: int) -> list[tuple[ConceptSet, int]]:
        """Return the whole set, and the image's index there."""
        return [(self._whole, image_entry(self._images, index))]

    def annotation(self, index: int) -> Annotation:
        """Return the labels of the selected concepts."""
        return translated_annotation(
            self._whole, image_entry(self._images, index), self._table
        )


def _selected_images(whole: ConceptSet, selection: Selection) -> Sequence[int]:
    """Return the images of the selected splits, in their order."""
    images = range(len(whole))
    if not selection.splits:
        return images
    splits = [split_of(whole, index) for index in images]
    known = [split for split in dict.fromkeys(splits) if split]
    for split in selection.splits:
        if split not in known:
            raise ConceptSetInvalid(_no_split(whole, split, known))
    return [
        index for index, split in enumerate(splits) if split in selection.splits
    ]


def _no_split(whole: ConceptSet, split: str, known: Sequence[str]) -> str:
    source = whole.identity.source
    if not known:
        return f"{source} has no splits: split={split} cannot be selected"
    return f"{source} has no split {split!r}{_known(split, known)}"


def _selected_concepts(
    whole: ConceptSet, selection: Selection
) -> tuple[list[int], list[str]]:
    """Return the numbers of the concepts of the selected categories and names, and notes."""
    for category in selection.categories:
        if category not in whole.categories:
            raise ConceptSetInvalid(_no_category(whole, category))
    categories = selection.categories or whole.categories
    numbers = [
        number
        for number, concept in enumerate(whole.concepts)
        if concept.category in categories
    ]
    if not selection.names:
        return numbers, []
    selected: set[int] = set()
    notes = []
    for name in selection.names:
        named = _named(whole, numbers, name, selection)
        selected.update(named)
        names = [whole.concepts[number].name for number in named]
        if name not in names:
            notes.append(f"{name!r} was selected as a synonym of {_listed(names)}")
    return [number for number in numbers if number in selected], notes


def _named(
    whole: ConceptSet, numbers: Sequence[int], name: str, selection: Selection
) -> list[int]:
    """Return the concepts of a name, or else those of which it is a synonym.

    Raises ConceptSetInvalid for none.
    """
    concepts = {number: whole.concepts[number] for number in numbers}
    named = [number for number, concept in concepts.items() if concept.name == name]
    synonymous = [
        number for number, concept in concepts.items() if name in concept.synonyms
    ]
    if named or synonymous:
        return named or synonymous
    names = [concept.name for concept in concepts.values()]
    elsewhere = [
        concept.category for concept in whole.concepts if concept.name == name
    ]
    of_category = f" of {', '.join(selection.categories)}"
    problem = (
        f"{whole.identity.source} has no concept {name!r}"
        f"{of_category if selection.categories else ''}"
    )
    if elsewhere:
        raise ConceptSetInvalid(
            f"{problem}; {name!r} is of category {', '.join(elsewhere)}"
        )
    raise ConceptSetInvalid(f"{problem}{_known(name, names)}")


def _no_category(whole: ConceptSet, category: str) -> str:
    """Return the message for a category that a set has not; it may be meant for something else."""
    problem = f"{whole.identity.source} has no category {category!r}"
    names = {concept.name for concept in whole.concepts}
    if category in names:
        return f"{problem}; it is the name of a concept: write name={category}"
    splits = map(partial(split_of, whole), range(len(whole)))
    if category and category in splits:
        return f"{problem}; it is a split: write split={category}"
    return f"{problem}{_known(category, whole.categories)}"


def _known(value: str, known: Sequence[str]) -> str:
    """Return the nearest value and the first that are known: for errors."""
    similar = nearest(value, known, most=1)
    hint = f"; the nearest is {similar[0]!r}" if similar else ""
    return f"{hint}; it has {_listed(known)}"


def _listed(names: Sequence[str]) -> str:
    further = len(names) - NAMES_LISTED
    beyond = f" and {further} more" if further > 0 else ""
    return f"{', '.join(names[:NAMES_LISTED])}{beyond}"


def _frequent(
    whole: ConceptSet,
    numbers: Sequence[int],
    images: Sequence[int],
    selection: Selection,
) -> tuple[Sequence[int], list[str]]:
    """Return the concepts that enough of the images show, and notes.

    Raises ConceptSetInvalid for none.
    """
    smallest = selection.min_samples
    if smallest is None:
        return numbers, []
    samples = count_samples(whole, images)
    counts = samples.counts
    frequent = [number for number in numbers if counts[number] >= smallest]
    source = whole.identity.source
    if not frequent:
        most = max(numbers, key=counts.__getitem__)
        raise ConceptSetInvalid(
            f"no concept of {source} is on {smallest} of its {len(images)} images; "
            f"the most frequent is {whole.concepts[most].name!r}, on {counts[most]}"
        )
    rare = [number for number in numbers if counts[number] < smallest]
    notes = list(samples.notes)
    if rare:
        names = [whole.concepts[number].name for number in rare]
        notes.append(
            f"{len(rare)} of {len(numbers)} concepts of {source} are on fewer than {smallest} "
            f"images and left out (min_samples={smallest}): {_listed(names)}"
        )
    return frequent, notes
