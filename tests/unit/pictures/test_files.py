"""Picture files: their sizes upright and as stored, limits on their pixels, lossy formats."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from nd_plugin import BadInput, measure_picture, read_picture
from nd_plugin.pictures.files import lossy_format
from nd_plugin.pictures.pixel_limit import ENVIRONMENT, pixel_limit

SIZE = (6, 9)


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes(orientation: int, kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture().save(tmp_path / "a", kind, exif=exif)
    size = measure_picture(tmp_path / "a")
    assert size.stored == SIZE
    assert size.upright == (SIZE[::-1] if orientation >= 5 else SIZE)
    decoded = read_picture(tmp_path / "a")
    assert measure_picture(tmp_path / "a", decoded) == size


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_decoded_picture_is_not_read_again(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    picture().save(path, kind)
    decoded = read_picture(path)
    path.unlink()
    assert measure_picture(path, decoded) == (SIZE, SIZE)


def test_the_orientation_of_a_png_may_stand_behind_its_pixels(
    tmp_path: Path,
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = tmp_path / "a.png"
    picture().save(path, exif=exif)
    content = path.read_bytes()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    chunk = content[start:end]
    rest = content[:start] + content[end:]
    last = rest.index(b"IEND") - 4
    path.write_bytes(rest[:last] + chunk + rest[last:])
    assert measure_picture(path).upright == SIZE[::-1]
    assert measure_picture(path, read_picture(path)).upright == SIZE[::-1]


def test_a_png_is_measured_without_being_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(tmp_path / "a.png")

    def refuse(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", refuse)
    assert measure_picture(tmp_path / "a.png").upright == SIZE


def test_a_limit_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    picture().save(path)
    pixels = SIZE[0] * SIZE[1]
    before = Image.MAX_IMAGE_PIXELS
    remedy = r"54 pixels.* --max-pixels N, max_pixels=N or ND_MAX_PIXELS=N"
    with pixel_limit(pixels):
        assert read_picture(path).size == SIZE[::-1]
    with pytest.raises(ValueError, match=remedy), pixel_limit(pixels - 1):
        read_picture(path)
    monkeypatch.setenv(ENVIRONMENT, str(pixels - 1))
    with pytest.raises(ValueError, match=remedy), pixel_limit(None):
        read_picture(path)
    with pixel_limit(pixels):
        read_picture(path)
    monkeypatch.delenv(ENVIRONMENT)
    assert before == Image.MAX_IMAGE_PIXELS
    # Pillow's own limit, the error and not the warning
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels // 2 - 1)
    with pytest.raises(ValueError, match=remedy), pixel_limit(None):
        read_picture(path)
    with pixel_limit(pixels), warnings.catch_warnings():
        warnings.simplefilter("error")
        read_picture(path)


@pytest.mark.parametrize("text", ["many", "0", "-5", "1e9"])
def test_a_limit_that_is_no_number(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, text)
    message = f"{ENVIRONMENT} '{text}' is not a number"
    with pytest.raises(BadInput, match=message), pixel_limit(None):
        pass


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("JPEG", {}, "JPEG"),
        ("MPO", {}, "JPEG"),
        ("JPEG2000", {}, "JPEG 2000"),
        ("WEBP", {"quality": 90}, "lossy WebP"),
        ("WEBP", {"quality": 90, "exif": b"Exif\0\0"}, "lossy WebP"),
        ("WEBP", {"lossless": True}, ""),
        ("WEBP", {"lossless": True, "exif": b"Exif\0\0"}, ""),
        ("TIFF", {"compression": "jpeg"}, "TIFF (jpeg)"),
        ("TIFF", {"compression": "tiff_lzw"}, ""),
        ("TIFF", {}, ""),
        ("PNG", {}, ""),
        ("GIF", {}, ""),
        ("BMP", {}, ""),
    ],
)
def test_lossy_formats_by_content(
    kind: str, options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "mask.png"
    picture().save(path, kind, **options)
    with Image.open(path) as image:
        assert lossy_format(image) == expected


@pytest.mark.parametrize(
    ("lossless", "expected"), [(True, ""), (False, "lossy WebP")]
)
def test_frames_of_a_webp_animation(
    lossless: bool, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "mask.png"
    frames = [picture(), picture().rotate(180)]
    frames[0].save(
        path, "WEBP", save_all=True, append_images=frames[1:], lossless=lossless
    )
    with Image.open(path) as image:
        assert lossy_format(image) == expected
