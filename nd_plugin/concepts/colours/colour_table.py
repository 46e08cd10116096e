"""Colour names of pixels, by a table of 32x32x32 bins of colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nd_plugin.concepts.colours.survey_model import SURVEY_TABLE
from nd_plugin.concepts.colours.table_files import read_table
from nd_plugin.concepts.colours.terms import TERMS
from nd_plugin.contracts.provenance import fingerprint
from nd_plugin.pictures.stored_integers import strips_of
from nd_plugin.storage.names import expanded_home


@dataclass(frozen=True, eq=False)
class ColourTable:
    """Basic colour term of each bin of colours.

    Ours is built from a survey (see `survey_model`); users' files: see `table_files`.
    """

    cells: npt.NDArray[np.uint8]  # (red, green, blue) 32x32x32: index of the term
    file: str = ""  # as the user has named it; "" for ours

    @classmethod
    def load(cls, path: str | Path | None = None) -> ColourTable:
        """Read a table from a file (.npy); None: ours.

        Raises ConceptSetInvalid for a file that is not in one of the known layouts.
        """
        if path is None:
            return cls(read_table(SURVEY_TABLE))
        return cls(read_table(expanded_home(str(path))), str(path))

    @property
    def names(self) -> tuple[str, ...]:
        """Eleven basic terms; an index into them is what the table holds."""
        return TERMS

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the terms and of the table's content, whatever its layout."""
        return fingerprint([",".join(TERMS).encode(), self.cells.tobytes()])

    def indices(self, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the index of each pixel's name: (row, column) of (row, column, 3).

        Strip by strip, as indices into a table take 8 bytes a pixel. Raises ValueError for pixels
        of another shape or type.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise ValueError(
                f"pixels are of shape {rgb.shape} and type {rgb.dtype}; expected "
                "(row, column, 3) and uint8"
            )
        rows, columns, _ = rgb.shape
        names = np.empty((rows, columns), np.uint8)
        for strip in strips_of((rows, columns)):
            bins = rgb[strip] >> 3
            names[strip] = self.cells[bins[:, :, 0], bins[:, :, 1], bins[:, :, 2]]
        return names
