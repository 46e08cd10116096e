"""Names of layers: nearest names, numbers of runs, entries of outputs, wrappers."""

from __future__ import annotations

import networks
import pytest
import torch
from torch import Tensor, nn
from torch_maps import assert_same_maps, maps_of

from nd_plugin import LayerAmbiguous, LayerNotFound, open_model


class TestNames:
    def test_nearest_names(self) -> None:
        message = (
            r"no layer 'layer5' in ResNet18; the nearest are .*layer4.*"
            r"\(nd layers MODEL lists all \d+\)"
        )
        with pytest.raises(LayerNotFound, match=message):
            maps_of(networks.ResNet18(), "layer5", torch.rand(1, 3, 64, 64))

    def test_a_module_names_its_layer(self, images: Tensor) -> None:
        model = networks.ResNet18()
        by_module = maps_of(model, model.layer2[0], images)
        assert torch.equal(by_module, maps_of(model, "layer2.0", images))
        with pytest.raises(
            LayerNotFound, match="Conv2d is not a submodule of ResNet18"
        ):
            maps_of(model, nn.Conv2d(3, 4, 1), images)

    def test_reused_modules_are_chosen_by_number(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.Returns().eval()
        message = (
            "'relu' runs 2 times in one forward pass; choose one: relu#0, relu#1"
        )
        with pytest.raises(LayerAmbiguous, match=message):
            maps_of(model, "relu", images)
        with torch.no_grad():
            first = torch.relu(model.conv(images))
        assert_same_maps(maps_of(model, "relu#0", images), first)
        assert_same_maps(
            maps_of(model, "relu#1", images), torch.relu(3 - (first + 1))
        )
        with pytest.raises(
            LayerNotFound,
            match="runs 2 times in one forward pass; its last run is relu#1",
        ):
            maps_of(model, "relu#2", images)

    def test_entries_of_tuples_lists_and_dicts(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.Returns().eval()
        with torch.no_grad():
            first = torch.relu(model.conv(images))
        message = r"'pair' has several tensors; choose one: pair\[0\], pair\[1\]"
        with pytest.raises(LayerAmbiguous, match=message):
            maps_of(model, "pair", images)
        message = r"'table' has no entry 'x'.*table\[feat.0\], table\[feat.1\]"
        with pytest.raises(LayerAmbiguous, match=message):
            maps_of(model, "table[x]", images)
        assert_same_maps(maps_of(model, "pair[1]", images), first + 1)
        assert_same_maps(maps_of(model, "table[feat.1]", images), -(first + 1))
        assert maps_of(model, "one", images).shape == first.shape

    def test_a_layer_that_does_not_run(self, images: Tensor) -> None:
        message = "'never' does not run in the model's forward pass"
        with pytest.raises(LayerNotFound, match=message):
            maps_of(networks.Returns(), "never", images)

    @pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
    @pytest.mark.parametrize(
        "name",
        ["layer2.0.conv1", "module.layer2.0.conv1", "layer2.0._orig_mod.conv1"],
    )
    def test_wrappers_do_not_show_in_names(self, images: Tensor, name: str) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer2.0.conv1", images)
        model.layer2[0] = torch.compile(model.layer2[0])
        wrapped = nn.DataParallel(model)
        assert torch.equal(maps_of(wrapped, name, images), expected)
        layers = open_model(wrapped).layers((64, 64))
        conv1_names = [layer.name for layer in layers if "conv1" in layer.name]
        assert conv1_names[3] == "layer2.0.conv1"

    def test_layers_are_listed_as_they_run(self) -> None:
        layers = open_model(networks.Returns()).layers((32, 32))
        assert [layer.name for layer in layers] == [
            "conv",
            "relu#0",
            "pair[0]",
            "pair[1]",
            "table[feat.0]",
            "table[feat.1]",
            "relu#1",
            "one",
        ]
        assert layers[0].shape == (1, 4, 16, 16)
        assert layers[0].kind == "Conv2d"
