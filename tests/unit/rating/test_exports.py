"""Studies as folders: what is in them, and what is not."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest

from nd_plugin import Dissection
from nd_plugin.errors import NotSaved
from nd_plugin.rating.exports import answer_key, export_for_crowd, export_page
from nd_plugin.rating.highlights import Highlights
from nd_plugin.rating.study import Study

ORIGIN_WORDS = ("is_label", "is_description", "block.1", "a.jpg", "ü.jpg")


@pytest.fixture
def highlights(large: Dissection, study: Study) -> Highlights:
    return Highlights([large], study.questions, study.images)


def files_of(folder: Path) -> set[str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in paths}


def assert_blind(folder: Path) -> None:
    """Check that no file or name in a folder tells where phrases are from."""
    for path in folder.rglob("*"):
        assert not any(word in path.name for word in ORIGIN_WORDS)
        if path.suffix in (".html", ".csv"):
            text = path.read_text()
            assert not any(word in text for word in ORIGIN_WORDS)


def test_the_page_is_a_folder_of_its_own(
    tmp_path: Path, study: Study, highlights: Highlights
) -> None:
    folder = tmp_path / "page"
    export_page(folder, study, "s1", highlights)
    pictures = {
        f"pictures/{item.pictures}-{n}.jpg"
        for item in study.questions
        for n in range(3)
    }
    assert files_of(folder) == {"index.html", *pictures}
    assert_blind(folder)
    page = (folder / "index.html").read_text()
    (block,) = re.findall(r'id="study">(.*?)</script>', page)
    content = json.loads(block)
    assert content["study"] == "s1" and content["served"] is False
    named = {
        url for question in content["questions"] for url in question["pictures"]
    }
    assert named == pictures
    # everything else is in the page itself
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert "connect-src 'none'" in html.unescape(page)


def test_an_export_can_be_renewed_but_nothing_else_is_replaced(
    tmp_path: Path, study: Study, highlights: Highlights
) -> None:
    folder = tmp_path / "page"
    export_page(folder, study, "s1", highlights)
    export_page(folder, study, "s2", highlights)
    assert '"s2"' in (folder / "index.html").read_text()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(NotSaved, match="something other"):
        export_page(folder, study, "s3", highlights)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("url", "prefix"),
    [("", ""), ("https://example.org/a/", "https://example.org/a/")],
)
def test_a_table_for_crowd_platforms_and_its_key_apart(
    tmp_path: Path, study: Study, highlights: Highlights, url: str, prefix: str
) -> None:
    folder = tmp_path / "crowd"
    key = export_for_crowd(folder, study, highlights, url)
    assert key == tmp_path / "crowd-key.csv" and key.is_file()
    assert_blind(folder)
    with (folder / "questions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["question"] for row in rows] == [
        q.identifier for q in study.questions
    ]
    assert set(rows[0]) == {"question", "phrase", "image_1", "image_2", "image_3"}
    for row in rows:
        for number in (1, 2, 3):
            address = row[f"image_{number}"]
            assert address.startswith(f"{prefix}pictures/")
            assert (folder / address.removeprefix(prefix)).is_file()
    with key.open(newline="") as file:
        solved = {row["question"]: row for row in csv.DictReader(file)}
    for question in study.questions:
        row = solved[question.identifier]
        assert (row["layer"], int(row["unit"])) == (question.layer, question.unit)
        assert row["is_label"] == str(int(question.is_label))
        assert row["is_description"] == str(int(question.is_description))


def test_the_key_survives_phrases_with_commas_and_quotes(study: Study) -> None:
    rows = list(csv.DictReader(answer_key(study.questions).splitlines()))
    assert [row["phrase"] for row in rows] == [q.phrase for q in study.questions]
    assert any("'\"&" in row["phrase"] for row in rows)
