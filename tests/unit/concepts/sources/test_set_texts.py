"""Texts that name concept sets."""

from __future__ import annotations

import pytest

from nd_plugin.plugins.opening import SpecText
from nd_plugin.reading import set_text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "x:/a/b"),
        ({"one": "", "two": ""}, "x:/a/b"),
        ({"one": "1", "two": "default"}, "x:/a/b?one=1"),
        ({"one": "1", "two": "2"}, "x:/a/b?one=1&two=2"),
    ],
)
def test_empty_options_and_defaults_are_left_out(
    options: dict[str, str], text: str
) -> None:
    made = set_text("x", "/a/b", options, {"two": "default"})
    assert made == text
    assert SpecText.parse(made).argument == "/a/b"
