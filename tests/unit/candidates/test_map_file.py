"""Records of sparse maps in a file: read as they were written, and what has changed is refused."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import torch

from nd_plugin.candidates.map_file import CandidateFile, StoredMaps
from nd_plugin.candidates.sparse_maps import SparseMaps, sparsify
from nd_plugin.errors import RunFailed

CELLS = (3, 5)


def sparse_maps(seed: int) -> SparseMaps:
    maps = torch.randn(4, 6, *CELLS, generator=torch.Generator().manual_seed(seed))
    return sparsify(maps, torch.arange(4), maps.amax((2, 3)), torch.full((6,), 1.5))


def write_all(file: CandidateFile, records: list[SparseMaps]) -> list[StoredMaps]:
    stored: list[StoredMaps] = []
    offset = 0
    for maps in records:
        stored.append(file.write(maps, offset))
        offset += maps.nbytes
    return stored


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("positioned", [False, True])
def test_records_are_read_in_any_order(
    named: bool, positioned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not positioned:
        monkeypatch.delattr(os, "preadv", raising=False)
    records = [sparse_maps(seed) for seed in range(4)]
    file = CandidateFile.create(tmp_path / "new" / "0.maps" if named else None)
    stored = write_all(file, records)
    for index in (2, 0, 3, 1, 1):
        maps = file.read(stored[index], CELLS, torch.float32)
        assert torch.equal(maps.memory, records[index].memory)
        assert torch.equal(maps.units, records[index].units)
    assert all(bool(record.crc) == named for record in stored)
    file.close()


class OneByteAtATime(io.BytesIO):
    """File that writes and reads less than it is asked to."""

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        return super().write(data[:1])

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        return super().readinto(target[:1])


def test_short_writes_and_reads_are_continued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "preadv", raising=False)
    records = [sparse_maps(seed) for seed in range(2)]
    file = CandidateFile(OneByteAtATime())
    for stored, maps in zip(write_all(file, records), records, strict=True):
        assert torch.equal(
            file.read(stored, CELLS, torch.float32).memory, maps.memory
        )


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="needs reading at an offset")
def test_reading_leaves_the_position_of_the_file() -> None:
    file = CandidateFile.create(None)
    stored = write_all(file, [sparse_maps(0), sparse_maps(1)])
    position = file.handle.tell()
    file.read(stored[0], CELLS, torch.float32)
    assert file.handle.tell() == position
    file.close()


def test_a_temporary_file_that_is_cut_off_is_reported() -> None:
    file = CandidateFile.create(None)
    (stored,) = write_all(file, [sparse_maps(0)])
    file.handle.truncate(20)
    with pytest.raises(
        RunFailed, match="temporary file of candidate maps ends early"
    ):
        file.read(stored, CELLS, torch.float32)
    file.close()


@pytest.mark.parametrize("append", [False, True])
def test_a_reopened_file_is_cut_only_to_append(
    append: bool, tmp_path: Path
) -> None:
    path = tmp_path / "0.maps"
    file = CandidateFile.create(path)
    (stored,) = write_all(file, [sparse_maps(0)])
    length = file.handle.tell()
    file.handle.write(b"beyond")
    file.close()
    again = CandidateFile.reopen(path, length, append=append)
    assert path.stat().st_size == (length if append else length + 6)
    again.verify(stored, CELLS, torch.float32)
    if not append:
        with pytest.raises(io.UnsupportedOperation):
            again.write(sparse_maps(1), length)
    again.close()


def test_a_changed_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.maps"
    file = CandidateFile.create(path)
    first, second = write_all(file, [sparse_maps(0), sparse_maps(1)])
    content = bytearray(path.read_bytes())
    content[second.offset + 3] ^= 1
    path.write_bytes(content)
    file.verify(first, CELLS, torch.float32)
    with pytest.raises(
        ValueError, match=rf"does not hold what was written at byte {second.offset}"
    ):
        file.verify(second, CELLS, torch.float32)
    file.close()
