"""Probes that break their contract from the second batch on: caught there, by both strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from planted import HOW, IMAGES, MASK, Numbered, Planted, Probe, drawn
from torch import Tensor

from nd_plugin import ModelFailed, Settings, open_concepts
from nd_plugin.contracts.map_checks import BrokenContract, MapForms
from nd_plugin.engine.run import open_run, start_fresh
from nd_plugin.engine.run import run as run_engine
from nd_plugin.engine.state import State
from nd_plugin.experiments.probing.pooled_features import pooled_features
from nd_plugin.probe_data.batches import Feed

BATCH = 5
Change = Callable[[Tensor], Any]


def refuse_nothing(maps: Tensor) -> Tensor:
    return maps


@dataclass
class Changing(Planted):
    """Model whose maps are changed from the second batch on."""

    change: Change = refuse_nothing

    @contextmanager
    def probe(
        self, layers: Sequence[Any], size: tuple[int, int]
    ) -> Iterator[Probe]:
        yield ChangingProbe(self, tuple(layers))


@dataclass(frozen=True)
class ChangingProbe(Probe):
    model: Changing

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        maps_of = dict(super().__call__(images))
        if len(self.model.seen) > BATCH:
            changed = self.model.change(maps_of["layer"])
            if changed is None:
                del maps_of["layer"]
            else:
                maps_of["layer"] = changed
        return maps_of


@pytest.fixture(scope="module")
def concepts() -> Numbered:
    return Numbered(open_concepts(f"shapes?images={IMAGES}&size={2 * MASK}&seed=3"))


@pytest.fixture(params=["host", "device"])
def strategy(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    name: str = request.param
    monkeypatch.setenv("ND_STRATEGY", name)
    return name


def feed(concepts: Numbered) -> Feed:
    settings = Settings(quantile=0.05, top_images=4)
    return Feed.of(concepts, HOW, settings, torch.device("cpu"), BATCH, 0)


CHANGES: list[tuple[Change, str]] = [
    (
        lambda maps: maps[:, :, :3],
        "gave maps of 6 units, 3x4 cells of torch.float32 after maps of 6 units, 5x4 cells",
    ),
    (
        lambda maps: maps.transpose(2, 3),
        "gave maps of 6 units, 4x5 cells of torch.float32 after maps of 6 units, 5x4 cells",
    ),
    (lambda maps: maps[:, :5], "gave maps of 5 units, 5x4 cells"),
    (
        lambda maps: maps.double(),
        "cells of torch.float64 after maps of .* torch.float32",
    ),
    (
        lambda maps: maps.half(),
        "cells of torch.float16 after maps of .* torch.float32",
    ),
    (
        lambda maps: maps[:4],
        "gave maps of 4 images for 5; a model gives one map for each",
    ),
    (
        lambda maps: torch.cat([maps, maps]),
        "gave maps of 10 images for 5; a model gives one map for each",
    ),
    (
        lambda maps: maps[:, :, 0],
        r"gave Tensor \(5, 6, 4\) as maps of layer 'layer'",
    ),
    (
        lambda maps: maps.numpy(),
        r"gave ndarray \(5, 6, 5, 4\) as maps of layer 'layer'",
    ),
    (lambda maps: None, "gave no maps of layer 'layer'"),
]


@pytest.mark.usefixtures("strategy")
@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_other_maps_from_the_second_batch_on(
    change: Change, message: str, concepts: Numbered
) -> None:
    model = Changing({"plain": drawn(1), "layer": drawn(2)}, change=change)
    second_batch = feed(concepts).order[1]
    with pytest.raises(ModelFailed, match=message) as raised:
        run_engine(model, ["plain", "layer"], feed(concepts))
    name = concepts.name(second_batch[0])
    assert str(raised.value).startswith(f"batch 2, of {name} and others: ")
    assert len(model.seen) == 2 * BATCH


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_pooled_features_check_the_same(
    change: Change, message: str, concepts: Numbered
) -> None:
    model = Changing({"layer": drawn(2)}, change=change)
    with pytest.raises(ModelFailed, match=message):
        pooled_features(model, ["layer"], feed(concepts))


@pytest.mark.usefixtures("strategy")
def test_a_run_that_goes_on_expects_the_maps_of_before(concepts: Numbered) -> None:
    states: list[State] = []

    def open_state(*arguments: Any) -> Any:
        saver, state = start_fresh(*arguments)
        states.append(state)
        return saver, states[0]

    changed = Planted({"layer": drawn(2, cells=(3, 4))})
    for model in (Planted({"layer": drawn(2)}), changed):
        with open_run(
            model, ["layer"], feed(concepts), open_state=open_state
        ) as opened:
            part_run, _ = opened
            batch = next(feed(concepts).batches(annotated=False))
            if model is changed:
                with pytest.raises(
                    ModelFailed,
                    match=r"3x4 cells of torch.float32 after .* 5x4 cells",
                ):
                    part_run.activations(batch, ["layer"])
            else:
                activations = part_run.activations(batch, ["layer"])
                part_run.strategy.update(part_run, batch, activations)


def test_forms_that_stay_are_no_failure() -> None:
    forms = MapForms()
    forms.expect("layer", 6, (5, 4))
    for images in (3, 1, 2):
        maps = drawn(1)[:images]
        assert forms.check({"layer": maps}, ["layer"], images) == {"layer": maps}
    with pytest.raises(BrokenContract):
        forms.check({"layer": drawn(1).double()}, ["layer"], IMAGES)
