"""Pages of comparisons: what they hold, where they link to, and foreign texts."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import numpy as np
import pytest
from foreign_texts import EVIL, QUOTES, with_foreign_texts
from made_pictures import make_pictures

from nd_plugin import BadInput, Dissection, LayerComparison, compare_dissections
from nd_plugin.comparison import pages
from nd_plugin.comparison.pages import file_page, folder_pages
from nd_plugin.report.netdissect_csv import read_netdissect_csv
from nd_plugin.site.mask_paths import darkened_path


class Reader(HTMLParser):
    """Elements of a page with their attributes, and all of its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text: str) -> None:
        self.text += f" {text}"

    def values(self, tag: str, attribute: str) -> list[str]:
        """Values of an attribute of all elements of a kind that have it."""
        return [
            attributes[attribute] or ""
            for name, attributes in self.elements
            if name == tag and attribute in attributes
        ]


@pytest.fixture
def pair(dissection: Dissection, second: Dissection) -> LayerComparison:
    """A run with pictures beside one without."""
    pictured = replace(dissection, stored_pictures=make_pictures(dissection))
    return compare_dissections([pictured, second], ["one", "two"])


def readers(files: dict[str, bytes]) -> dict[str, Reader]:
    return {
        name: Reader(content.decode())
        for name, content in files.items()
        if name.endswith(".html")
    }


class TestFolder:
    def test_a_page_for_each_concept_and_a_report_for_each_run(
        self, pair: LayerComparison
    ) -> None:
        files = folder_pages(pair)
        html = sorted(name for name in files if name.endswith(".html"))
        concepts = [f"concepts/{number}.html" for number in range(1, 5)]
        assert html == [
            *concepts,
            "index.html",
            "run-1/index.html",
            "run-2/index.html",
        ]

    def test_links_and_pictures_lead_to_files_of_the_folder(
        self, pair: LayerComparison
    ) -> None:
        files = folder_pages(pair)
        pages_read = readers(files)
        for name, reader in pages_read.items():
            if name.startswith("run-"):
                continue
            targets = reader.values("a", "href") + reader.values("img", "src")
            assert targets
            for target in targets:
                address, _ = urldefrag(urljoin(name, target))
                assert address in files, (name, target)
        fragments = [
            urldefrag(target)[1]
            for target in pages_read["concepts/3.html"].values("a", "href")
        ]
        # cat: concept 0 of both layers; units 2 and 0 detect it, unit 0 of the other is nearest
        assert [text for text in fragments if text.startswith("layer-")] == [
            "layer-1/concept-0",
            "layer-1/unit-2",
            "layer-1/unit-0",
            "layer-1/concept-0",
            "layer-1/unit-0",
        ]

    def test_layers_of_one_run_share_a_report(self, dissection: Dissection) -> None:
        later = replace(dissection, layer="later")
        other = replace(dissection, layer="other")
        comparison = compare_dissections(
            [dissection, other, later], ["run", "second", "run"]
        )
        reader = readers(folder_pages(comparison))["index.html"]
        links = [
            link for link in reader.values("a", "href") if link.startswith("run-")
        ]
        assert links[:3] == [
            "run-1/index.html#layer-1",
            "run-2/index.html#layer-1",
            "run-1/index.html#layer-2",
        ]

    def test_regions_are_the_activation_masks(self, pair: LayerComparison) -> None:
        (layer, _) = pair.layers
        assert layer.dissection is not None
        reader = readers(folder_pages(pair))["concepts/3.html"]
        paths = reader.values("path", "d")
        expected = []
        for unit in (2, 0):
            for rank in (0, 1):
                mask = layer.dissection.activation_mask(unit, rank)
                assert mask is not None
                expected.append(darkened_path(mask))
        assert paths == expected

    def test_pictures_are_files_once_each(self, pair: LayerComparison) -> None:
        files = folder_pages(pair)
        images = [name for name in files if name.startswith("images/")]
        assert len(images) == 2, "two top images of all units"

    def test_it_is_written_and_replaced(
        self, pair: LayerComparison, tmp_path: Path
    ) -> None:
        folder = tmp_path / "side"
        pair.to_html(folder)
        pair.to_html(folder)
        written = {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert written == set(folder_pages(pair))
        (folder / "mine.txt").write_text("kept")
        with pytest.raises(BadInput, match="holds other things than a report"):
            pair.to_html(folder)
        assert (folder / "mine.txt").read_text() == "kept"


class TestIndex:
    def test_counts_and_warnings(self, pair: LayerComparison) -> None:
        reader = readers(folder_pages(pair))["index.html"]
        text = " ".join(reader.text.split())
        for warning in pair.warnings:
            assert warning in text
        assert "Compare with care" in text
        assert "2 40.0 %" in text and "2 66.7 %" in text
        assert "object 1 (2 units) 2 (3 units)" in text

    def test_equal_settings_are_said(self, dissection: Dissection) -> None:
        comparison = compare_dissections([dissection] * 2, ["a", "b"])
        text = Reader(file_page(comparison)).text
        assert (
            "Images, concept set and settings are the same in all layers." in text
        )
        assert "Compare with care" not in text

    def test_bars_are_stacked_in_the_order_of_the_categories(
        self, pair: LayerComparison
    ) -> None:
        page = folder_pages(pair)["index.html"].decode()
        bars = re.findall(
            r'<rect class="bar category-(\d)" x="([\d.]+)%" width="([\d.]+)%"', page
        )
        assert bars == [
            ("0", "0.0", "50.0"),
            ("1", "50.0", "50.0"),
            ("0", "0.0", "100.0"),
        ]

    def test_rows_tell_which_layers_detect_a_concept(
        self, pair: LayerComparison
    ) -> None:
        reader = readers(folder_pages(pair))["index.html"]
        groups = dict(
            zip(
                reader.values("tr", "data-name"),
                reader.values("tr", "data-group"),
                strict=True,
            )
        )
        assert groups == {
            "dog": "only-1",
            "ear": "only-1",
            "cat": "only-0",
            "tail": "only-0",
        }

    def test_what_a_layer_cannot_have_is_said_in_its_cell(
        self, pair: LayerComparison
    ) -> None:
        text = " ".join(readers(folder_pages(pair))["index.html"].text.split())
        assert "of category part in its concept set" in text
        assert "labels no pixel of its images" in text

    def test_no_detector_at_all(self, dissection: Dissection) -> None:
        settings = replace(dissection.settings, min_iou=0.9)
        without = replace(dissection, settings=settings)
        comparison = compare_dissections([without] * 2, ["a", "b"])
        text = Reader(folder_pages(comparison)["index.html"].decode()).text
        assert "No unit of any layer detects a concept." in text

    def test_an_authors_file_has_a_report_but_no_pictures(
        self, dissection: Dissection, tmp_path: Path
    ) -> None:
        path = tmp_path / "conv5.csv"
        path.write_text(
            "unit,category,label,score,object-label,object-iou\n1,object,cat,0.3,cat,0.3\n"
        )
        comparison = compare_dissections([dissection, read_netdissect_csv(path)])
        files = folder_pages(comparison)
        assert "run-2/index.html" in files
        text = Reader(files["concepts/1.html"].decode()).text
        assert "A NetDissect CSV file holds no pictures." in text
        assert "The run has no pictures of its units' top images" in text


class TestFile:
    def test_it_holds_everything(
        self, pair: LayerComparison, tmp_path: Path
    ) -> None:
        pair.to_html(tmp_path / "side.html")
        page = (tmp_path / "side.html").read_text(encoding="utf-8")
        reader = Reader(page)
        sources = reader.values("img", "src")
        # the best unit's two top images, of four concepts in the run with pictures, but for ear
        # (of another category there)
        assert len(sources) == 2 * 3
        assert all(source.startswith("data:image/") for source in sources)
        ids = reader.values("h3", "id") + reader.values("h2", "id")
        for link in reader.values("a", "href"):
            target = link.removeprefix("#")
            assert link.startswith("#") and target in [*ids, "main"]

    def test_its_size_is_limited(
        self, pair: LayerComparison, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pages, "PICTURES_IN_A_FILE", 3)
        assert len(Reader(file_page(pair)).values("img", "src")) == 3
        monkeypatch.setattr(pages, "PICTURES_IN_A_FILE", 2)
        reader = Reader(file_page(pair))
        assert reader.values("img", "src") == []
        assert "Too many pictures for one file" in reader.text


class TestForeignTexts:
    @pytest.fixture
    def foreign(self, dissection: Dissection) -> LayerComparison:
        evil = with_foreign_texts(dissection)
        pictured = replace(evil, stored_pictures=make_pictures(evil))
        return compare_dissections([pictured, pictured], [EVIL, f"../{QUOTES}"])

    def test_names_of_files_are_our_own(self, foreign: LayerComparison) -> None:
        for name in folder_pages(foreign):
            assert re.fullmatch(r"[a-z0-9/.-]+", name) and ".." not in name

    def test_no_text_becomes_markup(self, foreign: LayerComparison) -> None:
        texts = [
            content.decode()
            for name, content in folder_pages(foreign).items()
            if name.endswith(".html")
        ]
        for page in (*texts, file_page(foreign)):
            reader = Reader(page)
            assert EVIL not in page and "onerror=alert(1)>" not in page
            sources = reader.values("img", "src")
            assert "x" not in sources
            handlers = [
                name
                for _, attributes in reader.elements
                for name in attributes
                if name.startswith("on") or name == "style"
            ]
            assert handlers == [], "refused by the policy"

    def test_the_texts_are_there(self, foreign: LayerComparison) -> None:
        reader = readers(folder_pages(foreign))["index.html"]
        assert EVIL in reader.text and QUOTES in reader.text


def test_the_nearest_unit_says_what_it_detects(dissection: Dissection) -> None:
    """Unit 2 detects cat, and comes nearest to dog, which only the other layer's detects."""
    intersection = dissection.intersection.copy()
    intersection[0] = [0, 60, 0, 0]
    other = replace(dissection, intersection=intersection)
    comparison = compare_dissections([dissection, other], ["a", "b"])
    number = [row.concept for row in comparison.concepts].index("dog") + 1
    page = folder_pages(comparison)[f"concepts/{number}.html"].decode()
    text = " ".join(Reader(page).text.split())
    match = comparison.concepts[number - 1].matches[0].nearest
    assert match is not None and match.unit == 2
    assert f"unit 2 IoU {match.iou:.4f} detects cat" in text
    assert np.isclose(match.iou, 10 / 170)
