"""Opening of picture files: of regular files only, and of no format that is a program."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image

from nd_plugin.pictures.pixel_limit import pixel_limit

# a file, or the content of one that lies in a table or an archive
PictureSource = Path | bytes
# PostScript is a program: Pillow has Ghostscript run it, which may never end
PROGRAM_FORMATS = ("EPS",)
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NoRegularFile(OSError):
    """Folder, FIFO, device or socket where a file is expected."""


def kind_of_file(mode: int) -> str:
    """Return what an entry of a folder is, by its ``st_mode``; "" for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    return next((kind for is_kind, kind in KINDS if is_kind(mode)), "no file")


def check_regular(path: Path) -> None:
    """Raise OSError unless a path is a regular file, or a link to one.

    Reading a FIFO waits for a writer, and reading a device may never end.
    """
    kind = kind_of_file(path.stat().st_mode)
    if kind:
        raise NoRegularFile(f"{path} is {kind}, and not a regular file")


@contextmanager
def open_picture(source: PictureSource) -> Iterator[Image.Image]:
    """Open a picture file, or the content of one, not decoded yet.

    Raises OSError for what is no regular file or no picture, ValueError for a format that is a
    program and for more pixels than the limit, RunFailed where memory does not suffice, and what
    Pillow raises for a damaged header.
    """
    if isinstance(source, Path):
        check_regular(source)
    file = BytesIO(source) if isinstance(source, bytes) else source
    with pixel_limit(None), Image.open(file) as image:
        if image.format in PROGRAM_FORMATS:
            name = source if isinstance(source, Path) else "the picture"
            raise ValueError(
                f"{name} is PostScript, a program, which is not run; convert it to PNG"
            )
        yield image
