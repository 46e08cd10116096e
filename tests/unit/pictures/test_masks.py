"""Masks are read as the integers that their files store, or refused; never scaled."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import png_writer
import pytest
from PIL import Image

from nd_plugin import RunFailed, checked_checksums, read_mask
from nd_plugin.pictures import stored_integers
from nd_plugin.pictures.png_checksums import check_png_checksums

Values = npt.NDArray[np.integer]

# tags of TIFF
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 277, 278, 279
FILL_ORDER, SAMPLE_FORMAT = 266, 339
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1


def all_values(bits: int, samples: int = 1) -> Values:
    """Every value of so many bits, or 4096 of them, in lines of an odd length."""
    count = min(2**bits, 4096)
    values = np.linspace(0, 2**bits - 1, count).astype(np.int64)
    flat = np.resize(values, 67 * 71 * samples)
    return flat.reshape(67, 71) if samples == 1 else flat.reshape(67, 71, samples)


def read(path: Path) -> tuple[str, Values]:
    return read_mask(path, f"the mask {path.name}")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_grey_png_of_any_depth_is_read_as_its_integers(
    bits: int, tmp_path: Path
) -> None:
    values = all_values(bits)
    png_writer.save_png(tmp_path / "m.png", values, bits)
    _, pixels = read(tmp_path / "m.png")
    assert np.array_equal(pixels, values)
    assert pixels.dtype == (np.uint16 if bits == 16 else np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_of_any_depth_is_read_as_its_indices(
    bits: int, tmp_path: Path
) -> None:
    values = all_values(bits)
    png_writer.save_png(tmp_path / "m.png", values, bits, png_writer.PALETTE)
    mode, pixels = read(tmp_path / "m.png")
    assert mode == "P" and np.array_equal(pixels, values)


@pytest.mark.parametrize(
    ("colour_type", "mode"),
    [
        (png_writer.RGB, "RGB"),
        (png_writer.RGBA, "RGBA"),
        (png_writer.GREY_ALPHA, "LA"),
    ],
)
def test_colours_of_8_bits_are_read_and_those_of_16_bits_refused(
    colour_type: int, mode: str, tmp_path: Path
) -> None:
    samples = png_writer.SAMPLES[colour_type]
    path = tmp_path / "m.png"
    png_writer.save_png(path, all_values(8, samples), 8, colour_type)
    assert read(path)[0] == mode
    assert np.array_equal(read(path)[1], all_values(8, samples))
    png_writer.save_png(path, all_values(16, samples), 16, colour_type)
    with pytest.raises(
        ValueError,
        match=r"the mask m\.png is of mode RGBA? \(.*;16B\) in a PNG file",
    ):
        read(path)


def tiff_bytes(
    values: Values,
    bits: int,
    *,
    photometric: int = BLACK_IS_ZERO,
    sample_format: int = 1,
    byte_order: str = "<",
    fill_order: int = 1,
) -> bytes:
    """A TIFF file of one strip, not compressed; samples as their bytes are in ``values``."""
    rows, columns = values.shape
    if bits < 8:
        content = b"".join(png_writer.packed_line(line, bits) for line in values)
    else:
        content = values.astype(values.dtype.newbyteorder(byte_order)).tobytes()
    if fill_order == 2:
        reversed_bits = np.unpackbits(
            np.frombuffer(content, np.uint8).reshape(-1, 1), 1
        )
        content = np.packbits(reversed_bits[:, ::-1], 1).tobytes()
    tags = {
        WIDTH: columns,
        HEIGHT: rows,
        BITS: bits,
        COMPRESSION: 1,
        PHOTOMETRIC: photometric,
        FILL_ORDER: fill_order,
        STRIP_OFFSETS: 8,
        SAMPLES: 1,
        ROWS_PER_STRIP: rows,
        STRIP_BYTES: len(content),
        SAMPLE_FORMAT: sample_format,
    }
    entries = [
        struct.pack(f"{byte_order}HHII", tag, 4, 1, value)
        for tag, value in sorted(tags.items())
    ]
    content += b"\0" * (len(content) % 2)
    head = (b"II" if byte_order == "<" else b"MM") + struct.pack(
        f"{byte_order}HI", 42, 8 + len(content)
    )
    count = struct.pack(f"{byte_order}H", len(entries))
    return head + content + count + b"".join(entries) + b"\0\0\0\0"


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
@pytest.mark.parametrize("fill_order", [1, 2])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_tiff_is_read_as_its_integers(
    bits: int, fill_order: int, photometric: int, byte_order: str, tmp_path: Path
) -> None:
    values = all_values(bits).astype(np.uint8)
    content = tiff_bytes(
        values,
        bits,
        photometric=photometric,
        byte_order=byte_order,
        fill_order=fill_order,
    )
    (tmp_path / "m.tif").write_bytes(content)
    if (bits, fill_order, photometric) == (8, 2, WHITE_IS_ZERO):
        # which Pillow does not decode
        with pytest.raises(ValueError, match=r"the mask m\.tif cannot be read"):
            read(tmp_path / "m.tif")
        return
    assert np.array_equal(read(tmp_path / "m.tif")[1], values)


@pytest.mark.parametrize("byte_order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u2", "i2", "i4", "i1"])
def test_wide_and_signed_tiff_is_read_as_its_integers(
    dtype: str, byte_order: str, tmp_path: Path
) -> None:
    kind = np.dtype(dtype)
    ends = np.iinfo(kind)
    values = np.resize(
        np.array([0, 1, 300 % ends.max, ends.max, ends.min], kind), (5, 7)
    )
    sample_format = 1 if dtype[0] == "u" else 2
    content = tiff_bytes(
        values,
        kind.itemsize * 8,
        sample_format=sample_format,
        byte_order=byte_order,
    )
    (tmp_path / "m.tif").write_bytes(content)
    try:
        pixels = read(tmp_path / "m.tif")[1]
    except ValueError as error:  # kinds that Pillow does not decode
        assert "cannot be read" in str(error)
    else:
        assert pixels.tolist() == values.tolist()


def test_unsigned_32_bit_tiff_is_not_wrapped(tmp_path: Path) -> None:
    values = np.resize(np.array([0, 7, 2**31, 2**32 - 1], np.uint32), (3, 4))
    (tmp_path / "m.tif").write_bytes(tiff_bytes(values, 32))
    assert read(tmp_path / "m.tif")[1].tolist() == values.tolist()


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("scaled.pgm", lambda path: path.write_bytes(b"P5 2 1 15\n\x01\x0f")),
        ("plain.pgm", lambda path: path.write_bytes(b"P2 2 1 15\n1 15\n")),
        ("grey.bmp", lambda path: Image.new("L", (3, 2)).save(path)),
        ("half.bmp", lambda path: path.write_bytes(BMP_OF_5_BITS)),
    ],
)
def test_kinds_whose_integers_pillow_changes_are_refused(
    name: str, save: object, tmp_path: Path
) -> None:
    assert callable(save)
    save(tmp_path / name)
    with pytest.raises(
        ValueError, match=rf"the mask {name} is of mode .* integers"
    ):
        read(tmp_path / name)


BMP_OF_5_BITS = (
    b"BM"
    + struct.pack("<IHHI", 58, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 16, 0, 4, 0, 0, 0, 0)
    + struct.pack("<HH", 1 << 10, 0)
)


def test_floats_are_read_as_floats_which_no_set_takes(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 3), np.float32)).save(tmp_path / "m.tif")
    with pytest.raises(ValueError, match=r"of mode F \(F;32F\) in a TIFF file"):
        read(tmp_path / "m.tif")


@pytest.mark.parametrize("bits", [1, 2, 8, 16])
def test_strips_of_rows_give_the_same(
    bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png_writer.save_png(tmp_path / "m.png", all_values(bits), bits)
    whole = read(tmp_path / "m.png")[1]
    for pixels in (1, 71, 500):
        monkeypatch.setattr(stored_integers, "PIXELS_AT_ONCE", pixels)
        strips = read(tmp_path / "m.png")[1]
        assert strips.dtype == whole.dtype and np.array_equal(strips, whole)


def mask_with_extra_chunks(tmp_path: Path) -> Path:
    values = np.resize(np.arange(0, 300, 7), (6, 9))
    content = png_writer.png_bytes(values, 16, png_writer.GREY)
    head, end = content[:33], content[33:]
    text = png_writer.chunk(b"tEXt", b"Software\0a tool")
    path = tmp_path / "m.png"
    path.write_bytes(head + text + end)
    return path


def test_any_flipped_bit_is_found_under_checked_checksums(tmp_path: Path) -> None:
    path = mask_with_extra_chunks(tmp_path)
    content = path.read_bytes()
    with checked_checksums():
        values = read(path)[1]
    changed_unnoticed = 0
    for position in range(len(content) * 8):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        with (
            checked_checksums(),
            pytest.raises(ValueError, match=r"the mask m\.png"),
        ):
            read(path)
        changed_unnoticed += differs(path, values)
    # without the check, labels would have changed
    assert changed_unnoticed > 0


def differs(path: Path, values: Values) -> bool:
    try:
        return not np.array_equal(read(path)[1], values)
    except ValueError:
        return False


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    path = mask_with_extra_chunks(tmp_path)
    content = path.read_bytes()
    place = content.index(b"IDAT")
    flipped = (
        content[: place + 6]
        + bytes([content[place + 6] ^ 1])
        + content[place + 7 :]
    )
    path.write_bytes(flipped)
    message = rf"the mask m is damaged: the checksum of its chunk b'IDAT' at byte {place - 4} does"
    with pytest.raises(ValueError, match=message):
        check_png_checksums(path, "the mask m")
    path.write_bytes(content[:-5])
    with pytest.raises(
        ValueError, match=r"the mask m is damaged: its chunk .* is cut off"
    ):
        check_png_checksums(path, "the mask m")


def test_checksums_of_other_formats_and_bytes_behind_the_end_pass(
    tmp_path: Path,
) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "m.tif")
    check_png_checksums(tmp_path / "m.tif", "the mask")
    path = mask_with_extra_chunks(tmp_path)
    path.write_bytes(path.read_bytes() + b"more")
    check_png_checksums(path, "the mask")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_no_mask_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.png")
    for checked in (False, True):
        with (
            checked_checksums(checked),
            pytest.raises(
                ValueError, match=r"m\.png is a FIFO, and not a regular file"
            ),
        ):
            read(tmp_path / "m.png")


def test_memory_that_does_not_suffice_is_no_reason_to_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png_writer.save_png(tmp_path / "m.png", all_values(8), 8)

    def fail(*_: object) -> None:
        raise MemoryError("4 GiB")

    monkeypatch.setattr("nd_plugin.pictures.masks.stored_integers", fail)
    with pytest.raises(RunFailed, match=r"out of memory while decoding \(4 GiB\)"):
        read(tmp_path / "m.png")
