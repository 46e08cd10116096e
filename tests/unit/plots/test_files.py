"""Files of plots: endings, text as text, the same bytes, written whole."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest
from matplotlib import pyplot
from matplotlib.backends import backend_pgf
from PIL import Image

import nd_plugin
from nd_plugin import BadInput, Dissection, NotSaved, Unavailable
from nd_plugin.plots import plot_detectors, plot_heat_map, plot_unit, save_plot
from nd_plugin.plots.kinds import TEX_SYSTEMS


class Ruler:
    """Measure texts by their length."""

    def get_width_height_descent(
        self, text: str, _: object
    ) -> tuple[int, int, int]:
        return 4 * len(text), 7, 2


HAS_LATEX = any(shutil.which(name) for name in TEX_SYSTEMS)


def test_png_is_sharp_enough_for_print(
    dissection: Dissection, tmp_path: Path
) -> None:
    path = save_plot(plot_detectors(dissection), tmp_path / "x.PNG")
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        # cropped to what is drawn, of a column of 3.5 inches at 300 dots per inch
        assert 900 < picture.width < 1150


def test_svg_holds_texts(dissection: Dissection, tmp_path: Path) -> None:
    path = save_plot(plot_detectors(dissection), tmp_path / "x.svg")
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text())
    assert {"block.1/relu", "unique detectors", "object", "part"} <= set(texts)


def test_pdf_holds_fonts_that_journals_take(
    dissection: Dissection, tmp_path: Path
) -> None:
    path = save_plot(plot_detectors(dissection), tmp_path / "x.pdf")
    content = path.read_bytes()
    assert content.startswith(b"%PDF") and b"/Type3" not in content
    assert b"/CIDFontType2" in content, "TrueType, whose texts can be searched"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_plot_is_the_same_file(
    dissection: Dissection, tmp_path: Path, ending: str
) -> None:
    files = [
        save_plot(plot_heat_map(dissection), tmp_path / f"{name}.{ending}")
        for name in ("a", "b")
    ]
    first, second = [file.read_bytes() for file in files]
    assert first == second


def test_the_figure_is_closed(dissection: Dissection, tmp_path: Path) -> None:
    save_plot(plot_detectors(dissection), tmp_path / "x.svg")
    assert not pyplot.get_fignums()


def test_a_figure_can_be_given(dissection: Dissection, tmp_path: Path) -> None:
    assert save_plot(dissection.plot(), tmp_path / "x.svg").is_file()


@pytest.mark.parametrize("name", ["x.jpg", "x.eps", "x", "x.svg.gz", ".png"])
def test_other_endings(dissection: Dissection, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"one of \.png, \.svg, \.pdf, \.pgf, and"):
        save_plot(plot_detectors(dissection), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_is_left(
    dissection: Dissection, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(NotSaved, match="cannot be written"):
        save_plot(plot_detectors(dissection), tmp_path / "file" / "x.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestPgf:
    def test_without_latex(
        self,
        dissection: Dissection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(Unavailable, match=r"needs LaTeX, .*or write x\.pdf"):
            save_plot(plot_detectors(dissection), tmp_path / "x.pgf")
        assert not list(tmp_path.iterdir())

    def test_what_is_written(
        self,
        dissection: Dissection,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """With a ruler in place of LaTeX, which is slow and seldom there."""
        monkeypatch.setattr(shutil, "which", lambda name: name)
        monkeypatch.setattr(
            backend_pgf.LatexManager, "_get_cached_or_new", lambda: Ruler()
        )
        ax = plot_detectors({"a_b & 5%": dissection})
        path = save_plot(ax, tmp_path / "x.pgf")
        text = path.read_text()
        assert r"\begin{pgfpicture}" in text and r"\end{pgfpicture}" in text
        assert "unique detectors" in text and r"a\_b \& 5\%" in text
        assert "a_b" not in text and r"\pgfimage" not in text
        assert [file.name for file in tmp_path.iterdir()] == ["x.pgf"]

    @pytest.mark.skipif(not HAS_LATEX, reason="LaTeX is not installed")
    def test_with_latex(self, dissection: Dissection, tmp_path: Path) -> None:
        path = save_plot(plot_detectors(dissection), tmp_path / "x.pgf")
        text = path.read_text()
        assert r"\begin{pgfpicture}" in text and "unique detectors" in text

    def test_of_pictures(self, pictured: Dissection, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"holds no pictures, .*write x\.pdf"):
            save_plot(plot_unit(pictured, 0), tmp_path / "x.pgf")


def test_no_plot_opens_a_window() -> None:
    """`pyplot.show` waits for a user; notebooks and scripts call it themselves."""
    for path in (Path(nd_plugin.__file__).parent / "plots").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_show = isinstance(node, ast.Attribute) and node.attr == "show"
            if is_show:
                assert isinstance(node, ast.Attribute)
                assert ast.unparse(node) == "dissection.show", path
