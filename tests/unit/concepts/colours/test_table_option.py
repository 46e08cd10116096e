"""``--color-table``: rewrites ``+color`` in the text of a concept set."""

from __future__ import annotations

from pathlib import Path

import pytest

from nd_plugin.concepts.colours.table_option import with_color_table
from nd_plugin.errors import BadInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("masks:a+color", "masks:a+color?table=t.npy"),
        ("masks:a + color", "masks:a + color?table=t.npy"),
        ("masks:a+color+masks:b", "masks:a+color?table=t.npy+masks:b"),
        ("(masks:a+color)[color]", "(masks:a+color?table=t.npy)[color]"),
        (
            "concat(masks:a+color, masks:b+color)",
            "concat(masks:a+color?table=t.npy, masks:b+color?table=t.npy)",
        ),
        ('"masks:a+color"+color', '"masks:a+color"+color?table=t.npy'),
        ("masks:a+colors+color", "masks:a+colors+color?table=t.npy"),
    ],
)
def test_each_color_gets_the_table(text: str, expected: str) -> None:
    assert with_color_table(text, Path("t.npy")) == expected


def test_without_the_option_the_text_stays() -> None:
    assert with_color_table("masks:a+color", None) == "masks:a+color"
    assert with_color_table("masks:a", None) == "masks:a"


def test_names_of_files_are_quoted_as_values_of_options_are() -> None:
    text = with_color_table("masks:a+color", Path("my t+1,(2).npy"))
    assert text == "masks:a+color?table=my%20t%2B1%2C%282%29.npy"


@pytest.mark.parametrize(
    "text", ["masks:a", "shapes", "masks:a+colors", '"masks:a+color"']
)
def test_a_set_without_added_colours_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"which .* has not: write -c"):
        with_color_table(text, Path("t.npy"))


def test_a_second_table_is_refused() -> None:
    with pytest.raises(BadInput, match="names a colour table itself"):
        with_color_table("masks:a+color?table=u.npy", Path("t.npy"))
