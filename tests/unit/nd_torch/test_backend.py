"""The torch backend: layers of every form, and a model that is as before afterwards."""

from __future__ import annotations

import warnings

import networks
import pytest
import torch
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    LayerAmbiguous,
    LayerNotFound,
    ModelFailed,
    ModelOptions,
    Unavailable,
    UnitsNotFound,
    geometry,
    open_model,
)

# Probes run models on channels-last images, the tests' own calls on contiguous ones. Kernels for the
# two formats add in different orders on many processors, and float32 rounds each of up to 200 terms
# of a sum near 1 by 2**-24 = 6e-8.
TOLERANCE = 1e-5
DISTINCT = 100 * TOLERANCE  # least difference between values that must not be confused


def maps_of(model: nn.Module, layer: str | nn.Module, images: Tensor) -> Tensor:
    _, _, height, width = images.shape
    with open_model(model).probe([layer], (height, width)) as probe:
        (maps,) = probe(images).values()
    return maps


def assert_same_maps(maps: Tensor, expected: Tensor) -> None:
    """Compare maps computed in two memory formats.

    Also assert that the comparison would notice images, units, rows or columns in a wrong order.
    """
    torch.testing.assert_close(maps, expected, rtol=TOLERANCE, atol=TOLERANCE)
    for axis in range(expected.dim()):
        slices = expected.movedim(axis, 0).flatten(1)
        distances = torch.cdist(slices, slices, p=float("inf"))
        distances.fill_diagonal_(float("inf"))
        assert distances.min() > DISTINCT, f"slices along axis {axis} are too similar for this test"
    rows, columns = expected.shape[2:]
    if rows == columns:
        assert (expected - expected.transpose(2, 3)).abs().max() > DISTINCT


def hook_count(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class TestMaps:
    def test_a_later_in_place_operation_does_not_change_them(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.alexnet().eval()
        images = images[:, :, :63, :63]
        with torch.no_grad():
            expected = model[3](model[:3](images))
        with open_model(model).probe(["3", "10"], (63, 63)) as probe:
            maps = probe(images)["3"]
        assert_same_maps(maps, expected)
        assert maps.min() < -DISTINCT, (
            "the ReLU behind the layer would have removed negative values"
        )

    def test_tokens_come_without_class_and_register_tokens_on_their_grid(
        self, images: Tensor
    ) -> None:
        torch.manual_seed(0)
        model = networks.ViT(registers=3).eval()
        outputs: list[Tensor] = []
        model.block1.register_forward_hook(lambda _, __, output: outputs.append(output))
        with torch.no_grad():
            model(images)
        expected = outputs[0][:, 4:].transpose(1, 2).unflatten(2, (8, 8))
        assert_same_maps(maps_of(model, "block1", images), expected)

    def test_tokens_first(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.ViT(batch_first=False).eval()
        outputs: list[Tensor] = []
        model.block2.register_forward_hook(lambda _, __, output: outputs.append(output))
        with torch.no_grad():
            model(images)
        expected = outputs[0][5:].permute(1, 2, 0).unflatten(2, (8, 8))
        assert_same_maps(maps_of(model, "block2", images), expected)

    def test_channels_last(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.Windows().eval()
        with torch.no_grad():
            expected = model(images).permute(0, 3, 1, 2)
        assert_same_maps(maps_of(model, "last", images), expected)

    def test_features_are_maps_of_one_cell(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        with torch.no_grad():
            expected = model(images.contiguous(memory_format=torch.channels_last))
        assert torch.equal(maps_of(model, "fc", images)[:, :, 0, 0], expected)

    def test_images_and_places_on_one_axis_are_refused(self, images: Tensor) -> None:
        with pytest.raises(UnitsNotFound, match=r"'inside'.*share an axis.*choose a layer around"):
            maps_of(networks.Windows(), "inside", images)

    @pytest.mark.parametrize("mix", [lambda x: x.flip(0), lambda x: torch.cat([x, x])])
    def test_images_that_do_not_come_out_as_they_went_in_are_refused(self, mix: object) -> None:
        model = nn.Sequential(networks.Call(mix))
        with pytest.raises(UnitsNotFound, match="share an axis or are mixed"):
            maps_of(model, "0", torch.rand(2, 3, 16, 16))

    def test_half_precision_models_get_half_precision_images(self, images: Tensor) -> None:
        assert maps_of(networks.dilated().bfloat16(), "0", images).dtype == torch.bfloat16

    def test_a_default_device_and_inference_mode(self, images: Tensor) -> None:
        model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3))
        expected = maps_of(model, "1", images.clone())
        with torch.device("meta"):
            assert torch.equal(maps_of(model, "1", images.clone()), expected)
        with torch.inference_mode():
            assert torch.equal(maps_of(model, "1", images.clone()), expected)


class TestGeometry:
    def test_the_chosen_entry_gives_the_geometry(self) -> None:
        def pair(x: Tensor) -> tuple[Tensor, Tensor]:
            return x[:, :, ::2, ::2], torch.rand(2 * len(x) // 2, 4, 8, 8)

        model = nn.Sequential(networks.Call(pair))
        with open_model(model).probe(["0[1]"], (32, 32)) as probe:
            assert probe.geometries["0[1]"].rows == geometry.Axis(32, 4, 1.5)

    @pytest.mark.parametrize("operation", ["grid_sample", "sort", "cumsum"])
    def test_operations_that_move_values_unseen_have_no_geometry(self, operation: str) -> None:
        operations = {
            "grid_sample": sample_flipped,
            "sort": lambda x: x.sort(2).values,
            "cumsum": lambda x: x.cumsum(3),
        }
        model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), networks.Call(operations[operation]))
        with open_model(model).probe(["1"], (32, 32)) as probe:
            assert not probe.geometries["1"].anchored


def sample_flipped(x: Tensor) -> Tensor:
    matrices = torch.eye(2, 3)[None].flip(1).repeat(len(x), 1, 1)
    grid = nn.functional.affine_grid(matrices, list(x.shape), False)
    return nn.functional.grid_sample(x, grid, align_corners=False)


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
        with pytest.raises(LayerNotFound, match="Conv2d is not a submodule of ResNet18"):
            maps_of(model, nn.Conv2d(3, 4, 1), images)

    def test_reused_modules_are_chosen_by_number(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.Returns().eval()
        message = "'relu' runs 2 times in one forward pass; choose one: relu#0, relu#1"
        with pytest.raises(LayerAmbiguous, match=message):
            maps_of(model, "relu", images)
        with torch.no_grad():
            first = torch.relu(model.conv(images))
        assert_same_maps(maps_of(model, "relu#0", images), first)
        assert_same_maps(maps_of(model, "relu#1", images), torch.relu(3 - (first + 1)))
        with pytest.raises(LayerNotFound, match="runs 2 times, the last being #1"):
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
        "name", ["layer2.0.conv1", "module.layer2.0.conv1", "layer2.0._orig_mod.conv1"]
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


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
class TestCompiled:
    def test_a_wrapped_model(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer3", images)
        assert torch.equal(maps_of(torch.compile(model), "layer3", images), expected)

    def test_a_model_compiled_in_place(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer3", images)
        model.compile(backend="eager")
        model(images)  # compiled now: its graph would skip a hook added later
        assert torch.equal(maps_of(model, "layer3", images), expected)


class Merging(nn.Module):
    """Changes its weight with its mode, as LoRA and RepVGG layers do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.merged = False

    def train(self, mode: bool = True) -> Merging:
        if mode == self.merged:
            self.weight.data += -1 if self.merged else 1
            self.merged = not self.merged
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class TestRestored:
    def test_hooks_and_modes(self, images: Tensor) -> None:
        model = networks.ResNet18().train()
        model.layer1.eval()
        modes = [module.training for module in model.modules()]
        with open_model(model).probe(["layer1", "layer2"], (64, 64)) as probe:
            assert not any(module.training for module in model.modules())
            probe(images)
        assert [module.training for module in model.modules()] == modes
        assert hook_count(model) == 0
        assert torch.is_grad_enabled()

    def test_side_effects_of_modes(self) -> None:
        model = nn.Sequential(Merging()).train()
        with open_model(model).probe(["0"], (8, 8)):
            assert model[0].merged
        assert not model[0].merged
        assert model[0].weight.item() == 1

    def test_after_a_failure_in_the_model(self, images: Tensor) -> None:
        model = networks.ResNet18().train()
        opened = open_model(model)
        with opened.probe(["layer4"], (64, 64)) as probe, pytest.raises(ModelFailed):
            probe(images[:, :2])
        with pytest.raises(RuntimeError, match="mine"), opened.probe(["layer4"], (64, 64)):
            raise RuntimeError("mine")
        assert hook_count(model) == 0
        assert all(module.training for module in model.modules())

    def test_after_a_failure_that_does_not_come_again(self) -> None:
        run_count = 0

        def fail_once(x: Tensor) -> Tensor:
            nonlocal run_count
            run_count += 1
            if run_count == 2:
                raise RuntimeError("out of memory")
            return x

        model = nn.Sequential(networks.Call(fail_once), nn.Identity())
        opened = open_model(model)
        failure = pytest.raises(ModelFailed, match="out of memory")
        with opened.probe(["1"], (8, 8)) as probe, failure:
            probe(torch.rand(1, 3, 8, 8))
        assert hook_count(model) == 0

    def test_the_pass_ends_after_the_deepest_layer(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        ran: list[str] = []
        model.layer3.register_forward_hook(lambda *_: ran.append("layer3"))
        model.layer2.register_forward_hook(lambda *_: ran.append("layer2"))
        with open_model(model).probe(["layer2", "layer1"], (64, 64)) as probe:
            ran.clear()
            probe(images)
        assert ran == ["layer2"]

    def test_autocast_is_the_users(self, images: Tensor) -> None:
        model = networks.dilated().eval()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert maps_of(model, "1", images).dtype == torch.bfloat16
        assert maps_of(model, "1", images).dtype == torch.float32


class TestOpening:
    def test_where_a_model_fails(self) -> None:
        tail = nn.Sequential(nn.Flatten(), nn.Linear(10, 2))
        model = nn.Sequential(nn.Conv2d(3, 4, 3), tail)
        message = r"in 1\.1 \(Linear\), on images of shape \(2, 3, 32, 32\): RuntimeError: mat1"
        with pytest.raises(ModelFailed, match=message):
            maps_of(model, "1", torch.rand(2, 3, 32, 32))

    def test_torchscript_is_refused_by_name(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(networks.dilated(), torch.rand(1, 3, 32, 32))
        with pytest.raises(BadInput, match="inner layers of a TorchScript module"):
            open_model(traced)

    def test_a_device_that_is_not_there(self) -> None:
        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
        with pytest.raises(Unavailable, match="'cuda' was asked for"):
            open_model(networks.dilated(), ModelOptions(device="cuda"))
        with pytest.raises(BadInput, match="no device 'gpu'"):
            open_model(networks.dilated(), ModelOptions(device="gpu"))

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda_gives_what_the_cpu_gives(self, images: Tensor) -> None:  # pragma: no cover
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer4", images)
        maps = maps_of(model.cuda(), "layer4", images.cuda())
        assert maps.is_cuda
        torch.testing.assert_close(maps.cpu(), expected, rtol=1e-3, atol=1e-3)  # TF32


class TestForwardFunctions:
    """Captum's idiom: a callable and a module."""

    def test_layers_are_given_as_modules(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer1", images)
        assert torch.equal(maps_of(model.forward, "layer1", images), expected)  # type: ignore[arg-type]
        opened = open_model(lambda x: model(x))
        with opened.probe([model.layer1], (64, 64)) as probe:
            (maps,) = probe(images).values()
        assert torch.equal(maps, expected)
        message = "layers of a forward function have no names"
        with pytest.raises(BadInput, match=message), opened.probe(["layer1"], (64, 64)):
            pass

    def test_the_layers_device_and_number_type(self) -> None:
        model = networks.dilated().double()
        with open_model(lambda x: model(x)).probe([model[1]], (32, 32)) as probe:
            (maps,) = probe(torch.rand(2, 3, 32, 32)).values()
        assert maps.dtype == torch.float64

    def test_modules_that_run_are_in_evaluation_mode(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU())
        model.train()
        running_mean = model[1].running_mean.clone()
        images = torch.rand(2, 3, 16, 16)
        with open_model(lambda x: model(x)).probe([model[3]], (16, 16)) as probe:
            (maps,) = probe(images).values()
            (repeated_maps,) = probe(images).values()
        assert torch.equal(maps, repeated_maps)
        assert torch.equal(model[1].running_mean, running_mean)
        assert all(module.training for module in model.modules())
        model(torch.rand(2, 3, 16, 16))
        assert not torch.equal(model[1].running_mean, running_mean), "no hook is left behind"
