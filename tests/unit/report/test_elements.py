"""Headings and tables that suit any width."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from nd_plugin import Dissection
from nd_plugin.report.elements import AdaptiveTable, Heading
from nd_plugin.report.terminal import render


def printed(item: RenderableType, width: int, **options: object) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, **options)  # type: ignore[arg-type]
    console.print(item)
    return file.getvalue()


class TestAdaptiveTable:
    table = AdaptiveTable(
        ("best", "concept", "IoU", "unit", ""),
        (
            (
                Text("object"),
                Text("swivel chair"),
                Text("0.5"),
                Text("3"),
                Text("##"),
            ),
            (Text(""), Text("cat"), Text("0.25"), Text("12"), Text("#")),
            (Text(""), Text("and 3 more"), Text(""), Text(""), Text("")),
        ),
        lead=1,
        group=0,
        right=(2, 3),
    )

    def lines(self, width: int) -> list[str]:
        return [line.rstrip() for line in printed(self.table, width).splitlines()]

    def test_wide(self) -> None:
        assert self.lines(60) == [
            "best    concept        IoU  unit",
            "object  swivel chair   0.5     3  ##",
            "        cat           0.25    12  #",
            "        and 3 more",
        ]

    def test_a_lead_is_wrapped_between_words(self) -> None:
        assert self.lines(32) == [
            "best    concept    IoU  unit",
            "object  swivel     0.5     3  ##",
            "        chair",
            "        cat       0.25    12  #",
            "        and 3",
            "        more",
        ]

    def test_narrow(self) -> None:
        assert self.lines(28) == [
            "best",
            "object",
            "  swivel chair: IoU 0.5,",
            "  unit 3",
            "  cat: IoU 0.25, unit 12",
            "  and 3 more",
        ]

    def test_a_heading_is_never_cut(self) -> None:
        name = "features.denseblock4.denselayer16.conv2"
        assert printed(Heading(Text(name)), 50).startswith(f"{name} ─")
        assert printed(Heading(Text(name)), 40).splitlines() == [name]
        folded = printed(Heading(Text(name)), 30).splitlines()
        assert "".join(folded) == name


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("min_iou", [0.04, 0.5])
def test_no_word_of_a_report_is_cut(
    dissection: Dissection, width: int, min_iou: float
) -> None:
    cat, *others = dissection.concepts
    long_names = replace(
        dissection,
        layer="features.denseblock4.layer16.conv2",
        concepts=(replace(cat, name="television_studio-indoor-s chair"), *others),
        settings=replace(dissection.settings, min_iou=min_iou),
    )
    text = printed(render(long_names.report()), width)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    words = re.sub("[:,!]? ", " ", " ".join(text.split())).split()
    for word in (
        "features.denseblock4.layer16.conv2",
        "masks:here",
        "receptive",
        "television_studio-indoor-s",
        "chair",
        "threshold",
        "7e-300",
        "0.2727",
        "everywhere)",
        "truncated",
    ):
        assert word in words, word
