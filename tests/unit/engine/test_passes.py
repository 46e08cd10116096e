"""Whole runs of the engine over planted activations: the numbers equal the twin's in any case."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import reference
import torch
from PIL import Image
from planted import (
    HOW,
    IMAGES,
    MASK,
    SIZE,
    Numbered,
    Planted,
    Probe,
    drawn,
)
from torch import Tensor

from nd_plugin import (
    Dissection,
    NonFiniteActivation,
    RunFailed,
    Settings,
    open_concepts,
)
from nd_plugin.contracts.provenance import Provenance
from nd_plugin.engine import candidates, combine
from nd_plugin.engine.callbacks import StateSaver
from nd_plugin.engine.forward_pass import observe
from nd_plugin.engine.run import open_run
from nd_plugin.engine.run import run as run_engine
from nd_plugin.engine.state import State
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.method import lower_bound, mask_strips, upsampling
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import Part

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning"
    ),
    # more workers than processors
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

TAU = 0.05


@pytest.fixture(scope="module")
def concepts() -> Numbered:
    return Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))


def run(
    model: Planted,
    concepts: Numbered,
    quantiles: Sequence[float] = (TAU,),
    batch_size: int = 5,
    workers: int = 0,
    memory: int | None = None,
) -> list[Dissection]:
    settings = Settings(quantiles=tuple(quantiles), top_images=4)
    feed = Feed.of(
        concepts, HOW, settings, torch.device("cpu"), batch_size, workers, memory
    )
    return run_engine(model, list(model.activations), feed)


@dataclass(frozen=True)
class Expected:
    thresholds: list[float]
    counts: tuple[reference.Counts, reference.Counts, reference.Counts]
    maps: Tensor


# by the maps' id and τ: the twin is slow
TWINS: dict[tuple[int, float], Expected] = {}


def twin(
    maps: Tensor, tau: float, category_of: list[int], concepts: Numbered
) -> Expected:
    """What the slow twin gives for ``maps`` (image, unit, row, column)."""
    if (id(maps), tau) not in TWINS:
        values = maps.transpose(0, 1).flatten(1).numpy()
        thresholds = [reference.threshold(unit, tau) for unit in values]
        annotations = [
            (
                [np.asarray(plane, np.int32) for plane in one.planes],
                list(one.labels),
            )
            for one in map(concepts.annotation, range(IMAGES))
        ]
        axes = ((4.5, 2.0), (6.5, -1.0))
        counts = reference.counts(
            maps.numpy(), annotations, category_of, max(category_of) + 1,
            np.array(thresholds, values.dtype), axes,
            (SIZE, SIZE), (MASK, MASK),
        )  # fmt: skip
        TWINS[id(maps), tau] = Expected(thresholds, counts, maps)
    return TWINS[id(maps), tau]


def assert_twins(found: Dissection, maps: Tensor, concepts: Numbered) -> None:
    """Every number of a dissection is that of the slow twin."""
    tau = found.settings.quantile
    values = maps.transpose(0, 1).flatten(1).numpy()
    expected = twin(maps, tau, found.category_of.tolist(), concepts)
    assert found.thresholds.tolist() == expected.thresholds
    for name, count in zip(
        ("intersection", "unit_area", "concept_area"), expected.counts, strict=True
    ):
        assert np.array_equal(getattr(found, name), count), name
    assert found.dead.tolist() == reference.dead(values).tolist()
    assert found.sparse.tolist() == reference.sparse(values, tau).tolist()
    assert found.locations == values.shape[1] and not found.skipped
    peaks = maps.amax((2, 3)).double()
    for unit in range(maps.shape[1]):
        top = sorted(
            range(IMAGES), key=lambda image: (-float(peaks[image, unit]), image)
        )[:4]
        assert found.top_images[unit].tolist() == top
        assert found.top_activations[unit].tolist() == peaks[top, unit].tolist()


def notes_of(found: Dissection) -> list[str]:
    return [
        note
        for note in found.provenance.notes
        if note.startswith(combine.SECOND_PASS)
    ]


MIXED = {
    "plain": drawn(1),
    "rectified": drawn(2, cells=(3, 7)).relu(),
    "a token": drawn(3, cells=(1, 1)),
}


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "free_bytes", lambda folder: 0)


@pytest.fixture
def passed_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower_bound, "poisson_upper_bound", lambda mean: 1)


@pytest.fixture(params=["as it is", "no room", "passed bounds"])
def how(request: pytest.FixtureRequest) -> str:
    """What a run meets."""
    if request.param != "as it is":
        request.getfixturevalue(request.param.replace(" ", "_"))
    return str(request.param)


@pytest.mark.parametrize(
    ("batch_size", "workers", "memory"),
    [
        (1, 0, None),
        (5, 0, 0),
        (7, 0, 9000),
        (16, 2, None),
        (48, 0, None),
        (48, 2, 0),
        (100, 0, 0),
    ],
)
def test_the_numbers_are_the_twins_for_any_batches_workers_and_memory(
    concepts: Numbered, batch_size: int, workers: int, memory: int | None
) -> None:
    model = Planted(MIXED)
    for found in run(model, concepts, (TAU,), batch_size, workers, memory):
        assert_twins(found, MIXED[found.layer], concepts)
        assert found.intersection.any() and not notes_of(found)
    assert sorted(model.seen) == list(range(IMAGES)), (
        "each image goes through the model once"
    )


@pytest.mark.parametrize("memory", [0, None])
@pytest.mark.parametrize("batch_size", [5, 48])
def test_several_quantiles_equal_single_runs(
    concepts: Numbered, batch_size: int, memory: int | None
) -> None:
    quantiles, model = (0.02, 0.3, 0.05, 0.9), Planted(MIXED)
    together = run(model, concepts, quantiles, batch_size, 0, memory)
    assert [(found.layer, found.settings.quantile) for found in together] == [
        (n, q) for n in MIXED for q in quantiles
    ]
    assert len(model.seen) in (IMAGES, 2 * IMAGES)
    for found in together:
        assert_twins(found, MIXED[found.layer], concepts)
    for quantile_ in quantiles:
        single = run(Planted(MIXED), concepts, (quantile_,), batch_size)
        for one, other in zip(
            single,
            (found for found in together if found.settings.quantile == quantile_),
            strict=True,
        ):
            for name in (
                "thresholds",
                "intersection",
                "unit_area",
                "sparse",
                "dead",
                "top_images",
            ):
                assert np.array_equal(getattr(one, name), getattr(other, name)), (
                    name
                )


class TestNoRoom:
    @pytest.mark.usefixtures("no_room")
    @pytest.mark.parametrize("batch_size", [1, 7, 48])
    def test_a_layer_whose_maps_do_not_fit_is_counted_in_a_second_pass(
        self, concepts: Numbered, batch_size: int
    ) -> None:
        model = Planted(MIXED)
        for found in run(model, concepts, (TAU, 0.3), batch_size, memory=0):
            assert_twins(found, MIXED[found.layer], concepts)
            assert (
                notes_of(found) == [combine.DID_NOT_FIT]
                and combine.DID_NOT_FIT in found.report().notes
            )
        assert sorted(model.seen) == sorted([*range(IMAGES)] * 2)

    @pytest.mark.usefixtures("no_room")
    def test_only_the_layers_concerned_are_noted(self, concepts: Numbered) -> None:
        activations = {
            "small": drawn(4, units=1, cells=(1, 1)),
            "large": drawn(5, cells=(12, 12)),
        }
        model = Planted(activations)
        found = run(model, concepts, memory=30_000)
        for one in found:
            assert_twins(one, activations[one.layer], concepts)
        assert [notes_of(one) for one in found] == [[], [combine.DID_NOT_FIT]]
        assert len(model.seen) == 2 * IMAGES

    @pytest.mark.usefixtures("no_room", "passed_bounds")
    def test_neither_room_nor_thresholds(self, concepts: Numbered) -> None:
        for found in run(Planted(MIXED), concepts, memory=0):
            assert_twins(found, MIXED[found.layer], concepts)
            assert notes_of(found)


class TestNotKept:
    @pytest.mark.usefixtures("passed_bounds")
    @pytest.mark.parametrize("batch_size", [1, 5, 48])
    @pytest.mark.parametrize("memory", [0, None])
    def test_a_layer_whose_thresholds_were_not_kept_is_seen_again(
        self, concepts: Numbered, batch_size: int, memory: int | None
    ) -> None:
        activations = {"plain": MIXED["plain"], "other": drawn(8)}
        model = Planted(activations)
        for found in run(model, concepts, (TAU, 0.3), batch_size, memory=memory):
            assert_twins(found, activations[found.layer], concepts)
            assert notes_of(found) == [combine.BELOW_STORED]
        assert sorted(model.seen) == sorted([*range(IMAGES)] * 2)

    @pytest.mark.usefixtures("passed_bounds")
    def test_units_that_are_mostly_0_light_all_their_pixels_though_the_bound_was_passed(
        self, concepts: Numbered
    ) -> None:
        maps = torch.where(drawn(6) > 2.0, drawn(7).abs(), 0.0)
        (found,) = run(Planted({"sparse": maps}), concepts)
        assert found.sparse.all()
        assert_twins(found, maps, concepts)

    def test_units_with_many_zeros_and_negative_values(
        self, concepts: Numbered
    ) -> None:
        maps = drawn(9)
        maps = torch.where(maps.abs() < 1.9, 0.0, maps)
        model = Planted({"zeros": maps})
        (found,) = run(model, concepts)
        assert_twins(found, maps, concepts)
        assert (
            (found.thresholds == 0).all()
            and not found.sparse.all()
            and found.intersection.any()
        )
        assert not notes_of(found) and len(model.seen) == IMAGES

    @pytest.mark.usefixtures("passed_bounds")
    def test_only_the_layers_concerned_are_noted(self, concepts: Numbered) -> None:
        activations = {
            "constant": torch.full((IMAGES, 3, 2, 2), 1.5),
            "plain": MIXED["plain"],
        }
        found = run(Planted(activations), concepts)
        assert [notes_of(one) for one in found] == [[], [combine.BELOW_STORED]]
        for one in found:
            assert_twins(one, activations[one.layer], concepts)


@dataclass(frozen=True)
class Flickering(Numbered):
    """An image that some readings of it, counted from 0, fail to read."""

    flickering_image: int
    failing_readings: Collection[int]
    readings: Counter[int] = field(default_factory=Counter)  # by image

    def image(self, index: int) -> Image.Image:
        reading = self.readings[index]
        self.readings[index] += 1
        if index == self.flickering_image and reading in self.failing_readings:
            raise OSError("the disk is offline")
        return super().image(index)


class TestUnreadableInOnePass:
    """Images that count are those of the first pass, whatever later passes can read."""

    @pytest.fixture(params=["no_room", "passed_bounds"])
    def activations(self, request: pytest.FixtureRequest) -> Mapping[str, Tensor]:
        """Layers that need a second pass, for masks or thresholds; image 7 changes them."""
        request.getfixturevalue(request.param)
        maps = drawn(1)
        maps[7] += 100
        return {"layer": maps}

    @pytest.mark.parametrize("batch_size", [1, 5])
    def test_an_image_that_returns_counts_nowhere(
        self, concepts: Numbered, activations: Mapping[str, Tensor], batch_size: int
    ) -> None:
        returns = Flickering(concepts.shapes, 7, [0])
        missing = Flickering(concepts.shapes, 7, range(9))
        settings = (TAU, 0.3)
        model = Planted(activations)
        dissections = run(model, returns, settings, batch_size, memory=0)
        assert len(model.seen) == 2 * (IMAGES - 1), (
            "the image never reaches the model"
        )
        expected = run(
            Planted(activations), missing, settings, batch_size, memory=0
        )
        for dissection, twin_dissection in zip(dissections, expected, strict=True):
            assert notes_of(dissection) == notes_of(twin_dissection) != []
            for name in ("thresholds", "intersection", "unit_area", "concept_area"):
                values = getattr(dissection, name)
                assert np.array_equal(values, getattr(twin_dissection, name)), name

    def test_an_image_that_disappears_fails_the_run(
        self, concepts: Numbered, activations: Mapping[str, Tensor]
    ) -> None:
        disappears = Flickering(concepts.shapes, 7, [1, 2])
        message = (
            r"image 7\.png was read in the first .*: the disk is offline; restore"
        )
        with pytest.raises(RunFailed, match=message):
            run(Planted(activations), disappears, memory=0)


@dataclass
class MemoryMeter(StateSaver):
    """Largest number of bytes that the candidates of all parts took."""

    states: list[State] = field(default_factory=list)
    peak: int = 0

    def tick(self, state: State, images: int) -> None:
        all_candidates = [
            stored for state in self.states for stored in state.files()
        ]
        nbytes = sum(stored.nbytes for stored in all_candidates)
        self.peak = max(self.peak, nbytes)

    def open_state(
        self, layers: tuple[str, ...], provenance: Provenance
    ) -> tuple[StateSaver, State]:
        self.states.append(State())
        return self, self.states[-1]


@pytest.mark.usefixtures("passed_bounds")
@pytest.mark.parametrize("parts", [1, 3])
def test_candidates_of_both_passes_and_of_all_parts_share_the_memory(
    concepts: Numbered, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = lower_bound.LowerBound.update

    def update_smaller_layer(bound: lower_bound.LowerBound, maps: Tensor) -> None:
        if maps.shape[2] == 7:  # of the larger one, everything is stored
            update(bound, maps)

    monkeypatch.setattr(lower_bound.LowerBound, "update", update_smaller_layer)
    model = Planted(
        {"in one pass": drawn(6, cells=(9, 9)), "in two": drawn(1, cells=(7, 7))}
    )
    memory = 60_000
    meter = MemoryMeter()
    feed = Feed.of(
        concepts, HOW, Settings(quantiles=(TAU,)), model.device, 5, 0, memory
    )
    with ExitStack() as stack:
        part_runs = []
        for number in range(parts):
            part_feed = replace(feed, part=Part(number, parts))
            opened_run = open_run(
                model,
                list(model.activations),
                part_feed,
                open_state=meter.open_state,
            )
            part_run, _ = stack.enter_context(opened_run)
            observe(part_run)
            part_runs.append(part_run)
        if parts > 1:  # merged shards come from their files
            for state in meter.states:
                for stored in state.files():
                    stored.write_all()
        meter.peak = 0
        combined = combine.combine(part_runs, SingleProcess())
    assert combined.layers["in one pass"].notes == []
    assert combined.layers["in two"].notes == [combine.BELOW_STORED]
    assert memory // 4 < meter.peak <= memory


def test_restored_layers_share_the_pool_of_the_run(concepts: Numbered) -> None:
    model = Planted(MIXED)
    feed = Feed.of(concepts, HOW, Settings(), model.device, 5, 0)
    meter = MemoryMeter()
    with open_run(model, list(MIXED), feed, open_state=meter.open_state) as (
        part_run,
        _,
    ):
        observe(part_run)
    (state,) = meter.states
    with open_run(
        model,
        list(MIXED),
        feed,
        open_state=lambda layers, provenance: (meter, state),
    ) as (part_run, _):
        observe(part_run)
        pools = [layer.candidates.memory.pool for layer in state.layers.values()]
        assert all(pool is part_run.pool for pool in pools) and len(pools) == len(
            MIXED
        )


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize(("image", "workers"), [(0, 0), (31, 0), (47, 2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_that_are_not_finite_are_named(
    concepts: Numbered, value: float, image: int, workers: int, dtype: torch.dtype
) -> None:
    bad = drawn(10)
    bad[image, 4, 1, 2] = value
    bad[image, 4, 3, 3] = 50.0  # where it could reach a mask
    model = Planted({"good": drawn(11), "bad": bad.to(dtype)})
    with pytest.raises(
        NonFiniteActivation,
        match=rf"layer 'bad', unit 4, image {image}\.png: .* row 1, column 2 is ",
    ):
        run(model, concepts, workers=workers)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_map_that_is_nowhere_finite_is_named(
    concepts: Numbered, value: float
) -> None:
    bad = drawn(10)
    bad[40, 2] = value
    with pytest.raises(
        NonFiniteActivation, match=r"layer 'bad', unit 2, image 40\.png"
    ):
        run(Planted({"bad": bad}), concepts)


@pytest.mark.parametrize("batch_size", [1, 7, 48])
def test_minus_infinity_is_less_than_all_and_lights_nothing(
    concepts: Numbered, how: str, batch_size: int
) -> None:
    maps, here = drawn(10), drawn(13) > 0.5
    assert (
        here[maps > maps.quantile(1 - TAU)].any()
        and not here.flatten(2).all(2).any()
    )
    model = Planted({"layer": maps.masked_fill(here, -torch.inf)})
    (found,) = run(
        model,
        concepts,
        batch_size=batch_size,
        memory=0 if how == "no room" else None,
    )
    assert_twins(found, maps.masked_fill(here, -1e30), concepts)


def test_a_threshold_of_minus_infinity_is_refused(concepts: Numbered) -> None:
    maps = drawn(10)
    maps.flatten(2)[:, 3, 1:] = -torch.inf
    with pytest.raises(
        NonFiniteActivation,
        match=r"layer 'layer', unit 3: no more than 0\.05 of its activations",
    ):
        run(Planted({"layer": maps}), concepts)


UNITS = {
    "saturates often": drawn(20, 1).mul(8).clamp(0, 6),
    "saturates seldom": drawn(21, 1).mul(3).clamp(0, 6),
    "saturates below": -drawn(22, 1).relu() - 1,
    "has two values": (drawn(23, 1) > 1).float(),
    "has two values below 0": (drawn(23, 1) > 1).float() - 2,
    "constant": torch.full((IMAGES, 1, 5, 4), 3.5),
    "constant below 0": torch.full((IMAGES, 1, 5, 4), -3.5),
    "0 everywhere": torch.zeros(IMAGES, 1, 5, 4),
    "0 of both signs": drawn(24, 1) * 0,
    "0 but once": torch.zeros(IMAGES, 1, 5, 4).index_put(
        (torch.tensor(17), torch.tensor(0)), torch.tensor(2.0)
    ),
    "constant in each image": drawn(25, 1)[:, :, :1, :1].expand(-1, -1, 5, 4),
    "denormal": drawn(26, 1) * 1e-42,
    "far from 0": drawn(27, 1) + 1e6,
}


@pytest.mark.parametrize("batch_size", [5, 48])
def test_units_that_saturate_or_are_constant(
    concepts: Numbered, how: str, batch_size: int
) -> None:
    quantiles = (TAU, 0.4)
    dissections = run(
        Planted(UNITS),
        concepts,
        quantiles,
        batch_size,
        memory=0 if how == "no room" else None,
    )
    for found in dissections:
        assert_twins(found, UNITS[found.layer], concepts)
    often, _, _, two, *_ = dissections[::2]
    assert (
        often.thresholds.tolist() == [6]
        and not often.unit_area.any()
        and not often.dead.any()
    )
    assert two.thresholds.tolist() == [1] and not two.unit_area.any()
    dead = {found.layer for found in dissections if found.dead.all()}
    assert dead == {
        "constant",
        "constant below 0",
        "0 everywhere",
        "0 of both signs",
    }


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("memory", [0, None])
def test_layers_of_other_precisions(
    concepts: Numbered,
    dtype: torch.dtype,
    memory: int | None,
    request: pytest.FixtureRequest,
) -> None:
    if memory == 0:
        request.getfixturevalue("no_room")
    maps = (drawn(12, dtype=torch.float64) / 3).to(dtype)
    assert maps.double().ne(maps.float()).any() == (dtype == torch.float64)
    (found,) = run(Planted({"layer": maps}), concepts, memory=memory)
    assert_twins(found, maps if dtype == torch.float64 else maps.float(), concepts)


@pytest.mark.parametrize(
    "surroundings",
    ["autocast", "half by default", "inference mode", "another device"],
)
def test_what_a_caller_has_set_changes_nothing(
    concepts: Numbered, surroundings: str, how: str
) -> None:
    for cache in (mask_strips.strips, upsampling.taps_on):
        cache.cache_clear()
    try:
        if surroundings == "half by default":
            torch.set_default_dtype(torch.bfloat16)
        if surroundings == "another device":
            torch.set_default_device("meta")
        with (
            torch.autocast(
                "cpu", torch.bfloat16, enabled=surroundings == "autocast"
            ),
            torch.inference_mode(surroundings == "inference mode"),
        ):
            found = run(Planted(MIXED), concepts, memory=0)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    for one in found:
        assert_twins(one, MIXED[one.layer], concepts)


@dataclass
class Broken(Planted):
    @contextmanager
    def probe(
        self, layers: Sequence[Any], size: tuple[int, int]
    ) -> Iterator[Probe]:
        raise KeyError("no such layer")
        yield


def test_a_probe_that_cannot_be_opened_leaves_no_process_and_the_threads_as_they_were(
    concepts: Numbered,
) -> None:
    before, threads = (
        set(multiprocessing.active_children()),
        torch.get_num_threads(),
    )
    with pytest.raises(KeyError, match="no such layer"):
        run(Broken({"plain": drawn(1)}), concepts, workers=2)
    assert (
        set(multiprocessing.active_children()) <= before
        and torch.get_num_threads() == threads
    )
