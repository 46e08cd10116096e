"""Limit on the number of pixels of a picture, and memory that does not suffice for one."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from nd_plugin.errors import BadInput, RunFailed

ENVIRONMENT = "ND_MAX_PIXELS"
# of memory that an image may take for each pixel of the limit: 1 GiB by default
BYTES_PER_PIXEL = 6
# of a decoded image, by Pillow's mode; of all others 4
DECODED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
RGB_BYTES = 4  # Pillow has no mode of 3
# Pillow warns above it, and refuses above twice as many
PILLOW_LIMIT = Image.MAX_IMAGE_PIXELS
DEFAULT_LIMIT = 2 * (PILLOW_LIMIT or 0)
REMEDY = (
    "; if the file can be trusted, allow more: "
    f"--max-pixels N, max_pixels=N or {ENVIRONMENT}=N"
)


def environment_limit() -> int | None:
    """Return the limit that the environment sets; None for none. Raises BadInput."""
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise BadInput(f"{ENVIRONMENT} {text!r} is not a number of pixels")
    return int(text)


@contextmanager
def pixel_limit(pixels: int | None) -> Iterator[None]:
    """Read a picture of at most ``pixels`` pixels; None: the limit around it, if there is one.

    Else the environment's limit holds, or 178,956,970: above it Pillow refuses. Raises ValueError,
    naming the remedy, for a larger picture, and RunFailed where memory does not suffice for one:
    that says nothing of the file, so it is not to be passed over like one that is unreadable.
    """
    try:
        with pixel_limit_around(pixels):
            yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(reason_of(error)) from error
    except MemoryError as error:
        raise RunFailed(out_of_memory(error)) from error


@contextmanager
def pixel_limit_around(pixels: int | None) -> Iterator[None]:
    """Set the limit of every `pixel_limit` inside, in code that does more than read pictures."""
    limit = _active_limits.add(pixels)
    try:
        yield
    finally:
        if limit is not None:
            _active_limits.remove(limit)


class _ActiveLimits:
    """Limits in force, the newest last, of all threads: Pillow's limit is one of the process.

    The first to come stores Pillow's limit and the filters of warnings, and the last to leave puts
    them back, whatever the order in which threads come and leave.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: list[int] = []
        self._outer_limit = PILLOW_LIMIT
        self._outer_filters = warnings.catch_warnings()

    def add(self, pixels: int | None) -> int | None:
        """Set a limit; None: that in force, else the environment's or the default.

        Returns it, or None where a program has chosen Pillow's limit itself: that holds.
        """
        with self._lock:
            is_own = not self._limits and Image.MAX_IMAGE_PIXELS != PILLOW_LIMIT
            if pixels is None and is_own:
                return None
            limit = pixels or most_pixels(None)
            assert limit is not None
            if not self._limits:
                self._outer_limit = Image.MAX_IMAGE_PIXELS
                self._outer_filters = warnings.catch_warnings()
                self._outer_filters.__enter__()
                # Pillow warns above its limit, and raises an error above twice its limit
                warnings.simplefilter("error", Image.DecompressionBombWarning)
            self._limits.append(limit)
            Image.MAX_IMAGE_PIXELS = limit
            return limit

    def remove(self, limit: int) -> None:
        """Take a limit back."""
        with self._lock:
            self._limits.remove(limit)
            if self._limits:
                Image.MAX_IMAGE_PIXELS = self._limits[-1]
                return
            self._outer_filters.__exit__(None, None, None)
            Image.MAX_IMAGE_PIXELS = self._outer_limit


_active_limits = _ActiveLimits()


def out_of_memory(error: MemoryError) -> str:
    """Return the message for a picture that memory does not suffice for."""
    detail = f" ({error})" if str(error) else ""
    return (
        f"out of memory while decoding{detail}; use fewer data-loading workers (--workers N, "
        "workers=N) or give the process more memory; to leave such pictures out as unreadable, "
        f"set a limit that they exceed: --max-pixels N, max_pixels=N or {ENVIRONMENT}=N"
    )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory did not suffice: a MemoryError, or what it was translated to."""
    return isinstance(error, MemoryError) or isinstance(
        error.__cause__, MemoryError
    )


def most_pixels(pixels: int | None) -> int | None:
    """Return the limit that `pixel_limit` of ``pixels`` sets where none is around it."""
    if pixels is None and PILLOW_LIMIT == Image.MAX_IMAGE_PIXELS:
        return environment_limit() or DEFAULT_LIMIT
    return pixels or Image.MAX_IMAGE_PIXELS


def check_pixel_count(size: tuple[int, int], what: str) -> None:
    """Raise ValueError for a size (rows, columns) beyond the limit around it, before it is made."""
    rows, columns = size
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and rows * columns > limit:
        raise ValueError(
            f"{what} of {rows}x{columns} pixels exceeds the limit of {limit} pixels{REMEDY}"
        )


def check_image_memory(image: Image.Image, *, is_turned: bool = False) -> None:
    """Raise ValueError for an image whose conversion to RGB would take too much memory.

    To be called before it is decoded, within a limit of pixels. Beside the decoded image, memory is
    taken for its copy that is turned upright, and for the RGB image.
    """
    limit = Image.MAX_IMAGE_PIXELS
    decoded = DECODED_BYTES.get(image.mode, 4)
    copies = 2 if is_turned else 1
    bytes_per_pixel = decoded * copies + (0 if image.mode == "RGB" else RGB_BYTES)
    pixel_count = image.width * image.height
    if (
        limit is not None
        and pixel_count * bytes_per_pixel > limit * BYTES_PER_PIXEL
    ):
        raise ValueError(
            f"image of {image.height}x{image.width} pixels of mode {image.mode} takes "
            f"{bytes_per_pixel} bytes a pixel, more than {BYTES_PER_PIXEL} for each pixel of the "
            f"limit of {limit}{REMEDY}"
        )


def reason_of(error: BaseException) -> str:
    """Return an error's message; for a picture beyond the limit also what to do."""
    message = str(error) or type(error).__name__
    if isinstance(
        error, Image.DecompressionBombError | Image.DecompressionBombWarning
    ):
        return message.partition(", could be")[0] + REMEDY
    return message
