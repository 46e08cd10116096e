"""``nd concepts export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import open_concepts


def test_a_set_is_written_and_reported(
    nd: Any, probe_set: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    done = nd("concepts", "export", f"masks:{probe_set}", folder, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        f"broden:{folder}: 6 images, 3 concepts; from masks:{probe_set}",
        "6 image files copied, 0 written as PNG; masks are compared at half the model's input",
    ]
    assert "exporting: 6 images" in done.stderr
    assert len(open_concepts(f"broden:{folder}")) == 6


def test_json(nd: Any, probe_set: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    arguments = ("--format", "masks", "--limit", "2", "--size", "32x48", "--json")
    done = nd(
        "concepts",
        "export",
        f"masks:{probe_set}",
        folder,
        *arguments,
        "--workers",
        "0",
    )
    report = json.loads(done.stdout)
    assert report["images"] == 2
    assert report["copied"] == 0
    assert report["format"] == "masks"
    assert report["categories"] == ["object", "scene"]
    assert report["native_masks"] is True
    assert report["skipped"] == report["notes"] == report["set_notes"] == []
    copy = open_concepts(f"masks:{folder}")
    assert copy.image(0).size == (48, 32)
    assert copy.annotation(0).planes[0].shape == (16, 24)


def test_what_was_skipped_is_shown(
    nd: Any, probe_set: Path, tmp_path: Path
) -> None:
    import shutil

    source = tmp_path / "source"
    shutil.copytree(probe_set, source)
    (source / "images" / "1.png").write_bytes(b"no picture")
    (source / "masks" / "object" / "2.png").write_bytes(b"no mask")
    folder = tmp_path / "set"
    done = nd("concepts", "export", f"masks:{source}", folder, "--workers", "0")
    assert done.returncode == 0, done.stderr
    assert "1 unreadable (image): left out" in done.stdout
    assert "1 unreadable (annotation): without its annotation" in done.stdout
    assert "  1.png: " in done.stdout
    assert "  2.png: the mask object/2.png cannot be read" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "coco"), "the format 'coco' is none of broden, masks"),
        (("--size", "big"), "--size 'big' is not N or HxW in pixels"),
        (("--mask-size", "8"), "a size of masks needs one of images"),
        (
            ("--size", "8", "--interpolation", "area"),
            "interpolation 'area' is none",
        ),
    ],
)
def test_options_that_are_refused(
    nd: Any, probe_set: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = nd(
        "concepts", "export", f"masks:{probe_set}", tmp_path / "set", *options
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_refused(
    nd: Any, probe_set: Path, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = nd("concepts", "export", f"masks:{probe_set}", tmp_path, "--overwrite")
    assert done.returncode == 2
    assert "holds other things than an exported concept set" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"
