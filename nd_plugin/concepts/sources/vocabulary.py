"""Vocabulary of a source, and the values that planes have for its concepts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nd_plugin.contracts.concept_sets import Concept


class Vocabulary:
    """Concepts in the order in which they are added; a plane's value is 1 + a concept's index."""

    def __init__(self, categories: Sequence[str] = ()) -> None:
        """Begin without concepts; ``categories`` come first in reports, in this order."""
        self._order = tuple(categories)
        self._concepts: list[Concept] = []
        self._values: dict[tuple[str, str], int] = {}

    def add(self, name: str, category: str, synonyms: Iterable[str] = ()) -> int:
        """Return the plane value of a concept, which is added if it is new.

        Synonyms that a concept is added with again are added to those it has.
        """
        key = (name, category)
        if key not in self._values:
            self._concepts.append(Concept(name, category))
            self._values[key] = len(self._concepts)
        value = self._values[key]
        concept = self._concepts[value - 1]
        names = dict.fromkeys((*concept.synonyms, *synonyms))
        names.pop(name, None)
        self._concepts[value - 1] = replace(concept, synonyms=tuple(names))
        return value

    def value(self, name: str, category: str) -> int:
        """Return the plane value of a concept. Raises KeyError for one that was not added."""
        return self._values[name, category]

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """Concepts; the one at index i has the plane value i + 1."""
        return tuple(self._concepts)

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories that have concepts."""
        used = dict.fromkeys(concept.category for concept in self._concepts)
        first = [category for category in self._order if category in used]
        return tuple(dict.fromkeys((*first, *used)))


def split_synonyms(
    texts: Iterable[str], separator: str = ","
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return name and synonyms of each text, such as ``building, edifice``.

    The name is the first; texts that share their first name keep the whole text as a name, so that
    ``plant, flora`` and ``plant, works`` stay apart.
    """
    parts = {text: _parts(text, separator) for text in texts}
    counts = Counter(names[0] for names in parts.values())
    split = {}
    for text, names in parts.items():
        is_unique = counts[names[0]] == 1
        name = names[0] if is_unique else text.strip()
        split[text] = (name, names[1:] if is_unique else ())
    return split


def _parts(text: str, separator: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(separator) if part.strip())
    return parts or (text.strip(),)
