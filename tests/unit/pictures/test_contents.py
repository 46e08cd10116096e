"""Pictures given as the content of a file: the same as the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nd_plugin import (
    checked_checksums,
    measure_picture,
    open_picture,
    read_mask,
    read_picture,
)

TURNED = Image.Exif()
TURNED[274] = 6
FORMATS: dict[str, dict[str, Any]] = {
    "a.png": {},
    "turned.png": {"exif": TURNED},
    "a.jpg": {"exif": TURNED},
    "a.tif": {"exif": TURNED},
    "lossless.webp": {"lossless": True},
    "lossy.webp": {"lossless": False},
    "a.bmp": {},
    "a.gif": {},
}


def save(path: Path, **options: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path.read_bytes()


def mask_or_refusal(source: Path | bytes) -> object:
    """Return the values of a mask, or why it is refused."""
    try:
        return read_mask(source, "the mask")[1].tolist()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("name", FORMATS)
def test_a_content_is_read_as_its_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = save(path, **FORMATS[name])
    picture, from_content = read_picture(path), read_picture(content)
    assert np.array_equal(np.asarray(picture), np.asarray(from_content))
    key = "nd_plugin.remarks"
    assert picture.info.get(key) == from_content.info.get(key)
    size = measure_picture(path)
    assert measure_picture(content) == size
    assert measure_picture(content, from_content) == size
    assert mask_or_refusal(content) == mask_or_refusal(path)


def test_a_damaged_content_is_found_by_its_checksums(tmp_path: Path) -> None:
    content = save(tmp_path / "a.png")
    damaged = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
    with checked_checksums():
        assert read_mask(content, "the mask")[1].shape == (20, 30, 3)
        with pytest.raises(ValueError, match="the mask is damaged: the checksum"):
            read_mask(damaged, "the mask")


def test_a_program_is_not_run(tmp_path: Path) -> None:
    content = save(tmp_path / "a.eps")
    with (
        pytest.raises(ValueError, match="the picture is PostScript"),
        open_picture(content),
    ):
        pass
