"""Reports as pages: a folder and one file, from runs with and without pictures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from nd_plugin import BadInput, Concept, Dissection
from nd_plugin.results.displayed_layers import DissectionList
from nd_plugin.site import report_pages
from nd_plugin.site.report_pages import folder_files, to_html

EVIL = "<script>alert(1)</script>"
FILE_NAME = re.compile(
    r"index\.html|data/layer-\d+-(images|(units|labels)-\d+)\.js|images/\d{5}\.(jpg|png)"
)


def with_foreign_texts(dissection: Dissection) -> Dissection:
    """Texts from elsewhere that would be markup, paths or ends of script elements."""
    concepts = (
        Concept(EVIL, "</script><b>"),
        Concept("../../etc", "</script><b>"),
        *dissection.concepts[2:],
    )
    provenance = replace(dissection.provenance, notes=(f'{EVIL} "&',))
    return replace(
        dissection,
        layer=f"../{EVIL}",
        categories=("</script><b>", "part"),
        concepts=concepts,
        image_names=('"><img src=x onerror=alert(1)>.jpg', "../b", EVIL, "‮ü.jpg"),
        provenance=provenance,
    )


def blocks_of_page(page: str) -> dict[str, str]:
    """Return the data blocks of a page, by name."""
    pattern = r'<script type="application/json" id="([^"]+)">([^<]*)</script>'
    return dict(re.findall(pattern, page))


class TestForeignTexts:
    def test_names_of_files_are_our_own(self, pictured: Dissection) -> None:
        files = folder_files([with_foreign_texts(pictured).report()] * 2)
        assert all(FILE_NAME.fullmatch(name) for name in files)
        assert "data/layer-2-units-0.js" in files

    def test_no_text_becomes_markup(self, pictured: Dissection) -> None:
        page = to_html([with_foreign_texts(pictured).report()])
        assert EVIL not in page
        assert "<b>" not in re.sub(r"<b>\d+</b>", "", page)
        assert "<img src=x" not in page
        # the script of the page, and nothing but data
        assert len(re.findall(r"<script>", page)) == 1

    def test_files_of_data_end_no_element(self, pictured: Dissection) -> None:
        files = folder_files([with_foreign_texts(pictured).report()])
        for name, content in files.items():
            if name.startswith("data/"):
                assert not set(b"<>&") & set(content), name


class TestFolderAndFile:
    def test_both_hold_the_same_data(self, pictured: Dissection) -> None:
        reports = [pictured.report()]
        files = folder_files(reports)
        blocks = blocks_of_page(to_html(reports))
        assert blocks["data-layers"] == blocks_of_page(
            files["index.html"].decode()
        ).get("data-layers")
        for name, content in files.items():
            stem = Path(name).stem
            if name.startswith("data/"):
                text = blocks[f"data-{stem}"]
                assert content.decode() == f'ndReceive("{stem}",{text});\n'
                assert json.loads(text)
            elif name.startswith("images/"):
                assert f"picture-{Path(name).name}" in blocks

    def test_a_picture_of_two_layers_is_one_file(
        self, pictured: Dissection
    ) -> None:
        reports = [pictured.report()]
        one = [name for name in folder_files(reports) if name.startswith("images")]
        two = [
            name for name in folder_files(reports * 2) if name.startswith("images")
        ]
        assert one == two

    def test_one_file_has_a_limit(
        self, pictured: Dissection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(report_pages, "LARGEST_PAGE", 50_000)
        with pytest.raises(
            BadInput, match="one file holds up to 0 MB: write a folder"
        ):
            to_html([pictured.report()])

    def test_to_html_writes_either(
        self, pictured: Dissection, tmp_path: Path
    ) -> None:
        pictured.to_html(tmp_path / "folder")
        pictured.to_html(tmp_path / "file.html")
        assert (tmp_path / "folder" / "index.html").is_file()
        page = (tmp_path / "file.html").read_text(encoding="utf-8")
        assert "data-layer-1-units-0" in blocks_of_page(page)

    def test_a_list_is_one_report_of_all_layers(
        self, pictured: Dissection, tmp_path: Path
    ) -> None:
        other = replace(pictured, layer="block.2")
        DissectionList([pictured, other]).to_html(tmp_path / "both")
        page = (tmp_path / "both" / "index.html").read_text(encoding="utf-8")
        assert '<a href="#layer-2"><bdi>block.2</bdi></a>' in page
        assert "2 layers" in page

    def test_quantiles_of_one_layer_are_told_apart(
        self, pictured: Dissection
    ) -> None:
        other = replace(pictured, settings=pictured.settings.at(0.25))
        page = to_html([pictured.report(), other.report()])
        assert (
            '<a href="#layer-2"><bdi>block.1/relu, quantile 0.25</bdi></a>' in page
        )


class TestSummary:
    def test_every_note_and_all_of_the_provenance(
        self, dissection: Dissection
    ) -> None:
        page = to_html([dissection.report()])
        for note in dissection.notes:
            assert note in page
        for text in ("pkg:Net", "abc", "def", "2026-01-01T00:00:00", "0.005"):
            assert text in page

    def test_a_run_without_pictures_says_so(self, dissection: Dissection) -> None:
        page = to_html([dissection.report()])
        assert "This result has no pictures of its top images" in page

    def test_bars_are_as_long_as_their_counts(self, dissection: Dissection) -> None:
        page = to_html([dissection.report()])
        widths = re.findall(
            r'<rect class="bar category-\d" width="([\d.]+)%" h', page
        )
        # unique detectors: object 1, part 1; units by concept: cat 2, tail 1
        assert widths == ["100.0", "100.0", "100.0", "50.0"]
