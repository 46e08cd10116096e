"""``nd concepts info``, and ``--color-table``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GOLDEN = """\
category  classes  sources  avg. samples  of images  of pixels
object    2        masks    6.0           100 %      100 %
scene     1        masks    1.0           17 %       17 %
category  most frequent    rarest
object    dark 6, light 6
scene     first-s 1
"""


def test_a_set_is_described(nd: Any, probe_set: Path) -> None:
    done = nd("concepts", "info", f"masks:{probe_set}")
    assert done.returncode == 0, done.stderr
    # its line wraps where the folder's name is long
    heading, category, table = done.stdout.partition("category")
    assert ": 6 images, 3 concepts; fingerprint " in " ".join(heading.split())
    assert category + table == GOLDEN
    assert "annotations: 6 images" in done.stderr


def test_json_has_every_concept(nd: Any, probe_set: Path) -> None:
    done = nd("concepts", "info", f"masks:{probe_set}", "--json", "--limit", "2")
    content = json.loads(done.stdout)
    assert content["name"] == "masks"
    assert content["images_read"] == 2
    scene = content["categories"][1]
    assert scene["concepts"] == [{"name": "first-s", "samples": 1, "coverage": 1.0}]
    assert scene["image_share"] == 0.5
    assert content["notes"] == ["only the first 2 of 6 images were read"]


def test_a_sheet_is_drawn(nd: Any, probe_set: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.svg"
    done = nd("concepts", "info", f"masks:{probe_set}", "--plot", sheet)
    assert done.returncode == 0, done.stderr
    svg = sheet.read_text()
    for text in ("object", "scene", "dark", "6 images", "first-s", "1 image"):
        assert f">{text}<" in svg, text
    picture = tmp_path / "sheet.png"
    assert (
        nd("concepts", "info", f"masks:{probe_set}", "--plot", picture).returncode
        == 0
    )
    with Image.open(picture) as drawn:
        width, height = drawn.size
    assert 1900 < width < 2300  # 7 inches at 300 dots per inch
    assert height < width


def test_files_that_hold_no_pictures_are_refused_first(
    nd: Any, probe_set: Path, tmp_path: Path
) -> None:
    for name, problem in (("sheet.gif", "written as one of"), ("sheet.pgf", "PGF")):
        done = nd(
            "concepts", "info", f"masks:{probe_set}", "--plot", tmp_path / name
        )
        assert done.returncode == 2
        assert problem in done.stderr
        assert "annotations" not in done.stderr


def test_help_shows_the_options(nd: Any) -> None:
    page = nd("concepts", "info", "--help").stdout
    for option in ("--plot", "--limit", "--json", "--workers", "--color-table"):
        assert option in page


def test_a_color_table_without_color_is_refused(
    nd: Any, probe_set: Path, tmp_path: Path
) -> None:
    table = tmp_path / "t.npy"
    np.save(table, np.zeros((32, 32, 32), np.uint8))
    text = f"masks:{probe_set}"
    commands = [
        ("dissect", "networks:ResNet18", "-l", "layer1", "-c", text),
        ("parity", "networks:ResNet18", "networks:ResNet18", "-c", text),
        ("rotate", "networks:ResNet18", "-l", "layer1", "-c", text),
        ("evolve", "networks:ResNet18", "w.pt", "-l", "layer1", "-c", text),
        ("concepts", "info", text),
    ]
    for command in commands:
        done = nd(*command, "--color-table", table)
        assert done.returncode == 2, command
        assert "is the table of +color" in done.stderr, command
