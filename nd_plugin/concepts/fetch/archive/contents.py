"""Contents of zip archives of strangers, judged before a byte is unpacked.

The format is PKWARE's APPNOTE.TXT (6.3.10). A few kilobytes may claim millions of files, files
outside their folder, links, or terabytes: the table of contents is measured before Python reads
it, and each of its entries is judged before any is unpacked.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from nd_plugin.errors import BadInput
from nd_plugin.storage.names import NAME_BYTES

END = struct.Struct("<4s4H2LH")  # end of central directory record, 4.3.16
END_MARK = b"PK\x05\x06"
LONGEST_COMMENT = 2**16
LOCATOR = struct.Struct("<4sLQL")  # of the record for large archives, 4.3.15
LOCATOR_MARK = b"PK\x06\x07"
LARGE_END = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
LARGE_END_MARK = b"PK\x06\x06"
ENTRY = struct.Struct("<4s6H3L5H2L")  # central directory header, 4.3.12
ENTRY_MARK = b"PK\x01\x02"
LOCAL_SIZE = 30  # bytes of a local header without its name, 4.3.7
LONGEST_ENTRY = 512  # bytes in the table of contents, on average
# LZMA may ask for gigabytes before a byte is unpacked
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x41  # flags
DRIVE = re.compile(r"[A-Za-z]:")
SHOWN = 80  # characters of a name


class ArchiveRefused(Exception):
    """Archive that is damaged, or that is not unpacked."""


@dataclass(frozen=True)
class Limits:
    """What an archive may hold: far more than any published set, far less than fills a disk."""

    entries: int = 1_000_000  # files and folders
    unpacked: int = 32 * 2**30  # bytes
    ratio: float = 100.0  # unpacked bytes for each byte of the archive
    always_unpacked: int = 2**24  # bytes that may be unpacked whatever the ratio

    def __post_init__(self) -> None:
        """Raise BadInput for limits that no archive keeps."""
        if min(self.entries, self.unpacked) < 1 or not self.ratio >= 1:
            raise BadInput("limits of an archive are at least 1")


@dataclass(frozen=True)
class Entry:
    """File of an archive."""

    info: zipfile.ZipInfo
    path: PurePosixPath  # relative, inside the folder


@dataclass(frozen=True)
class Table:
    """Size of a table of contents."""

    entries: int
    size: int  # bytes


def check_table(file: IO[bytes], size: int, limits: Limits) -> Table:
    """Check the size of an archive's table of contents, and return it.

    Nothing of it is taken into memory that is beyond the limits. Raises ArchiveRefused.
    """
    claimed, table_size, table_end = _end_record(file, size)
    if table_size > table_end or claimed * ENTRY.size > table_size:
        raise ArchiveRefused("its table of contents is damaged")
    if claimed > limits.entries:
        raise _too_many(claimed, limits)
    if table_size > limits.entries * LONGEST_ENTRY:
        raise ArchiveRefused(
            f"its table of contents takes {table_size} bytes, too many for "
            f"{limits.entries} files (--max-entries)"
        )
    file.seek(table_end - table_size)
    table = file.read(table_size)
    count = _count_entries(table)
    if count > limits.entries:
        raise _too_many(count, limits)
    # of more than 65,535 files the older form counts the remainder
    if count != claimed and (count & 0xFFFF) != claimed:
        raise ArchiveRefused(
            f"its table of contents says {claimed} files, and lists {count}"
        )
    return Table(count, table_size)


def _too_many(count: int, limits: Limits) -> ArchiveRefused:
    return ArchiveRefused(
        f"it holds {count} files, more than the limit of {limits.entries}; if it can be trusted: "
        f"--max-entries {count}"
    )


def _end_record(file: IO[bytes], size: int) -> tuple[int, int, int]:
    """Return the number of entries, and the table's size in bytes and end in the file."""
    tail_size = min(size, END.size + LONGEST_COMMENT)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    start = tail.rfind(END_MARK, 0, len(tail) - END.size + len(END_MARK))
    if start < 0:
        raise ArchiveRefused(
            "it is no zip archive, or one whose end is missing (a download that broke off)"
        )
    _, _, _, _, entries, table_size, _, _ = END.unpack_from(tail, start)
    end = size - tail_size + start
    large = _large_end_record(file, end)
    return large if large is not None else (entries, table_size, end)


def _large_end_record(file: IO[bytes], end: int) -> tuple[int, int, int] | None:
    """Return the same from the record of large archives; None where there is none."""
    start = end - LOCATOR.size
    if start < 0:
        return None
    file.seek(start)
    mark, _, _, _ = LOCATOR.unpack(file.read(LOCATOR.size))
    if mark != LOCATOR_MARK:
        return None
    # Python looks directly before the locator, too
    record_start = start - LARGE_END.size
    file.seek(max(record_start, 0))
    record = file.read(LARGE_END.size)
    if len(record) < LARGE_END.size or not record.startswith(LARGE_END_MARK):
        raise ArchiveRefused("the record of its size is damaged")
    *_, entries, table_size, _ = LARGE_END.unpack(record)
    return entries, table_size, record_start


def _count_entries(table: bytes) -> int:
    """Return the number of entries of a table of contents. Raises ArchiveRefused for damage."""
    position = 0
    count = 0
    while position < len(table):
        if len(table) - position < ENTRY.size:
            raise ArchiveRefused("its table of contents is damaged")
        fields = ENTRY.unpack_from(table, position)
        if fields[0] != ENTRY_MARK:
            raise ArchiveRefused("its table of contents is damaged")
        # lengths of the name, of extra fields and of a comment
        position += ENTRY.size + sum(fields[10:13])
        count += 1
    return count


def check_entries(
    infos: Sequence[zipfile.ZipInfo], size: int, limits: Limits
) -> list[Entry]:
    """Return the files of an archive of ``size`` bytes. Raises ArchiveRefused.

    Each of them lies inside the folder, is there once, and is a file; all of them together are
    within the limits.
    """
    unpacked = sum(info.file_size for info in infos)
    _check_unpacked(unpacked, size, limits)
    entries: list[Entry] = []
    for info in infos:
        path = _inside(info)
        if _is_file(info):
            entries.append(Entry(info, path))
    _check_places(entries)
    _check_apart(infos, size)
    return entries


def _check_unpacked(unpacked: int, size: int, limits: Limits) -> None:
    """Raise ArchiveRefused for more unpacked bytes than the limits allow."""
    if unpacked > limits.unpacked:
        raise ArchiveRefused(
            f"it unpacks to {_mebibytes(unpacked)}, more than the limit of "
            f"{_mebibytes(limits.unpacked)}; if it can be trusted: --max-unpacked {unpacked}"
        )
    ratio = unpacked / max(size, 1)
    if unpacked > limits.always_unpacked and ratio > limits.ratio:
        raise ArchiveRefused(
            f"it unpacks to {_mebibytes(unpacked)}, {ratio:.0f} times its size, and the limit is "
            f"{limits.ratio:g} times; if it can be trusted: --max-ratio {ratio + 1:.0f}"
        )


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _inside(info: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of an entry. Raises ArchiveRefused for one outside the folder."""
    # as it stands in the archive: Python cuts it at NUL, and turns backslashes on Windows
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    parts = [part for part in parts if part != "."]
    is_outside = not parts or ".." in parts or "" in parts or "\\" in name
    if is_outside or DRIVE.match(name) or "\0" in name:
        raise ArchiveRefused(
            f"it holds {_shown(name)}, which is no path inside its folder"
        )
    longest = max(len(part.encode(errors="replace")) for part in parts)
    if longest > NAME_BYTES:
        raise ArchiveRefused(
            f"it holds {_shown(name)}, a name of {longest} bytes; file systems take {NAME_BYTES}"
        )
    return PurePosixPath(*parts)


def _is_file(info: zipfile.ZipInfo) -> bool:
    """Return whether an entry is a file; False for a folder. Raises ArchiveRefused for others."""
    name = _shown(info.orig_filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if stat.S_ISLNK(kind):
        raise ArchiveRefused(f"{name} is a link, and links are not unpacked")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveRefused(f"{name} is a device or a pipe, and none is unpacked")
    if info.flag_bits & ENCRYPTED:
        raise ArchiveRefused(f"{name} is encrypted")
    if info.orig_filename.endswith("/") or stat.S_ISDIR(kind):
        if info.file_size:
            raise ArchiveRefused(f"{name} is a folder, and has a content")
        return False
    if info.compress_type not in METHODS:
        raise ArchiveRefused(
            f"{name} is compressed by method {info.compress_type}, which is not unpacked"
        )
    return True


def _check_places(entries: Iterable[Entry]) -> None:
    """Raise ArchiveRefused where two files have one place, or a file is a folder, too."""
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for entry in entries:
        if entry.path in files:
            raise ArchiveRefused(f"it holds {_shown(str(entry.path))} twice")
        files.add(entry.path)
        folder = entry.path.parent
        while folder not in folders:
            folders.add(folder)
            folder = folder.parent
    both = files & folders
    if both:
        name = _shown(str(min(both)))
        raise ArchiveRefused(f"{name} is a file, and a folder with files, too")


def _check_apart(infos: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Raise ArchiveRefused where files share bytes: an archive that is larger than it is."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered[1:]]
    for info, next_start in zip(ordered, [*starts, size], strict=True):
        name_size = len(
            info.orig_filename
        )  # at least: characters may have several bytes
        end = info.header_offset + LOCAL_SIZE + name_size + info.compress_size
        if info.header_offset < 0 or end > next_start:
            raise ArchiveRefused(
                f"{_shown(info.orig_filename)} shares bytes with another file, or ends behind the "
                "archive"
            )


def _shown(name: str) -> str:
    return repr(name if len(name) <= SHOWN else f"{name[:SHOWN]}…")
