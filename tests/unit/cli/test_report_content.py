"""Reports of third parties: texts, bytes and folders, written by ``nd report``."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from installed_plugins import plugin_folder

from nd_plugin import BadInput, Dissection
from nd_plugin.cli.views.report_output import write_content
from nd_plugin.report.content.checked_content import RECORD
from nd_plugin.results.run_folder import save_run

# formats by what they give; the one of bytes by its ending, too
PLUGIN = """
    import builtins
    from collections import UserDict
    from nd_plugin import ReporterSpec, hookimpl

    def give(reports):
        return content

    def titles(reports):
        return b"\\n".join(report.title.encode() for report in reports)

    @hookimpl
    def nd_reporters():
        return [
            ReporterSpec("given", "what a test gives", "bound:give"),
            ReporterSpec("titles", "bytes", "bound:titles", (".bound", ".csv.bin")),
        ]

    content = ""
"""
SITE = {
    "index.html": "<p>ü</p>",
    "images/1.png": b"\x89PNG\xff",
    "a.txt": "half \udcff",
}
WRITTEN = {
    "index.html": "<p>ü</p>".encode(),
    "images/1.png": b"\x89PNG\xff",
    "a.txt": "half \ufffd".encode(),
}


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Any]:
    """Module of an installed reporter; what its ``content`` holds is given."""
    folder = tmp_path / "installed"
    folder.mkdir()
    with plugin_folder(folder) as install:
        install("bound", PLUGIN)
        yield __import__("bound")


@pytest.fixture
def saved(dissection: Dissection, tmp_path: Path) -> Path:
    return save_run(tmp_path / "run", [dissection])


def files_in(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.name != RECORD
    }


class TestBytes:
    def test_the_ending_of_a_file_says_the_format(
        self, bound: Any, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        target = tmp_path / "report.bound"
        done = nd("report", saved, "-o", target)
        assert done.returncode == 0, done.stderr
        assert target.read_bytes() == b"block.1/relu"

    def test_several_runs(
        self,
        bound: Any,
        saved: Path,
        dissection: Dissection,
        tmp_path: Path,
        nd: Any,
    ) -> None:
        other = save_run(tmp_path / "other", [dissection])
        target = tmp_path / "report.bound"
        done = nd("report", saved, other, "-o", target, "--json")
        assert done.returncode == 0, done.stderr
        titles = ["run block.1/relu", "other block.1/relu"]
        assert target.read_text().splitlines() == titles
        assert len(json.loads(done.stdout)["layers"]) == 2

    def test_other_programs_get_them_as_they_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stdout = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stdout))
        write_content(b"%PDF\r\n\xff", None)
        assert stdout.getvalue() == b"%PDF\r\n\xff"

    def test_a_terminal_gets_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        stdout = io.TextIOWrapper(io.BytesIO())
        monkeypatch.setattr(stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(BadInput, match="write it to a file with -o FILE"):
            write_content(b"\x1b[2J", None)

    def test_they_are_no_csv(
        self, bound: Any, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        target = tmp_path / "x.csv"
        bound.content = b"a,b"
        done = nd("report", saved, "--safe-csv", "--format", "given", "-o", target)
        assert done.returncode == 2 and "needs a format of CSV" in done.stderr
        assert not target.exists()


class TestFolder:
    def test_it_is_written(
        self, bound: Any, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        bound.content = SITE
        target = tmp_path / "new" / "site"
        done = nd("report", saved, "--format", "given", "-o", target)
        assert done.returncode == 0, done.stderr
        assert files_in(target) == WRITTEN
        assert "3 files" in done.stderr and done.stdout == ""

    def test_an_earlier_report_is_replaced_as_a_whole(
        self, bound: Any, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        target = tmp_path / "site"
        for content in (SITE, {"index.html": b"new"}):
            bound.content = content
            done = nd("report", saved, "--format", "given", "-o", target)
            assert done.returncode == 0, done.stderr
        assert files_in(target) == {"index.html": b"new"}
        # nothing of the exchange is left beside it
        assert {path.name for path in tmp_path.iterdir()} == {
            "installed",
            "run",
            "site",
        }

    @pytest.mark.parametrize("foreign", ["index.md", "images/2.png", "empty/"])
    def test_a_folder_with_anything_else_is_left(
        self, bound: Any, saved: Path, tmp_path: Path, foreign: str, nd: Any
    ) -> None:
        bound.content = SITE
        target = tmp_path / "site"
        assert (
            nd("report", saved, "--format", "given", "-o", target).returncode == 0
        )
        path = target / foreign
        path.mkdir() if foreign.endswith("/") else path.write_text("mine")
        done = nd("report", saved, "--format", "given", "-o", target)
        assert done.returncode == 2
        assert "holds other things than a report" in done.stderr
        assert path.exists() and (target / "images/1.png").is_file()

    @pytest.mark.parametrize(
        "record", ["", "[]", '{"files": 3}', '{"files": [[]]}']
    )
    def test_a_damaged_record_protects_the_folder(
        self, bound: Any, saved: Path, tmp_path: Path, record: str, nd: Any
    ) -> None:
        target = tmp_path / "site"
        target.mkdir()
        (target / RECORD).write_text(record)
        (target / "index.html").write_text("mine")
        bound.content = SITE
        done = nd("report", saved, "--format", "given", "-o", target)
        assert done.returncode == 2, done.stderr
        assert (target / "index.html").read_text() == "mine"

    @pytest.mark.skipif(os.name == "nt", reason="links need rights there")
    def test_a_link_in_it_is_not_followed(
        self, bound: Any, saved: Path, tmp_path: Path, nd: Any
    ) -> None:
        bound.content = SITE
        target = tmp_path / "site"
        assert (
            nd("report", saved, "--format", "given", "-o", target).returncode == 0
        )
        photos = tmp_path / "photos"
        photos.mkdir()
        (photos / "1.png").write_text("mine")
        for path in ("images/1.png", "images"):
            (target / path).unlink() if path[-1] == "g" else (target / path).rmdir()
        (target / "images").symlink_to(photos)
        done = nd("report", saved, "--format", "given", "-o", target)
        assert done.returncode == 2, done.stderr
        assert (photos / "1.png").read_text() == "mine"

    def test_it_is_not_printed(self, bound: Any, saved: Path, nd: Any) -> None:
        bound.content = SITE
        done = nd("report", saved, "--format", "given")
        assert done.returncode == 2 and done.stdout == ""
        assert "a folder, of 3 files; name it with -o DIR" in done.stderr

    @pytest.mark.parametrize("content", [SITE, b"bytes", "text"])
    def test_a_file_and_a_folder_are_not_mistaken(
        self, bound: Any, saved: Path, tmp_path: Path, content: Any, nd: Any
    ) -> None:
        bound.content = content
        is_folder = isinstance(content, dict)
        target = tmp_path / "target"
        target.touch() if is_folder else target.mkdir()
        done = nd("report", saved, "--format", "given", "-o", target)
        assert done.returncode == 2
        word = "a file; a report" if is_folder else "a folder, and this format"
        assert f"{target} is {word}" in done.stderr
        assert target.is_file() == is_folder


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "it gives None, not a text, bytes, or a mapping"),
        (bytearray(b"x"), "it gives a bytearray, not a text"),
        ([("index.html", "x")], "it gives a list, not a text"),
        ({"index.html": 3}, "it gives a dict, not a text"),
        ({Path("index.html"): "x"}, "it gives a dict, not a text"),
        ({}, "a folder with no file"),
        ({"../out.html": "x"}, "a folder with the path '../out.html'"),
    ],
)
def test_wrong_content_names_the_plugin(
    bound: Any, saved: Path, tmp_path: Path, content: Any, problem: str, nd: Any
) -> None:
    bound.content = content
    target = tmp_path / "below" / "site"
    done = nd("report", saved, "--format", "given", "-o", target)
    assert done.returncode == 1
    assert "plugin 'bound' of bound 1.0 failed in give()" in done.stderr
    assert problem in done.stderr
    assert not (tmp_path / "below").exists()


def test_a_reporter_of_a_run_has_its_pictures(
    bound: Any, pictured: Dissection, tmp_path: Path, nd: Any
) -> None:
    """Top images, masks and histograms, read from the folder of the run."""
    given = []

    def remember(reports: Any) -> str:
        given.extend(reports)
        return "done"

    bound.give = remember
    save_run(tmp_path / "run", [pictured])
    done = nd("report", tmp_path / "run", "--format", "given")
    assert done.returncode == 0, done.stderr
    (report,) = given
    images = report.top_images(2, most=3)
    assert [image.name for image in images] == ["b.jpg", "a.jpg", "ü.jpg"]
    assert [image.activation for image in images] == [2.0, 1.0, 0.5]
    expected = pictured.pictures
    assert expected is not None and expected.units_top == 2
    for rank, image in enumerate(images[:2]):
        number = int(pictured.top_images[2, rank])
        assert image.original.mode == "RGB"
        assert image.original.tobytes() == expected.picture(number).tobytes()
        assert image.mask.shape == image.original.size[::-1]
    assert images[0].mask.any() and not images[0].mask.all()
    assert images[2].original is images[2].mask is images[2].picture is None


def test_what_a_reporter_prints_is_no_part_of_the_report(
    bound: Any, saved: Path, nd: Any
) -> None:
    def give(reports: Any) -> str:
        print("counting")  # noqa: T201
        return "the report"

    bound.give = give
    done = nd("report", saved, "--format", "given")
    assert done.stdout == "the report\n" and "counting" in done.stderr


def test_what_a_layer_lacks(
    bound: Any, dissection: Dissection, tmp_path: Path, nd: Any
) -> None:
    """Without pictures top images have their names; a CSV file has none."""
    given = []

    def remember(reports: Any) -> str:
        given.extend(reports)
        return "done"

    bound.give = remember
    run = save_run(tmp_path / "run", [dissection])
    table = tmp_path / "conv5.csv"
    head = "unit,category,label,score,object-label,object-iou"
    table.write_text(f"{head}\n1,object,dog,0.2,dog,0.2\n")
    done = nd("report", run, table, "--format", "given")
    assert done.returncode == 0, done.stderr
    of_run, of_table = given
    (image,) = of_run.top_images(2, most=1)
    assert image.name == "b.jpg" and image.original is image.mask is None
    assert of_run.dissection.pictures is None
    assert of_table.dissection is None and of_table.top_images(0) == []
    with pytest.raises(BadInput, match="no unit 9"):
        of_run.top_images(9)
