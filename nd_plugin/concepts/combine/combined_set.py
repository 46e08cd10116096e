"""Combination of concept sets: what selections, overlays and concatenations have in common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

from PIL import Image

from nd_plugin.concepts.combine.selection import quoted
from nd_plugin.concepts.combine.vocabulary import Vocabulary
from nd_plugin.contracts.concept_sets import Annotation, Concept, ConceptSet
from nd_plugin.contracts.provenance import Identity, fingerprint

VERSION = "1"  # of combinations: to be raised whenever one of the same parts gives other labels
# characters that a source may hold, and that mean something in a combination
SPECIAL = re.compile(r'[+\[(),"]')
ADDED_COLOUR = re.compile(r"\+color(\?table=[^+\[(),\"]*)?$")


class CombinedConcepts(ABC):
    """Concept set made of others, its parts."""

    kind: str  # name of its identity
    binds_weakly = False  # its text needs parentheses as an operand

    def __init__(
        self,
        parts: Sequence[ConceptSet],
        vocabulary: Vocabulary,
        native_masks: bool,
        notes: Iterable[str],
    ) -> None:
        self.parts: tuple[ConceptSet, ...] = tuple(parts)
        self.concepts: tuple[Concept, ...] = vocabulary.concepts
        self.categories: tuple[str, ...] = vocabulary.categories
        self.native_masks = native_masks
        notes_of_parts: list[str] = []
        for part in parts:
            notes_of_parts += getattr(part, "notes", ())
        self.notes: tuple[str, ...] = tuple(
            dict.fromkeys([*notes_of_parts, *notes])
        )

    @property
    @abstractmethod
    def source(self) -> str:
        """Text that opens the combination, if those of its parts open these."""

    @abstractmethod
    def content(self) -> Iterable[bytes]:
        """Yield what tells the combination from others of the same parts."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def places(self, index: int) -> list[tuple[ConceptSet, int]]:
        """Return the parts that an image belongs to, each with the image's index there."""

    @abstractmethod
    def annotation(self, index: int) -> Annotation:
        """Return the annotation of an image in the numbers of the combination."""

    @cached_property
    def identity(self) -> Identity:
        """Identity; the fingerprint is of the parts' identities and of how they are combined."""
        chunks = [f"{self.kind} {VERSION}\n".encode()]
        for part in self.parts:
            identity = part.identity
            content = identity.fingerprint or identity.source
            line = f"{identity.name} {identity.version} {content}\n"
            chunks.append(line.encode(errors="surrogateescape"))
        chunks += self.content()
        return Identity(self.kind, self.source, VERSION, fingerprint(chunks))

    def name(self, index: int) -> str:
        """Return the name that the first part has for an image."""
        part, part_index = self.places(index)[0]
        return part.name(part_index)

    def image(self, index: int) -> Image.Image:
        """Return an image as the first part gives it."""
        part, part_index = self.places(index)[0]
        return part.image(part_index)

    def split(self, index: int) -> str:
        """Return the first split that a part names for an image; "" where none does."""
        splits = [split_of(part, number) for part, number in self.places(index)]
        return next(filter(None, splits), "")

    @property
    def files(self) -> Callable[[int], list[Path]]:
        """Method that returns the files of an image and of its annotations.

        Raises AttributeError where a part does not name its files: a set without the method is one
        that cannot be verified.
        """
        for part in self.parts:
            if getattr(part, "files", None) is None:
                raise AttributeError(
                    f"{part.identity.source} does not name its files"
                )
        return self._files

    def _files(self, index: int) -> list[Path]:
        paths: list[Path] = []
        for part, part_index in self.places(index):
            files_of = getattr(part, "files")  # noqa: B009 (optional in the contract)
            paths += [Path(path) for path in files_of(part_index)]
        return list(dict.fromkeys(paths))


def split_of(concepts: ConceptSet, index: int) -> str:
    """Return the split that an image belongs to; "" of a set without splits."""
    split = getattr(concepts, "split", None)
    return "" if split is None else str(split(index))


def operand_text(concepts: ConceptSet) -> str:
    """Return the text of a set as an operand: in parentheses or quotes where it needs them."""
    source = concepts.identity.source
    if isinstance(concepts, CombinedConcepts):
        return f"({source})" if concepts.binds_weakly else source
    if ADDED_COLOUR.search(source):
        return f"({source})"
    return quoted(source) if SPECIAL.search(source) else source
