"""Changes of members of zip archives and of NumPy arrays in them, with checksums that fit."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
from fuzz.cases import Mutate, repaired
from fuzz.mutators.json_values import JSON
from fuzz.mutators.pictures import PNG
from fuzz.mutators.plain import PLAIN

Members = dict[str, bytes]
JSON_MEMBER = "metadata.npy"
FLOATS = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    1e300,
    -1e300,
    5e-324,
    np.nan,
    np.inf,
    -np.inf,
    0.5,
    1e19,
)
INTEGERS = (
    0,
    1,
    -1,
    2,
    7,
    255,
    65536,
    2**31,
    2**53 + 1,
    2**62,
    2**63 - 1,
    -(2**63),
)
DTYPES = (
    "float64", "float32", "float16", "int64", "int32", "int8", "uint8", "uint64", "bool",
    "complex64", "U3", "S3", "datetime64[s]", ">i8", ">f4", "V4",
)  # fmt: skip
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (300000000000,), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (1099511627776,), }",
    "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 1099511627776), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '<i8', 'fortran_order': False, 'shape': (1.5,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': [('a', '<i8'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<i8', 'shape': (2,), }",
    "{'descr': '<U1000000', 'fortran_order': False, 'shape': (1000000,), }",
    "[" * 3000,
    "(" * 90 + ")" * 90,
)
MEBIBYTE = 2**20


def read_zip(content: bytes) -> Members:
    """Return the members of an archive, in their order.

    Raises ValueError for one that an earlier change has inflated.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        if max((info.file_size for info in infos), default=0) > 64 * MEBIBYTE:
            raise ValueError("too large")
        return {info.filename: archive.read(info) for info in infos}


def write_zip(members: Mapping[str, bytes], *, compressed: bool = False) -> bytes:
    """Return an archive of members, of a fixed date."""
    content = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=kind)
    return content.getvalue()


def _member(members: Members, random: Random, ending: str = "") -> str:
    names = [name for name in members if name.endswith(ending)]
    return random.choice(names)


def change_member_bytes(content: bytes, random: Random) -> bytes:
    """Change some bytes of a member."""
    members = read_zip(content)
    name = _member(members, random)
    members[name] = random.choice(PLAIN).mutate(members[name], random)
    return write_zip(members)


def drop_member(content: bytes, random: Random) -> bytes:
    """Leave a member out."""
    members = read_zip(content)
    del members[_member(members, random)]
    return write_zip(members)


def exchange_members(content: bytes, random: Random) -> bytes:
    """Put a member's content under the name of another."""
    members = read_zip(content)
    source, target = _member(members, random), _member(members, random)
    members[source], members[target] = members[target], members[source]
    return write_zip(members)


def rename_member(content: bytes, random: Random) -> bytes:
    """Give a member another name."""
    members = read_zip(content)
    name = _member(members, random)
    data = members.pop(name)
    prefix = random.choice(("../", "/", "x", "", "a/" * 200, "\x1b"))
    members[random.choice((prefix + name, name.upper(), name[:-4], prefix))] = data
    return write_zip(members)


def add_member(content: bytes, random: Random) -> bytes:
    """Add a member twice, or one that is unknown, or very many."""
    members = read_zip(content)
    target = io.BytesIO(content)
    name = _member(members, random)
    with zipfile.ZipFile(target, "a") as archive:
        for number in range(random.choice((1, 1, 1, 3000))):
            own = random.choice((name, f"{number}.npy", "\x00", "x" * 1000))
            # the archive warns of a name that it has
            archive.NameToInfo.pop(own, None)
            archive.writestr(zipfile.ZipInfo(own), members[name][:200])
    return target.getvalue()


def change_metadata(content: bytes, random: Random) -> bytes:
    """Change the JSON document that an archive of arrays holds."""
    members = read_zip(content)
    array = _load(members[JSON_MEMBER])
    mutation = random.choices(JSON, [mutation.weight for mutation in JSON])[0]
    changed = mutation.mutate(array.tobytes(), random)
    members[JSON_MEMBER] = _save(np.frombuffer(changed, np.uint8))
    return write_zip(members)


def change_array(content: bytes, random: Random) -> bytes:
    """Change the numbers, the shape or the type of an array in an archive."""
    members = read_zip(content)
    names = [
        name for name in members if name.endswith(".npy") and name != JSON_MEMBER
    ]
    name = random.choice(names)
    members[name] = change_npy(members[name], random)
    return write_zip(members, compressed=random.random() < 0.3)


def change_several_arrays(content: bytes, random: Random) -> bytes:
    """Change arrays of one shape in the same way, so that they fit each other still."""
    members = read_zip(content)
    names = [
        name for name in members if name.endswith(".npy") and name != JSON_MEMBER
    ]
    length = len(np.atleast_1d(_load(members[random.choice(names)])))
    change = random.choice((_first_half, _twice, _none))
    for name in names:
        array = np.atleast_1d(_load(members[name]))
        if len(array) == length:
            members[name] = _save(change(array))
    return write_zip(members)


def _first_half(array: Any) -> Any:
    return array[: len(array) // 2]


def _twice(array: Any) -> Any:
    return np.concatenate([array, array])


def _none(array: Any) -> Any:
    return array[:0]


def change_npy(content: bytes, random: Random) -> bytes:
    """Change the numbers, the shape, the type or the header of an array."""
    if random.random() < 0.1:
        return _with_header(content, random.choice(HEADERS))
    array = _load(content)
    changes: Sequence[Callable[[Any, Random], Any]] = (
        _set_number, _set_number, _set_number, _set_numbers, _add_to_number, _reshape, _retype,
        _shuffle,
    )  # fmt: skip
    return _save(random.choice(changes)(array, random))


def _set_number(array: Any, random: Random) -> Any:
    return _changed(array, random, lambda value: _extreme(array.dtype, random))


def _add_to_number(array: Any, random: Random) -> Any:
    step = random.choice((1, -1, 2, 1000))
    return _changed(
        array, random, lambda value: value + np.array(step, array.dtype)
    )


def _changed(array: Any, random: Random, change: Callable[[Any], Any]) -> Any:
    changed = np.array(array)
    if not changed.size or changed.dtype.kind not in "fiub":
        return changed.reshape(-1)[:-1]
    flat = changed.reshape(-1)
    position = random.randrange(flat.size)
    with np.errstate(all="ignore"):
        flat[position] = change(flat[position])
    return flat.reshape(changed.shape)


def _set_numbers(array: Any, random: Random) -> Any:
    if array.dtype.kind not in "fiub":
        return array
    return np.full_like(array, _extreme(array.dtype, random))


def _extreme(dtype: Any, random: Random) -> Any:
    """Return a number that fits a type, often at its limits."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.array(random.choice(FLOATS)).astype(dtype)
    return np.array(random.choice(INTEGERS)).astype(dtype)


def _reshape(array: Any, random: Random) -> Any:
    shapes = [(-1,), (1, *array.shape), (*array.shape, 1), array.shape[::-1]]
    changed = array.reshape(random.choice(shapes))
    cuts = (changed, changed[..., :0], changed[:1], changed[:-1], np.array(1.0))
    return random.choice(cuts)


def _retype(array: Any, random: Random) -> Any:
    dtype = random.choice(DTYPES)
    if dtype == "V4":
        return np.zeros(array.shape, "V4")
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _shuffle(array: Any, random: Random) -> Any:
    if not array.ndim:
        return array
    order = list(range(len(array)))
    random.shuffle(order)
    return array[order]


def _with_header(content: bytes, header: str) -> bytes:
    """Return an array whose header says something else of it."""
    start = 10 + struct.unpack("<H", content[8:10])[0]
    encoded = header.encode().ljust(64) + b"\n"
    return (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", len(encoded))
        + encoded
        + content[start:]
    )


def _load(content: bytes) -> Any:
    """Return an array. Raises ValueError for one that an earlier change has made huge."""
    if len(content) > MEBIBYTE:
        raise ValueError("too large")
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if max(array.shape, default=0) > MEBIBYTE:
        raise ValueError("too large")
    return array


def _save(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def inflate_member(content: bytes, random: Random) -> bytes:
    """Let a member unpack to two gigabytes of zeros, in an archive of two megabytes."""
    members = read_zip(content)
    name = _member(members, random)
    header = b""
    if name.endswith(".npy"):
        shape = f"({2**31},)" if random.random() < 0.5 else "(3,)"
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        header = _with_header(_save(np.zeros(0)), text)
    data = _packed_zeros()
    size = 2048 * MEBIBYTE
    crc = _crc_of_zeros() if not header else 0
    return _write_packed(members, name, header, data, size, crc)


@lru_cache(1)
def _packed_zeros() -> bytes:
    """Return two gigabytes of zeros, as raw deflate: one block again and again."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = stream.compress(bytes(MEBIBYTE)) + stream.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return block * 2048 + end


@lru_cache(1)
def _crc_of_zeros() -> int:
    crc = 0
    block = bytes(16 * MEBIBYTE)
    for _ in range(128):
        crc = zlib.crc32(block, crc)
    return crc


def _write_packed(
    members: Members, name: str, header: bytes, packed: bytes, size: int, crc: int
) -> bytes:
    """Write an archive one of whose members is packed already."""
    stored = zlib.compressobj(0, zlib.DEFLATED, -15)
    head = b""
    if header:
        head = stored.compress(header) + stored.flush(zlib.Z_FULL_FLUSH)
    body = io.BytesIO()
    entries: list[tuple[bytes, int, int, int, int, int]] = []
    for own_name, data in members.items():
        is_bomb = own_name == name
        raw = head + packed if is_bomb else data
        full = len(header) + size if is_bomb else len(data)
        checksum = crc if is_bomb else zlib.crc32(data)
        method = 8 if is_bomb else 0
        encoded = own_name.encode()
        entries.append((encoded, body.tell(), method, checksum, len(raw), full))
        fields = (20, 0, method, 0, 33, checksum, len(raw), full, len(encoded), 0)
        body.write(b"PK\3\4" + struct.pack("<HHHHHIIIHH", *fields) + encoded + raw)
    start = body.tell()
    for encoded, offset, method, checksum, length, full in entries:
        fields = (20, 20, 0, method, 0, 33, checksum, length, full, len(encoded))
        record = struct.pack("<HHHHHHIIIH", *fields)
        body.write(
            b"PK\1\2" + record + struct.pack("<HHHHII", 0, 0, 0, 0, 0, offset)
        )
        body.write(encoded)
    length = body.tell() - start
    count = len(entries)
    body.write(
        b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, length, start, 0)
    )
    return body.getvalue()


def change_picture(content: bytes, random: Random) -> bytes:
    """Change the pictures that an archive holds one behind the other."""
    members = read_zip(content)
    name = "encoded.npy"
    data = _load(members[name]).tobytes()
    mutation = (
        random.choice((*PLAIN, *PNG))
        if data[:4] == b"\x89PNG"
        else random.choice(PLAIN)
    )
    changed = mutation.mutate(data, random)[: len(data)].ljust(len(data), b"\0")
    members[name] = _save(np.frombuffer(changed, np.uint8))
    return write_zip(members)


def of_member(ending: str, mutate: Mutate) -> Mutate:
    """Return the change of an archive that changes a member whose name ends in ``ending``."""

    def change(content: bytes, random: Random) -> bytes:
        members = read_zip(content)
        name = _member(members, random, ending)
        members[name] = mutate(members[name], random)
        return write_zip(members)

    change.__name__ = f"{mutate.__name__} in {ending}"
    return change


ARCHIVES = repaired(
    {
        change_member_bytes: 20,
        drop_member: 8,
        exchange_members: 15,
        rename_member: 5,
        add_member: 5,
        inflate_member: 1,
    }
)
ARRAYS = (
    *ARCHIVES,
    *repaired({change_array: 120, change_several_arrays: 20}),
)
STATES = (*ARRAYS, *repaired({change_metadata: 70}))
NPY = repaired({change_npy: 1})
