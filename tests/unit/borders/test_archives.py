"""Archives of strangers: what they claim is compared with what they hold, before it is read."""

from __future__ import annotations

import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from changed_archives import duplicated, header_only

from nd_plugin import RunInvalid
from nd_plugin.borders import archives
from nd_plugin.borders.archives import open_archive

GIB = 2**30


def archive_of(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> BytesIO:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return content


def npy(array: np.ndarray) -> bytes:
    content = BytesIO()
    np.save(content, array)
    return content.getvalue()


def test_arrays_are_read_by_name() -> None:
    array = np.arange(6.0).reshape(2, 3)
    with open_archive(archive_of(a=npy(array)), "x") as stored:
        assert list(stored) == ["a"] and len(stored) == 1
        assert np.array_equal(stored["a"], array)
        with pytest.raises(KeyError, match="b"):
            stored["b"]


def test_a_small_file_that_unpacks_to_more_than_the_limit_is_refused_unread() -> (
    None
):
    bomb = BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(header_only((2**27 + 1,)))
        # piece by piece: the whole would be in memory twice
        for _ in range(1025):
            member.write(bytes(2**20))
    assert bomb.getbuffer().nbytes < 2**21
    tracemalloc.start()
    message = (
        r"x unpacks to 1025 MiB, more than the limit of 1024 MiB; if the file can be "
        r"trusted, allow more: ND_MAX_UNPACKED=\d+ \(bytes\)"
    )
    with pytest.raises(RunInvalid, match=message), open_archive(bomb, "x"):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


def test_the_limit_can_be_raised_and_lowered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = archive_of(a=npy(np.zeros(10_000)))
    monkeypatch.setenv(archives.ENVIRONMENT, "80000")
    with pytest.raises(RunInvalid, match="unpacks to"), open_archive(content, "x"):
        pass
    monkeypatch.setenv(archives.ENVIRONMENT, "80128")
    with open_archive(content, "x") as stored:
        assert len(stored["a"]) == 10_000
    for text in ("1GiB", "0", "-1"):
        monkeypatch.setenv(archives.ENVIRONMENT, text)
        with (
            pytest.raises(
                RunInvalid, match=r"ND_MAX_UNPACKED '.*' is not a number"
            ),
            open_archive(content, "x"),
        ):
            pass


def test_a_file_may_always_unpack_to_its_own_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(archives.ENVIRONMENT, "1")
    stored_whole = archive_of(zipfile.ZIP_STORED, a=npy(np.zeros(100)))
    with open_archive(stored_whole, "x") as stored:
        assert len(stored["a"]) == 100


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a": header_only((2**40,))}, r"a claims int64\(1099511627776,\)"),
        ({"a": header_only((2**62, 4)) + bytes(8)}, "a claims"),
        ({"a": header_only((0,)) + bytes(8)}, "a claims"),
        ({"a": header_only((-1,))}, "a claims"),
        ({"a": header_only((1,), "|O") + bytes(8)}, "not of numbers"),
        ({"a": npy(np.array(["x"]))}, "not of numbers"),
        ({"a": npy(np.zeros(1, [("f", "<f8")]))}, "not of numbers"),
        ({"a": npy(np.zeros(1, "M8[s]"))}, "not of numbers"),
        ({"a": npy(np.zeros(1, "c16"))}, "not of numbers"),
        ({"a": b""}, "magic string"),
        ({"a": b"\x93NUMPY\x09\x00" + bytes(99)}, "unknown version"),
    ],
)
def test_what_is_no_array_of_numbers(
    members: dict[str, bytes], message: str
) -> None:
    with (
        pytest.raises(ValueError, match=message),
        open_archive(archive_of(**members), "x"),
    ):
        pass


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_numpy_does_not_write(method: int) -> None:
    content = archive_of(method, a=npy(np.zeros(3)))
    with (
        pytest.raises(ValueError, match="a method that NumPy has not"),
        open_archive(content, "x"),
    ):
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros(3))
    duplicated(path, "a")
    with (
        path.open("rb") as file,
        pytest.raises(ValueError, match="a is there twice"),
        open_archive(file, path),
    ):
        pass
