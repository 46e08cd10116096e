"""Pictures in terminals: colours of half blocks, and where they are shown."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from nd_plugin.pictures.half_blocks import HalfBlocks, can_show_pictures


def console(**options: Any) -> Console:
    return Console(file=io.StringIO(), width=80, force_jupyter=False, **options)


def lines(blocks: HalfBlocks) -> list[Text]:
    terminal = console()
    return list(blocks.__rich_console__(terminal, terminal.options))


def test_a_cell_is_two_pixels() -> None:
    picture = np.array(
        [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], np.uint8
    )
    (line,) = lines(HalfBlocks([picture]))
    assert line.plain == "▀▀"
    first, second = [span.style for span in line.spans]
    assert str(first) == "#ff0000 on #0000ff"
    assert str(second) == "#00ff00 on #090909"


def test_an_odd_row_has_no_lower_half() -> None:
    (_, line) = lines(HalfBlocks([np.full((3, 1, 3), 8, np.uint8)]))
    assert [str(span.style) for span in line.spans] == ["#080808"]


def test_pictures_beside_each_other() -> None:
    low = np.zeros((2, 3, 3), np.uint8)
    high = np.zeros((4, 2, 3), np.uint8)
    blocks = HalfBlocks([low, high])
    assert [line.plain for line in lines(blocks)] == ["▀▀▀  ▀▀", "     ▀▀"]
    assert [line.plain for line in lines(HalfBlocks([high, low]))] == [
        "▀▀  ▀▀▀",
        "▀▀",
    ]


def test_no_line_is_folded() -> None:
    terminal = console(force_terminal=True, color_system="truecolor")
    terminal.print(HalfBlocks([np.zeros((6, 78, 3), np.uint8)]))
    assert terminal.file.getvalue().count("\n") == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "is_shown"),
    [
        ({"force_terminal": True, "color_system": "truecolor"}, True),
        ({"force_terminal": True, "color_system": "256"}, True),
        ({"force_terminal": True, "color_system": "standard"}, False),
        ({"force_terminal": True, "color_system": None}, False),
        (
            {
                "force_terminal": True,
                "color_system": "truecolor",
                "no_color": True,
            },
            False,
        ),
        ({"force_terminal": False}, False),
    ],
)
def test_where_they_are_shown(options: dict[str, Any], is_shown: bool) -> None:
    terminal = console(**options)
    assert can_show_pictures(terminal, terminal.options) == is_shown
