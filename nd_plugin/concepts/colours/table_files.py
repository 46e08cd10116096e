"""Files of colour tables (.npy), read without trust.

Three layouts are taken. The terms have the order of van de Weijer's tables in all of them (see
`terms`), and a bin has 8 values of a channel.

==============  ========  ==========================================================================
shape           values    contents
==============  ========  ==========================================================================
(32, 32, 32)    integers  index of the term, 0 … 10, of the bin ``[red, green, blue]``
(32768, 11)     numbers   probabilities of the terms; row red + 32·green + 1024·blue, in bins
(32768, 14)     numbers   the same in any order of rows, behind red, green and blue of each bin's
                          middle (0 … 255), as in van de Weijer's w2c
==============  ========  ==========================================================================

A table whose unmistakable colours, such as black and pure red, do not have their names is refused:
its axes, its rows or its terms have another order.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from nd_plugin.borders.archives import HEADER_READERS
from nd_plugin.concepts.colours.terms import BIN_WIDTH, BINS, TERMS
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.pictures.opening import check_regular

Cells = npt.NDArray[np.uint8]  # (red, green, blue): index of the term of each bin
Array = npt.NDArray[Any]

CELLS = BINS**3
INDICES = (BINS, BINS, BINS)
PROBABILITIES = (CELLS, len(TERMS))
PLACED_PROBABILITIES = (CELLS, 3 + len(TERMS))
NUMBER_KINDS = "iuf"
LAYOUTS = (
    "a table is an array of integers (32, 32, 32), or of probabilities (32768, 11) or (32768, 14): "
    "see docs/concepts.md"
)
UNMISTAKABLE = {
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
}


def read_table(path: Path) -> Cells:
    """Read a colour table: (red, green, blue).

    Raises ConceptSetInvalid for a file that is none of the layouts above.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            array = _read_array(file, path)
    except ConceptSetInvalid:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise ConceptSetInvalid(
            f"the colour table {path} cannot be read: {reason}"
        ) from error
    except Exception as error:  # NumPy's parser of headers may raise anything
        raise ConceptSetInvalid(
            f"the colour table {path} is no NumPy file (.npy) of numbers: {error}"
        ) from error
    cells = _cells(array, path)
    _check_unmistakable(cells, path)
    return cells


def _read_array(file: IO[bytes], path: Path) -> Array:
    """Read an array whose header claims one of the layouts, and no more than the file has."""
    version = np.lib.format.read_magic(file)
    if version not in HEADER_READERS:
        raise ValueError(f"unknown version {version} of the format")
    shape, _, dtype = HEADER_READERS[version](file)
    header_end = file.tell()
    if dtype.hasobject or dtype.kind not in NUMBER_KINDS:
        raise ConceptSetInvalid(
            f"the colour table {path} is of type {dtype}, not of numbers; {LAYOUTS}"
        )
    if shape not in (INDICES, PROBABILITIES, PLACED_PROBABILITIES):
        raise ConceptSetInvalid(
            f"the colour table {path} is an array of shape {shape}; {LAYOUTS}"
        )
    expected = math.prod(shape) * dtype.itemsize
    available = file.seek(0, os.SEEK_END) - header_end
    if available != expected:
        raise ValueError(f"it has {available} bytes of numbers, not {expected}")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _cells(array: Array, path: Path) -> Cells:
    if array.shape == INDICES:
        return _checked_indices(array, path)
    if array.shape == PROBABILITIES:
        terms = _likeliest_terms(array, path)
        by_blue = terms.reshape(INDICES)
        return np.ascontiguousarray(by_blue.transpose(2, 1, 0))
    bins = _bins(array[:, :3], path)
    cells = np.empty(INDICES, np.uint8)
    cells[tuple(bins.T)] = _likeliest_terms(array[:, 3:], path)
    return cells


def _checked_indices(array: Array, path: Path) -> Cells:
    if array.dtype.kind == "f":
        raise ConceptSetInvalid(
            f"the colour table {path} of shape (32, 32, 32) is of type {array.dtype}; expected "
            "integers, the indices of the terms"
        )
    outside = array[(array < 0) | (array >= len(TERMS))]
    if outside.size:
        raise ConceptSetInvalid(
            f"the colour table {path} holds the index {outside[0]}; expected 0 to "
            f"{len(TERMS) - 1}, of {', '.join(TERMS)}"
        )
    return array.astype(np.uint8)


def _likeliest_terms(probabilities: Array, path: Path) -> npt.NDArray[np.uint8]:
    """Return the index of the largest probability of each row; of equal ones the first."""
    is_valid = np.isfinite(probabilities) & (probabilities >= 0)
    rows = is_valid.all(axis=1) & (probabilities > 0).any(axis=1)
    if not rows.all():
        row = int(np.flatnonzero(~rows)[0])
        raise ConceptSetInvalid(
            f"the colour table {path}, row {row}: {probabilities[row].tolist()} are no "
            "probabilities; expected numbers of 0 or more, and one of them above 0"
        )
    terms: npt.NDArray[np.uint8] = probabilities.argmax(axis=1).astype(np.uint8)
    return terms


def _bins(colours: Array, path: Path) -> npt.NDArray[np.int64]:
    """Return the bin (row, 3) of each colour; each has to be there once."""
    is_colour = (colours >= 0) & (colours < BINS * BIN_WIDTH)
    if not is_colour.all():
        row = int(np.flatnonzero(~is_colour.all(axis=1))[0])
        raise ConceptSetInvalid(
            f"the colour table {path}, row {row}: {colours[row].tolist()} is no colour; expected "
            "red, green and blue of 0 to 255 in the first three columns"
        )
    bins = (colours // BIN_WIDTH).astype(np.int64)
    if len(np.unique(bins, axis=0)) != CELLS:
        raise ConceptSetInvalid(
            f"the colour table {path} lacks bins of colours: each of the 32x32x32 bins of red, "
            "green and blue has to be in its first three columns once"
        )
    return bins


def _check_unmistakable(cells: Cells, path: Path) -> None:
    """Raise ConceptSetInvalid for a table that gives another name to a colour beyond doubt."""
    term = _mistaken(cells)
    if not term:
        return
    red, green, blue = UNMISTAKABLE[term]
    name = _name_at(cells, term)
    colour = f"({red}, {green}, {blue})"
    problem = (
        f"the colour table {path} calls the colour {colour} {name}, not {term}"
    )
    if not _mistaken(cells.transpose(2, 1, 0)):
        raise ConceptSetInvalid(
            f"{problem}: its axes are blue, green, red; save table.transpose(2, 1, 0)"
        )
    raise ConceptSetInvalid(
        f"{problem}: its terms have to be in the order {', '.join(TERMS)}; {LAYOUTS}"
    )


def _mistaken(cells: Cells) -> str:
    """Return the first term that its unmistakable colour does not have; "" for none."""
    return next(
        (term for term in UNMISTAKABLE if _name_at(cells, term) != term), ""
    )


def _name_at(cells: Cells, term: str) -> str:
    """Return the name of the unmistakable colour of a term."""
    red, green, blue = (value // BIN_WIDTH for value in UNMISTAKABLE[term])
    return TERMS[cells[red, green, blue]]
