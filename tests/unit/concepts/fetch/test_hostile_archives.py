"""Archives with paths outside their folder, links, bombs, damage, and tables that lie."""

from __future__ import annotations

import io
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from set_archives import TOP, make_zip, special, with_entry

from nd_plugin import RunFailed
from nd_plugin.concepts.fetch.archive import contents
from nd_plugin.concepts.fetch.archive.contents import ArchiveRefused, Limits
from nd_plugin.concepts.fetch.archive.extraction import unpack
from nd_plugin.errors import BadInput
from nd_plugin.reading import fetched_set

Fetcher = Any
Files = Mapping[str, bytes]


def refused(fetcher: Fetcher, archive: bytes, **options: Any) -> str:
    """Return why an archive is refused; nothing is left of it, nowhere."""
    folder = fetcher.place.folder.parents[2]
    path = folder / "hostile.zip"
    path.write_bytes(archive)
    with pytest.raises(RunFailed) as failure:
        fetcher.fetch(file=path, **options)
    assert fetched_set("broden") is None
    assert all_files(folder) == ["hostile.zip"]
    path.unlink()
    return str(failure.value)


def all_files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        f"{TOP}/../../outside",
        "/tmp/nd_plugin_outside",
        "//outside",
        f"{TOP}//twice",
        "..",
        "C:/outside",
        "c:outside",
        "..\\outside",
        f"{TOP}\\images\\a",
        f"{TOP}/images/../../../outside",
        "../",
        "/",
    ],
)
def test_paths_outside(fetcher: Fetcher, files: Files, name: str) -> None:
    message = refused(fetcher, with_entry(files, zipfile.ZipInfo(name), b""))
    assert "is no path inside its folder" in message
    assert not Path("/tmp/nd_plugin_outside").exists()


def test_a_name_that_ends_at_nul(fetcher: Fetcher, files: Files) -> None:
    archive = with_entry(files, zipfile.ZipInfo(f"{TOP}/abcXdef"))
    message = refused(fetcher, archive.replace(b"abcXdef", b"abc\0def"))
    assert "is no path inside its folder" in message


def test_a_dot_is_the_same_folder(
    fetcher: Fetcher, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / "dots.zip"
    path.write_bytes(make_zip({f"./{name}": data for name, data in files.items()}))
    assert fetcher.fetch(file=path).verified.images == 6


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK | 0o777, "is a link"),
        (stat.S_IFIFO | 0o666, "is a device or a pipe"),
        (stat.S_IFCHR | 0o666, "is a device or a pipe"),
        (stat.S_IFBLK | 0o666, "is a device or a pipe"),
        (stat.S_IFSOCK | 0o666, "is a device or a pipe"),
        (stat.S_IFDIR | 0o777, "is a folder, and has a content"),
    ],
)
def test_links_and_devices(
    fetcher: Fetcher, files: Files, mode: int, reason: str
) -> None:
    entry = special(f"{TOP}/images/strange", mode)
    assert reason in refused(fetcher, with_entry(files, entry, b"/etc/passwd"))


def test_modes_are_not_taken_over(
    fetcher: Fetcher, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / "modes.zip"
    entry = special(f"{TOP}/program", stat.S_IFREG | 0o6777)
    path.write_bytes(with_entry(files, entry))
    fetcher.fetch(file=path)
    mode = (fetcher.place.folder / "program").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | 0o111)


def test_a_file_twice(fetcher: Fetcher, files: Files) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = with_entry(files, zipfile.ZipInfo(f"{TOP}/index.csv"))
    assert "index.csv' twice" in refused(fetcher, archive)


def test_a_file_that_is_a_folder_too(fetcher: Fetcher, files: Files) -> None:
    archive = make_zip({**files, f"{TOP}/a": b"x", f"{TOP}/a/b": b"y"})
    assert "is a file, and a folder with files, too" in refused(fetcher, archive)


def test_a_long_name(fetcher: Fetcher, files: Files) -> None:
    archive = make_zip({**files, f"{TOP}/{'ä' * 128}": b"x"})
    assert "a name of 256 bytes; file systems take 255" in refused(fetcher, archive)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods(fetcher: Fetcher, files: Files, method: int) -> None:
    assert "compressed by method" in refused(fetcher, make_zip(files, method))


def test_an_encrypted_file(fetcher: Fetcher, files: Files) -> None:
    archive = bytearray(make_zip(files))
    position = archive.index(b"PK\x01\x02")
    archive[position + 8] |= 1
    assert "is encrypted" in refused(fetcher, bytes(archive))


def test_a_bomb_by_ratio(fetcher: Fetcher, files: Files, tmp_path: Path) -> None:
    size = 2**24
    archive = make_zip({**files, f"{TOP}/zeros": bytes(size)})
    message = refused(fetcher, archive)
    assert "times its size, and the limit is 100 times" in message
    ratio = message.rpartition("--max-ratio ")[2]
    path = tmp_path / "bomb.zip"
    path.write_bytes(archive)
    # what the message says to do unpacks it
    fetcher.fetch(file=path, limits=Limits(ratio=float(ratio)))
    assert (fetcher.place.folder / "zeros").stat().st_size == size


def test_a_bomb_by_size(fetcher: Fetcher, files: Files, tmp_path: Path) -> None:
    archive = make_zip(files)
    size = sum(map(len, files.values()))
    message = refused(fetcher, archive, limits=Limits(unpacked=size - 1))
    assert f"--max-unpacked {size}" in message
    path = tmp_path / "set.zip"
    path.write_bytes(archive)
    fetcher.fetch(file=path, limits=Limits(unpacked=size))


def test_a_bomb_by_number(fetcher: Fetcher, files: Files, tmp_path: Path) -> None:
    archive = make_zip(files)
    count = len(files)
    message = refused(fetcher, archive, limits=Limits(entries=count - 1))
    assert f"--max-entries {count}" in message
    path = tmp_path / "set.zip"
    path.write_bytes(archive)
    fetcher.fetch(file=path, limits=Limits(entries=count))


def test_a_bomb_that_claims_to_be_small(fetcher: Fetcher, files: Files) -> None:
    archive = bytearray(make_zip({**files, f"{TOP}/zeros": bytes(2**24)}))
    position = archive.rindex(b"PK\x01\x02")  # of the last file, which is zeros
    struct.pack_into("<L", archive, position + 24, 1000)  # unpacked bytes
    assert "zeros" in refused(fetcher, bytes(archive))


def test_files_that_share_their_bytes(fetcher: Fetcher, files: Files) -> None:
    archive = bytearray(
        make_zip({**files, f"{TOP}/a": b"x" * 99, f"{TOP}/b": b"y" * 99})
    )
    last = archive.rindex(b"PK\x01\x02")
    before = archive.rindex(b"PK\x01\x02", 0, last)
    (offset,) = struct.unpack_from("<L", archive, before + 42)
    struct.pack_into("<L", archive, last + 42, offset)
    assert "shares bytes with another file" in refused(fetcher, bytes(archive))


def test_limits_of_nothing() -> None:
    for limits in (
        {"entries": 0},
        {"unpacked": 0},
        {"ratio": 0.5},
        {"ratio": float("nan")},
    ):
        with pytest.raises(BadInput, match="at least 1"):
            Limits(**limits)


def end_of(archive: bytes) -> int:
    return archive.rindex(b"PK\x05\x06")


def with_end(archive: bytes, **fields: int) -> bytes:
    """Return an archive whose end record says something else."""
    places = {
        "here": ("<H", 8),
        "count": ("<H", 10),
        "size": ("<L", 12),
        "offset": ("<L", 16),
    }
    changed = bytearray(archive)
    for name, value in fields.items():
        form, place = places[name]
        struct.pack_into(form, changed, end_of(archive) + place, value)
    return bytes(changed)


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 0},
        {"count": 5},
        {"count": 65535},
        {"size": 0},
        {"size": 2**32 - 1},
        {"size": 46},
        {"size": 2000},
        {"offset": 2**32 - 1},
        {"offset": 0},
    ],
)
def test_ends_that_lie(
    fetcher: Fetcher, archive: bytes, fields: dict[str, int]
) -> None:
    assert "is not taken" in refused(fetcher, with_end(archive, **fields))


def test_a_large_archive_of_few_bytes_is_not_read(tmp_path: Path) -> None:
    """A record of 2**60 files, and a table of 2**40 bytes, take no memory."""
    large = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**60, 2**60, 2**40, 0
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0
    )
    path = tmp_path / "large.zip"
    path.write_bytes(large + locator + end)
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(path, tmp_path / "out", "index.csv", Limits(), lambda *_: None)


def test_a_table_of_millions_of_files_is_counted_before_it_is_read(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 16)
    table = entry * 70_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 4464, 4464, len(table), 0, 0)

    def never(*_: Any) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(zipfile.ZipFile, "infolist", never)
    message = refused(fetcher, table + end, limits=Limits(entries=9000))
    assert "it holds 70000 files, more than the limit of 9000" in message


def test_more_than_65535_files_are_no_lie(tmp_path: Path) -> None:
    """Of the older form, which counts the remainder, and of the newer one."""
    names = [f"set/{number}" for number in range(65_540)]
    newer = make_zip(
        {**dict.fromkeys(names, b""), "set/index.csv": b"x"}, zipfile.ZIP_STORED
    )
    path = tmp_path / "many.zip"
    path.write_bytes(newer)
    with path.open("rb") as file:
        table = contents.check_table(file, len(newer), Limits())
    assert table.entries == 65_541
    end = end_of(newer)
    start = newer.index(b"PK\x01\x02")
    older = newer[: start + table.size]
    older += struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, 5, 5, table.size, start, 0
    )
    assert len(older) < end
    assert contents.check_table(io.BytesIO(older), len(older), Limits()) == table


@pytest.mark.parametrize("comment", [b"a comment", b"PK\x05\x06" * 9, bytes(65535)])
def test_comments(
    fetcher: Fetcher, files: Files, tmp_path: Path, comment: bytes
) -> None:
    content = io.BytesIO(make_zip(files))
    with zipfile.ZipFile(content, "a") as archive:
        archive.comment = comment
    path = tmp_path / "comment.zip"
    path.write_bytes(content.getvalue())
    if comment.startswith(b"PK"):
        with pytest.raises(RunFailed, match="is not taken"):
            fetcher.fetch(file=path)
    else:
        assert fetcher.fetch(file=path).verified.images == 6


def test_bytes_before_the_archive(
    fetcher: Fetcher, archive: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "self-extracting.zip"
    path.write_bytes(b"#!/bin/sh\n" + archive)
    assert fetcher.fetch(file=path).verified.images == 6


def without(files: Files, *parts: str) -> dict[str, bytes]:
    return {
        name: data
        for name, data in files.items()
        if not any(part in name for part in parts)
    }


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (["index.csv"], "it holds no index.csv"),
        (["label.csv"], r"holds no whole set: .*label\.csv"),
        (["category.csv"], r"holds no whole set: .*category\.csv"),
        (["images/"], "holds no whole set: "),
        (["5.bmp"], r"1 files are missing or empty, for example .*5\.bmp"),
        (["4_object", "5_object"], "2 files are missing"),
    ],
)
def test_half_sets(
    fetcher: Fetcher, files: Files, parts: list[str], reason: str
) -> None:
    message = refused(fetcher, make_zip(without(files, *parts)))
    assert re.search(reason, message), message


def test_files_that_are_empty_or_no_pictures(
    fetcher: Fetcher, files: Files
) -> None:
    empty = {**files, f"{TOP}/images/5.bmp": b""}
    assert "missing or empty" in refused(fetcher, make_zip(empty))
    text = {**files, f"{TOP}/images/0.bmp": b"no picture"}
    assert "image 0 cannot be read" in refused(fetcher, make_zip(text))


def test_the_folder_may_lie_anywhere(
    fetcher: Fetcher, files: Files, tmp_path: Path
) -> None:
    path = tmp_path / "set.zip"
    moved = {f"a/b/{name}": data for name, data in files.items()}
    beside = {"__MACOSX/x": b"", "a/readme": b"", "a/b/c/d/index.csv": b"another"}
    path.write_bytes(make_zip({**moved, **beside}))
    fetched = fetcher.fetch(file=path)
    assert fetched.notes == (
        "3 files beside the set's folder in the archive were left out",
    )
    assert not (fetcher.place.folder / "c").exists()


def test_files_at_the_top(fetcher: Fetcher, files: Files, tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    at_top = {name.removeprefix(f"{TOP}/"): data for name, data in files.items()}
    path.write_bytes(make_zip(at_top))
    assert fetcher.fetch(file=path).verified.images == 6
    assert len(all_files(fetcher.place.folder)) == len(files)


def test_the_set_of_another_size(fetcher: Fetcher, files: Files) -> None:
    other = {name.replace("224", "227"): data for name, data in files.items()}
    message = refused(fetcher, make_zip(other))
    assert "it holds broden1_227: fetch it with --size 227" in message


MUTATIONS = 400


def mutated(archive: bytes, dice: Random) -> bytes:
    """Return an archive with a few bytes changed, most of them in its tables."""
    changed = bytearray(archive)
    table = archive.index(b"PK\x01\x02")
    kind = dice.randrange(6)
    if kind == 0:
        return bytes(changed[: dice.randrange(len(changed))])
    if kind == 1:
        start = dice.randrange(len(changed))
        del changed[start : start + dice.randrange(1, 60)]
        return bytes(changed)
    for _ in range(dice.randrange(1, 5)):
        low = table if dice.random() < 0.8 else 0
        place = dice.randrange(low, len(changed))
        if kind == 2:
            changed[place] = dice.randrange(256)
        elif kind == 3:
            changed[place] ^= 1 << dice.randrange(8)
        elif kind == 4:
            value = dice.choice([0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF])
            place = min(place, len(changed) - 4)
            struct.pack_into("<L", changed, place, value)
        else:
            size = dice.randrange(1, 46)
            changed[place : place + size] = changed[table : table + size]
    return bytes(changed)


def test_mutations_are_refused_or_whole(files: Files, tmp_path: Path) -> None:
    """Whatever is changed: our refusal, or every file as it was, and nothing outside."""
    archive = make_zip(files)
    dice = Random(19)
    parent = tmp_path / "a" / "b"
    parent.mkdir(parents=True)
    path = tmp_path / "mutated.zip"
    target = parent / "out"
    taken = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(archive, dice))
        try:
            done = unpack(path, target, "index.csv", Limits(), lambda *_: None)
        except ArchiveRefused as refusal:
            assert str(refusal)
        else:
            taken += 1
            unpacked = all_files(target)
            # a changed name in the table alone: the file lies beside the set, and is not opened
            assert len(unpacked) == len(files) - done.left_out
            for file in unpacked:
                assert (target / file).read_bytes() == files[f"{TOP}/{file}"]
        shutil.rmtree(target, ignore_errors=True)
        assert all_files(tmp_path) == ["mutated.zip"]
    assert 0 < taken < MUTATIONS / 2


@pytest.mark.parametrize("size", [1, 10, 22, 100])
def test_a_pipe_of_zeros(fetcher: Fetcher, size: int) -> None:
    assert "no zip archive" in refused(fetcher, bytes(size))
