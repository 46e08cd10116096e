"""What a format implements to be exported to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from nd_plugin.concepts.export.pictures import ExportPicture
from nd_plugin.concepts.export.planes import Plane
from nd_plugin.receptive_fields.geometry import Size


@dataclass(frozen=True)
class ExportImage:
    """Image of a concept set with its annotation."""

    picture: ExportPicture
    stem: str  # path below images/, without an ending
    split: str
    # values are 1 + the concept's index, 0 for none
    planes: Mapping[str, Sequence[Plane]]  # by category
    labels: Mapping[str, Sequence[int]]  # of the whole image, by category
    # of the annotation, where planes do not say it; None: not known
    size: Size | None = None


class Tables(Protocol):
    """Tables of an export, as images are written."""

    def add(self, written: Any) -> None:
        """Add an image, as `Layout.write` has returned it."""
        ...

    def write(self, root: Path) -> list[str]:
        """Write the tables; return notes. Raises OSError."""
        ...


class Layout(Protocol):
    """Format that concept sets are exported to."""

    @property
    def suffixes(self) -> re.Pattern[str]:
        """End of a name that makes an image look like a mask of another."""
        ...

    @property
    def has_one_size(self) -> bool:
        """Whether all masks of an image are of one size."""
        ...

    def check_vocabulary(self) -> list[str]:
        """Return notes on what the format cannot hold. Raises ConceptSetInvalid."""
        ...

    def may_copy(self, image: Image.Image, ending: str) -> bool:
        """Return whether the format holds a decoded picture in its own file."""
        ...

    def write(self, root: Path, image: ExportImage) -> Any:
        """Write the files of an image, and return what the tables need. Raises OSError.

        It is called in worker processes.
        """
        ...

    def new_tables(self) -> Tables:
        """Return the tables of an export, without an image so far."""
        ...
