"""Colours that suit any background, and tables that suit any width."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.color import Color, ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text

from nd_plugin import Dissection
from nd_plugin.report import elements
from nd_plugin.report.elements import AdaptiveTable, Heading
from nd_plugin.report.terminal import render, to_html

COLOURS = {
    elements.GOOD,
    elements.WARNING,
    elements.FAILURE,
    elements.FAINT,
    *elements.OF_CATEGORY.values(),
}
BACKGROUNDS = ["#000000", "#111111", "#1e1e1e", "#ffffff", "#fdf6e3"]
CONTRAST = 3.5  # WCAG 2 asks for 3 of large text and of graphics, which bars are
BRODEN = ("object", "part", "scene", "material", "texture", "color")


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        channel / 12.92
        if channel <= 0.04045
        else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    ]
    red, green, blue = linear
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Contrast of WCAG 2, from 1 to 21."""
    darker, lighter = sorted([luminance(first), luminance(second)])
    return (lighter + 0.05) / (darker + 0.05)


def printed(item: RenderableType, width: int, **options: object) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, **options)  # type: ignore[arg-type]
    console.print(item)
    return file.getvalue()


class TestColours:
    def test_the_measure_itself(self) -> None:
        assert contrast("#000000", "#ffffff") == pytest.approx(21)
        assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)

    @pytest.mark.parametrize("background", BACKGROUNDS)
    @pytest.mark.parametrize("colour", sorted(COLOURS))
    def test_each_is_readable(self, colour: str, background: str) -> None:
        assert contrast(colour, background) >= CONTRAST

    @pytest.mark.parametrize("colour", sorted(COLOURS))
    def test_terminals_with_256_colours_show_them_unchanged(
        self, colour: str
    ) -> None:
        shown = Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT)
        assert shown.get_truecolor().hex == colour

    def test_categories_differ(self) -> None:
        colours = {elements.category_colour(category) for category in BRODEN}
        assert len(colours) == len(BRODEN)
        assert elements.category_colour("my own") == "", "the terminal's own colour"

    def test_a_page_has_no_others(self, dissection: Dissection) -> None:
        page = to_html([dissection.report()])
        assert set(re.findall(r"(?<!-)color: (#\w+)", page)) <= COLOURS
        assert "background-color" not in page
        assert '<meta name="color-scheme" content="light dark">' in page

    def test_a_terminal_gets_no_others(self, dissection: Dissection) -> None:
        # rich keeps the codes of a style for the first terminal that it was shown on
        Style.parse.cache_clear()
        text = printed(
            render(dissection.report()),
            80,
            force_terminal=True,
            color_system="truecolor",
        )
        codes = [
            sequence.split(";") for sequence in re.findall(r"\x1b\[([\d;]*)m", text)
        ]
        assert ["38", "2", "118", "118", "118"] in [code[-5:] for code in codes]
        for code in codes:
            # Reset, bold, or a colour given by its channels: no colour of the terminal's theme.
            assert code[0] in ("0", "1", "38"), code
            assert "38" not in code or code[code.index("38") + 1] == "2", code


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
