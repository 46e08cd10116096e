"""Patterns of layers: globs, commas, ``all``; names that hold such characters themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import networks
import pytest

from nd_plugin import (
    BadInput,
    LayerDescription,
    LayerNotFound,
    UnitsNotFound,
    open_model,
)
from nd_plugin.plugins.layer_patterns import (
    LayerNames,
    choose_layers,
)

SIZE = (64, 64)
ODD_NAMES = (
    "/b/Add,1",
    "a[0]",
    "a0",
    "star*",
    "starling",
    "all",
    "b,c",
    "b",
    "c",
    "d",
)


class ListedModel:
    """Model that has listed layers, and accepts the names of some that it does not list."""

    def __init__(
        self, layers: Sequence[LayerDescription], unlisted: Sequence[str] = ()
    ) -> None:
        self._layers = layers
        self._accepted = {*unlisted, *(layer.name for layer in layers)}
        self.listings = 0

    def layers(self, size: tuple[int, int]) -> Sequence[LayerDescription]:
        self.listings += 1
        return self._layers

    @contextmanager
    def probe(self, layers: Sequence[str], size: tuple[int, int]) -> Iterator[None]:
        for name in layers:
            if name not in self._accepted:
                raise LayerNotFound(name)
        yield


def listed(*names: str, without_units: Sequence[str] = ()) -> Any:
    layers = [LayerDescription(name, "Conv", (1, 4, 8, 8)) for name in names]
    for name in without_units:
        layers.append(
            LayerDescription(name, "Shape", None, reason="holds integers")
        )
    return ListedModel(layers)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["layer?"], ["layer1", "layer2", "layer3", "layer4"]),
        (["layer[!12]"], ["layer3", "layer4"]),
        (["layer3,layer4"], ["layer3", "layer4"]),
        (["layer3, layer4,"], ["layer3", "layer4"]),
        (["layer4.?.relu#1"], ["layer4.0.relu#1", "layer4.1.relu#1"]),
        (["layer1", "layer?"], ["layer1", "layer2", "layer3", "layer4"]),
        (["layer4", "layer4"], ["layer4"]),
        (["layer?", "layer2"], ["layer1", "layer2", "layer3", "layer4"]),
    ],
)
def test_layers_of_a_network(texts: list[str], names: list[str]) -> None:
    model = open_model(networks.ResNet18())
    assert choose_layers(model, texts, SIZE) == names


def test_all_is_every_layer_with_units() -> None:
    model = listed("a", "b", without_units=["size"])
    assert choose_layers(model, ["all"], SIZE) == ["a", "b"]
    assert choose_layers(model, ["*"], SIZE) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("/b/Add,1", ["/b/Add,1"]),
        ("a[0]", ["a[0]"]),
        ("star*", ["star*"]),
        ("all", ["all"]),
        ("b,c", ["b,c"]),
        ("d,b,c", ["d", "b,c"]),
        ("/b/Add,1,d", ["/b/Add,1", "d"]),
        ("c,b", ["c", "b"]),
        ("a?", ["a0"]),
        ("star*,d", ["star*", "d"]),
    ],
)
def test_a_name_with_such_characters_wins(text: str, names: list[str]) -> None:
    assert choose_layers(listed(*ODD_NAMES), [text], SIZE) == names


def test_a_name_that_is_not_listed_wins_too() -> None:
    layers = [
        LayerDescription(name, "Conv", (1, 4, 8, 8)) for name in ("n0", "x", "y")
    ]
    model: Any = ListedModel(layers, unlisted=["n[0]", "x,y"])
    assert choose_layers(model, ["n[0]", "x,y"], SIZE) == ["n[0]", "x,y"]


def test_plain_names_need_no_listing() -> None:
    model = listed("a", "b")
    assert choose_layers(model, ["a", "nowhere"], SIZE) == ["a", "nowhere"]
    assert model.listings == 0


def test_no_match_names_the_nearest() -> None:
    model = open_model(networks.ResNet18())
    with pytest.raises(LayerNotFound, match=r"no layer matches 'laier\?'.*layer4"):
        choose_layers(model, ["laier?"], SIZE)
    with pytest.raises(UnitsNotFound, match=r"'s\*' stands for has units: size"):
        choose_layers(listed("a", without_units=["size"]), ["s*"], SIZE)
    with pytest.raises(UnitsNotFound, match="'all' stands for has units"):
        choose_layers(listed(), ["all"], SIZE)
    with pytest.raises(BadInput, match="no layer in ','"):
        choose_layers(listed("a"), [","], SIZE)


def test_what_was_chosen_is_said() -> None:
    said: list[str] = []
    names = [f"conv{index}" for index in range(20)]
    choose_layers(listed(*names, "fc"), ["conv*", "fc"], SIZE, said.append)
    (line,) = said
    assert line.startswith("-l conv*: conv0, conv1, ")
    assert line.endswith("conv11 and 8 more (20 of 21 with units)")


def test_names_of_a_run() -> None:
    assert LayerNames(("near", "far")).expand("*ar") == ["near", "far"]
