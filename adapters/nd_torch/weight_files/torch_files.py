"""Files of ``torch.save``: zip archives of today, and the older streams of pickles and numbers."""

from __future__ import annotations

import lzma
import mmap
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from nd_torch.weight_files.pickle_machine import read_pickle
from nd_torch.weight_files.pickle_records import BadPickle
from nd_torch.weight_files.stored_tensors import StoredTensor
from nd_torch.weight_files.tensor_records import (
    StorageRecord,
    TensorRecord,
    storage_key,
    storage_of,
)

ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,  # NotImplementedError, too: encryption, unknown compression
    ValueError,
)
ZIP_START = b"PK\x03\x04"
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
TORCHSCRIPT = (
    "it is a TorchScript archive, which is code: save the state dict of the model that it was "
    "scripted or traced from"
)
TAR = (
    "it is a tar archive of torch before 0.1.9, which is not read: load and save it again with an "
    "old torch that you trust the file to run in"
)
NO_TORCH_FILE = "it does not begin like a file of torch.save"


@dataclass(frozen=True)
class TorchFile:
    """Content of a file of ``torch.save``, with tensors as records."""

    path: Path
    content: Any
    byte_order: str
    storages: Mapping[str, Span]  # by key
    # the storage that was read last, which may hold several tensors
    last_storage: dict[str, bytearray] = field(default_factory=dict)

    def stored(self, record: TensorRecord) -> StoredTensor:
        """Return a tensor of the content as one that can be read."""
        read = partial(record.read, self._read_storage, self.byte_order)
        return StoredTensor(record.shape, read)

    def _read_storage(self, storage: StorageRecord) -> bytearray:
        """Read the bytes of a storage. Raises BadPickle where the file does not have them."""
        if storage.key not in self.last_storage:
            self.last_storage.clear()
            self.last_storage[storage.key] = bytearray(
                self._span(storage).read(self.path)
            )
        return self.last_storage[storage.key]

    def _span(self, storage: StorageRecord) -> Span:
        span = self.storages.get(storage.key)
        if span is None:
            raise BadPickle(f"it lacks the numbers of storage {storage.key!r}")
        if span.length != storage.byte_count:
            raise BadPickle(
                f"its storage {storage.key!r} has {span.length} bytes where the pickle says "
                f"{storage.byte_count}"
            )
        return span


@dataclass(frozen=True)
class Span:
    """Bytes of a file, or a member of a zip archive."""

    start: int
    length: int
    member: str = ""  # "": at ``start``

    def read(self, path: Path) -> bytes:
        """Read the bytes. Raises BadPickle where they are damaged."""
        if self.member:
            data = _read_member(path, self.member)
        else:
            with path.open("rb") as file:
                file.seek(self.start)
                data = file.read(self.length)
        if len(data) != self.length:
            raise BadPickle("it is cut off within its numbers")
        return data


@contextmanager
def _archive_errors() -> Iterator[None]:
    """Translate what zipfile raises for damaged archives, which has no common class."""
    try:
        yield
    except ARCHIVE_ERRORS as error:
        raise BadPickle(f"its archive is damaged ({error})") from error


def _read_member(path: Path, member: str) -> bytes:
    with _archive_errors(), zipfile.ZipFile(path) as archive:
        return archive.read(member)


def read_torch_file(path: Path) -> TorchFile:
    """Read what a file of torch.save holds, without its numbers. Raises BadPickle, OSError."""
    with path.open("rb") as file:
        start = file.read(len(ZIP_START))
    if start == ZIP_START:
        return _read_archive(path)
    if not start.startswith(b"\x80"):  # the operation that a pickle begins with
        raise BadPickle(TAR if tarfile.is_tarfile(path) else NO_TORCH_FILE)
    with path.open("rb") as file:
        return _read_stream(path, file)


def _read_archive(path: Path) -> TorchFile:
    with _archive_errors(), zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        root = _root_of(members)
        if f"{root}/constants.pkl" in members:
            raise BadPickle(TORCHSCRIPT)
        with archive.open(f"{root}/data.pkl") as file:
            content = read_pickle(file, storage_of)  # type: ignore[arg-type]
        byte_order = "little"
        if f"{root}/byteorder" in members:
            with archive.open(f"{root}/byteorder") as file:
                byte_order = file.read(6).decode("latin-1")
    storages: dict[str, Span] = {}
    for name, info in members.items():
        folder, _, key = name.rpartition("/")
        # torch compresses nothing: a compressed member may unpack to any size
        is_plain = info.compress_type == zipfile.ZIP_STORED
        if folder == f"{root}/data" and is_plain:
            storages[key] = Span(0, info.file_size, name)
    return TorchFile(path, content, byte_order, storages)


def _root_of(members: Mapping[str, zipfile.ZipInfo]) -> str:
    """Return the folder that an archive holds everything in."""
    for name in members:
        folder, _, last = name.rpartition("/")
        if last == "data.pkl" and "/" not in folder:
            return folder
    raise BadPickle("it is a zip archive, but not one of torch.save")


def _read_stream(path: Path, file: BinaryIO) -> TorchFile:
    """Read a file of torch before 1.6: five pickles, then storages as they follow each other."""
    if read_pickle(file) != MAGIC_NUMBER:
        raise BadPickle(NO_TORCH_FILE)
    if read_pickle(file) != PROTOCOL:
        raise BadPickle("its version of torch's format is unknown")
    system = read_pickle(file)
    is_little = not isinstance(system, dict) or system.get("little_endian", True)
    item_sizes: dict[str, int] = {}

    def load(identity: Any) -> Any:
        storage = storage_of(identity)
        if isinstance(storage, StorageRecord):
            item_sizes[storage.key] = storage.dtype.itemsize
        return storage

    content = read_pickle(file, load)
    keys = read_pickle(file)
    storages = _find_storages(file, keys, item_sizes)
    return TorchFile(path, content, "little" if is_little else "big", storages)


def _find_storages(
    file: BinaryIO, keys: Any, item_sizes: Mapping[str, int]
) -> dict[str, Span]:
    """Return where the storages lie, which follow each other behind the number of their elements.

    Raises BadPickle where the file is too short for them.
    """
    if not isinstance(keys, list):
        raise BadPickle("its list of storages is damaged")
    start = file.tell()
    spans: dict[str, Span] = {}
    with closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
        for key in map(storage_key, keys):
            if key not in item_sizes:
                raise BadPickle(f"its storage {key!r} is of an unknown kind")
            if start + 8 > len(data):
                raise BadPickle("it is cut off within its numbers")
            (count,) = struct.unpack("<q", data[start : start + 8])
            length = count * item_sizes[key]
            start += 8
            if count < 0 or start + length > len(data):
                raise BadPickle("it is cut off within its numbers, or damaged")
            spans[key] = Span(start, length)
            start += length
    return spans
