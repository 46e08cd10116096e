"""Texts of the command line that are too long for a name of a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

LONG = "x" * 5000


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", LONG),
        ("compare", LONG, LONG),
        ("concepts", LONG),
        ("unit", LONG, "0"),
        ("dissect", "networks:ResNet18", "-l", "layer1", "-c", LONG, "--json"),
    ],
)
def test_they_are_refused(
    nd: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    done = nd(*arguments)
    assert done.returncode == 2
    assert "xxx" in done.stderr and "Traceback" not in done.stderr


def test_files_of_options_in_a_group_are_checked_first(
    nd: Callable[..., Any],
) -> None:
    done = nd("explain", "run", "model", "image", "--classes", LONG)
    assert done.returncode == 2
    assert "choose a shorter one" in done.stderr


@pytest.mark.parametrize("size", ["9" * 5000, "16x" + "9" * 5000])
def test_sizes_of_more_digits_than_python_reads(
    nd: Callable[..., Any], size: str
) -> None:
    done = nd("layers", "networks:ResNet18", "--input-size", size)
    assert done.returncode == 2 and "is not N or HxW in pixels" in done.stderr


@pytest.mark.parametrize("prefix", ["", "masks:", "broden:"])
def test_a_home_that_is_none(nd: Callable[..., Any], prefix: str) -> None:
    done = nd("concepts", f"{prefix}~no-such-user/set")
    assert done.returncode == 2 and "~no-such-user/set" in done.stderr
