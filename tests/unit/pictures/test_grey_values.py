"""The range of grey values in wide types: what is white in a picture, and in a set of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nd_plugin import Annotation, Concept, Identity, Preprocess, read_picture
from nd_plugin.pictures.conversion import Picture, convert_picture
from nd_plugin.pictures.files import DARK_COLOURS
from nd_plugin.pictures.grey_values import (
    FLOATS,
    INTEGERS_16,
    range_of_run,
    wide_grey,
)
from nd_plugin.probe_data.grey_sample import BRIGHTER, GreySample

RAMP = np.arange(256).reshape(16, 16)
Values = npt.NDArray[Any]


def levels(picture: Picture) -> Values:
    pixels = np.asarray(picture.rgb)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0]


def converted(values: Values, mode: str | None = None) -> Picture:
    return convert_picture(image_of(values, mode))


def image_of(values: Values, mode: str | None = None) -> Image.Image:
    if mode is None:
        return Image.fromarray(values)
    size = values.shape[::-1]
    return Image.frombytes(mode, size, values.tobytes())


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "i4"])
def test_integers_of_the_smallest_depth_that_holds_them(
    bits: int, dtype: str
) -> None:
    mode = {"<u2": "I;16", ">u2": "I;16B", "i4": "I"}[dtype]
    values = (RAMP << (bits - 8)).astype(dtype)
    picture = converted(values, mode)
    assert np.array_equal(levels(picture), RAMP)
    is_guess = bits < 16 or dtype == "i4"
    remark = f"bit grey values scaled from 0 … {2**bits - 1}, a guess by"
    assert [remark in text for text in picture.remarks] == [True] * is_guess


def test_white_is_white() -> None:
    for bits in (8, 10, 12, 14, 16):
        values = np.full((4, 4), 2**bits - 1, np.uint16)
        assert (levels(converted(values)) == 255).all(), bits


@pytest.mark.parametrize("white", [1, 255, 1023, 4095, 16383, 65535])
def test_floating_point_values(white: int) -> None:
    picture = converted((RAMP / 255 * white).astype(np.float32))
    # rounding in float32 moves no level by more than one
    assert np.abs(levels(picture).astype(int) - RAMP).max() <= 1
    assert f"scaled from 0 … {white}, a guess by" in picture.remarks[0]


def test_overshoot_of_an_interpolation_is_clipped() -> None:
    values = np.array([[-0.04, 0.0, 0.5, 1.0, 1.04]], np.float32)
    assert levels(converted(values)).tolist() == [[0, 0, 128, 255, 255]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0, np.nan]], np.float32), "NaN or infinite"),
        (np.array([[0, np.inf]], np.float32), "NaN or infinite"),
        (np.array([[-1, 1]], np.float32), "down to -1 are negative"),
        (np.array([[-3, 200]], np.int32), "down to -3 are negative"),
        (np.array([[0, 70000]], np.int32), "up to 70000 are beyond 16 bits"),
        (np.array([[0, 3.5]], np.float32), r"neither in 0 … 1 nor in 0 … 255"),
        (np.array([[0, 1e9]], np.float32), "beyond 16 bits"),
    ],
)
def test_values_that_fit_no_range_are_refused(values: Values, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocess(size=(4, 4)).resize(Image.fromarray(values))


def test_a_black_picture_is_black() -> None:
    for dtype in (np.float32, np.uint16, np.int32):
        assert not levels(converted(np.zeros((4, 4), dtype))).any()


@pytest.mark.parametrize("white", [1000, 4095, 65535])
def test_a_format_that_says_what_is_white_is_believed(
    white: int, tmp_path: Path
) -> None:
    values = np.array([[0, white // 50]], ">u2")
    path = tmp_path / "dark.pgm"
    path.write_bytes(b"P5 2 1 %d\n" % white + values.tobytes())
    picture = convert_picture(read_picture(path))
    # one level is as much as rounding twice may lose
    assert abs(int(levels(picture)[0, 1]) - 255 / 50) <= 1
    assert picture.remarks == ()


@pytest.mark.parametrize("bits", [8, 12])
def test_16_bit_colour_that_is_nearly_black_is_said(
    bits: int, tmp_path: Path
) -> None:
    path = tmp_path / "dark.ppm"
    colours = np.repeat((RAMP << (bits - 8))[..., None], 3, 2).astype("<u2")
    tiff = tmp_path / "colours.tif"
    write_tiff_of_16_bit_colour(tiff, colours)
    assert read_picture(tiff).mode == "RGB"
    assert convert_picture(read_picture(tiff)).remarks == (DARK_COLOURS,)
    write_tiff_of_16_bit_colour(tiff, colours << (16 - bits))
    assert convert_picture(read_picture(tiff)).remarks == ()
    assert not path.exists()


def write_tiff_of_16_bit_colour(path: Path, colours: Values) -> None:
    """Write (row, column, channel) uint16, uncompressed: Pillow writes no such file."""
    rows, columns, _ = colours.shape
    entries = [
        (256, 4, 1, columns),
        (257, 4, 1, rows),
        (258, 3, 3, 8),  # bits per sample: at byte 8
        (259, 3, 1, 1),  # no compression
        (262, 3, 1, 2),  # RGB
        (273, 4, 1, 16),  # pixels: at byte 16
        (277, 3, 1, 3),
        (278, 4, 1, rows),
        (279, 4, 1, colours.nbytes),
    ]
    file = io.BytesIO()
    file.write(b"II*\0" + (16 + colours.nbytes).to_bytes(4, "little"))
    file.write(np.array([16, 16, 16, 0], "<u2").tobytes())
    file.write(colours.astype("<u2").tobytes())
    file.write(len(entries).to_bytes(2, "little"))
    for tag, kind, count, value in entries:
        file.write(np.array([tag, kind], "<u2").tobytes())
        file.write(np.array([count, value], "<u4").tobytes())
    file.write(bytes(4))
    path.write_bytes(file.getvalue())


@dataclass
class Greys:
    """Concept set of pictures in memory."""

    pictures: Sequence[Image.Image]
    identity: Identity = Identity("greys", "greys", "1", "")  # noqa: RUF009  # frozen
    categories: tuple[str, ...] = ("object",)
    concepts: tuple[Concept, ...] = (Concept("cat", "object"),)
    native_masks: bool = False

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, index: int) -> str:
        return str(index)

    def image(self, index: int) -> Image.Image:
        if index == 1:
            raise OSError("truncated")
        return self.pictures[index]

    def annotation(self, index: int) -> Annotation:
        return Annotation([], (1,))


def of_16_bits(largest: int) -> Image.Image:
    return image_of(np.linspace(0, largest, 256).reshape(16, 16).astype("u2"))


def test_a_dark_picture_of_a_set_stays_dark() -> None:
    dark = of_16_bits(200)
    for brightest, expected in ((4000, 200 >> 4), (60000, 200 >> 8)):
        pictures = [dark, dark, of_16_bits(brightest), dark]
        sample = GreySample(Greys(pictures))
        picture = convert_picture(dark, sample.choose_range)
        assert levels(picture).max() == expected
        is_guess = brightest < 65535 // 4
        said = ["by the largest value of the probe" in t for t in picture.remarks]
        assert said == [True] * is_guess
    # alone, it holds 8 bits as far as anybody can know
    assert levels(convert_picture(dark)).max() == 200


def test_a_picture_beyond_the_sample_is_not_clipped_and_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nd_plugin.probe_data.grey_sample.SAMPLED_IMAGES", 2)
    pictures = [of_16_bits(900) for _ in range(6)]
    pictures[5] = of_16_bits(60000)
    sample = GreySample(Greys(pictures))
    assert levels(convert_picture(pictures[0], sample.choose_range)).max() == 225
    bright = convert_picture(pictures[5], sample.choose_range)
    assert levels(bright).max() == 60000 >> 8
    assert [BRIGHTER in text for text in bright.remarks] == [True]
    # of the same range as the sample: nothing to say beside the guess
    similar = convert_picture(of_16_bits(1000), sample.choose_range)
    assert BRIGHTER not in similar.remarks[0]


def test_pictures_that_are_refused_do_not_decide_the_range_of_others() -> None:
    floats = image_of((RAMP / 255).astype(np.float32))
    bad = np.zeros((4, 4), np.float32)
    bad[0, 0] = np.inf
    pictures = [floats, floats, Image.fromarray(bad), Image.fromarray(bad + 1e9)]
    sample = GreySample(Greys(pictures))
    assert levels(convert_picture(floats, sample.choose_range)).max() == 255
    with pytest.raises(ValueError, match="infinite"):
        convert_picture(pictures[2], sample.choose_range)


def test_a_picture_is_scaled_as_those_of_a_run() -> None:
    for white, expected in ((1023, 200 >> 2), (65535, 200 >> 8)):
        choose = range_of_run({INTEGERS_16: white})
        assert levels(convert_picture(of_16_bits(200), choose)).max() == expected
    floats = image_of((RAMP / 4000).astype(np.float32))
    choose = range_of_run({INTEGERS_16: 65535, FLOATS: 1})
    assert levels(convert_picture(floats, choose)).max() == 16
    assert levels(convert_picture(of_16_bits(200), range_of_run({}))).max() == 200


def test_kinds_of_values_have_ranges_of_their_own() -> None:
    floats = image_of((RAMP / 255).astype(np.float32))
    pictures = [floats, floats, of_16_bits(60000)]
    sample = GreySample(Greys(pictures))
    assert levels(convert_picture(floats, sample.choose_range)).max() == 255
    grey = wide_grey(of_16_bits(30))
    assert grey is not None and sample.choose_range(grey).white == 65535
