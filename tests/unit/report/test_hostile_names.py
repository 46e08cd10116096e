"""Names of strangers in reports: nothing steers a terminal, and documents are whole."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import matplotlib as mpl
import pytest
from hostile_names import NAMES, STEERING, with_hostile_names
from made_pictures import make_pictures
from rich.console import Console

from nd_plugin import Dissection
from nd_plugin.borders.printable import Printable, in_xml, one_line, printable, utf8
from nd_plugin.comparison.compared_layers import ComparedLayer
from nd_plugin.comparison.layer_comparison import LayerComparison
from nd_plugin.plots.files import save_plot
from nd_plugin.plots.kinds import KINDS
from nd_plugin.plots.latex import latex_table
from nd_plugin.report import netdissect_csv, tables, terminal
from nd_plugin.results.pictured_layer import PicturedLayer

ROOT = Path(__file__).parents[3]
# what a style makes a browser or a viewer of pictures fetch
FETCHED = re.compile(
    r"""@import|@font-face|url\(\s*['"]?(?!\#|data:)""", re.IGNORECASE
)
ONE_LAYER_AT_SEVERAL_QUANTILES = {"quantile-iou"}


@pytest.fixture
def hostile(dissection: Dissection) -> Dissection:
    named = with_hostile_names(dissection)
    return replace(named, stored_pictures=make_pictures(named))


def shown(item: object, width: int = 100) -> str:
    """Return what a terminal gets, styles included."""
    console = Console(
        width=width,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        force_jupyter=False,
    )
    console.print(item)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def compared(dissection: Dissection) -> LayerComparison:
    """Compare a layer with one of another name."""
    reports = [dissection.report(), replace(dissection, layer="b").report()]
    return LayerComparison([ComparedLayer(report) for report in reports])


def fetched_by(picture: str) -> list[str]:
    """Return what a viewer of an SVG file would fetch, of elements and styles."""
    addresses: list[str] = []
    for element in ElementTree.fromstring(picture).iter():
        for name, value in element.attrib.items():
            is_address = name.rpartition("}")[2] in ("href", "src")
            is_inside = value.startswith(("#", "data:"))
            if (is_address and not is_inside) or FETCHED.search(value):
                addresses.append(value)
        tag = str(element.tag).rpartition("}")[2]
        if tag == "style" and FETCHED.search(element.text or ""):
            addresses.append(str(element.text))
        if tag in ("script", "foreignObject"):
            addresses.append(tag)
    return addresses


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


class TestCharacters:
    @pytest.mark.parametrize("name", NAMES)
    def test_nothing_steers(self, name: str) -> None:
        for text in (printable(name), one_line(name)):
            assert not set(STEERING) & set(text)
            text.encode()
        assert len(one_line(name).splitlines()) == 1
        utf8(name).decode()
        ElementTree.fromstring(f"<a>{escape(in_xml(name))}</a>")

    @pytest.mark.parametrize(
        "name", ["dog", "größe", "日本", "שלום", "a\nb\tc", "👩‍💻", "τ ≥ 0.5"]
    )
    def test_plain_names_stay(self, name: str) -> None:
        assert printable(name) == name

    def test_what_was_stripped_takes_no_room(self) -> None:
        lines = without_styles(shown(Printable("a\x9b\u202eb[bold]"))).splitlines()
        assert lines == ["ab"]


class TestTerminals:
    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_layers_and_units(self, hostile: Dissection, width: int) -> None:
        comparison = compared(hostile)
        for item in (hostile, hostile.show(0), hostile.show(3), comparison):
            text = without_styles(shown(item, width))
            assert not set(STEERING) & set(text)
            text.encode()

    def test_rows_of_a_table_stay_rows(self, hostile: Dissection) -> None:
        text = terminal.to_text([hostile.report()], 400)
        names = [score.concept for score in hostile.report().scores]
        for name in names:
            stripped = " ".join(one_line(name).split())
            lines = [" ".join(line.split()) for line in text.splitlines()]
            assert any(stripped in line for line in lines)

    def test_text_for_files_is_stripped_too(self, hostile: Dissection) -> None:
        text = terminal.to_text([hostile.report()])
        assert not {*STEERING} & {*text}


class TestDocuments:
    def test_json_is_strict_and_exact(self, hostile: Dissection) -> None:
        def refuse(name: str) -> None:
            raise AssertionError(name)

        text = tables.to_json([hostile.report()])
        assert text.isascii() and not {*STEERING} & {*text}
        content = json.loads(text, parse_constant=refuse)
        names = {unit["concept"] for unit in content["layers"][0]["unit_scores"]}
        assert names <= {concept.name for concept in hostile.concepts}
        assert json.loads(hostile.to_json(), parse_constant=refuse)["units"]

    def test_csv_is_read_back(self, hostile: Dissection, tmp_path: Path) -> None:
        report = hostile.report()
        rows = list(
            csv.DictReader(io.StringIO(tables.to_csv([report]), newline=""))
        )
        assert [row["concept"] for row in rows] == [
            s.concept for s in report.scores
        ]
        assert {row["layer"] for row in rows} == {hostile.layer}
        text = netdissect_csv.to_csv([report])
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert {row["label"] for row in rows} == {s.concept for s in report.scores}
        hostile.to_csv(tmp_path / "units.csv")
        assert (tmp_path / "units.csv").read_bytes().decode()

    def test_csv_without_formulas(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        concepts = tuple(
            replace(concept, name=f"={concept.name}()")
            for concept in dissection.concepts
        )
        named = replace(dissection, concepts=concepts)
        named.to_csv(tmp_path / "a.csv")
        named.to_csv(tmp_path / "b.csv", safe=True)
        exact, safe = (
            list(csv.DictReader((tmp_path / name).read_text().splitlines()))
            for name in ("a.csv", "b.csv")
        )
        assert exact[0]["concept"] == "=cat()" and safe[0]["concept"] == "'=cat()"
        assert [row["threshold"] for row in exact] == [
            row["threshold"] for row in safe
        ]

    def test_latex_has_no_command_of_a_name(self, hostile: Dissection) -> None:
        text = latex_table(hostile)
        assert "\\input" not in text and "\x1b" not in text
        lines = text.splitlines()
        assert all(line.count("&") == lines[3].count("&") for line in lines[3:4])

    def test_a_picture_of_a_terminal_is_xml(self, hostile: Dissection) -> None:
        picture = terminal.to_svg([hostile.report()])
        assert fetched_by(picture) == []

    @pytest.mark.parametrize(
        "kind", sorted(set(KINDS) - ONE_LAYER_AT_SEVERAL_QUANTILES)
    )
    @pytest.mark.filterwarnings("ignore:Glyph")
    @pytest.mark.filterwarnings("ignore:constrained_layout")
    def test_plots_are_drawn(
        self, hostile: Dissection, tmp_path: Path, kind: str
    ) -> None:
        mpl.use("Agg")
        path = save_plot(KINDS[kind].draw([hostile]), tmp_path / "plot.svg")
        assert fetched_by(path.read_text(encoding="utf-8")) == []
        save_plot(KINDS[kind].draw([hostile]), tmp_path / "plot.png")

    def test_what_is_saved_is_loaded(
        self, hostile: Dissection, tmp_path: Path
    ) -> None:
        loaded = Dissection.load(hostile.save(tmp_path / "layer"))
        assert loaded.layer == hostile.layer and loaded.concepts == hostile.concepts
        assert isinstance(loaded, PicturedLayer) and loaded.pictures is not None


class Fetching(HTMLParser):
    """Addresses that a page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        """Note what an element loads; links that a reader follows are none."""
        names = {"src", "srcset", "poster", "data", "background", "xlink:href"}
        for name, value in attrs:
            is_loaded = name in names or (
                name == "href" and tag in ("link", "use", "image")
            )
            if is_loaded and value and not value.startswith(("data:", "#")):
                self.addresses.append(value)


class TestNothingIsFetched:
    def test_pages(self, hostile: Dissection, tmp_path: Path) -> None:
        hostile.to_html(tmp_path / "page.html")
        hostile.to_html(tmp_path / "pages")
        comparison = compared(hostile)
        comparison.to_html(tmp_path / "compared")
        for path in sorted(tmp_path.rglob("*.html")):
            text = path.read_text(encoding="utf-8")
            for address in Fetching(text).addresses:
                assert "//" not in address and ":" not in address, address
                assert (path.parent / address).is_file(), address
            styles = re.findall(r"<style.*?</style>", text, re.DOTALL)
            assert styles and not any(map(FETCHED.search, styles))

    def test_notebooks(self, hostile: Dissection) -> None:
        comparison = compared(hostile)
        for item in (hostile, hostile.show(0), comparison):
            html = item._repr_html_()
            assert Fetching(html).addresses == []
            assert "\x1b" not in html or "<script" not in html

    @pytest.mark.parametrize(
        "path",
        sorted(ROOT.glob("docs/**/*.svg")),
        ids=lambda path: path.name,
    )
    def test_pictures_of_the_documentation(self, path: Path) -> None:
        assert fetched_by(path.read_text(encoding="utf-8")) == []
