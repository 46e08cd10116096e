"""Outputs of every form: dataclasses and mappings by field; reasons where there are no units."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import networks
import pytest
import torch
from torch import Tensor, nn
from torch_maps import assert_same_maps, maps_of

from nd_plugin import (
    BadInput,
    LayerAmbiguous,
    LayerDescription,
    LayerDissection,
    UnitsNotFound,
    open_model,
)

SIZE = (32, 32)


@dataclass
class Plain:
    logits: Tensor | None = None
    features: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Frozen:
    logits: Tensor
    features: tuple[Tensor, ...]


@dataclass
class Checked:
    """Fields that the constructor does not take, and one that is computed."""

    features: list[Tensor] = field(init=False)
    logits: Tensor
    count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.logits is None:
            raise ValueError("logits are needed")


class ModelOutput(dict):  # type: ignore[type-arg]
    """Dict with attributes, as transformers' outputs are."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def checked(logits: Tensor, features: tuple[Tensor, ...]) -> Checked:
    output = Checked(logits)
    output.features = list(features)
    return output


FORMS: dict[str, Callable[[Tensor, tuple[Tensor, ...]], Any]] = {
    "dataclass": Plain,
    "frozen dataclass": Frozen,
    "dataclass without a constructor": checked,
    "dict with attributes": lambda logits, features: ModelOutput(
        logits=logits, features=features
    ),
    "mapping": lambda logits, features: UserDict(logits=logits, features=features),
    "immutable mapping": lambda logits, features: MappingProxyType(
        {"logits": logits, "features": features}
    ),
}


class Backbone(nn.Module):
    def __init__(self, form: Callable[..., Any]) -> None:
        super().__init__()
        self.form = form
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x)
        return self.form(x.mean((2, 3)), (x, -x))


class Classifier(nn.Module):
    """Model whose layer ``backbone``, or the model itself, returns an output of a form."""

    def __init__(
        self,
        form: Callable[..., Any],
        output_form: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = Backbone(form)
        self.head = nn.Linear(4, 3)
        self.output_form = output_form

    def forward(self, x: Tensor) -> Any:
        output = self.backbone(x)
        features = (
            output["features"] if isinstance(output, Mapping) else output.features
        )
        logits = self.head(features[1].relu().mean((2, 3)))
        return self.output_form(logits, features) if self.output_form else logits


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
class TestForms:
    def test_entries_are_named_by_field(
        self, form: Callable[..., Any], images: Tensor
    ) -> None:
        model = Classifier(form).eval()
        layers = open_model(model).layers((64, 64))
        assert {layer.name for layer in layers} == {
            "backbone.conv",
            "backbone[logits]",
            "backbone[features.0]",
            "backbone[features.1]",
            "head",
        }
        with torch.no_grad():
            expected = -model.backbone.conv(images)
        assert_same_maps(maps_of(model, "backbone[features.1]", images), expected)
        message = (
            r"'backbone' has several tensors; choose one: .*backbone\[logits\]"
        )
        with pytest.raises(LayerAmbiguous, match=message):
            maps_of(model, "backbone", images)

    def test_an_entry_is_replaced(
        self, form: Callable[..., Any], images: Tensor
    ) -> None:
        model = Classifier(form).eval()
        opened = open_model(model)
        with (
            opened.rest("backbone[features.1]", [images]) as split,
            torch.no_grad(),
        ):
            features = split.layer(images)
            assert torch.equal(split(features, images), model(images))
            without_features = split(torch.zeros_like(features), images)
        assert torch.equal(without_features, model.head.bias.expand(3, 3))

    def test_contributions(self, form: Callable[..., Any], images: Tensor) -> None:
        layer = "backbone[features.1]"
        expected = LayerDissection(Classifier(Plain), layer).attribute(
            images, target=1
        )
        contributions = LayerDissection(Classifier(form), layer).attribute(
            images, target=1
        )
        torch.testing.assert_close(contributions, expected)
        assert contributions.abs().sum() > 0

    def test_the_model_itself_may_return_it(
        self, form: Callable[..., Any], images: Tensor
    ) -> None:
        expected = LayerDissection(Classifier(Plain), "head").attribute(
            images, target=2
        )
        contributions = LayerDissection(Classifier(Plain, form), "head").attribute(
            images, target=("logits", 2)
        )
        torch.testing.assert_close(contributions, expected)


def test_a_target_of_several_tensors_starts_with_a_field(images: Tensor) -> None:
    model = Classifier(Plain, lambda logits, features: Plain(logits, features[0]))
    with pytest.raises(
        BadInput, match="returns a Plain of tensors 'logits', 'features'"
    ):
        LayerDissection(model, "head").attribute(images, target=2)


def test_a_model_that_returns_no_tensor(images: Tensor) -> None:
    model = Classifier(Plain, lambda logits, features: object())
    with pytest.raises(
        BadInput, match="returns a object, in which no tensor is found"
    ):
        LayerDissection(model, "head").attribute(images, target=2)


class Odd(nn.Module):
    """Layers that return what has no units."""

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.table = nn.Parameter(torch.rand(4, 16, 16))
        self.layer = nn.Identity()

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x)
        return x, self.layer(self.function(x, self.table))


def described(function: Callable[[Tensor, Tensor], Any]) -> LayerDescription:
    layers = open_model(Odd(function)).layers(SIZE)
    assert [layer.name for layer in layers] == ["conv", "layer"]
    assert layers[0].reason == "" and layers[0].shape == (1, 4, 16, 16)
    return layers[1]


CONSTANT = "does not depend on the image"
REASONS: dict[str, tuple[Callable[[Tensor, Tensor], Any], str]] = {
    "indices": (
        lambda x, table: x.argmax(1),
        r"returns int64 of shape \(2, 16, 16\)",
    ),
    "complex numbers": (lambda x, table: torch.fft.fft2(x), "returns complex64"),
    "a scalar": (
        lambda x, table: x.mean(),
        r"returns float32 of shape \(\): units",
    ),
    "nothing": (lambda x, table: None, "returns no tensor but a NoneType"),
    "five dimensions": (
        lambda x, table: x[:, None],
        r"shape \(2, 1, 4, 16, 16\): units",
    ),
    "windows": (
        lambda x, table: x.unflatten(2, (4, 4)).transpose(1, 2).flatten(0, 1),
        "share an axis or are mixed",
    ),
    "windows without positions": (
        lambda x, table: x.cumsum(3).view(-1, 2, 16, 16),
        r"returns a tensor of shape \(4, 2, 16, 16\)",
    ),
    "a table": (lambda x, table: table, CONSTANT),
    "a table for each image": (lambda x, table: table.expand_as(x), CONSTANT),
    "a part of a table": (lambda x, table: table[None, :2].sigmoid(), CONSTANT),
    "zeros": (lambda x, table: torch.zeros_like(x), CONSTANT),
    "positions of a grid": (
        lambda x, table: torch.arange(x.shape[2] * 1.0).expand(2, 4, 16, 16),
        CONSTANT,
    ),
}


class TestReasons:
    @pytest.mark.parametrize("case", REASONS)
    def test_why_a_listed_layer_has_no_units(self, case: str) -> None:
        function, reason = REASONS[case]
        description = described(function)
        assert description.shape is None
        with pytest.raises(UnitsNotFound, match=reason) as refusal:
            maps_of(Odd(function), "layer", torch.rand(2, 3, *SIZE))
        reason_without_advice, _, _ = description.reason.partition(" (NAME@")
        assert reason_without_advice in str(refusal.value)

    @pytest.mark.parametrize(
        "function",
        [
            lambda x, table: x + table,
            lambda x, table: filled(x),
            lambda x, table: torch.from_numpy(x.numpy() * 2),
            lambda x, table: (x * 0).relu(),
            lambda x, table: table.clone().copy_(x[0]).expand_as(x),
        ],
        ids=["sum", "filled", "outside of torch", "dead", "copied"],
    )
    def test_values_that_depend_on_the_image_in_any_way(
        self, function: Callable[[Tensor, Tensor], Any]
    ) -> None:
        assert described(function).reason == ""

    def test_sequences_are_listed_by_index(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 4, 8, 8),
            networks.Call(lambda x: x.flatten(2).transpose(1, 2)),
            nn.LSTM(4, 6, batch_first=True),
        )
        layers = {layer.name: layer for layer in open_model(model).layers(SIZE)}
        assert list(layers) == ["0", "1", "2[0]", "2[1.0]", "2[1.1]"]
        for name in ("2[1.0]", "2[1.1]"):
            assert layers[name].shape is None
            assert "follow its rows and columns" in layers[name].reason


def filled(x: Tensor) -> Tensor:
    """Return a preallocated tensor, filled in parts."""
    output = torch.zeros(x.shape)
    output[:, :2] = x[:, :2]
    return output
