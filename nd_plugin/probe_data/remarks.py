"""Remarks on images of a probe data set: what was done to them or guessed, counted for a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Remarks:
    """Remarks by text: how many images each is about, and the name of one of them.

    Remarks add up, whatever the order and the division into parts.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def on_image(cls, name: str, texts: Iterable[str]) -> Remarks:
        """Return the remarks on one image."""
        distinct = dict.fromkeys(texts)
        return cls(dict.fromkeys(distinct, 1), dict.fromkeys(distinct, name))

    @classmethod
    def total(cls, remarks: Iterable[Remarks]) -> Remarks:
        """Add several up. The example of a text is the first name in alphabetical order."""
        counts: dict[str, int] = {}
        examples: dict[str, str] = {}
        for item in remarks:
            for text, count in item.counts.items():
                name = item.examples[text]
                counts[text] = counts.get(text, 0) + count
                examples[text] = min(examples.get(text, name), name)
        return cls(counts, examples)

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
