"""Tables at any width: no word is cut, nothing is left out."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

from nd_plugin.shell.narrow import FittingTable, fit_widths

ROWS = [
    ("convolution", "Conv2d", "64x112x112", "of the whole receptive field"),
    ("", "BatchNorm2d", "64x112x112", "none"),
]


def printed(item: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(item)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def table() -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for header in ("layer", "kind", "shape", "remark"):
        made.add_column(header, overflow="fold")
    for row in ROWS:
        made.add_row(*row)
    return made


@pytest.mark.parametrize("width", [14, 20, 40, 52, 53, 60, 80, 200])
def test_no_word_is_cut(width: int) -> None:
    lines = printed(FittingTable(table()), width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for row in ROWS:
        for word in " ".join(row).split():
            assert word in words, (word, lines)


def test_side_by_side_where_there_is_room() -> None:
    assert len(printed(FittingTable(table()), 80)) == 3
    assert printed(FittingTable(table()), 30)[:3] == [
        "convolution",
        "  kind: Conv2d                ",
        "  shape: 64x112x112           ",
    ]


@pytest.mark.parametrize(
    ("room", "widths"),
    [(9, []), (10, [4, 6]), (12, [6, 6]), (17, [8, 9]), (99, [8, 40])],
)
def test_widths_of_columns(room: int, widths: list[int]) -> None:
    assert fit_widths([Measurement(4, 8), Measurement(6, 40)], room) == widths
