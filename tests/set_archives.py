"""Archives of small sets in Broden's layout, whole and hostile, made byte by byte."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from written_sets import write_broden

TOP = "broden1_224"


def set_files() -> dict[str, bytes]:
    """Return the files of a set by their names in an archive."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / TOP
        write_broden(root)
        paths = sorted(path for path in root.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in paths
        }


def make_zip(
    files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Return an archive of files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return content.getvalue()


def with_entry(
    files: Mapping[str, bytes], info: zipfile.ZipInfo, data: bytes = b"x"
) -> bytes:
    """Return an archive of files, and of an entry that may be anything."""
    content = io.BytesIO(make_zip(files))
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(info, data)
    return content.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    """Return an entry of a Unix mode: a link, a pipe, a device."""
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info
