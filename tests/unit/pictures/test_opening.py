"""Picture files are opened where they are regular files, and no programs; limits of pixels."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import png_writer
import pytest
from PIL import ExifTags, Image

from nd_plugin import (
    BadInput,
    RunFailed,
    Unreadable,
    measure_picture,
    read_picture,
)
from nd_plugin.captum_api.pictures import read_image
from nd_plugin.pictures.pixel_limit import (
    BYTES_PER_PIXEL,
    DEFAULT_LIMIT,
    PILLOW_LIMIT,
    check_pixel_count,
    most_pixels,
    pixel_limit,
)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("read", [read_picture, measure_picture])
@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder"])
def test_what_is_no_regular_file_is_refused_at_once(
    read: object, kind: str, tmp_path: Path
) -> None:
    assert callable(read)
    path = tmp_path / "x.png"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(OSError, match=rf"x\.png is {kind}, and not a regular file"):
        read(path)


def test_postscript_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n{} loop\n"
    )
    with pytest.raises(ValueError, match=r"x\.jpg is PostScript, a program"):
        read_picture(path)


def png_of(rows: int, columns: int) -> bytes:
    """A small file that says that it has so many pixels."""
    content = bytearray(
        png_writer.png_bytes(np.zeros((1, 1), int), 16, png_writer.GREY)
    )
    header = png_writer.chunk(
        b"IHDR",
        columns.to_bytes(4, "big")
        + rows.to_bytes(4, "big")
        + bytes(content[24:29]),
    )
    return bytes(content[:8]) + header + bytes(content[33:])


@pytest.mark.parametrize(
    ("rows", "columns"), [(13378, 13378), (20000, 9000), (60000, 60000)]
)
def test_pictures_beyond_the_limit_are_refused_before_they_are_decoded(
    rows: int, columns: int, tmp_path: Path
) -> None:
    assert rows * columns > DEFAULT_LIMIT == 178_956_970
    (tmp_path / "x.png").write_bytes(png_of(rows, columns))
    with (
        pytest.raises(ValueError, match=r"allow more: --max-pixels N"),
        pixel_limit(None),
    ):
        read_picture(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("mode", "ending", "orientation", "bytes_per_pixel"),
    [
        ("L", "png", 1, 5),
        ("RGB", "jpg", 1, 4),
        ("RGB", "jpg", 6, 8),
        ("RGBA", "png", 1, 8),
        ("F", "tiff", 1, 8),
        ("I;16", "png", 1, 6),
    ],
)
def test_images_that_take_more_memory_a_pixel_are_limited_to_fewer_pixels(
    mode: str, ending: str, orientation: int, bytes_per_pixel: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"x.{ending}"
    Image.new(mode, (30, 20)).save(path, exif=exif)
    # 6 bytes for each pixel of the limit: 1 GiB by default
    assert BYTES_PER_PIXEL * DEFAULT_LIMIT <= 2**30
    fitting = -(-30 * 20 * bytes_per_pixel // BYTES_PER_PIXEL)
    pixels = max(fitting, 30 * 20)
    with pixel_limit(pixels):
        assert read_picture(path).size == (30, 20)
    if bytes_per_pixel <= BYTES_PER_PIXEL:
        return
    message = (
        f"takes {bytes_per_pixel} bytes a pixel, more than 6 .* --max-pixels N"
    )
    with pixel_limit(pixels - 1), pytest.raises(ValueError, match=message):
        read_picture(path)


def test_threads_that_come_and_leave_in_any_order_leave_pillows_limit() -> None:
    filters = list(warnings.filters)
    first = pixel_limit(None)
    second = pixel_limit(12)
    third = pixel_limit(None)
    first.__enter__()
    second.__enter__()
    third.__enter__()
    assert Image.MAX_IMAGE_PIXELS == 12, "that around the third"
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS == 12, "the third is still reading"
    third.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS == PILLOW_LIMIT
    assert warnings.filters == filters


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_pixels(None) == DEFAULT_LIMIT and most_pixels(5) == 5
    monkeypatch.setenv("ND_MAX_PIXELS", "12")
    assert most_pixels(None) == 12
    with pixel_limit(None):
        check_pixel_count((3, 4), "it")
        with pytest.raises(
            ValueError, match="it of 3x5 pixels exceeds the limit of 12"
        ):
            check_pixel_count((3, 5), "it")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert most_pixels(None) is None
    with pixel_limit(None):
        check_pixel_count((10**6, 10**6), "it")


def test_too_little_memory_is_our_error_with_a_remedy() -> None:
    with (
        pytest.raises(
            RunFailed, match=r"out of memory .*4 GiB.* fewer data-loading workers"
        ),
        pixel_limit(None),
    ):
        raise MemoryError("4 GiB")
    assert Image.MAX_IMAGE_PIXELS == PILLOW_LIMIT


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_picture_to_be_explained_is_a_regular_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    os.mkfifo(path)
    with pytest.raises(BadInput, match=r"no image .*x\.png: it is no regular file"):
        read_image(path)
    path.unlink()
    Image.new("RGB", (3, 2)).save(path)

    def fail(*_: object) -> None:
        raise MemoryError("4 GiB")

    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(
        RunFailed, match=r"out of memory while decoding \(4 GiB\)"
    ) as raised:
        read_image(path)
    assert not isinstance(raised.value, Unreadable)
