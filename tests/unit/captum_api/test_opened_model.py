"""How often `LayerDissection` opens and runs a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from networks import ResNet18
from torch import Tensor, nn

from nd_plugin import Dissection, LayerDissection, open_model

SHAPES = "shapes?images=4&size=64"
SPEC = "networks:ResNet18?width=4"


@pytest.fixture
def opened_models(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every model or spec that is opened from now on."""
    opened = []

    def recorded(model: Any) -> Any:
        opened.append(model)
        return open_model(model)

    monkeypatch.setattr("nd_plugin.captum_api.opened_model.open_model", recorded)
    return opened


@pytest.fixture
def net() -> ResNet18:
    torch.manual_seed(0)
    return ResNet18(width=4, classes=5).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def dissected(units: LayerDissection) -> Dissection:
    dissection = units.dissect(SHAPES, limit=4, workers=0)
    assert isinstance(dissection, Dissection)
    return dissection


class TestOpening:
    def test_a_spec_is_opened_once(
        self, opened_models: list[Any], images: Tensor
    ) -> None:
        units = LayerDissection(SPEC, "layer4")
        assert opened_models == [], "lazily"
        first = dissected(units)
        notes = units.explain(images)[0].notes
        assert any("preprocessing is assumed" in note for note in notes)
        assert not any("weights" in note for note in notes)
        second = dissected(units)
        units.attribute(images, 0)
        assert opened_models == [SPEC]
        assert first.provenance.model == second.provenance.model

    def test_another_forward_func_is_opened(
        self, opened_models: list[Any], images: Tensor, net: ResNet18
    ) -> None:
        units = LayerDissection(SPEC, "layer4")
        units.attribute(images, 0)
        units.forward_func = net
        expected = LayerDissection(net, "layer4").attribute(images, 0)
        assert torch.equal(units.attribute(images, 0), expected)
        assert opened_models == [SPEC, net, net]

    def test_a_live_module_is_opened_again_to_be_dissected(
        self, opened_models: list[Any], net: ResNet18
    ) -> None:
        """It may have been trained in between, and its provenance must say so."""
        units = LayerDissection(net, "layer4")
        before = dissected(units)
        assert opened_models == [net]
        with torch.no_grad():
            net.layer4[0].conv1.weight.mul_(2)
        after = dissected(units)
        assert (
            before.provenance.model.fingerprint
            != after.provenance.model.fingerprint
        )
        assert after.provenance.model == open_model(net).identity


@contextmanager
def counted(model: nn.Module) -> Iterator[Callable[[], int]]:
    """Count the forward passes of a model."""
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = model.register_forward_hook(count)
    try:
        yield lambda: passes
    finally:
        handle.remove()


class TestForwardPasses:
    """Passes of `explain` for one image. Each line of a sum is one reason to run the model."""

    CUT = 1  # noise, to find the layout of the layer
    # the same within linear_head, then verification of the head on noise
    HEAD = 1 + 13
    IMAGE = 1  # the image: outputs, layer and contributions
    GRADIENTS = 1  # the image under autograd
    CHECK = 1  # the image without the named units

    def passes(
        self, net: nn.Module, layer: str, dissection: Dissection, images: Tensor
    ) -> tuple[int, int]:
        """Of the first explanation, and of the second."""
        units = LayerDissection(net, layer)
        units.dissection = replace(dissection, layer=layer)
        with counted(net) as count:
            units.explain(images)
            first = count()
            units.explain(images + 0.01)
            return first, count() - first

    def test_a_linear_head(self, net: ResNet18, images: Tensor) -> None:
        dissection = dissected(LayerDissection(net, "layer4"))
        first, second = self.passes(net, "layer4", dissection, images)
        assert first == self.CUT + self.HEAD + self.IMAGE + self.CHECK == 17
        assert second == self.CUT + self.IMAGE + self.CHECK == 3

    def test_a_layer_without_a_linear_head(
        self, net: ResNet18, images: Tensor
    ) -> None:
        dissection = dissected(LayerDissection(net, "layer2"))
        _, second = self.passes(net, "layer2", dissection, images)
        assert second == self.CUT + self.IMAGE + self.GRADIENTS + self.CHECK == 4

    def test_as_many_passes_for_a_batch_but_for_the_checks(
        self, net: ResNet18, images: Tensor
    ) -> None:
        dissection = dissected(LayerDissection(net, "layer4"))
        _, second = self.passes(
            net, "layer4", dissection, images.expand(3, -1, -1, -1)
        )
        assert second == self.CUT + self.IMAGE + 3 * self.CHECK

    def test_masked_attributions_need_no_second_pass(
        self, net: ResNet18, images: Tensor
    ) -> None:
        units = LayerDissection(net, "layer4")
        units.attribute(images, 0, mask="image")
        with counted(net) as count:
            units.attribute(images, 0, mask="image")
            assert count() == self.IMAGE
            units.to_input(torch.zeros(1, 1, 2, 2), images)
            assert count() == self.IMAGE, "the layout is known"


def test_a_module_is_not_mistaken_for_one_that_is_gone(images: Tensor) -> None:
    """A new module may be given the id of one that was freed."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    units = LayerDissection(model, None)
    for kernel in (8, 16, 8, 16):
        model[0] = nn.Conv2d(3, 4, kernel, kernel)
        units.layer = model[0]
        cells = 64 // kernel
        attributions = torch.zeros(1, 4, cells, cells)
        attributions[..., 0, 0] = 1
        upsampled = units.to_input(attributions, images)
        peak = (kernel - 1) / 2  # centre of the first cell's receptive field
        row = int(upsampled[0, 0].argmax()) // 64
        assert row <= peak and upsampled[0, 0, int(peak), int(peak)] == 1
