"""Conformance kit: each check fails a plugin that is wrong in one thing, and says what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nd_plugin import (
    Annotation,
    Axis,
    Concept,
    Geometry,
    Identity,
    LayerDescription,
    Model,
    Probe,
    open_model,
)
from nd_plugin.testing import check_concept_set, check_model, check_places
from nd_plugin.testing.places import verify_places

SIZE = (48, 80)
LAYERS = ["0", "1"]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 4, 4), nn.Conv2d(16, 16, 3, 1, 1)).eval()


class Wrapped:
    """Model that passes everything on to a right one."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class WrappedProbe(Wrapped):
    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        maps: Mapping[str, Tensor] = self.model(images)  # type: ignore[operator]
        return {layer: self.changed(maps[layer]) for layer in maps}

    def changed(self, maps: Tensor) -> Tensor:
        return maps


def with_probe(
    change: Callable[[Any], None], kind: type[Any] = WrappedProbe
) -> Any:
    class Changed(Wrapped):
        @contextmanager
        def probe(self, layers: Sequence[Any], size: Any) -> Iterator[Probe]:
            with self.model.probe(layers, size) as probe:
                wrapped = kind(probe)
                change(wrapped)
                yield wrapped

    return Changed(open_model(network()))


class Transposed(WrappedProbe):
    """Rows and columns exchanged, geometry too."""

    def changed(self, maps: Tensor) -> Tensor:
        return maps.mT

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        return {
            layer: Geometry(geometry.columns, geometry.rows)
            for layer, geometry in self.model.geometries.items()  # type: ignore[attr-defined]
        }


class UnitsLast(WrappedProbe):
    def changed(self, maps: Tensor) -> Tensor:
        return maps.permute(0, 2, 3, 1)


class Elsewhere(WrappedProbe):
    def changed(self, maps: Tensor) -> Tensor:
        return maps.to("meta")


def nothing(_: Any) -> None:
    pass


def shifted(probe: Any) -> None:
    probe.geometries = {
        layer: replace(geometry, rows=Axis(4, 4, geometry.rows.offset + 4))
        for layer, geometry in probe.model.geometries.items()
    }


def listed(probe: Any) -> None:
    probe.layers = list(probe.model.layers)


def one_text(probe: Any) -> None:
    probe.notes = "a note"


class KeyErrors(Wrapped):
    @contextmanager
    def probe(self, layers: Sequence[Any], size: Any) -> Iterator[Probe]:
        {name: None for name in LAYERS}[layers[-1]]
        with self.model.probe(layers, size) as probe:
            yield probe


class ShapesAsLists(Wrapped):
    def layers(self, size: Any) -> list[LayerDescription]:
        return [
            replace(layer, shape=list(layer.shape))  # type: ignore[arg-type]
            for layer in self.model.layers(size)
            if layer.shape
        ]


def with_notes(notes: Any) -> Wrapped:
    model = Wrapped(open_model(network()))
    model.notes = notes
    return model


WRONG_MODELS: dict[str, tuple[Callable[[], Any], str]] = {
    "transposed": (
        lambda: with_probe(nothing, Transposed),
        r"measured on axes \(0, 1, 3, 2\)",
    ),
    "units last": (
        lambda: with_probe(nothing, UnitsLast),
        r"measured on axes \(0, 3, 1, 2\)",
    ),
    "a cell away": (
        lambda: with_probe(shifted),
        r"cells look (0\.[89]|1\.[012]) cells away",
    ),
    "on another device": (
        lambda: with_probe(nothing, Elsewhere),
        "are on meta, images on cpu",
    ),
    "names as a list": (lambda: with_probe(listed), "tuple of names, not list"),
    "notes as one text": (
        lambda: with_probe(one_text),
        r"probe\.notes is a sequence of texts, not a text",
    ),
    "numbers as notes": (lambda: with_notes((1,)), r"holds texts, not 1"),
    "KeyError": (
        lambda: KeyErrors(open_model(network())),
        r"KeyError.*LayerNotFound",
    ),
    "shapes as lists": (
        lambda: ShapesAsLists(open_model(network())),
        "shape of 0 is a tuple, not list",
    ),
}


def test_a_right_model_passes() -> None:
    check_model(open_model(network()), LAYERS, SIZE)
    check_model(with_probe(nothing), LAYERS, SIZE)


@pytest.mark.parametrize("name", WRONG_MODELS)
def test_a_wrong_model_fails_and_is_told_why(name: str) -> None:
    make, message = WRONG_MODELS[name]
    with pytest.raises(AssertionError, match=message):
        check_model(make(), LAYERS, SIZE)


def test_places_can_be_checked_alone() -> None:
    check_places(open_model(network()), LAYERS, SIZE)
    with pytest.raises(AssertionError, match="cells away"):
        check_places(with_probe(shifted), LAYERS, SIZE)


def test_verified_places_say_what_was_measured() -> None:
    model = open_model(nn.Sequential(network(), nn.AdaptiveAvgPool2d(1)))
    places = list(verify_places(model, model.layers(SIZE), SIZE))
    assert [place.layer for place in places] == ["0.0", "0.1", "0"]
    for place in places:
        assert place.verdict == "agrees"
        assert place.measured is not None
        assert place.measured.rows.stride == 4
    wrong = with_probe(shifted)
    (first, _) = verify_places(wrong, wrong.layers(SIZE), SIZE)
    assert first.verdict == "differs"
    assert first.deviation.rows == pytest.approx(1, abs=0.3)
    assert first.deviation.columns == pytest.approx(0, abs=0.3)


@dataclass
class Stripes:
    """Concept set of two images, the left half of which is labelled."""

    label: int = 1
    categories: Any = ("object",)
    concepts: Any = (Concept("stripe", "object"),)
    labels: Any = ()
    notes: Any = ()
    native_masks: bool = False

    @property
    def identity(self) -> Identity:
        return Identity("stripes", "here", "1", "")

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return str(index)

    def image(self, index: int) -> Image.Image:
        return Image.new("RGB", (8, 6), (index, 0, 0))

    def annotation(self, index: int) -> Annotation:
        plane = np.zeros((6, 8), np.uint8)
        plane[:, :4] = self.label
        return Annotation((plane,), self.labels)


WRONG_SETS: dict[str, tuple[Stripes, str]] = {
    "labels nothing": (Stripes(label=0), "none of the first 2 images has a label"),
    "labels as a list": (Stripes(labels=[1]), "labels is a tuple, not list"),
    "categories as a list": (
        Stripes(categories=["object"]),
        "categories is a tuple, not list",
    ),
    "texts as concepts": (
        Stripes(concepts=("stripe",)),
        "holds Concepts, not strs",
    ),
    "a text as notes": (Stripes(notes="note"), "sequence of texts, not a text"),
    "a label too many": (Stripes(label=2), r"0 or 1 \+ the index"),
}


def test_a_right_concept_set_passes() -> None:
    check_concept_set(Stripes())


@pytest.mark.parametrize("name", WRONG_SETS)
def test_a_wrong_concept_set_fails_and_is_told_why(name: str) -> None:
    concepts, message = WRONG_SETS[name]
    with pytest.raises(AssertionError, match=message):
        check_concept_set(concepts)
