"""``nd concepts build``: its output, its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broden_tables import read_rows
from united_sets import shaded, write_masks_set

from nd_plugin.concepts.colours.colour_table import ColourTable


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> str:
    names = {"object": ["Car", "comet"], "part": ["left wheel", "right wheel"]}
    root = tmp_path_factory.mktemp("sets") / "street"
    return write_masks_set(root, names, 10, {"comet": 3})


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("sets") / "lane"
    return write_masks_set(root, {"object": ["car", "automobile"]}, 11)


SMALL = ("--size", "16", "--workers", "0", "--quiet")


def test_a_union_is_told_in_short(
    nd: Any, tmp_path: Path, street: str, lane: str
) -> None:
    output = tmp_path / "union"
    result = nd("concepts", "build", output, street, lane, *SMALL, "--no-color")
    assert result.returncode == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == f"broden:{output}"
    assert lines[1].startswith("21 images (")
    assert lines[1].endswith("3 concepts, 2 of them merged from several labels")
    assert lines[2] == "1 labels left out as too rare"
    assert "street 10 10 4 2" in lines
    assert "lane 11 11 2 2" in lines
    assert "1 car lane/object/car, street/object/Car same name" in lines
    assert any("positional words" in line for line in lines)
    listing = json.loads(nd("concepts", f"broden:{output}", "--json").stdout)
    assert listing["categories"] == {
        "object": ["car", "automobile"],
        "part": ["wheel"],
    }
    assert listing["images"] == 21


def test_json_is_the_report_of_the_set(
    nd: Any, tmp_path: Path, street: str
) -> None:
    output = tmp_path / "union"
    result = nd("concepts", "build", output, street, *SMALL, "--json")
    record = json.loads(result.stdout)
    saved = json.loads((output / "union.json").read_text())
    assert record["set"] == f"broden:{output}"
    assert {name: record[name] for name in saved} == saved
    reasons = {label["name"]: label["reason"] for label in record["left_out"]}
    assert reasons["comet"] == "3 samples, fewer than 10"
    wheel = next(item for item in record["concepts"] if item["name"] == "wheel")
    assert [member["reason"] for member in wheel["members"]] == [
        "positional words dropped: 'wheel'",
        "same name; positional words dropped: 'wheel'",
    ]
    names = {concept["name"] for concept in record["concepts"]}
    assert {"car", "wheel"} <= names
    # colours are computed, and each of them is rare in ten images
    assert any(name.endswith("-c") for name in reasons)


def test_reports_in_three_formats(
    nd: Any, tmp_path: Path, street: str, lane: str
) -> None:
    output = tmp_path / "union"
    paths = [tmp_path / f"union.{ending}" for ending in ("md", "csv", "json")]
    for path in paths:
        result = nd(
            "concepts",
            "build",
            output,
            street,
            lane,
            *SMALL,
            "--resume",
            "--report",
            path,
        )
        assert result.returncode == 0, result.stderr
    page, table, record = (path.read_text() for path in paths)
    assert "| 1 | car | street/object/Car | 10 | same name |" in page
    assert "| comet | street | 3 samples, fewer than 10 |" in page
    assert table == (output / "union.csv").read_text()
    assert (
        json.loads(record)["splits"]
        == json.loads((output / "union.json").read_text())["splits"]
    )


def test_users_rules_and_names(
    nd: Any, tmp_path: Path, street: str, lane: str
) -> None:
    synonyms = tmp_path / "same.csv"
    synonyms.write_text("name,synonyms\nvehicle,car;automobile\n")
    output = tmp_path / "union"
    result = nd(
        "concepts",
        "build",
        output,
        f"town={street}",
        lane,
        *SMALL,
        "--no-color",
        "--synonyms",
        synonyms,
        "--split",
        "fit=0.5,test=0.5",
        "--seed",
        "7",
        "--size",
        "8x16",
        "--mask-size",
        "4x8",
    )
    assert result.returncode == 0, result.stderr
    labels = {row["name"]: row["syns"] for row in read_rows(output / "label.csv")}
    assert labels == {"vehicle": "automobile;car", "wheel": ""}
    assert "no source has a label 'vehicle'" in result.stdout
    index = read_rows(output / "index.csv")
    assert {row["image"].partition("/")[0] for row in index} == {"town", "lane"}
    assert {row["split"] for row in index} == {"fit", "test"}
    assert {(row["sh"], row["sw"]) for row in index} == {("4", "8")}


def test_another_colour_table(nd: Any, tmp_path: Path, street: str) -> None:
    """A table that calls the colour of one image another name."""
    ours = ColourTable.load()
    cells = ours.cells.copy()
    red, green, blue = shaded(1).getpixel((0, 0))
    cells[red // 8, green // 8, blue // 8] = ours.names.index("white")
    np.save(tmp_path / "table.npy", cells)
    output = tmp_path / "union"
    result = nd(
        "concepts",
        "build",
        output,
        street,
        *SMALL,
        "--color-table",
        tmp_path / "table.npy",
        "--min-samples",
        "1",
    )
    assert result.returncode == 0, result.stderr
    frequency = {
        row["name"]: row["frequency"] for row in read_rows(output / "c_color.csv")
    }
    assert frequency["white-c"] == "1"


def test_unreadable_images_are_skipped_or_stop_the_build(
    nd: Any, tmp_path: Path
) -> None:
    text = write_masks_set(tmp_path / "set", {"object": ["car"]}, 11)
    (tmp_path / "set" / "images" / "004.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    skipping = nd("concepts", "build", tmp_path / "union", text, *SMALL)
    assert skipping.returncode == 0
    assert "1 images skipped, for example set/004: its image cannot be read" in (
        " ".join(skipping.stdout.split())
    )
    strict = nd("concepts", "build", tmp_path / "strict", text, *SMALL, "--strict")
    assert strict.returncode == 1
    assert "set/004" in strict.stderr
    assert "continue with --resume" in strict.stderr
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report", "union.txt"], "does not end in .md, .csv or .json"),
        (["--split", "train=0.5"], "the shares add up to 0.5"),
        (["--size", "0"], "size '0' is not"),
        (["--mask-size", "x"], "mask size 'x' is not"),
        (
            ["--mask-size", "4x8"],
            "8x4, which has not the aspect of its image, 16x16",
        ),
        (["--no-color", "--color-table", "t.npy"], "exclude each other"),
        (["--color-table", "missing.npy"], "missing.npy"),
        (["--synonyms", "missing.csv"], "no missing.csv"),
        (["--min-samples", "12"], "the most frequent has 10; allow fewer"),
        (["shpes"], "the nearest is 'shapes'"),
    ],
)
def test_what_makes_no_union(
    nd: Any, tmp_path: Path, street: str, options: list[str], message: str
) -> None:
    result = nd("concepts", "build", tmp_path / "union", street, *SMALL, *options)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_set_stays_unless_it_is_to_be_replaced(
    nd: Any, tmp_path: Path, street: str
) -> None:
    output = tmp_path / "union"
    command = ("concepts", "build", output, street, *SMALL)
    assert nd(*command).returncode == 0
    again = nd(*command)
    assert again.returncode == 2
    assert "replace it with --overwrite" in again.stderr
    assert nd(*command, "--overwrite").returncode == 0
    resumed = nd(*command, "--resume", "--size", "18")
    assert resumed.returncode == 2
    assert "another value of size: 16, now 18" in " ".join(resumed.stderr.split())
