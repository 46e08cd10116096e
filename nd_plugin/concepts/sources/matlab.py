"""MATLAB files of sources: checked before SciPy reads them, without objects and functions."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from nd_plugin.borders.matlab_check import UntrustedFile, check_matlab_file
from nd_plugin.pictures.opening import check_regular

# of a file, and of what it unpacks to: some 1,400 masks of Pascal's images, a byte a pixel
MOST_BYTES = 2**28


def load_matlab(path: Path, variable: str, what: str) -> Any:
    """Return a variable of a MATLAB 5 file, as SciPy's ``loadmat`` gives it.

    Raises ValueError that names the file as ``what`` for one that is damaged or claims more than
    it holds, and for one without this variable; OSError for no regular file.
    """
    check_regular(path)
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    return load_matlab_content(content, variable, what)


def load_matlab_content(content: bytes, variable: str, what: str) -> Any:
    """Return a variable of the content of a MATLAB 5 file. Raises ValueError."""
    # SciPy takes a while to import
    from scipy.io import loadmat

    try:
        check_matlab_file(content, MOST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            variables = loadmat(io.BytesIO(content), variable_names=[variable])
    except UntrustedFile as error:
        raise ValueError(f"{what} is not read: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # SciPy's reader raises many kinds for damaged files
        raise ValueError(f"{what} cannot be read: {error}") from error
    if variable not in variables:
        raise ValueError(f"{what} has no variable {variable!r}")
    return variables[variable]
