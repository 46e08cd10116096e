"""Converted models: TorchScript, exported programs, torch.fx graphs, quantised and lazy modules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import networks
import pytest
import torch
from torch import Tensor, nn
from torch_maps import assert_same_maps, maps_of

from nd_plugin import (
    BadInput,
    LayerDissection,
    LayerNotFound,
    Model,
    open_model,
)

SIZE = (32, 32)
IMAGES = torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _old_interfaces() -> Iterator[None]:
    """Ignore that torch is about to move TorchScript and quantisation elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Residual(nn.Module):
    """Blocks that reuse a ReLU and add by operators; returns a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.relu(self.stem(x))
        x = self.relu(x + self.block(x))
        return {"logits": self.head(x.mean((2, 3))), "features": x}


def residual() -> nn.Module:
    torch.manual_seed(0)
    return Residual().eval()


def exported(model: nn.Module, images: int | None) -> Any:
    """Export a model for a number of images; None: for any."""
    example = torch.rand(images or 2, 3, *SIZE)
    dynamic_shapes = ({0: torch.export.Dim("images")},) if images is None else None
    # the default from torch 2.7 on; before, a Sequential's modules lost their names
    return torch.export.export(
        model, (example,), dynamic_shapes=dynamic_shapes, strict=False
    )


def names(model: Model) -> list[str]:
    return [layer.name for layer in model.layers(SIZE)]


def scripted_tail() -> nn.Module:
    torch.manual_seed(0)
    tail = nn.Sequential(nn.Conv2d(4, 5, 3, 2), nn.ReLU()).eval()
    return nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(tail))


def traced_tail() -> nn.Module:
    torch.manual_seed(0)
    tail = nn.Sequential(nn.Conv2d(4, 5, 3, 2), nn.ReLU()).eval()
    traced = torch.jit.trace(tail, torch.rand(2, 4, 30, 30))
    return nn.Sequential(nn.Conv2d(3, 4, 3), traced)


class TestTorchScriptInside:
    @pytest.mark.parametrize("make", [scripted_tail, traced_tail])
    def test_the_child_is_a_layer_and_its_parts_are_not(
        self, make: Callable[[], nn.Module]
    ) -> None:
        model = make()
        with torch.no_grad():
            expected = model(IMAGES)
        opened = open_model(model)
        layers = {layer.name: layer for layer in opened.layers(SIZE)}
        assert list(layers) == ["0", "1", "1.0", "1.1"]
        assert layers["1"].kind == "Sequential"
        geometry = layers["1"].geometry
        assert geometry is not None
        assert (geometry.rows.stride, geometry.rows.offset) == (2, 2)
        assert layers["1.0"].shape is None
        assert "inside the TorchScript module '1'" in layers["1.0"].reason
        assert "choose '1' itself" in layers["1.0"].reason
        assert_same_maps(maps_of(model, "1", IMAGES), expected)
        assert_same_maps(maps_of(model, model[1], IMAGES), expected)

    def test_a_part_is_refused_with_reason_and_remedy(self) -> None:
        message = r"layer '1\.0' runs inside the TorchScript module '1'.*choose '1'"
        with pytest.raises(LayerNotFound, match=message):
            maps_of(scripted_tail(), "1.0", IMAGES)

    def test_no_hook_remains(self) -> None:
        model = scripted_tail()
        maps_of(model, "1", IMAGES)
        assert not nn.modules.module._global_forward_hooks
        assert not nn.modules.module._global_forward_pre_hooks

    def test_contributions_are_those_of_the_module_itself(self) -> None:
        torch.manual_seed(0)
        tail = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), tail, nn.Flatten(), nn.Linear(4, 5)
        ).eval()
        expected = LayerDissection(model, "1").attribute(IMAGES, target=2)
        model[1] = torch.jit.script(tail)
        contributions = LayerDissection(model, "1").attribute(IMAGES, target=2)
        torch.testing.assert_close(contributions, expected)

    def test_a_failure_is_located(self) -> None:
        model = scripted_tail()
        model.append(nn.Linear(7, 2))
        with pytest.raises(Exception, match=r"in 2 \(Linear\)"):
            open_model(model).layers(SIZE)

    def test_a_frozen_child(self) -> None:
        model = scripted_tail()
        model[1] = torch.jit.freeze(model[1].eval())
        with torch.no_grad():
            expected = model(IMAGES)
        assert_same_maps(maps_of(model, "1", IMAGES), expected)


class TestTorchScript:
    @pytest.mark.parametrize(
        "convert",
        [
            torch.jit.script,
            lambda model: torch.jit.trace(model, IMAGES),
            lambda model: torch.jit.script(model).forward,
            lambda model: nn.DataParallel(torch.jit.script(model)),
        ],
    )
    def test_a_whole_model_is_refused_with_reason_and_remedy(
        self, convert: Callable[[nn.Module], Any]
    ) -> None:
        model = convert(nn.Sequential(nn.Conv2d(3, 4, 3)).eval())
        message = "inner layers of a TorchScript module; dissect the nn.Module"
        with pytest.raises(BadInput, match=message):
            open_model(model)


class TestExportedPrograms:
    @pytest.fixture(params=["program", "module"])
    def opened(self, request: pytest.FixtureRequest) -> Model:
        program = exported(residual(), None)
        return open_model(
            program if request.param == "program" else program.module()
        )

    def test_original_modules_and_operations_are_layers(
        self, opened: Model
    ) -> None:
        layers = opened.layers(SIZE)
        assert [(layer.name, layer.kind) for layer in layers] == [
            ("stem", "Conv2d"),
            ("relu#0", "ReLU"),
            ("block.0", "Conv2d"),
            ("block.1", "BatchNorm2d"),
            ("block", "Sequential"),
            ("add", "aten.add.Tensor"),
            ("relu#1", "ReLU"),
            ("mean", "aten.mean.dim"),
            ("head", "Linear"),
        ]

    @pytest.mark.parametrize(
        "layer", ["stem", "relu#1", "block.0", "block", "head"]
    )
    def test_maps_and_geometry_are_those_of_the_module_itself(
        self, opened: Model, layer: str
    ) -> None:
        with open_model(residual()).probe([layer], SIZE) as probe:
            expected = probe(IMAGES)[layer]
            geometry = probe.geometries[layer]
        with opened.probe([layer], SIZE) as probe:
            # two computations of one network
            torch.testing.assert_close(
                probe(IMAGES)[layer], expected, rtol=1e-4, atol=1e-5
            )
            assert probe.geometries[layer] == geometry

    def test_a_module_in_the_middle_of_a_larger_one(self) -> None:
        model = nn.Sequential(
            nn.Conv2d(3, 3, 1), exported(residual(), None).module()
        )
        layers = names(open_model(model))
        assert layers == ["0", "1[logits]", "1[features]"]
        assert maps_of(model, "1[features]", IMAGES).shape == (3, 4, 16, 16)

    def test_contributions_are_those_of_the_module_itself(self) -> None:
        model = residual()
        program = exported(model, None)
        target = ("logits", 1)
        expected = LayerDissection(model, "stem").attribute(IMAGES, target=target)
        contributions = LayerDissection(program, "stem").attribute(
            IMAGES, target=target
        )
        # two computations of one gradient
        torch.testing.assert_close(contributions, expected, rtol=1e-4, atol=1e-6)

    def test_sizes_that_are_shared_hide_no_module(self) -> None:
        class Regroup(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x.reshape(x.shape[0], -1, 4, 4)

        model = nn.Sequential(
            nn.Conv2d(3, 4, 8, 8), Regroup(), nn.ReLU(), Regroup()
        )
        program = exported(model, None)
        assert set(names(open_model(program))) == {"0", "1", "2", "3"}

    def test_a_program_for_one_image_can_be_explained(self) -> None:
        model = residual()
        program = exported(model, 1)
        target = ("logits", 1)
        image = IMAGES[:1]
        expected = LayerDissection(model, "block").attribute(image, target=target)
        contributions = LayerDissection(program, "block").attribute(
            image, target=target
        )
        # two computations of one gradient
        torch.testing.assert_close(contributions, expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("images", [1, 2, 4])
    def test_a_fixed_number_of_images_is_filled_up(self, images: int) -> None:
        model = residual()
        expected = maps_of(model, "block", IMAGES)
        program = exported(model, images)
        maps = maps_of(program, "block", IMAGES)
        # two computations of one network
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)
        assert names(open_model(program))[0] == "stem"

    def test_the_size_of_images_is_that_of_the_export(self) -> None:
        opened = open_model(exported(residual(), None))
        assert opened.preprocess.size == SIZE
        message = (
            r"exported for images of shape \(\?, 3, 32, 32\), not \(2, 3, 48, 48\)"
        )
        with pytest.raises(BadInput, match=message):
            opened.layers((48, 48))

    def test_a_program_that_drops_is_unreliable(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5)).train()
        with open_model(exported(model, None)).probe(["1"], SIZE) as probe:
            assert len(probe.unreliable) == 1

    def test_names_of_operations_that_modules_have_as_methods(self) -> None:
        class Double(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return (x.to(torch.float64).float() * 2).type(torch.float64)

        opened = open_model(exported(Double(), None))
        assert "mul" in names(opened)
        with opened.probe(["mul"], SIZE) as probe:
            assert torch.equal(probe(IMAGES)["mul"], IMAGES * 2)


class TestOtherForms:
    def test_graphs_of_modules(self) -> None:
        model = residual()
        graph_module = torch.fx.symbolic_trace(model)
        expected = maps_of(model, "relu#1", IMAGES)
        assert torch.equal(maps_of(graph_module, "relu#1", IMAGES), expected)

    def test_graphs_of_operations(self) -> None:
        graph_module = torch.fx.symbolic_trace(
            networks.Call(lambda x: x.relu().mul(2))
        )
        assert names(open_model(graph_module)) == ["relu", "mul"]
        assert_same_maps(maps_of(graph_module, "mul", IMAGES), IMAGES * 2)

    def test_quantised_values_are_dequantised(self) -> None:
        quantisation = torch.ao.quantization
        model = quantisation.QuantWrapper(nn.Conv2d(3, 4, 3).eval())
        model.qconfig = quantisation.get_default_qconfig()
        quantisation.prepare(model, inplace=True)
        model(IMAGES)
        model = quantisation.convert(model)
        with torch.no_grad():
            expected = model(IMAGES)
        assert names(open_model(model)) == ["quant", "module", "dequant"]
        assert torch.equal(maps_of(model, "module", IMAGES), expected)
        message = "'module' returns quantised values .*quint8.*contributions cannot"
        with pytest.raises(BadInput, match=message):
            LayerDissection(model, "module").attribute(IMAGES, target=(0, 0, 0))

    def test_lazy_modules_without_weights_are_refused(self) -> None:
        model = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
        message = r"no shape and no values yet \(0\.weight ….*run the model once"
        with pytest.raises(BadInput, match=message):
            open_model(model)
        model(IMAGES)
        assert names(open_model(model)) == ["0", "1"]
