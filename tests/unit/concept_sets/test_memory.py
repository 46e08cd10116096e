"""Memory that images and masks take: small integer types all the way, a few bytes a pixel."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import png_writer
import pytest
from PIL import Image

from nd_plugin import Annotation, open_concepts
from nd_plugin.method import annotations
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.pictures import stored_integers
from nd_plugin.pictures.conversion import convert_picture

SIDE = 1000  # pixels


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips so small that what they take is little beside the whole."""
    monkeypatch.setattr(stored_integers, "PIXELS_AT_ONCE", 2**13)
    monkeypatch.setattr(annotations, "PIXELS_AT_ONCE", 2**13)


def bytes_a_pixel(work: Callable[[], Any]) -> float:
    """The most bytes that Python and NumPy held at once, of which Pillow's own are no part."""
    work()  # whatever is loaded or stored once
    tracemalloc.start()
    try:
        work()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak / SIDE**2


def masks_set(root: Path, bits: int) -> Path:
    values = np.resize(np.arange(97) * (600 if bits == 16 else 1), (SIDE, SIDE))
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (SIDE, SIDE)).save(root / "images/a.png")
    png_writer.save_png(root / "masks/object/a.png", values, bits)
    (root / "concepts.csv").write_text("category,value,name\nobject,3,car\n")
    return root


@pytest.mark.parametrize(("bits", "limit"), [(8, 2.6), (16, 3.6)])
def test_a_mask_takes_its_own_type_and_that_of_its_plane(
    bits: int, limit: float, tmp_path: Path
) -> None:
    concepts = open_concepts(f"masks:{masks_set(tmp_path, bits)}")
    # the mask's integers and the plane; with copies of 8 bytes it was 24
    assert bytes_a_pixel(lambda: concepts.annotation(0)) < limit
    (plane,) = concepts.annotation(0).planes
    assert plane.dtype == np.uint8


def test_a_mask_of_broden_takes_its_colours_and_its_plane(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    colours = np.zeros((SIDE, SIDE, 3), np.uint8)
    colours[::2, :, 0] = 1
    Image.fromarray(colours).save(tmp_path / "images/o.png")
    tables = {
        "index.csv": f"image,ih,iw,object\na.png,{SIDE},{SIDE},o.png\n",
        "category.csv": "name\nobject\n",
        "label.csv": "number,name,category\n1,car,object\n",
        "c_object.csv": "number,coverage\n1,1\n",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    concepts = open_concepts(f"broden:{tmp_path}")
    assert bytes_a_pixel(lambda: concepts.annotation(0)) < 3 + 2 + 0.6
    (plane,) = concepts.annotation(0).planes
    assert plane.dtype == np.int16 and plane.sum() == SIDE**2 / 2


def test_combinations_of_a_large_annotation_take_small_types() -> None:
    planes = [
        np.resize(np.arange(count, dtype=np.uint8), (SIDE, SIDE))
        for count in (3, 7)
    ]
    annotation = Annotation(planes, (2,))
    work = lambda: LabelCombinations.of(annotation, (SIDE, SIDE))  # noqa: E731
    # those of the strips, and the whole
    assert bytes_a_pixel(work) < 2.6
    assert work().combinations.dtype == np.uint8


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_a_grey_picture_of_wide_values_takes_its_own_type(mode: str) -> None:
    dtype = {"I;16": np.uint16, "F": np.float32}[mode]
    values = np.resize(np.arange(0, 65536, 7), (SIDE, SIDE)).astype(dtype)
    picture = Image.fromarray(values)
    picture.format = "PNG"
    # and 8 bits a pixel, also as bytes for Pillow
    limit = np.dtype(dtype).itemsize + 3 + 0.6
    assert bytes_a_pixel(lambda: convert_picture(picture)) < limit
