"""Tables: deeply odd ones give our error, with file and line, and never another meaning."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nd_plugin import ConceptSetInvalid, read_table
from nd_plugin.probe_data.tables import LONGEST_LINE

HEADER = b"image,label\n"


def table(tmp_path: Path, content: bytes) -> list[dict[str, str]]:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    return [line for _, line in read_table(path, ["image", "label"])]


@pytest.mark.parametrize(
    "content",
    [
        HEADER + b"a.jpg,1\nb.jpg,",
        b"\xef\xbb\xbf" + HEADER + b"a.jpg,1\nb.jpg,\n",
        HEADER.replace(b"\n", b"\r\n") + b"a.jpg,1\r\nb.jpg,\r\n",
        HEADER.replace(b"\n", b"\r") + b"a.jpg,1\rb.jpg,\r",
        HEADER + b'"a.jpg",1\n\n,\n b.jpg ,\n',
        b"note,label,image\n,1,a.jpg\n,,b.jpg\n",
        HEADER + b"a.jpg,1,,\nb.jpg,,\n",
    ],
)
def test_dialects(content: bytes, tmp_path: Path) -> None:
    lines = table(tmp_path, content)
    assert [(line["image"], line["label"]) for line in lines] == [
        ("a.jpg", "1"),
        ("b.jpg", ""),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEADER + b"a.jpg,1\nb\0.jpg,2\n",
            r"t\.csv, line 3: it holds a NUL character",
        ),
        (
            "image,label\na.jpg,1\n".encode("utf-16-le"),
            r"t\.csv, line 1: it holds a NUL character; save the table as UTF-8",
        ),
        (
            "image,label\na.jpg,1\n".encode("utf-16"),
            r"t\.csv cannot be read: line 1 is no UTF-8 .*\(it begins like UTF-16\)",
        ),
        (
            HEADER + b"a.jpg,1\n" * 3000 + "höhe.jpg,1\n".encode("latin-1"),
            r"t\.csv cannot be read: line 3002 is no UTF-8 text: .*0xf6",
        ),
        (
            HEADER + b"a.jpg,1\nb.jpg," + b"x" * 200_000 + b"\n",
            r"t\.csv, line 3: it cannot be read as a CSV file: field larger than field limit",
        ),
        (
            HEADER + b"a.jpg,1\n" + b"x" * 100_000_000,
            rf"t\.csv, line 3: it is longer than {LONGEST_LINE} characters",
        ),
        (
            b"x," * LONGEST_LINE,
            rf"t\.csv, line 1: it is longer than {LONGEST_LINE} characters",
        ),
        (
            HEADER + b'a.jpg,1\n"b.jpg,2\nc.jpg,3\n',
            r"t\.csv, line 4: it cannot be read as a CSV file: unexpected end of data",
        ),
        (
            HEADER + b'"a"b.jpg,1\n',
            r"t\.csv, line 2: it cannot be read as a CSV file: ',' expected after",
        ),
        (
            b"image,label,label\na.jpg,1,2\n",
            r"t\.csv, line 1: the column 'label' is there more than once",
        ),
        (
            HEADER + b"a.jpg,1\nb.jpg\n",
            r"t\.csv, line 3: it ends before the column 'label'; complete it, with commas",
        ),
        (HEADER + b"a.jpg,1,2\n", r"t\.csv, line 2: more cells than columns"),
        (b"", r"t\.csv has no column 'image', 'label'"),
        (b"\n\n\n", r"t\.csv has no column 'image', 'label'"),
        (
            b"image;label\na.jpg;1\n",
            r"has no column .* columns are separated by commas",
        ),
        (b"\x89PNG\r\n\x1a\n", r"t\.csv cannot be read: line 1 is no UTF-8 text"),
    ],
)
def test_odd_tables_are_refused_with_file_and_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConceptSetInvalid, match=message):
        table(tmp_path, content)


def test_quoted_texts_keep_commas_quotes_and_line_ends(tmp_path: Path) -> None:
    (line,) = table(tmp_path, HEADER + b'"a, ""b""\nc.jpg",5" pipe\n')
    assert line == {"image": 'a, "b"\nc.jpg', "label": '5" pipe'}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder"])
def test_what_is_no_regular_file_is_not_waited_for(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(
        ConceptSetInvalid, match=rf"t\.csv cannot be read: .*t\.csv is {kind}"
    ):
        read_table(path, ["image"])
