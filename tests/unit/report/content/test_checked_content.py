"""Paths of the folder that a reporter gives."""

from __future__ import annotations

import pytest

from nd_plugin.report.content.checked_content import RECORD, find_fault

LONG = "x" * 256


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("", "relative"),
        ("/etc/passwd", "relative"),
        ("../index.html", "relative"),
        ("pages/../../index.html", "relative"),
        ("./index.html", "relative"),
        ("pages//unit.html", "relative"),
        ("pages/", "relative"),
        (r"..\index.html", "takes '\\\\' in"),
        ("C:/index.html", "':'"),
        ("c:index.html", "':'"),
        ("unit?.html", "takes '?' in"),
        ("two\nlines", r"takes '\n' in"),
        ("nul\0", r"takes '\x00' in"),
        ("half \udcff", r"takes '\udcff' in"),
        ("pages/CON.html", "Windows"),
        ("pages./unit.html", "Windows"),
        ("unit ", "Windows"),
        (LONG, "255 bytes"),
        ("é" * 128, "255 bytes"),
        ("/".join(["y" * 200] * 6), "1024 bytes"),
        (RECORD, "the host's"),
        (RECORD.upper(), "the host's"),
    ],
)
def test_a_path_that_not_every_file_system_takes(path: str, fault: str) -> None:
    assert fault in find_fault({"index.html": "", path: b""})


@pytest.mark.parametrize(
    "paths",
    [
        ("index.html", "INDEX.html"),
        ("é.html", "e\u0301.html"),
        ("unit", "unit/1.html"),
        ("Unit", "unit/images/1.html"),
    ],
)
def test_two_paths_that_clash(paths: tuple[str, str]) -> None:
    for pair in (paths, paths[::-1]):
        fault = find_fault(dict.fromkeys(pair, ""))
        assert all(repr(path) in fault for path in paths)


def test_a_folder_without_files() -> None:
    assert find_fault({}) == "no file"


def test_sound_content() -> None:
    paths = ("index.html", "a/index.html", "a/b c.html", ".nojekyll", "ü/猫.png")
    assert find_fault(dict.fromkeys(paths, b"")) == ""
    assert find_fault("../text") == find_fault(b"") == ""
