"""Rules of the values of maps: that they repeat, belong to their images, and to the caller."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from nd_plugin.contracts.reproducibility import nearly_equal
from nd_plugin.testing.backend_kit.case import BackendCase
from nd_plugin.testing.backend_kit.map_form_rules import given_maps, values_of
from nd_plugin.testing.backend_kit.probe_record import Maps, copies_of
from nd_plugin.testing.conformance import Rule, require


def repeats(case: BackendCase) -> None:
    """Require the same maps of the same images."""

    def repeat() -> None:
        expected = values_of(case, case.record.maps)
        maps = values_of(case, case.record.repeated)
        _require_near(case, maps, expected, "the same images, run again")

    case.once("repeats", repeat)


def batches(case: BackendCase) -> None:
    """Require that images have the maps that they have alone, whatever the batch."""
    expected = _repeatable(case)
    single = values_of(case, case.record.single)
    _require_near(case, single, expected, "the images one by one")
    pair = values_of(case, case.record.pair)
    first_two = {layer: expected[layer][:2] for layer in expected}
    _require_near(case, pair, first_two, "a batch of two of the images")


def image_order(case: BackendCase) -> None:
    """Require maps in the order of their images."""
    maps = values_of(case, case.record.reversed)
    _require_near(case, maps, _repeatable(case), "the images in another order")


def layers_apart(case: BackendCase) -> None:
    """Require that a layer has the same maps when it is probed alone."""
    expected = _repeatable(case)
    last = list(case.layers)[-1]
    with case.opened.probe([last], case.size) as probe:
        maps = copies_of(probe(case.images.clone()))
    alone = next(iter(maps.values()))
    name = list(expected)[-1]
    _require_near(case, {name: alone}, {name: expected[name]}, "the layer alone")


def second_opening(case: BackendCase) -> None:
    """Require the same maps of a model that is opened a second time."""
    expected = _repeatable(case)
    with case.open().probe(case.layers, case.size) as probe:
        maps = copies_of(probe(case.images.clone()))
    _require_near(case, maps, expected, "the model, opened again")


def own_maps(case: BackendCase) -> None:
    """Require maps that nothing changes after they were given."""
    values_of(case, case.record.maps)
    ownership = case.record.ownership.get()
    for layer, maps in ownership.first.items():
        require(
            _same(maps, ownership.first_before[layer]),
            f"a later call has changed the maps of {layer} that an earlier one gave: copy them "
            "out of the buffer that is used again",
        )
    for layer, maps in ownership.after_change_of_images.items():
        require(
            _same(maps, ownership.before_change_of_images[layer]),
            f"maps of {layer} change with the images that they were computed from: copy them",
        )
    if case.record.unreliable:
        return
    expected = _repeatable(case)
    for layer, maps in ownership.after_change_of_maps.items():
        require(
            nearly_equal(maps, expected[layer]),
            f"after the maps of a call were overwritten, the next call gives other maps of {layer}",
        )


def images_unchanged(case: BackendCase) -> None:
    """Require images that are as they were before a call."""
    given_maps(case)
    ownership = case.record.ownership.get()
    require(
        torch.equal(ownership.images, ownership.images_before),
        "a call of the probe has changed the images that it was given",
    )


def _repeatable(case: BackendCase) -> Maps:
    """Return the maps of the images. Raises AssertionError where another call gives others."""
    repeats(case)
    return case.record.maps.get()


def _require_near(
    case: BackendCase, maps: Maps, expected: Mapping[str, Tensor], place: str
) -> None:
    """Require equal maps, up to rounding, unless the probe says that they may vary."""
    require(
        list(maps) == list(expected),
        f"{place}: maps are of {list(maps)}, not of {list(expected)}",
    )
    if case.record.unreliable:
        return
    for layer in expected:
        require(
            nearly_equal(maps[layer], expected[layer]),
            f"{place}: maps of {layer} differ by {_distance(maps[layer], expected[layer])}; a "
            "probe whose maps may vary says so by `unreliable`",
        )


def _distance(maps: Tensor, expected: Tensor) -> str:
    if maps.shape != expected.shape:
        return f"their shape, {tuple(maps.shape)} and {tuple(expected.shape)}"
    return f"up to {float((maps - expected).abs().max()):.3g}"


def _same(maps: Tensor, expected: Tensor) -> bool:
    """Return whether the bits of two tensors are equal, NaN included."""
    return torch.equal(maps.nan_to_num(), expected.nan_to_num())


RULES: tuple[Rule[BackendCase], ...] = (
    Rule("repeats", "the same images have the same maps in a second call", repeats),
    Rule(
        "batches",
        "an image has the same maps alone and in batches of any size",
        batches,
    ),
    Rule(
        "image-order",
        "maps come in the order of their images",
        image_order,
    ),
    Rule(
        "layers-apart",
        "a layer has the same maps alone and beside other layers",
        layers_apart,
    ),
    Rule(
        "second-opening",
        "a model that is opened again gives the same maps",
        second_opening,
    ),
    Rule(
        "own-maps",
        "maps belong to the caller: neither later calls nor changes of images or maps alter them",
        own_maps,
    ),
    Rule(
        "images-unchanged",
        "a probe does not change the images that it is given",
        images_unchanged,
    ),
)
