"""Checkpoints whose archive is whole, and whose state no part of the run has: refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from changed_archives import (
    duplicated,
    json_array,
    json_of,
    members_of,
    places_of,
    text_array,
    with_value,
    without,
    write_members,
    wrong_arrays,
)
from drawn import Drawn, Net

from nd_plugin import Preprocess, RunInvalid, Settings, open_model
from nd_plugin.engine.run import run
from nd_plugin.engine.state import CountState
from nd_plugin.method.counting import ConceptCounts, UnitCounts
from nd_plugin.probe_data.batches import Feed
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.resuming.count_checks import check_counted
from nd_plugin.resuming.saved_state import load

CPU = torch.device("cpu")
WRONG_VALUES: tuple[Any, ...] = (None, -1, 2**70, 0.5, "x", [], {})


class Interrupted(Exception):
    """Exception in place of a power cut."""


@dataclass
class SavedRun:
    """Run of two layers with folds, interrupted while it counts."""

    folder: Path

    def dissect(self, calls: int) -> None:
        """Dissect, and stop at a call of the progress callback; 0: never."""
        settings = Settings(quantile=0.05, top_images=4, folds=2)
        how = Preprocess((64, 64), mean=(0.5,) * 3, std=(0.25,) * 3)
        concepts = Drawn.of("shapes?images=12&size=64&seed=3")
        feed = Feed.of(concepts, how, settings, CPU, 4, 0, None)
        checkpoint = CheckpointFolder(self.folder, feed, 1)
        left = calls

        def stop(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Interrupted

        with checkpoint.guarded():
            run(
                open_model(Net().eval()),
                ("near", "far"),
                checkpoint.feed,
                stop,
                open_state=checkpoint.open_state,
            )

    @property
    def path(self) -> Path:
        return self.folder / "state.npz"


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> SavedRun:
    """Run that is interrupted when it has begun to count."""
    saved = SavedRun(tmp_path_factory.mktemp("state") / "run.partial")
    for calls in range(4, 12):
        with pytest.raises(Interrupted):
            saved.dissect(calls)
        if json_of(members_of(saved.path))["counted"] is not None:
            return saved
    raise AssertionError("the run was not interrupted while it counted")


@pytest.fixture
def saved(counting: SavedRun) -> Iterator[SavedRun]:
    """The same, whose files are put back behind a test."""
    contents = {path: path.read_bytes() for path in counting.folder.iterdir()}
    yield counting
    for path, content in contents.items():
        path.write_bytes(content)


def is_refused(folder: Path) -> bool:
    """Return whether a state is refused; raise whatever else loading it raises."""
    try:
        state = load(folder, CPU, append=False).state
    except RunInvalid as error:
        assert str(folder) in str(error)
        return True
    state.close()
    return False


def test_the_state_itself_is_plausible(saved: SavedRun) -> None:
    assert not is_refused(saved.folder)


def test_each_entry_with_each_wrong_value(saved: SavedRun) -> None:
    members = members_of(saved.path)
    document = json_of(members)
    for place in places_of(document):
        changes = [with_value(document, place, value) for value in WRONG_VALUES]
        changes += [without(document, place)] if place else []
        for changed in changes:
            write_members(saved.path, members, metadata=json_array(changed))
            # names of versions and places are free; nothing but RunInvalid is raised
            is_refused(saved.folder)


@pytest.mark.parametrize(
    "place",
    [
        ("described",),
        ("described", "images"),
        ("described", "batch size"),
        ("described", "shard"),
        ("described", "settings"),
        ("described", "settings", "quantile"),
        ("described", "preprocessing", "size"),
        ("described", "layers"),
        ("made", "model"),
        ("made", "notes"),
        ("batches",),
        ("batches_again",),
        ("seconds",),
        ("skipped",),
        ("layers", 0, "layer"),
        ("layers", 0, "geometry", "rows"),
        ("layers", 0, "observation", "cells"),
        ("layers", 0, "observation", "images"),
        ("layers", 0, "bound", "counted"),
        ("layers", 0, "bound", "quantile"),
        ("layers", 0, "candidates", "dtype"),
        ("layers", 0, "candidates", "end"),
        ("counted", "batches"),
        ("counted", "units"),
        ("counted", "folds"),
        ("remarks", "counts"),
    ],
)
@pytest.mark.parametrize("value", [None, -1, "x", {"x": 1}, [[1]]])
def test_entries_that_are_used(
    saved: SavedRun, place: tuple[Any, ...], value: Any
) -> None:
    members = members_of(saved.path)
    changed = with_value(json_of(members), place, value)
    write_members(saved.path, members, metadata=json_array(changed))
    assert is_refused(saved.folder)


def test_each_array_of_each_wrong_kind(saved: SavedRun) -> None:
    members = members_of(saved.path)
    for name, array in members.items():
        if name == "metadata":
            continue
        for wrong in wrong_arrays(array):
            write_members(saved.path, members, **{name: wrong})
            is_same_kind = wrong.dtype == array.dtype and wrong.shape == array.shape
            # of a few arrays another length is another state, or other integers do
            is_free = name.startswith("folds/") or name in (
                "readable",
                "image/sizes",
            )
            is_free |= any(
                part in name for part in ("sample", "largest", "top_", "parts")
            )
            assert is_refused(saved.folder) or is_same_kind or is_free, name


def shifted(array: np.ndarray) -> np.ndarray:
    return array + 10**9


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("0/highest", lambda a: a * np.nan),
        ("0/highest", lambda a: np.full_like(a, np.inf)),
        ("0/top_activations", lambda a: np.full_like(a, np.inf)),
        ("0/top_activations", shifted),
        ("0/level", lambda a: a * np.nan),
        ("0/level", lambda a: np.full_like(a, np.inf)),
        ("0/nonzero", shifted),
        ("0/nonzero", lambda a: -a - 1),
        ("0/reached", lambda a: -a - 1),
        ("0/top_images", shifted),
        ("0/sampled", shifted),
        ("0/parts", shifted),
        ("0/parts", lambda a: -a - 1),
        ("readable", shifted),
        ("counted/area", lambda a: -a - 1),
        ("counted/images", shifted),
        ("counted/pixels", lambda a: -a - 1),
        ("folds/0/pairs", lambda a: a[::-1]),
        ("folds/0/pairs", shifted),
        ("folds/0/pixels", lambda a: -a - 1),
        ("folds/0/unit_area", lambda a: -a - 1),
        ("image/images", shifted),
        ("image/concepts", shifted),
        ("image/concept_counts", lambda a: a + 1),
        ("image/areas", lambda a: -a - 1),
    ],
)
def test_numbers_that_no_run_has(
    saved: SavedRun, name: str, change: Callable[[Any], Any]
) -> None:
    members = members_of(saved.path)
    assert members[name].size
    write_members(saved.path, members, **{name: change(members[name])})
    assert is_refused(saved.folder)


def test_maps_of_units_that_the_layer_has_not(saved: SavedRun) -> None:
    """The checksum of a record is in the same archive: whoever writes one writes the other."""
    members = members_of(saved.path)
    path = saved.folder / "0.maps"
    _, offset, maps, count, _ = members["0/parts"][0].tolist()
    end = members["0/parts"][1, 1] if len(members["0/parts"]) > 1 else None
    record = bytearray(path.read_bytes()[offset:end])
    units_start = (
        4 * (maps + count) + 4 * maps
    )  # behind values and peaks, and images
    record[units_start : units_start + 4] = (10**6).to_bytes(4, "little")
    content = bytearray(path.read_bytes())
    content[offset : offset + len(record)] = record
    path.write_bytes(content)
    parts = members["0/parts"].copy()
    parts[0, 4] = zlib.crc32(bytes(record))
    write_members(saved.path, members, **{"0/parts": parts})
    with pytest.raises(RunInvalid, match=r"a record has .* out of range"):
        load(saved.folder, CPU, append=False)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_none(saved: SavedRun) -> None:
    content = saved.path.read_bytes()
    members = members_of(saved.path)
    for damaged in (b"", b"PK", content[:-30], content[: len(content) // 2]):
        saved.path.write_bytes(damaged)
        assert is_refused(saved.folder)
    write_members(
        saved.path, members, metadata=text_array("[" * 10**5 + "]" * 10**5)
    )
    with pytest.raises(RunInvalid, match="nested more than 64 deep"):
        load(saved.folder, CPU, append=False)
    saved.path.write_bytes(content)
    duplicated(saved.path, "readable")
    with pytest.raises(RunInvalid, match="readable is there twice; remove it"):
        load(saved.folder, CPU, append=False)


@pytest.mark.parametrize(
    ("area", "pixels", "intersection", "unit_area", "message"),
    [
        ([5, 6], [9], [[1, 7]], [[3]], "intersection has a number that is larger"),
        ([5, 6], [9], [[-1, 2]], [[3]], "intersection has a negative number"),
        ([5, 6], [9], [[1, 2, 3]], [[3]], "intersection is int64"),
        ([5, 6], [9], [[1, 2]], [[10]], "unit_area has a number that is larger"),
        ([5, 6], [9], [[1, 2]], [[3], [3]], "unit_area is int64"),
        ([5, -6], [9], [[1, 2]], [[3]], "area has a negative number"),
        ([5, 6], [9, 9], [[1, 2]], [[3]], "pixels is int64"),
    ],
)
def test_counts_without_folds(
    area: Any, pixels: Any, intersection: Any, unit_area: Any, message: str
) -> None:
    areas = ConceptCounts(np.array(area), np.array([2]), np.array(pixels))
    units = UnitCounts(torch.tensor(intersection), torch.tensor(unit_area))
    with pytest.raises(ValueError, match=message):
        check_counted(CountState(areas, {("a", 0.1): units}), {"a": 1}, 4)
    right = UnitCounts(torch.tensor([[1, 2]]), torch.tensor([[3]]))
    areas = ConceptCounts(np.array([5, 6]), np.array([2]), np.array([9]))
    check_counted(CountState(areas, {("a", 0.1): right}), {"a": 1}, 4)


def test_counts_that_contradict_those_of_their_category(saved: SavedRun) -> None:
    members = members_of(saved.path)
    areas = {
        name: array * 0
        for name, array in members.items()
        if name.startswith("folds/") and name.endswith("/unit_area")
    }
    assert any(members[name].any() for name in areas)
    write_members(saved.path, members, **areas)
    with pytest.raises(
        RunInvalid, match="intersection has a number that is larger"
    ):
        saved.dissect(0)


def test_counts_of_another_vocabulary(saved: SavedRun) -> None:
    members = members_of(saved.path)
    concepts = len(members["counted/area"])
    changes: dict[str, Any] = {
        "counted/area": np.append(members["counted/area"], 0)
    }
    for name, array in members.items():
        if name.endswith("/intersection"):
            changes[name] = np.pad(array, ((0, 0), (0, 1)))
        if name.startswith("folds/") and name.endswith("concept_area"):
            changes[name] = np.pad(array, ((0, 0), (0, 1)))
    write_members(saved.path, members, **changes)
    with pytest.raises(RunInvalid, match=f"it counts {concepts + 1} concepts in"):
        saved.dissect(0)
