"""MATLAB files of sources: checked before SciPy reads them, without objects and functions."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nd_plugin.borders.matlab_check import UntrustedFile, check_matlab_file
from nd_plugin.borders.matlab_fields import file_of_fields
from nd_plugin.pictures.opening import check_regular

# of a file, and of what it unpacks to: some 1,400 masks of Pascal's images, a byte a pixel
MOST_BYTES = 2**28


def load_matlab(path: Path, variable: str, what: str) -> Any:
    """Return a variable of a MATLAB 5 file, as SciPy's ``loadmat`` gives it.

    Raises ValueError that names the file as ``what`` for one that is damaged or claims more than
    it holds, and for one without this variable; OSError for no regular file.
    """
    with _damage_as_value_error(what):
        variables = _load(_content(path), [variable])
    if variable not in variables:
        raise ValueError(f"{what} has no variable {variable!r}")
    return variables[variable]


def load_matlab_fields(
    path: Path, variable: str, fields: Sequence[str], what: str
) -> dict[str, Any]:
    """Return those of these fields that a struct in a MATLAB 5 file has; others are not read.

    Raises as `load_matlab`.
    """
    with _damage_as_value_error(what):
        small = file_of_fields(_content(path), variable, fields, MOST_BYTES)
        variables = _load(small, fields)
    return {name: variables[name] for name in fields if name in variables}


def _content(path: Path) -> bytes:
    check_regular(path)
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _load(content: bytes, names: Sequence[str]) -> dict[str, Any]:
    """Return variables of the content of a MATLAB 5 file."""
    # SciPy takes a while to import
    from scipy.io import loadmat

    check_matlab_file(content, MOST_BYTES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        variables: dict[str, Any] = loadmat(
            io.BytesIO(content), variable_names=list(names)
        )
    return variables


@contextmanager
def _damage_as_value_error(what: str) -> Iterator[None]:
    """Raise ValueError, which names a file as ``what``, for errors of its content."""
    try:
        yield
    except UntrustedFile as error:
        raise ValueError(f"{what} is not read: {error}") from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # SciPy's reader raises many kinds for damaged files
        raise ValueError(f"{what} cannot be read: {error}") from error
