"""Colours that suit any background, any terminal and colour-blind readers."""

from __future__ import annotations

import io
import itertools
import re

import numpy as np
import numpy.typing as npt
import pytest
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style

from nd_plugin import Dissection
from nd_plugin.report import colours
from nd_plugin.report.colours import category_colour, category_colours
from nd_plugin.report.terminal import render, to_html_fragment

BRODEN = ("object", "part", "scene", "material", "texture", "color")
OF_REPORTS = {
    colours.GOOD,
    colours.WARNING,
    colours.FAILURE,
    colours.FAINT,
    *colours.OF_CATEGORY.values(),
    *colours.FURTHER,
}
BACKGROUNDS = ["#000000", "#111111", "#1e1e1e", "#ffffff", "#fdf6e3"]
CONTRAST = 3.5  # WCAG 2 asks for 3 of large text and of graphics, which bars are

# Machado, Oliveira, Fernandes (2009), severity 1: linear RGB as dichromats see it
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
TRITANOPIA = [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.303900],
]
RED_GREEN = [PROTANOPIA, DEUTERANOPIA]
NORMAL = np.eye(3).tolist()
XYZ_OF_RGB = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]
WHITE = [0.95047, 1.0, 1.08883]  # D65
OKABE_ITO = "#E69F00 #56B4E9 #009E73 #F0E442 #0072B2 #D55E00 #CC79A7".split()

Floats = npt.NDArray[np.float64]


def linear(colour: str) -> Floats:
    """Linear RGB of an sRGB colour."""
    values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
    shares = values / 255
    return np.where(
        shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4
    )


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """Contrast of WCAG 2, from 1 to 21."""
    darker, lighter = sorted([luminance(first), luminance(second)])
    return (lighter + 0.05) / (darker + 0.05)


def lab(colour: str, vision: list[list[float]]) -> Floats:
    """CIELAB of a colour as it looks in a kind of vision."""
    rgb = np.clip(np.array(vision) @ linear(colour), 0, 1)
    ratios = np.array(XYZ_OF_RGB) @ rgb / WHITE
    x, y, z = np.where(
        ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116
    )
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_distance(palette: list[str], vision: list[list[float]]) -> float:
    """Least difference (CIE 1976) between any two colours in a kind of vision."""
    return min(
        float(np.linalg.norm(lab(first, vision) - lab(second, vision)))
        for first, second in itertools.combinations(palette, 2)
    )


class TestMeasures:
    def test_contrast(self) -> None:
        assert contrast("#000000", "#ffffff") == pytest.approx(21)
        assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)

    def test_lab(self) -> None:
        assert lab("#ffffff", NORMAL) == pytest.approx([100, 0, 0], abs=0.02)
        red = lab("#ff0000", NORMAL)
        assert red == pytest.approx([53.24, 80.09, 67.20], abs=0.02)

    def test_grey_is_grey_to_everybody(self) -> None:
        for vision in (*RED_GREEN, TRITANOPIA):
            assert lab("#808080", vision)[1:] == pytest.approx([0, 0], abs=0.1)

    def test_red_and_green_are_confused_without_one_kind_of_cone(self) -> None:
        assert least_distance(["#af5f00", "#5f8700"], NORMAL) > 40
        assert least_distance(["#af5f00", "#5f8700"], DEUTERANOPIA) < 10


class TestContrast:
    @pytest.mark.parametrize("background", BACKGROUNDS)
    @pytest.mark.parametrize("colour", sorted(OF_REPORTS))
    def test_each_is_readable(self, colour: str, background: str) -> None:
        assert contrast(colour, background) >= CONTRAST

    @pytest.mark.parametrize("colour", sorted(OF_REPORTS))
    def test_terminals_with_256_colours_show_them_unchanged(
        self, colour: str
    ) -> None:
        shown = Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT)
        assert shown.get_truecolor().hex == colour


class TestColourBlindReaders:
    @pytest.mark.parametrize("vision", RED_GREEN)
    def test_categories_of_broden_differ_as_far_as_those_of_okabe_and_ito(
        self, vision: list[list[float]]
    ) -> None:
        palette = list(colours.OF_CATEGORY.values())
        known_as_safe = least_distance(OKABE_ITO, DEUTERANOPIA)
        assert known_as_safe == pytest.approx(17.0, abs=0.05)
        assert least_distance(palette, vision) >= known_as_safe - 0.05

    def test_in_other_visions(self) -> None:
        palette = list(colours.OF_CATEGORY.values())
        assert least_distance(palette, NORMAL) >= 50
        assert least_distance(palette, TRITANOPIA) >= 14

    @pytest.mark.parametrize("vision", RED_GREEN)
    def test_all_ten_differ(self, vision: list[list[float]]) -> None:
        palette = [*colours.OF_CATEGORY.values(), *colours.FURTHER]
        assert least_distance(palette, NORMAL) >= 24
        # a difference of 2.3 is just noticeable
        assert least_distance(palette, vision) >= 3 * 2.3


class TestAssignment:
    def test_of_broden(self) -> None:
        assert tuple(colours.OF_CATEGORY) == BRODEN
        assert category_colours(BRODEN) == colours.OF_CATEGORY
        for category in BRODEN:
            assert category_colour(category) == colours.OF_CATEGORY[category]

    def test_others_are_stable_by_name(self) -> None:
        # as a pinned value: a change would recolour everybody's figures
        assert category_colour("animal") == "#af5fd7"
        assert category_colours(["animal", "object"])["animal"] == "#af5fd7"
        assert category_colour("") in colours.FURTHER

    def test_ten_categories_have_ten_colours(self) -> None:
        names = [*BRODEN, "a", "b", "c", "d"]
        assert len(set(category_colours(names).values())) == 10
        others = [f"kind {number}" for number in range(10)]
        assert len(set(category_colours(others).values())) == 10

    def test_the_order_of_the_categories_does_not_matter(self) -> None:
        names = ["vehicle", "object", "plant", "animal", "road", "sky"]
        assigned = category_colours(names)
        assert list(assigned) == names
        assert category_colours(reversed(names)) == assigned

    def test_more_than_ten(self) -> None:
        names = [f"kind {number}" for number in range(25)]
        assert set(category_colours(names)) == set(names)

    def test_one_of_a_name_twice(self) -> None:
        assert list(category_colours(["part", "part"])) == ["part"]


class TestReports:
    def test_a_piece_of_html_has_no_others(self, dissection: Dissection) -> None:
        page = to_html_fragment([dissection.report()])
        assert set(re.findall(r"(?<!-)color: (#\w+)", page)) <= OF_REPORTS
        assert "background-color" not in page

    def test_a_terminal_gets_no_others(self, dissection: Dissection) -> None:
        # rich keeps the codes of a style for the first terminal that it was shown on
        Style.parse.cache_clear()
        file = io.StringIO()
        console = Console(
            file=file, width=80, force_terminal=True, color_system="truecolor"
        )
        console.print(render(dissection.report()))
        codes = [
            sequence.split(";")
            for sequence in re.findall(r"\x1b\[([\d;]*)m", file.getvalue())
        ]
        assert ["38", "2", "118", "118", "118"] in [code[-5:] for code in codes]
        assert ["38", "2", "0", "135", "215"] in [code[-5:] for code in codes]
        for code in codes:
            # Reset, bold, or a colour given by its channels: no colour of the terminal's theme.
            assert code[0] in ("0", "1", "38"), code
            assert "38" not in code or code[code.index("38") + 1] == "2", code
