"""Export of a concept set to Broden's layout.

Label numbers are 1 + the concept's index, so that the vocabulary is read back in its order. Each
label is in the masks and tables of its primary category alone, which the tables therefore give.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from nd_plugin.borders.printable import one_line
from nd_plugin.concepts.broden_layout.samples import (
    LARGEST_NUMBER,
    IndexRow,
    LabelledImage,
    write_labelled_image,
)
from nd_plugin.concepts.broden_layout.tables import (
    INDEX_COLUMNS,
    Label,
    write_tables,
)
from nd_plugin.concepts.broden_layout.tally import LabelCounts
from nd_plugin.concepts.export.layout import ExportImage
from nd_plugin.concepts.export.vocabulary import (
    check_file_names,
    check_names,
    used_categories,
)
from nd_plugin.contracts.concept_sets import Concept, ConceptSet
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.conversion import orientation_of
from nd_plugin.storage.names import folded_name

# that readers of Broden decode without knowing of orientation and transparency
PLAIN_ENDINGS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
SEPARATOR = ";"  # of synonyms, and of entries of a cell


class WrittenImage(NamedTuple):
    """Image that was written, with its part of the tables."""

    row: IndexRow
    counts: LabelCounts


@dataclass(frozen=True)
class BrodenExport:
    """Writer of a concept set in Broden's layout."""

    concepts: ConceptSet
    has_one_size = True

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Categories of category.csv: those that have a concept."""
        return used_categories(self.concepts)

    @property
    def suffixes(self) -> re.Pattern[str]:
        """End of the name of a mask: ``_object`` or ``_part_2``."""
        names = [re.escape(folded_name(category)) for category in self.categories]
        return re.compile(f"_({'|'.join(names)})(_[0-9]+)?$")

    def check_vocabulary(self) -> list[str]:
        """Check that label.csv and the masks hold all concepts. Raises ConceptSetInvalid."""
        check_names(self.concepts)
        check_file_names(self.categories, "/\\;", INDEX_COLUMNS)
        count = len(self.concepts.concepts)
        if count > LARGEST_NUMBER:
            raise ConceptSetInvalid(
                f"{self.concepts.identity.source} has {count} concepts, and Broden's masks hold "
                f"{LARGEST_NUMBER} label numbers: export it to the masks format"
            )
        lost = sum(
            len(concept.synonyms) - len(_synonyms(concept))
            for concept in self.concepts.concepts
        )
        if not lost:
            return []
        return [
            f"{lost} synonyms that hold {SEPARATOR!r}, or nothing, were left out"
        ]

    def may_copy(self, image: Image.Image, ending: str) -> bool:
        """Return whether a picture is a plain RGB file: JPEG or PNG, upright and opaque."""
        return (
            PLAIN_ENDINGS.get(ending.lower()) == image.format
            and image.mode == "RGB"
            and "transparency" not in image.info
            and orientation_of(image) == 1
        )

    def write(self, root: Path, image: ExportImage) -> WrittenImage:
        """Write the picture and the masks of an image. Raises OSError."""
        sample = LabelledImage(
            image.picture.rgb,
            image.stem,
            image.split,
            image.planes,
            image.labels,
            image.size,
        )
        row = write_labelled_image(
            root,
            sample,
            self.categories,
            ending=image.picture.ending,
            content=image.picture.content,
        )
        counts = LabelCounts()
        counts.add(sample)
        return WrittenImage(row, counts)

    def new_tables(self) -> BrodenTables:
        """Return the tables, without an image so far."""
        return BrodenTables(self.concepts, self.categories)


@dataclass
class BrodenTables:
    """Tables of Broden's layout: rows of the index, and counts of labels."""

    concepts: ConceptSet
    categories: tuple[str, ...]
    rows: list[IndexRow] = field(default_factory=list)
    counts: LabelCounts = field(default_factory=LabelCounts)

    def add(self, written: WrittenImage) -> None:
        """Add an image."""
        self.rows.append(written.row)
        self.counts.merge(written.counts)

    def write(self, root: Path) -> list[str]:
        """Write the tables. Raises OSError."""
        labels = [
            Label(number, concept.name, _synonyms(concept), concept.category)
            for number, concept in enumerate(self.concepts.concepts, start=1)
        ]
        source = self.concepts.identity.source
        description = f"{source} in Broden's layout: {len(self.rows)} images"
        write_tables(
            root,
            labels,
            self.categories,
            self.rows,
            self.counts,
            description=(one_line(description),),
        )
        return []


def _synonyms(concept: Concept) -> tuple[str, ...]:
    """Return the synonyms that a cell holds apart."""
    stripped = [synonym.strip() for synonym in concept.synonyms]
    return tuple(
        synonym for synonym in stripped if synonym and SEPARATOR not in synonym
    )
