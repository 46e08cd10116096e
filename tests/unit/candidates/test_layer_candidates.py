"""Candidates: all maps that light a pixel, in memory, in a file, or as single values."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import reference
import torch
from torch import Tensor

from nd_plugin.candidates import budgets
from nd_plugin.candidates import layer_candidates as candidates
from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.candidates.map_file import CandidateFile, StoredMaps
from nd_plugin.candidates.sparse_maps import SparseMaps, peaks_of, sparsify
from nd_plugin.engine.thresholds import UnitThresholds, thresholds
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.errors import NotSaved, RunFailed
from nd_plugin.machine import memory_blocks
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method.lower_bound import CombinedBounds, LowerBound
from nd_plugin.method.ranks import rank

QUANTILE = 0.05
IMAGES, UNITS = 120, 5
NOTHING = torch.full((UNITS,), -torch.inf)


@pytest.fixture(autouse=True)
def ample_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for maps, on a machine whose disk is nearly full as well."""
    monkeypatch.setattr(candidates, "free_bytes", lambda folder: 2**40)


@pytest.fixture
def maps() -> Tensor:
    """(image, unit, row, column), with ties; one unit saturates, one is mostly 0."""
    drawn = torch.randn(
        IMAGES, UNITS, 4, 5, generator=torch.Generator().manual_seed(1)
    ).round(decimals=1)
    drawn[:, 3] = (drawn[:, 3] * 6).clamp(0, 6)
    drawn[:, 4] = (drawn[:, 4] - 2).relu()
    return drawn


ORDERS = [
    "shuffled",
    "shuffled otherwise",
    "as they come",
    "backwards",
    "rising",
    "falling",
]


def ordered(maps: Tensor, order: str) -> Tensor:
    """The images in an order."""
    return {
        "shuffled": torch.randperm(
            IMAGES, generator=torch.Generator().manual_seed(0)
        ),
        "shuffled otherwise": torch.randperm(
            IMAGES, generator=torch.Generator().manual_seed(7)
        ),
        "as they come": torch.arange(IMAGES),
        "backwards": torch.arange(IMAGES).flip(0),
        "rising": maps[:, :3].amax((1, 2, 3)).argsort(),
        "falling": maps[:, :3].amax((1, 2, 3)).argsort(descending=True),
    }[order]


def observe(
    maps: Tensor,
    order: Tensor,
    batch_size: int,
    kept: Candidates,
    spill_every: int = 0,
) -> tuple[LowerBound, UnitThresholds]:
    """Store the images batch by batch, some in the file; return the bound and the thresholds."""
    enough = rank(QUANTILE, maps[:, 0].numel()) + 1
    bound = LowerBound.empty(maps, QUANTILE, len(maps), enough)
    statistics = UnitStatistics.empty(maps, enough, 3)
    for number, images in enumerate(order.split(batch_size)):
        peaks = maps[images].amax((2, 3))
        statistics.update(maps[images], peaks, images)
        bound.update(maps[images])
        bound.update_level()
        bound.count(maps[images])
        kept.update(number, images, maps[images], peaks, bound.level)
        if spill_every and number % spill_every == spill_every - 1:
            kept.spill(bound.level, kept.nbytes)
            assert kept.nbytes == 0
    bounds = CombinedBounds.of([bound.snapshot()])
    group = SingleProcess()
    (at_quantile,) = thresholds(
        [kept], bounds, statistics, [QUANTILE], group, 2**30, torch.device("cpu")
    )
    return bound, at_quantile


def pairs(kept: Candidates) -> dict[tuple[int, int], Tensor]:
    """The maps that were stored, by image and unit; -inf where a cell was not."""
    map_of = {}
    for batch in kept.by_batch:
        part = kept.of(batch)
        maps = part.maps(torch.arange(len(part.units)), torch.device("cpu"))
        for image, unit, peak, map_ in zip(
            part.images.tolist(), part.units.tolist(), part.peaks, maps, strict=True
        ):
            assert (image, unit) not in map_of and peak == map_.max()
            map_of[image, unit] = map_
    return map_of


def assert_enough(kept: Tensor, map_: Tensor, threshold: Tensor) -> None:
    """Check a map (row, column): all cells above the threshold are stored, and the eight around."""
    above = (map_ > threshold).float()[None, None]
    needed = torch.nn.functional.max_pool2d(above, 3, 1, 1)[0, 0] > 0
    assert torch.equal(kept[needed], map_[needed])
    assert ((kept == map_) | kept.isneginf()).all()


def flat_values(kept: Candidates, above: Tensor) -> list[list[float]]:
    """Values of each unit, descending, as the selection of thresholds reads them."""
    values_of: list[list[float]] = [[] for _ in range(UNITS)]
    for units, values in kept.values_above(above):
        for unit, value in zip(units.tolist(), values.tolist(), strict=True):
            values_of[unit].append(value)
    return [sorted(values, reverse=True) for values in values_of]


def reference_thresholds(maps: Tensor) -> Tensor:
    return torch.tensor(
        [
            reference.threshold(unit.numpy(), QUANTILE)
            for unit in maps.transpose(0, 1).flatten(1)
        ]
    )


@pytest.fixture(
    params=[2**25, 2000, 1],
    ids=["one block", "small blocks", "a block for each batch"],
)
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_blocks, "BLOCK_BYTES", request.param)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("spill_every", [0, 1, 3])
@pytest.mark.parametrize("batch", [1, 7, IMAGES])
@pytest.mark.parametrize("order", ORDERS)
def test_no_map_above_the_threshold_is_lost(
    maps: Tensor, batch: int, order: str, spill_every: int
) -> None:
    kept = Candidates((4, 5), maps.dtype)
    bound, found = observe(maps, ordered(maps, order), batch, kept, spill_every)
    expected = reference_thresholds(maps)
    assert torch.equal(found.values[found.is_known], expected[found.is_known]), (
        "what is said to be known is right"
    )
    if order.startswith("shuffled"):
        assert found.is_known.all()
        assert (bound.level <= expected).all() and bound.level[:4].isfinite().all()
    left = pairs(kept)
    for image, unit in itertools.product(range(IMAGES), range(UNITS)):
        if found.is_known[unit] and maps[image, unit].max() > expected[unit]:
            assert_enough(left[image, unit], maps[image, unit], expected[unit])
    if batch == 1:
        assert len(left) < IMAGES * UNITS, "the bound rules maps out on the way"
    kept.close()


def test_a_bound_that_was_passed_is_told(maps: Tensor) -> None:
    """The largest values lie just where they are drawn: no fair sample."""
    drawn = torch.zeros_like(maps)
    places = (
        (torch.arange(IMAGES, dtype=torch.float64) * 0.6180339887498949) % 1 * 20
    ).long()
    drawn.flatten(2)[torch.arange(IMAGES), :, places] = (
        1.0 + torch.arange(IMAGES)[:, None]
    )
    drawn += (
        torch.randn(drawn.shape, generator=torch.Generator().manual_seed(2)) * 0.1
    )
    kept = Candidates((4, 5), maps.dtype)
    bound, found = observe(drawn, torch.arange(IMAGES), 10, kept)
    passed = bound.level >= reference_thresholds(drawn)
    assert passed.all() and not found.is_known.any()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spilling_to_a_file_changes_nothing(
    maps: Tensor, named: bool, dtype: torch.dtype, tmp_path: Path
) -> None:
    maps = maps.to(dtype) / 3
    places = ordered(maps, "shuffled")
    memory = Candidates((4, 5), dtype)
    spilt = Candidates((4, 5), dtype, tmp_path / "deeper" / "0" if named else None)
    bound, found = observe(maps, places, 7, memory)
    level, same = observe(maps, places, 7, spilt, spill_every=4)
    assert torch.equal(bound.level, level.level) and torch.equal(
        found.values, same.values
    )
    assert (
        spilt.file is not None
        and memory.file is None
        and list(memory.by_batch) == list(spilt.by_batch)
    )
    for batch in [*reversed(spilt.by_batch), 10**6]:
        one, other = memory.of(batch), spilt.of(batch)
        assert (
            other.values.dtype == dtype
            and other.images.dtype == other.units.dtype == torch.int32
        )
        for name in (
            "images",
            "units",
            "peaks",
            "counts",
            "positions",
            "values",
            "memory",
        ):
            assert torch.equal(getattr(one, name), getattr(other, name))
    for above in (bound.level, found.values):
        assert flat_values(memory, above) == flat_values(spilt, above)
    assert spilt.path == (tmp_path / "deeper" / "0.maps" if named else None)
    spilt.close()
    assert spilt.file is None


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("storage", ["in memory", "partly spilt", "single values"])
def test_a_better_bound_forgets_what_it_rules_out(
    maps: Tensor, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, expected = Candidates((4, 5), maps.dtype), reference_thresholds(maps)
    first, second = torch.arange(IMAGES).split(70)
    if storage == "single values":
        monkeypatch.setattr(candidates, "free_bytes", lambda folder: 0)
    for number, images in enumerate((*first.split(10), *second.split(10))):
        kept.update(
            number, images, maps[images], maps[images].amax((2, 3)), NOTHING
        )
        if number == 6 and storage != "in memory":
            kept.spill(NOTHING, kept.nbytes)
    flat, before = flat_values(kept, expected), kept.nbytes
    kept.prune(expected)
    in_memory = range(12) if storage == "in memory" else range(7, 12)
    parts = [kept.by_batch[batch] for batch in in_memory]
    assert all(
        isinstance(part, SparseMaps) and (part.peaks > expected[part.units]).all()
        for part in parts
    )
    assert (
        kept.nbytes
        == sum(part.nbytes for part in parts if isinstance(part, SparseMaps))
        < before
    )
    assert flat_values(kept, expected) == flat
    kept.update(12, first[:3], maps[:3], maps[:3].amax((2, 3)), expected)
    more = maps[:3].transpose(0, 1).flatten(1)
    for unit, values in enumerate(flat_values(kept, expected)):
        assert values == sorted(
            [*flat[unit], *more[unit][more[unit] > expected[unit]].tolist()],
            reverse=True,
        )
    kept.close()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("amount", [1, 5000, 10**9])
def test_the_oldest_are_spilled_first_and_no_more_than_needed(
    maps: Tensor, amount: int
) -> None:
    kept = Candidates((4, 5), maps.dtype)
    for number, images in enumerate(torch.arange(IMAGES).split(10)):
        kept.update(
            number, images, maps[images], maps[images].amax((2, 3)), NOTHING
        )
    before, largest = (
        kept.nbytes,
        max(
            part.nbytes
            for part in kept.by_batch.values()
            if isinstance(part, SparseMaps)
        ),
    )
    kept.spill(NOTHING, amount)
    assert (
        max(before - amount - largest, 0) <= kept.nbytes <= max(before - amount, 0)
    )
    in_memory = [isinstance(part, SparseMaps) for part in kept.by_batch.values()]
    assert in_memory == sorted(in_memory) and any(in_memory) == (amount < before)
    assert len(pairs(kept)) == IMAGES * UNITS and all(
        map_.equal(maps[pair]) for pair, map_ in pairs(kept).items()
    )
    kept.close()


def test_the_whole_is_more_than_the_bound_and_only_what_exceeds_it_is_flat(
    maps: Tensor,
) -> None:
    kept = Candidates((4, 5), maps.dtype)
    kept.update(0, torch.arange(IMAGES), maps, maps.amax((2, 3)), NOTHING)
    assert kept.nbytes >= maps.nbytes and len(pairs(kept)) == IMAGES * UNITS
    above = torch.tensor([0.5, 1.0, 10.0, 5.5, 0.0])
    expected = [
        [value for value in maps[:, unit].flatten().tolist() if value > above[unit]]
        for unit in range(UNITS)
    ]
    assert flat_values(kept, above) == [
        sorted(values, reverse=True) for values in expected
    ]
    assert flat_values(kept, above)[2] == []


def test_later_batches_leave_earlier_ones_alone(
    maps: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_blocks, "BLOCK_BYTES", 30_000)
    kept = Candidates((4, 5), maps.dtype)
    for spill in (False, True, False):
        for number, images in enumerate(torch.arange(IMAGES).split(9)):
            activations = maps[images].clone()
            kept.update(
                number, images, activations, activations.amax((2, 3)), NOTHING
            )
            activations.fill_(torch.nan)
        if spill:
            kept.spill(NOTHING, kept.nbytes)
        assert (
            all(torch.equal(map_, maps[pair]) for pair, map_ in pairs(kept).items())
            and len(pairs(kept)) == 600
        )
        kept.by_batch, kept.nbytes = {}, 0
    kept.close()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("first_with_room", [False, True])
def test_single_values_are_kept_where_the_disk_has_no_room_for_maps(
    maps: Tensor,
    named: bool,
    first_with_room: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = ordered(maps, "shuffled")
    memory, small = (
        Candidates((4, 5), maps.dtype),
        Candidates((4, 5), maps.dtype, tmp_path / "0" if named else None),
    )
    bound, found = observe(maps, places, 10, memory)
    free = iter([2**40] * first_with_room)
    monkeypatch.setattr(candidates, "free_bytes", lambda folder: next(free, 0))
    _, same = observe(maps, places, 10, small, spill_every=3)
    assert memory.has_maps and not small.has_maps
    assert (
        torch.equal(found.values, same.values)
        and torch.equal(found.is_known, same.is_known)
        and found.is_known.all()
    )
    for above in (bound.level, found.values):
        assert flat_values(memory, above) == flat_values(small, above)
    assert (small.path and small.path.name) == ("0.values" if named else None)
    small.close()


def test_an_interrupted_run_goes_on_from_its_file(
    maps: Tensor, tmp_path: Path
) -> None:
    kept = Candidates((4, 5), maps.dtype, tmp_path / "0")
    observe(maps, torch.arange(IMAGES), 20, kept, spill_every=1)
    before, end, parts = pairs(kept), kept.file_length, dict(kept.by_batch)
    kept.close()
    with (tmp_path / "0.maps").open("ab") as file:
        file.write(b"of a batch that the state does not know of")
    again = Candidates(
        (4, 5), maps.dtype, tmp_path / "0", by_batch=parts, file_length=end
    )
    again.reopen(append=True)
    assert (tmp_path / "0.maps").stat().st_size == end
    assert pairs(again).keys() == before.keys()
    assert all(
        torch.equal(map_, before[pair]) for pair, map_ in pairs(again).items()
    )
    again.update(
        6, torch.arange(3) + IMAGES, maps[:3], maps[:3].amax((2, 3)), NOTHING
    )
    again.spill(NOTHING, again.nbytes)
    assert len(pairs(again)) == len(before) + 3 * UNITS
    again.close()


def test_a_shard_is_read_and_left_as_it_is(maps: Tensor, tmp_path: Path) -> None:
    kept = Candidates((4, 5), maps.dtype, tmp_path / "0")
    observe(maps, torch.arange(IMAGES), 20, kept, spill_every=1)
    before = pairs(kept)
    kept.close()
    with (tmp_path / "0.maps").open("ab") as file:
        file.write(b"beyond")
    shard = Candidates(
        (4, 5),
        maps.dtype,
        tmp_path / "0",
        by_batch=kept.by_batch,
        file_length=kept.file_length,
    )
    shard.reopen(append=False)
    assert (
        pairs(shard).keys() == before.keys()
        and (tmp_path / "0.maps").stat().st_size == kept.file_length + 6
    )
    shard.close()


def test_a_file_that_is_shorter_than_said_is_refused(
    maps: Tensor, tmp_path: Path
) -> None:
    kept = Candidates((4, 5), maps.dtype, tmp_path / "0")
    observe(maps, torch.arange(IMAGES), 20, kept, spill_every=1)
    kept.close()
    with (tmp_path / "0.maps").open("r+b") as file:
        file.truncate(kept.file_length - 1)
    again = Candidates(
        (4, 5),
        maps.dtype,
        tmp_path / "0",
        by_batch=kept.by_batch,
        file_length=kept.file_length,
    )
    with pytest.raises(
        ValueError,
        match=rf"0\.maps is {kept.file_length - 1} bytes long, not {kept.file_length}",
    ):
        again.reopen(append=True)
    assert again.file is None


def test_a_file_that_is_cut_while_it_is_used_is_named(
    maps: Tensor, tmp_path: Path
) -> None:
    kept = Candidates((4, 5), maps.dtype, tmp_path / "0")
    observe(maps, torch.arange(IMAGES), 20, kept, spill_every=1)
    with (tmp_path / "0.maps").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(RunFailed, match=r"0\.maps ends early"):
        kept.of(5)
    kept.close()


def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(
    maps: Tensor, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    kept = Candidates((4, 5), maps.dtype, tmp_path / "file" / "0")
    kept.update(0, torch.arange(IMAGES), maps, maps.amax((2, 3)), NOTHING)
    with pytest.raises(
        NotSaved,
        match=r"need more room than there is in .*file.*, or raise --memory",
    ):
        kept.spill(NOTHING, kept.nbytes)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("records", [0, 1, 5])
def test_maps_stay_where_single_values_do_not_fit_either(
    maps: Tensor,
    named: bool,
    records: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk takes some records of values, then none."""
    prefix = tmp_path / "0" if named else None
    kept = Candidates((4, 5), maps.dtype, prefix)
    for number, images in enumerate(torch.arange(IMAGES).split(10)):
        kept.update(
            number, images, maps[images], maps[images].amax((2, 3)), NOTHING
        )
        if number == 3:
            kept.spill(NOTHING, kept.nbytes)
    nbytes, file, end = kept.nbytes, kept.file, kept.file_length
    write = CandidateFile.write
    written: list[CandidateFile] = []

    def write_some(
        file: CandidateFile, maps: SparseMaps, offset: int
    ) -> StoredMaps:
        if len(written) == records:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(file)
        return write(file, maps, offset)

    monkeypatch.setattr(candidates, "free_bytes", lambda folder: 0)
    monkeypatch.setattr(CandidateFile, "write", write_some)
    with pytest.raises(NotSaved, match="No space left on device"):
        kept.spill(NOTHING, kept.nbytes)
    assert kept.has_maps and (kept.nbytes, kept.file, kept.file_length) == (
        nbytes,
        file,
        end,
    )
    assert all(abandoned.handle.closed for abandoned in written)
    stored = pairs(kept)
    assert len(stored) == IMAGES * UNITS
    assert all(map_.equal(maps[pair]) for pair, map_ in stored.items())
    kept.close()


def test_memory_is_returned_to_the_pool_where_single_values_replace_maps(
    maps: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "free_bytes", lambda folder: 0)
    monkeypatch.setattr(memory_blocks, "BLOCK_BYTES", 1)
    kept = Candidates((4, 5), maps.dtype)
    for number, images in enumerate(torch.arange(IMAGES).split(40)):
        kept.update(
            number, images, maps[images], maps[images].amax((2, 3)), NOTHING
        )
    kept.spill(NOTHING, 1)
    assert kept.nbytes == 0 and kept.memory.block_of == {}
    assert len(kept.pool.blocks) == 2 and kept.memory.current is not None
    assert kept.memory.current.filled == 0, "the third block is filled again"
    kept.close()


def test_nothing_is_written_where_pruning_frees_enough(maps: Tensor) -> None:
    stored = Candidates((4, 5), maps.dtype)
    for number, images in enumerate(torch.arange(IMAGES).split(10)):
        stored.update(
            number, images, maps[images], maps[images].amax((2, 3)), NOTHING
        )
    bound = maps.amax((2, 3)).median(0).values
    after_pruning = sum(
        stored.of(number).above(bound, neighbours=True).nbytes
        for number in stored.by_batch
    )
    assert after_pruning < stored.nbytes
    budgets.keep_within_memory({stored: bound}, after_pruning)
    assert stored.nbytes == after_pruning and stored.file is None
    budgets.keep_within_memory({stored: bound}, after_pruning - 1)
    assert stored.nbytes <= budgets.SPILL_TARGET * after_pruning
    assert stored.file is not None
    stored.close()


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("total", "free", "usable"),
    [
        (2**40, 2**30, 2**30 - 2**28),
        (2**40, 2**28, 0),
        (2**40, 0, 0),
        (2**30, 2**29, 2**29 - 2**30 // 20),
    ],
)
def test_a_reserve_of_the_disk_stays_free(
    total: int,
    free: int,
    usable: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    usage = {tmp_path: DiskUsage(total, total - free, free)}
    monkeypatch.setattr(shutil, "disk_usage", usage.__getitem__)
    assert candidates.free_bytes(tmp_path) == usable


def device_maps_of(maps: Tensor, images: range) -> SparseMaps:
    """Sparse maps as a device holds them; here on the CPU."""
    batch = maps[images.start : images.stop]
    indices = torch.tensor(images)
    return sparsify(batch, indices, peaks_of(batch), NOTHING)


class TestOnDevice:
    """Maps that a device holds, on CPU tensors."""

    def test_maps_that_are_stored_twice_take_memory_once(
        self, maps: Tensor
    ) -> None:
        kept = Candidates((4, 5), maps.dtype)
        batch = device_maps_of(maps, range(10))
        kept.hold(0, batch)
        kept.hold(0, batch)
        assert kept.device_nbytes == batch.nbytes
        kept.offload(kept.device_nbytes)
        assert (kept.device_nbytes, kept.nbytes) == (0, batch.nbytes)
        kept.hold(0, batch)
        assert (kept.device_nbytes, kept.nbytes) == (batch.nbytes, 0)
        kept.offload(kept.device_nbytes)
        kept.spill(NOTHING, kept.nbytes)
        assert kept.nbytes == 0
        assert all(block.pieces == 0 for block in kept.pool.blocks)
        assert not kept.memory.block_of
        kept.close()

    def test_a_full_disk_leaves_maps_on_the_device(
        self, maps: Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = Candidates((4, 5), maps.dtype)
        batch = device_maps_of(maps, range(10))
        kept.hold(0, batch)

        def full_disk(*arguments: object, **options: object) -> StoredMaps:
            raise OSError(errno.ENOSPC, "no space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(CandidateFile, "write", full_disk)
            with pytest.raises(NotSaved):
                kept.write_all()
        assert kept.on_device == {0}
        assert (kept.device_nbytes, kept.nbytes) == (batch.nbytes, 0)
        kept.write_all()
        assert (kept.device_nbytes, kept.on_device) == (0, set())
        assert torch.equal(kept.of(0).memory, batch.memory)
        kept.close()

    def test_the_file_is_written_from_memory(
        self, maps: Tensor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """NumPy reads no memory of a GPU."""
        kept = Candidates((4, 5), maps.dtype)
        batch = device_maps_of(maps, range(10))
        kept.hold(0, batch)
        addresses = []
        write = CandidateFile.write

        def record(
            file: CandidateFile, maps: SparseMaps, offset: int
        ) -> StoredMaps:
            addresses.append(maps.memory.data_ptr())
            return write(file, maps, offset)

        monkeypatch.setattr(CandidateFile, "write", record)
        kept.write_all()
        kept.close()
        assert len(addresses) == 1
        assert batch.memory.data_ptr() not in addresses
