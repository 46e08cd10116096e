"""Images of Broden's layout: pictures, masks, names, and rows of the index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from listed_sets import noise
from PIL import Image

from nd_plugin import ConceptSetInvalid
from nd_plugin.concepts.broden_layout.samples import (
    LabelledImage,
    write_labelled_image,
)

CATEGORIES = ("object", "part", "scene")


def sample(**changes: object) -> LabelledImage:
    fields: dict[str, object] = {
        "image": noise(0),
        "name": "street/a",
        "split": "train",
        "planes": {
            "object": [np.array([[0, 1], [255, 256]])],
            "part": [np.array([[65535, 0], [0, 2]]), np.array([[7, 7], [7, 7]])],
        },
        "labels": {"scene": [300, 12]},
    }
    return LabelledImage(**{**fields, **changes})  # type: ignore[arg-type]


def test_files_and_row_of_an_image(tmp_path: Path) -> None:
    row = write_labelled_image(tmp_path, sample(), CATEGORIES, ending=".png")
    files = sorted(path.name for path in (tmp_path / "images/street").iterdir())
    assert files == ["a.png", "a_object.png", "a_part_1.png", "a_part_2.png"]
    assert row.image == "street/a.png"
    assert (row.split, row.image_size, row.mask_size) == ("train", (8, 8), (2, 2))
    assert row.entries == {
        "object": ("street/a_object.png",),
        "part": ("street/a_part_1.png", "street/a_part_2.png"),
        "scene": ("300", "12"),
    }


def test_a_mask_is_red_and_256_times_green(tmp_path: Path) -> None:
    write_labelled_image(tmp_path, sample(), CATEGORIES)
    mask = Image.open(tmp_path / "images/street/a_object.png")
    assert mask.mode == "RGB"
    pixels = np.asarray(mask)
    assert pixels.tolist() == [
        [[0, 0, 0], [1, 0, 0]],
        [[255, 0, 0], [0, 1, 0]],
    ]
    part = np.asarray(Image.open(tmp_path / "images/street/a_part_1.png"))
    assert part[0, 0].tolist() == [255, 255, 0]


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64]
)
def test_planes_of_every_type(tmp_path: Path, dtype: type) -> None:
    plane = np.array([[3, 0], [0, 200]]).astype(dtype)
    one_plane = sample(planes={"object": [plane]}, labels={})
    write_labelled_image(tmp_path, one_plane, CATEGORIES)
    pixels = np.asarray(Image.open(tmp_path / "images/street/a_object.png"))
    assert (pixels[..., 0] == plane).all()
    assert not pixels[..., 1:].any()


def test_a_png_is_exact_and_a_jpeg_is_a_jpeg(tmp_path: Path) -> None:
    for ending in (".png", ".jpg"):
        write_labelled_image(tmp_path, sample(), CATEGORIES, ending=ending)
    with Image.open(tmp_path / "images/street/a.png") as exact:
        assert exact.tobytes() == noise(0).tobytes()
    with Image.open(tmp_path / "images/street/a.jpg") as lossy:
        assert lossy.format == "JPEG"


def test_a_file_s_content_is_copied(tmp_path: Path) -> None:
    write_labelled_image(
        tmp_path, sample(), CATEGORIES, ending=".jpg", content=b"bytes"
    )
    assert (tmp_path / "images/street/a.jpg").read_bytes() == b"bytes"


def test_an_earlier_attempt_is_replaced(tmp_path: Path) -> None:
    first = write_labelled_image(tmp_path, sample(), CATEGORIES)
    path = tmp_path / "images/street/a_object.png"
    path.write_bytes(b"cut o")
    assert write_labelled_image(tmp_path, sample(), CATEGORIES) == first
    with Image.open(path) as mask:
        assert mask.size == (2, 2)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"planes": {}}, (4, 4)),
        ({"planes": {}, "mask_size": (3, 5)}, (3, 5)),
        ({"planes": {}, "image": noise(0, 7, 1)}, (4, 1)),
        ({"mask_size": (3, 5)}, (2, 2)),  # planes say it
    ],
)
def test_size_of_the_masks(
    tmp_path: Path, changes: dict[str, object], size: tuple[int, int]
) -> None:
    row = write_labelled_image(tmp_path, sample(**changes), CATEGORIES)
    assert row.mask_size == size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"planes": {"object": [np.array([[65536]])]}}, "label number 65536"),
        ({"planes": {"object": [np.array([[-1]])]}}, "label number -1"),
        (
            {"planes": {"object": [np.ones((2, 2))], "part": [np.ones((1, 1))]}},
            r"several sizes: \(1, 1\), \(2, 2\)",
        ),
        ({"labels": {"texture": [1]}}, "the category 'texture'; expected one of"),
        ({"name": "../a"}, "leads out of images/"),
        ({"name": "/a"}, "leads out of images/"),
    ],
)
def test_what_broden_s_layout_does_not_hold(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConceptSetInvalid, match=message):
        write_labelled_image(tmp_path, sample(**changes), CATEGORIES)
