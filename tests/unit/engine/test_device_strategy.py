"""The strategy for an accelerator, on CPU tensors: steps, memory, and what it reads back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import reference
import torch
from planted import HOW, IMAGES, Numbered, Planted, drawn
from random_data import random_planes
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from nd_plugin import Annotation, Dissection, RunFailed, Settings, open_concepts
from nd_plugin.accelerator.device_memory import DeviceMemory
from nd_plugin.accelerator.kernels import Kernel
from nd_plugin.accelerator.peaks import MapReader
from nd_plugin.candidates.device_maps import sparsify_batches
from nd_plugin.engine import device_counter, device_strategy
from nd_plugin.engine.device_strategy import DeviceStrategy
from nd_plugin.engine.passes import observe
from nd_plugin.engine.run import open_run, run
from nd_plugin.probe_data.batches import Batch, Feed

BATCH = 8
SETTINGS = Settings(quantiles=(0.05, 0.3))
ACTIVATIONS = {
    "plain": drawn(1),
    "rectified": drawn(2, cells=(3, 7)).relu(),
    "double": drawn(3, dtype=torch.float64),
}
# on a GPU the host waits for their results
WAITING = ("aten.nonzero", "aten._local_scalar_dense", "aten.masked_select")


class Operations(TorchDispatchMode):
    """Counts of the operators that torch dispatches."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.counts[str(func).rpartition(".")[0]] += 1
        return func(*args, **(kwargs or {}))

    @property
    def waits(self) -> int:
        """Operations whose results the host reads."""
        return sum(self.counts[name] for name in WAITING)


@dataclass(frozen=True)
class ManyLabels:
    """A concept set with labels of images, several planes, and some annotations without any."""

    original: Numbered

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __len__(self) -> int:
        return IMAGES

    def annotation(self, index: int) -> Annotation:
        if index % 11 == 3:
            raise ValueError("an annotation that cannot be read")
        size = (16, 16) if index % 2 else (11, 19)
        concept_count = len(self.original.concepts)
        planes = random_planes(index, size, index % 4, concept_count)
        return Annotation(planes, (1,) if index % 3 else (), size=size)


@pytest.fixture(scope="module")
def concepts() -> Numbered:
    return Numbered(open_concepts(f"shapes?images={IMAGES}&size=40&seed=3"))


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ND_STRATEGY", "device")


def feed_of(concepts: Any, **options: Any) -> Feed:
    options = {"batch_size": BATCH, "workers": 0, **options}
    settings = options.pop("settings", SETTINGS)
    return Feed.of(concepts, HOW, settings, torch.device("cpu"), **options)


def dissect(concepts: Any, strategy: str, **options: Any) -> list[Dissection]:
    model = Planted(ACTIVATIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ND_STRATEGY", strategy)
        return run(model, list(ACTIVATIONS), feed_of(concepts, **options))


def assert_equal(first: list[Dissection], second: list[Dissection]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for name in (
            "thresholds",
            "intersection",
            "unit_area",
            "concept_area",
            "category_images",
            "category_pixels",
            "dead",
            "sparse",
            "top_images",
            "top_activations",
        ):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert one.skipped == other.skipped


def pixels_of_categories(labelled: ManyLabels, *, native: bool) -> list[int]:
    """Mask pixels of the images of each category, image by image."""
    categories = list(labelled.categories)
    pixels = [0] * len(categories)
    for index in range(IMAGES):
        if index % 11 == 3:
            continue
        annotation = labelled.annotation(index)
        size = (16, 16) if index % 2 or not native else (11, 19)
        masks = reference.annotation_masks(
            list(annotation.planes), list(annotation.labels), size
        )
        present = {labelled.concepts[concept].category for concept in masks}
        for category in present:
            pixels[categories.index(category)] += size[0] * size[1]
    return pixels


@pytest.mark.parametrize("mask_size", ["native", "auto"])
@pytest.mark.parametrize("device_memory", [None, 2**12])
def test_planes_of_several_sizes_and_unreadable_ones(
    concepts: Numbered, mask_size: str, device_memory: int | None
) -> None:
    labelled = ManyLabels(concepts)
    settings = replace(SETTINGS, mask_size=mask_size)
    expected = dissect(labelled, "host", settings=settings)
    actual = dissect(
        labelled, "device", settings=settings, device_memory=device_memory
    )
    assert len(expected[0].skipped) == len(range(3, IMAGES, 11))
    assert_equal(actual, expected)
    pixels = pixels_of_categories(labelled, native=mask_size == "native")
    assert expected[0].category_pixels is not None
    assert expected[0].category_pixels.tolist() == pixels


class TestOperations:
    """Kernels and waits on a GPU, from the operators that the CPU runs."""

    @pytest.fixture
    def opened(
        self, concepts: Numbered, on_device: None
    ) -> Iterator[tuple[DeviceStrategy, Callable[[], Operations], Any]]:
        model = Planted(ACTIVATIONS)
        feed = feed_of(concepts)
        with open_run(model, list(ACTIVATIONS), feed) as (part_run, _):
            strategy = part_run.strategy
            assert isinstance(strategy, DeviceStrategy)
            batches = part_run.first_pass_batches
            assert batches is not None

            def update() -> Operations:
                batch = next(batches)
                part_run.state.readable.update(batch.indices.tolist())
                activations = part_run.activations(batch, part_run.layers)
                with Operations() as operations:
                    strategy.update(part_run, batch, activations)
                return operations

            yield strategy, update, part_run

    def test_a_batch_takes_at_most_sixty_for_a_layer_and_waits_for_nothing(
        self, opened: tuple[DeviceStrategy, Callable[[], Operations], Any]
    ) -> None:
        _, update, _ = opened
        update()
        operations = update()
        # no operation of a device: PyTorch 2.6 has one more of them than later ones
        counted = Counter(operations.counts)
        del counted["aten.detach"]
        assert sum(counted.values()) <= 60 * len(ACTIVATIONS)
        assert operations.waits == 0

    def test_sifting_waits_as_often_for_many_batches_as_for_one(
        self, opened: tuple[DeviceStrategy, Callable[[], Operations], Any]
    ) -> None:
        strategy, update, part_run = opened
        waits = []
        for batches in (1, 4):
            for _ in range(batches):
                update()
            with Operations() as operations:
                strategy.finish(part_run)
            waits.append(operations.waits)
        assert waits[0] == waits[1]
        assert waits[1] <= 5 * len(ACTIVATIONS)


# of a tensor on a GPU they copy to the host; `numpy` does not, it raises an error there
READS = (
    Tensor.cpu,
    Tensor.tolist,
    Tensor.item,
    Tensor.__bool__,
    Tensor.__int__,
    Tensor.__index__,
    Tensor.__float__,
)


class Crossings(TorchFunctionMode):
    """Bytes that would cross between host and device, if ``on_device`` were on a device."""

    def __init__(self, on_device: Collection[Tensor] = ()) -> None:
        super().__init__()
        self.addresses = {tensor.data_ptr() for tensor in on_device}
        self.to_host = 0
        self.to_device = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func in READS:
            self.to_host += args[0].nbytes
        is_copy = func is Tensor.to and isinstance(args[1], torch.device)
        if is_copy and args[0].data_ptr() not in self.addresses:
            self.to_device += args[0].nbytes
        return func(*args, **(kwargs or {}))


class TestCrossings:
    """Images and annotations cross to the device, and a few numbers cross back."""

    def crossings(
        self, concepts: Numbered, copies: int
    ) -> tuple[Batch, list[Crossings]]:
        """Return a batch, and what crosses in its forward pass, its update and the sifting."""
        activations = {
            layer: maps.repeat(1, copies, 1, 1)
            for layer, maps in ACTIVATIONS.items()
        }
        model = Planted(activations)
        with open_run(model, list(activations), feed_of(concepts)) as (part_run, _):
            batches = part_run.first_pass_batches
            assert batches is not None
            batch = next(batches)
            part_run.state.readable.update(batch.indices.tolist())
            with Crossings() as forward:
                maps = part_run.activations(batch, part_run.layers)
            with Crossings(maps.values()) as update:
                part_run.strategy.update(part_run, batch, maps)
            with Crossings() as sifting:
                part_run.strategy.finish(part_run)
        return batch, [forward, update, sifting]

    def test_pixels_cross_as_bytes_and_annotations_as_small_integers(
        self, concepts: Numbered, on_device: None
    ) -> None:
        batch, (forward, update, sifting) = self.crossings(concepts, 1)
        pixel_bytes = batch.pixels.numel()
        annotation_bytes = sum(labels.nbytes for labels in batch.annotations)
        cells = sum(maps[0, 0].numel() for maps in ACTIVATIONS.values())
        # which image it is, and which cells the histograms sample
        index_bytes = 8 * BATCH * (1 + len(ACTIVATIONS) + cells)
        assert forward.to_device == pixel_bytes
        assert update.to_device <= annotation_bytes + index_bytes
        assert sifting.to_device == 0

    def test_what_crosses_does_not_grow_with_the_units(
        self, concepts: Numbered, on_device: None
    ) -> None:
        _, few = self.crossings(concepts, 1)
        _, many = self.crossings(concepts, 16)
        for once, repeated in zip(few, many, strict=True):
            assert repeated.to_device == once.to_device
            assert repeated.to_host == once.to_host
        assert sum(crossing.to_host for crossing in few) <= 1024


class RunsOut:
    """Function that runs out of memory at its first call, or at each."""

    def __init__(
        self, function: Callable[..., Any], *, always: bool = False
    ) -> None:
        self.function = function
        self.always = always
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls == 1 or self.always:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return self.function(*args, **kwargs)


class TestMemory:
    """A device that runs out of memory is survived once, and the result says so."""

    @pytest.mark.parametrize("place", ["masks", "candidates", "model"])
    def test_running_out_changes_no_number(
        self,
        concepts: Numbered,
        place: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        expected = dissect(concepts, "host")
        self.exhaust(place, monkeypatch, always=False)
        actual = dissect(concepts, "device")
        assert_equal(actual, expected)
        (note,) = [
            note for note in actual[0].provenance.notes if "out of memory" in note
        ]
        assert note.startswith("the device ran out of memory: less was stored")

    def test_a_step_that_fails_halfway_is_made_again(
        self,
        concepts: Numbered,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Batches that the first try has stored are stored once, and their memory is freed."""
        steps: Counter[str] = Counter()

        def fail_halfway(*arguments: Any, **options: Any) -> Iterator[Any]:
            steps["made"] += 1
            for item in sparsify_batches(*arguments, **options):
                yield item
                if steps["made"] == 1:
                    raise torch.OutOfMemoryError("CUDA out of memory (injected)")

        expected = dissect(concepts, "host")
        monkeypatch.setattr(device_strategy, "sparsify_batches", fail_halfway)
        # the first try's batches would never fit into this
        actual = dissect(concepts, "device", device_memory=2**20, memory=0)
        assert steps["made"] > 1
        assert_equal(actual, expected)

    def test_annotations_leave_where_all_are_decoded_again(
        self, concepts: Numbered, on_device: None
    ) -> None:
        model = Planted(ACTIVATIONS)
        with open_run(model, list(ACTIVATIONS), feed_of(concepts)) as (part_run, _):
            observe(part_run)
            strategy = part_run.strategy
            assert isinstance(strategy, DeviceStrategy)
            assert strategy.annotations
            strategy.count(part_run, {}, ["plain"], 0)
            assert not strategy.annotations

    def test_a_model_that_never_fits_is_an_error_with_a_remedy(
        self, concepts: Numbered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.exhaust("model", monkeypatch, always=True)
        with pytest.raises(RunFailed, match=r"batch of 8 images .*--batch-size"):
            dissect(concepts, "device")

    @pytest.mark.parametrize("place", ["masks", "candidates", "statistics"])
    def test_other_steps_that_never_fit_are_errors_with_a_remedy(
        self,
        concepts: Numbered,
        place: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.exhaust(place, monkeypatch, always=True)
        with pytest.raises(
            RunFailed, match=r"cpu ran out of memory.*--device-memory"
        ):
            dissect(concepts, "device")

    def exhaust(
        self, place: str, monkeypatch: pytest.MonkeyPatch, *, always: bool
    ) -> None:
        if place == "model":
            probe = Planted.probe

            @contextmanager
            def tight_probe(self: Planted, *args: Any) -> Iterator[Any]:
                with probe(self, *args) as opened:
                    yield TightProbe(opened, RunsOut(opened, always=always))

            monkeypatch.setattr(Planted, "probe", tight_probe)
            return
        names = {
            "masks": "JoinedMaps",
            "candidates": "sparsify_batches",
            "statistics": "map_reader",
        }
        modules = {
            "masks": device_counter,
            "candidates": device_strategy,
            "statistics": device_strategy,
        }
        function = getattr(modules[place], names[place])
        monkeypatch.setattr(
            modules[place], names[place], RunsOut(function, always=always)
        )

    def test_the_budget_is_a_share_of_what_is_free(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 4000))
        assert DeviceMemory.of(torch.device("cuda"), None).budget == 400
        assert DeviceMemory.of(torch.device("cuda"), 77).budget == 77

    def test_candidates_beyond_the_budget_are_in_memory_then_in_a_file(
        self, concepts: Numbered, on_device: None
    ) -> None:
        all_on_device = self.stored_bytes(concepts)
        assert all_on_device[1:] == (0, 0)
        total = all_on_device[0]
        # half of the device's memory is for candidates
        device, memory, file = self.stored_bytes(
            concepts, device_memory=total, memory=total // 3
        )
        assert 0 < device <= total // 2
        assert 0 < memory <= total // 3
        assert file > 0

    def stored_bytes(
        self, concepts: Numbered, **options: int
    ) -> tuple[int, int, int]:
        """Bytes of candidates on the device, in memory and in files."""
        model = Planted(ACTIVATIONS)
        feed = feed_of(concepts, **options)
        with open_run(model, list(ACTIVATIONS), feed) as (part_run, _):
            assert part_run.first_pass_batches is not None
            for batch in part_run.first_pass_batches:
                part_run.state.readable.update(batch.indices.tolist())
                activations = part_run.activations(batch, part_run.layers)
                part_run.strategy.update(part_run, batch, activations)
            part_run.strategy.finish(part_run)
            candidates = part_run.state.files()
            return (
                sum(stored.device_nbytes for stored in candidates),
                sum(stored.nbytes for stored in candidates),
                sum(stored.file_length for stored in candidates),
            )


def test_maps_that_are_read_without_the_kernel_are_noted(
    concepts: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel("maps were read", "no_module", lambda *_: True, 0)
    kernel.note = "maps were read by plain torch operations"
    monkeypatch.setattr(device_strategy, "map_reader", lambda _: MapReader(kernel))
    for dissection in dissect(concepts, "device"):
        assert kernel.note in dissection.provenance.notes


@dataclass(frozen=True)
class TightProbe:
    """Probe that runs out of memory."""

    original: Any
    run_model: Callable[[Tensor], Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)

    def __call__(self, images: Tensor) -> Any:
        return self.run_model(images)
