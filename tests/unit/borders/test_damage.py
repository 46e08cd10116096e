"""Border of files that are loaded: whose fault an error is."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
import torch

from nd_plugin.borders.damage import damage_refused
from nd_plugin.errors import RunInvalid


@pytest.mark.parametrize(
    ("error", "message"),
    [
        # Pillow, of pixels that end early
        (
            OSError("image file is truncated"),
            "x is damaged: OSError: image file .*; mend",
        ),
        (ValueError("a is there twice"), "x is damaged: a is there twice; mend it"),
        (KeyError("layers"), "x is damaged: layers is missing; mend it"),
        (
            OSError(errno.EIO, "Input/output error"),
            "x cannot be read: Input/output",
        ),
    ],
)
def test_an_error_of_reading_names_the_file(error: Exception, message: str) -> None:
    with pytest.raises(RunInvalid, match=message), damage_refused("x", "mend it"):
        raise error


@pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError])
def test_lack_of_memory_is_no_damage(kind: Callable[[str], Exception]) -> None:
    error = kind("full")
    with pytest.raises(type(error), match="full"), damage_refused("x"):
        raise error
