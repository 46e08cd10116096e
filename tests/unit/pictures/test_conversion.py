"""Pictures of every kind become upright RGB, and what was done to them is said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from nd_plugin import Preprocess, read_picture
from nd_plugin.pictures import stored_integers
from nd_plugin.pictures.conversion import (
    COMPOSITED,
    FIRST_FRAME,
    REMARKS,
    TURNED,
    UNREADABLE_EXIF,
    convert_picture,
)

Pixels = npt.NDArray[Any]
SIZE = (6, 9)
# how a viewer shows what is stored, by orientation (EXIF 2.32, tag 274)
AS_SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}


def noise(*shape: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def oriented(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def reopened(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(file)


def rgb(image: Image.Image) -> Pixels:
    picture = convert_picture(image)
    assert picture.rgb.mode == "RGB"
    return np.asarray(picture.rgb)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_format(
    orientation: int, kind: str, tmp_path: Path
) -> None:
    stored = noise(*SIZE, 3)
    path = tmp_path / "picture"
    options: dict[str, Any] = {"exif": oriented(orientation)}
    if kind == "WEBP":
        options["lossless"] = True
    Image.fromarray(stored).save(path, kind, **options)
    picture = convert_picture(read_picture(path))
    assert np.array_equal(np.asarray(picture.rgb), AS_SHOWN[orientation](stored))
    assert picture.remarks == ((TURNED,) if orientation > 1 else ())


def test_an_upright_picture_is_not_turned_again() -> None:
    image = reopened(Image.fromarray(noise(*SIZE, 3)), "PNG", exif=oriented(6))
    upright = convert_picture(image).rgb
    again = convert_picture(upright)
    assert again.remarks == () and again.rgb.size == upright.size


def test_a_model_gets_the_upright_picture() -> None:
    stored = noise(*SIZE, 3)
    image = reopened(Image.fromarray(stored), "PNG", exif=oriented(6))
    pixels = Preprocess(size=SIZE[::-1]).resize(image)
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), AS_SHOWN[6](stored))


@pytest.mark.parametrize("orientation", [0, 9, 1])
def test_an_orientation_without_a_meaning_turns_nothing(orientation: int) -> None:
    image = reopened(
        Image.fromarray(noise(*SIZE, 3)), "PNG", exif=oriented(orientation)
    )
    assert convert_picture(image).remarks == ()


def test_exif_that_cannot_be_read_is_said() -> None:
    image = Image.fromarray(noise(*SIZE, 3))
    image.info["exif"] = b"Exif\0\0no TIFF header"
    picture = convert_picture(image)
    assert picture.remarks == (UNREADABLE_EXIF,)
    assert np.array_equal(np.asarray(picture.rgb), noise(*SIZE, 3))


def on_white(colours: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_composited_on_white(mode: str) -> None:
    channels = {"RGBA": 4, "LA": 2, "PA": 2}[mode]
    stored = noise(*SIZE, channels)
    image = Image.frombytes(mode, SIZE[::-1], stored.tobytes())
    colours = stored[..., :-1]
    if mode == "PA":
        palette = noise(256, 3)
        image.putpalette(palette.tobytes())
        colours = palette[stored[..., 0]]
    expected = on_white(colours, stored[..., -1])
    # Pillow rounds twice
    assert np.abs(rgb(image) - expected).max() <= 1
    assert convert_picture(image).remarks == (COMPOSITED,)


def test_hidden_colours_do_not_reach_the_network() -> None:
    stored = np.zeros((*SIZE, 4), np.uint8)
    stored[..., 0] = 255
    assert (rgb(Image.fromarray(stored)) == 255).all()


def test_an_alpha_channel_that_hides_nothing_changes_nothing() -> None:
    stored = noise(*SIZE, 4)
    stored[..., 3] = 255
    picture = convert_picture(Image.fromarray(stored))
    assert np.array_equal(np.asarray(picture.rgb), stored[..., :3])
    assert picture.remarks == ()


def test_transparent_palette_entries() -> None:
    stored = noise(*SIZE) % 4
    image = Image.frombytes("P", SIZE[::-1], stored.tobytes())
    palette = noise(4, 3)
    image.putpalette(palette.tobytes())
    for transparency, alpha in (
        (2, np.array([255, 255, 0, 255])),
        (bytes([0, 100, 255, 255]), np.array([0, 100, 255, 255])),
    ):
        saved = reopened(image, "PNG", transparency=transparency)
        expected = on_white(palette[stored], alpha[stored])
        assert np.abs(rgb(saved) - expected).max() <= 1
        assert convert_picture(saved).remarks == (COMPOSITED,)
    opaque = convert_picture(reopened(image, "PNG"))
    assert np.array_equal(np.asarray(opaque.rgb), palette[stored])
    assert opaque.remarks == ()


@pytest.mark.parametrize("kind", ["L", "I;16"])
def test_a_transparent_grey_value(kind: str) -> None:
    stored = (noise(*SIZE) % 4).astype(np.uint8)
    factor = 1
    image = Image.fromarray(stored)
    if kind == "I;16":
        factor = 20000
        image = Image.fromarray(stored.astype(np.uint16) * factor)
    saved = reopened(image, "PNG", transparency=2 * factor)
    dropped_bits = 8 if kind == "I;16" else 0
    expected = (stored.astype(np.int64) * factor) >> dropped_bits
    expected[stored == 2] = 255
    assert np.array_equal(rgb(saved)[..., 0], expected)
    assert COMPOSITED in convert_picture(saved).remarks


def test_modes_of_8_bits_are_pillows_conversion() -> None:
    grey = Image.fromarray(noise(*SIZE))
    for mode in ("L", "1", "P", "CMYK", "YCbCr", "HSV", "RGBX"):
        image = Image.fromarray(noise(*SIZE, 3)).convert(mode)
        expected = np.asarray(image.convert("RGB"))
        assert np.array_equal(rgb(image), expected), mode
        assert convert_picture(image).remarks == (), mode
    black_and_white = grey.point(lambda value: 255 * (value > 99), "1")
    assert set(np.unique(rgb(black_and_white)).tolist()) == {0, 255}


def test_cmyk_of_a_printed_colour() -> None:
    # cyan 100 %, black 20 %: red is absent, the others are at 80 %
    ink = np.full((*SIZE, 4), (255, 0, 0, 51), np.uint8)
    image = Image.frombytes("CMYK", SIZE[::-1], ink.tobytes())
    assert rgb(image)[0, 0].tolist() == [0, 204, 204]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str, tmp_path: Path) -> None:
    frames = [Image.new("L", SIZE[::-1], value) for value in (10, 200, 90)]
    path = tmp_path / "animation"
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)
    picture = convert_picture(read_picture(path))
    assert (np.asarray(picture.rgb) == 10).all()
    assert picture.remarks == (FIRST_FRAME,)
    frames[0].save(path, kind, **options)
    assert convert_picture(read_picture(path)).remarks == ()


def test_a_photo_with_a_thumbnail_is_no_animation(tmp_path: Path) -> None:
    photo = Image.fromarray(noise(*SIZE, 3))
    photo.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[photo])
    image = read_picture(tmp_path / "a.jpg")
    assert image.format == "MPO" and convert_picture(image).remarks == ()


def test_what_a_concept_set_says_of_its_picture_is_passed_on() -> None:
    image = Image.fromarray(noise(*SIZE, 4))
    image.info[REMARKS] = ("cut out of a video", COMPOSITED)
    assert convert_picture(image).remarks == ("cut out of a video", COMPOSITED)


def test_a_text_in_a_file_is_no_remark() -> None:
    texts = PngInfo()
    texts.add_text(REMARKS, "mine")
    image = reopened(Image.fromarray(noise(*SIZE, 3)), "PNG", pnginfo=texts)
    assert image.info[REMARKS] == "mine"
    assert convert_picture(image).remarks == ()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "La", "P", "RGBA", "CMYK", "YCbCr", "F", "I", "I;16"]
)
def test_strips_make_the_same_picture_as_the_whole(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = picture_of_mode(mode)
    whole = convert_picture(picture)
    monkeypatch.setattr(stored_integers, "PIXELS_AT_ONCE", 40)
    stripwise = convert_picture(picture)
    np.testing.assert_array_equal(np.asarray(stripwise.rgb), np.asarray(whole.rgb))
    assert (stripwise.remarks, stripwise.whites) == (whole.remarks, whole.whites)


@pytest.mark.parametrize("kind", ["P", "L", "RGB"])
def test_strips_of_a_picture_with_a_transparent_colour(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = picture_of_mode(kind)
    first = picture.getpixel((0, 0))
    picture.info["transparency"] = first
    whole = convert_picture(picture)
    assert whole.remarks == (COMPOSITED,)
    monkeypatch.setattr(stored_integers, "PIXELS_AT_ONCE", 40)
    stripwise = convert_picture(picture)
    np.testing.assert_array_equal(np.asarray(stripwise.rgb), np.asarray(whole.rgb))
    assert stripwise.remarks == whole.remarks


def picture_of_mode(mode: str) -> Image.Image:
    """Return a picture of 30 x 20 pixels, whose upper part is transparent where the mode can."""
    colours = Image.fromarray(noise(30, 20, 3))
    if mode in ("F", "I", "I;16"):
        kinds = {"F": np.float32, "I": np.int32, "I;16": np.uint16}
        return Image.fromarray(noise(30, 20).astype(kinds[mode]))
    if mode in ("LA", "La", "RGBA"):
        alpha = noise(30, 20)
        alpha[15:] = 255
        colours.putalpha(Image.fromarray(alpha))
        return (
            colours.convert("LA").convert(mode)
            if mode == "La"
            else colours.convert(mode)
        )
    return colours.convert(mode)
