"""Remarks on images of a probe data set: what was done to them or guessed, counted for a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Remarks:
    """Remarks by text: how many images each is about, and the name of one of them.

    Remarks add up, whatever the order and the division into parts. ``whites`` are the largest
    values that were taken for white, by kind of grey values (see `pictures.grey_values`).
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)
    whites: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def on_image(
        cls,
        name: str,
        texts: Iterable[str],
        whites: Mapping[str, int] = MappingProxyType({}),
    ) -> Remarks:
        """Return the remarks on one image."""
        distinct = dict.fromkeys(texts)
        counts = dict.fromkeys(distinct, 1)
        examples = dict.fromkeys(distinct, name)
        return cls(counts, examples, dict(whites))

    @classmethod
    def total(cls, remarks: Iterable[Remarks]) -> Remarks:
        """Add several up. The example of a text is the first name in alphabetical order."""
        counts: dict[str, int] = {}
        examples: dict[str, str] = {}
        whites: dict[str, int] = {}
        for item in remarks:
            for kind, white in item.whites.items():
                whites[kind] = max(whites.get(kind, 0), white)
            for text, count in item.counts.items():
                name = item.examples[text]
                counts[text] = counts.get(text, 0) + count
                examples[text] = min(examples.get(text, name), name)
        return cls(counts, examples, whites)

    def __add__(self, other: Remarks) -> Remarks:
        return Remarks.total([self, other])

    def notes(self) -> list[str]:
        """Return a note on each text, the most frequent first."""
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [self._note(text, count) for text, count in ranked]

    def _note(self, text: str, count: int) -> str:
        if count == 1:
            return f"{text} (1 image: {self.examples[text]})"
        return f"{text} ({count} images, for example {self.examples[text]})"
