"""Small pictures for reports."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nd_plugin.pictures.small_pictures import encode_small, small_size


def decoded(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def gradient(width: int, height: int) -> Image.Image:
    rows = np.linspace(0, 255, height)[:, None, None]
    columns = np.linspace(0, 255, width)[None, :, None]
    pixels = np.broadcast_to((rows + columns) / 2, (height, width, 3))
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((224, 224), (224, 224)),
        ((640, 480), (224, 168)),
        ((480, 640), (168, 224)),
        ((100, 90), (100, 90)),
        ((10_000, 3), (224, 1)),
        ((225, 224), (224, 223)),
    ],
)
def test_at_most_224_pixels_in_its_own_aspect(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    assert small_size(size) == small
    content = encode_small(gradient(*size))
    assert (decoded(content).format, decoded(content).size) == ("JPEG", small)


def test_it_looks_like_the_picture() -> None:
    small = np.asarray(decoded(encode_small(gradient(640, 480))), np.int64)
    expected = np.asarray(gradient(224, 168), np.int64)
    assert np.abs(small - expected).max() <= 4


def test_a_tiny_picture_keeps_every_pixel() -> None:
    random = np.random.default_rng(0)
    tiny = Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    content = encode_small(tiny)
    assert decoded(content).format == "PNG"
    assert decoded(content).tobytes() == tiny.tobytes()


def test_no_metadata_of_the_image_is_in_it() -> None:
    picture = gradient(300, 200)
    picture.info["icc_profile"] = b"profile of a camera"
    picture.info["exif"] = b"Exif\0\0somewhere"
    picture.info["comment"] = b"secret"
    content = encode_small(picture)
    assert content == encode_small(gradient(300, 200))
    assert b"profile" not in content and b"secret" not in content
