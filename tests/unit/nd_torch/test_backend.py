"""The torch backend: layers of every form, and a model left as it was found."""

from __future__ import annotations

import sys
import warnings
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import networks
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from nd_plugin import (
    Annotation,
    BadInput,
    Concept,
    Dissection,
    Identity,
    LayerAmbiguous,
    LayerDissection,
    LayerNotFound,
    ModelFailed,
    ModelNotFound,
    ModelOptions,
    NonFiniteActivation,
    Preprocess,
    Unavailable,
    UnitsNotFound,
    open_model,
)
from nd_plugin.receptive_fields import geometry


def maps_of(model: nn.Module, layer: str | nn.Module, images: Tensor) -> Tensor:
    with open_model(model).probe([layer], (images.shape[2], images.shape[3])) as probe:
        return next(iter(probe(images).values()))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class TestMaps:
    def test_a_later_in_place_operation_does_not_change_them(self, images: Tensor) -> None:
        model = networks.alexnet().eval()
        with torch.no_grad():
            expected = model[3](model[:3](images[:, :, :63, :63]))
        with open_model(model).probe(["3", "10"], (63, 63)) as probe:
            found = probe(images[:, :, :63, :63])
        assert torch.equal(found["3"], expected)
        assert (found["3"] < 0).any()

    def test_tokens_come_without_class_and_register_tokens_on_their_grid(self, images: Tensor) -> None:
        model = networks.ViT(registers=3).eval()
        taken: list[Tensor] = []
        model.block1.register_forward_hook(lambda _, __, output: taken.append(output))
        with torch.no_grad():
            model(images)
        expected = taken[0][:, 4:].transpose(1, 2).unflatten(2, (8, 8))
        assert torch.equal(maps_of(model, "block1", images), expected.detach())

    def test_tokens_first(self, images: Tensor) -> None:
        torch.manual_seed(0)
        model = networks.ViT(batch_first=False).eval()
        taken: list[Tensor] = []
        model.block2.register_forward_hook(lambda _, __, output: taken.append(output))
        with torch.no_grad():
            model(images)
        expected = taken[0][5:].permute(1, 2, 0).unflatten(2, (8, 8))
        assert torch.equal(maps_of(model, "block2", images), expected.detach())

    def test_channels_last(self, images: Tensor) -> None:
        model = networks.Windows().eval()
        with torch.no_grad():
            expected = model(images).permute(0, 3, 1, 2)
        assert torch.equal(maps_of(model, "last", images), expected)

    def test_features_are_maps_of_one_cell(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        with torch.no_grad():
            expected = model(images.contiguous(memory_format=torch.channels_last))
        assert torch.equal(maps_of(model, "fc", images)[:, :, 0, 0], expected)

    def test_images_and_places_on_one_axis_are_refused(self, images: Tensor) -> None:
        with pytest.raises(UnitsNotFound, match=r"'inside'.*share an axis.*choose a layer around it"):
            maps_of(networks.Windows(), "inside", images)

    def test_half_precision_models_get_half_precision_images(self, images: Tensor) -> None:
        assert maps_of(networks.dilated().bfloat16(), "0", images).dtype == torch.bfloat16


class TestNames:
    def test_nearest_names(self) -> None:
        message = r"no layer 'layer5' in ResNet18; the nearest are .*layer4.*\(nd layers MODEL lists all \d+\)"
        with pytest.raises(LayerNotFound, match=message):
            maps_of(networks.ResNet18(), "layer5", torch.rand(1, 3, 64, 64))

    def test_a_module_names_its_layer(self, images: Tensor) -> None:
        model = networks.ResNet18()
        assert torch.equal(maps_of(model, model.layer2[0], images), maps_of(model, "layer2.0", images))
        with pytest.raises(LayerNotFound, match="Conv2d given as a layer is no part of ResNet18"):
            maps_of(model, nn.Conv2d(3, 4, 1), images)

    def test_reused_modules_are_chosen_by_number(self, images: Tensor) -> None:
        model = networks.Returns().eval()
        with pytest.raises(LayerAmbiguous, match="'relu' runs 2 times in one forward pass; choose one: relu#0, relu#1"):
            maps_of(model, "relu", images)
        with torch.no_grad():
            first = torch.relu(model.conv(images))
        assert torch.equal(maps_of(model, "relu#0", images), first)
        assert torch.equal(maps_of(model, "relu#1", images), torch.relu(3 - (first + 1)))
        with pytest.raises(LayerNotFound, match="runs 2 times, the last being #1"):
            maps_of(model, "relu#2", images)

    def test_entries_of_tuples_lists_and_dicts(self, images: Tensor) -> None:
        model = networks.Returns().eval()
        with torch.no_grad():
            first = torch.relu(model.conv(images))
        with pytest.raises(LayerAmbiguous, match=r"'pair' gives several tensors; choose one: pair\[0\], pair\[1\]"):
            maps_of(model, "pair", images)
        with pytest.raises(
            LayerAmbiguous, match=r"'table\[x\]' gives nothing under 'x'.*table\[feat.0\], table\[feat.1\]"
        ):
            maps_of(model, "table[x]", images)
        assert torch.equal(maps_of(model, "pair[1]", images), first + 1)
        assert torch.equal(maps_of(model, "table[feat.1]", images), -(first + 1))
        assert maps_of(model, "one", images).shape == first.shape

    def test_a_layer_that_does_not_run(self, images: Tensor) -> None:
        with pytest.raises(LayerNotFound, match="'never' does not run in the model's forward pass"):
            maps_of(networks.Returns(), "never", images)

    @pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
    @pytest.mark.parametrize("name", ["layer2.0.conv1", "module.layer2.0.conv1", "layer2.0._orig_mod.conv1"])
    def test_wrappers_do_not_show_in_names(self, images: Tensor, name: str) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer2.0.conv1", images)
        model.layer2[0] = torch.compile(model.layer2[0])
        wrapped = nn.DataParallel(model)
        assert torch.equal(maps_of(wrapped, name, images), expected)
        assert [layer.name for layer in open_model(wrapped).layers((64, 64)) if "conv1" in layer.name][
            3
        ] == "layer2.0.conv1"

    def test_layers_are_listed_as_they_run(self) -> None:
        listed = open_model(networks.Returns()).layers((32, 32))
        assert [layer.name for layer in listed] == [
            "conv", "relu#0", "pair[0]", "pair[1]", "table[feat.0]", "table[feat.1]", "relu#1", "one",
        ]  # fmt: skip
        assert listed[0].shape == (1, 4, 16, 16) and listed[0].kind == "Conv2d"


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
class TestCompiled:
    @pytest.mark.parametrize("how", ["wrapped", "in place"])
    def test_inner_layers_of_a_compiled_model(self, images: Tensor, how: str) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer3", images)
        if how == "wrapped":
            assert torch.equal(maps_of(torch.compile(model), "layer3", images), expected)
        else:
            model.compile(backend="eager")
            model(images)  # compiled now: a hook added later would be passed over
            assert torch.equal(maps_of(model, "layer3", images), expected)


class TestLeftAsFound:
    def test_hooks_and_modes(self, images: Tensor) -> None:
        model = networks.ResNet18().train()
        model.layer1.eval()
        before = [module.training for module in model.modules()]
        with open_model(model).probe(["layer1", "layer2"], (64, 64)) as probe:
            assert not any(module.training for module in model.modules())
            probe(images)
        assert [module.training for module in model.modules()] == before
        assert hooks(model) == 0 and torch.is_grad_enabled()

    def test_after_a_failure_in_the_model(self, images: Tensor) -> None:
        model = networks.ResNet18().train()
        with open_model(model).probe(["layer4"], (64, 64)) as probe, pytest.raises(ModelFailed):
            probe(images[:, :2])
        with pytest.raises(RuntimeError, match="mine"), open_model(model).probe(["layer4"], (64, 64)):
            raise RuntimeError("mine")
        assert hooks(model) == 0 and all(module.training for module in model.modules())

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
    def test_forward_functions(self, images: Tensor) -> None:
        model = networks.ResNet18().eval()
        expected = maps_of(model, "layer1", images)
        assert torch.equal(maps_of(model.forward, "layer1", images), expected)  # type: ignore[arg-type]
        opened = open_model(lambda x: model(x))
        with opened.probe([model.layer1], (64, 64)) as probe:
            assert torch.equal(next(iter(probe(images).values())), expected)
        with pytest.raises(BadInput, match="a forward function has no names"), opened.probe(["layer1"], (64, 64)):
            pass

    def test_where_a_model_fails(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Flatten(), nn.Linear(10, 2)))
        with pytest.raises(
            ModelFailed, match=r"in 1\.1 \(Linear\), on images of shape \(2, 3, 32, 32\): RuntimeError: mat1"
        ):
            maps_of(model, "1", torch.rand(2, 3, 32, 32))

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
        with open_model(model.cuda()).probe(["layer4"], (64, 64)) as probe:
            found = probe(images.cuda())["layer4"]
        assert found.is_cuda
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)


class TestForwardFunctions:
    """Captum's idiom: a callable and a module."""

    def test_the_layers_device_and_number_type(self) -> None:
        model = networks.dilated().double()
        with open_model(lambda x: model(x)).probe([model[1]], (32, 32)) as probe:
            (found,) = probe(torch.rand(2, 3, 32, 32)).values()
        assert found.dtype == torch.float64

    def test_every_module_that_runs_is_at_rest_and_woken_again(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.ReLU()).train()
        before = model[1].running_mean.clone()
        with open_model(lambda x: model(x)).probe([model[3]], (16, 16)) as probe:
            images = torch.rand(2, 3, 16, 16)
            (one,), (two,) = probe(images).values(), probe(images).values()
        assert torch.equal(one, two) and torch.equal(model[1].running_mean, before)
        assert all(module.training for module in model.modules())
        model(torch.rand(2, 3, 16, 16))
        assert not torch.equal(model[1].running_mean, before), "no hook is left behind"


class Merging(nn.Module):
    """Does something when its mode is set, as LoRA and RepVGG layers do."""

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


class TestFoundByReview:
    def test_the_entry_that_is_chosen_gives_the_geometry(self) -> None:
        model = nn.Sequential(networks.Call(lambda x: (x[:, :, ::2, ::2], torch.rand(2 * len(x) // 2, 4, 8, 8))))
        with open_model(model).probe(["0[1]"], (32, 32)) as probe:
            assert probe.geometries["0[1]"].rows == geometry.Axis(32, 4, 1.5)

    def test_a_failure_that_does_not_come_again(self) -> None:
        runs: list[int] = []

        def flaky(x: Tensor) -> Tensor:
            runs.append(1)
            if len(runs) == 2:
                raise RuntimeError("out of memory")
            return x

        model = nn.Sequential(networks.Call(flaky), nn.Identity())
        with open_model(model).probe(["1"], (8, 8)) as probe, pytest.raises(ModelFailed, match="out of memory"):
            probe(torch.rand(1, 3, 8, 8))
        assert hooks(model) == 0

    def test_a_layer_asked_for_twice_is_given_twice(self) -> None:
        model = networks.dilated()
        found = LayerDissection(model, ["1", model[0], "1"]).dissect(Noise(), workers=0)
        assert isinstance(found, list) and [dissection.layer for dissection in found] == ["1", "0", "1"]

    @pytest.mark.parametrize(
        "shuffle",
        [
            lambda x: nn.functional.grid_sample(
                x, nn.functional.affine_grid(torch.eye(2, 3)[None].flip(1).repeat(len(x), 1, 1), list(x.shape), False),
                align_corners=False,
            ),
            lambda x: x.sort(2).values,
            lambda x: x.cumsum(3),
        ],
    )  # fmt: skip
    def test_operations_that_move_values_unseen_have_no_geometry(self, shuffle: object) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), networks.Call(shuffle))
        with open_model(model).probe(["1"], (32, 32)) as probe:
            assert not probe.geometries["1"].anchored

    @pytest.mark.parametrize("mix", [lambda x: x.flip(0), lambda x: torch.cat([x, x])])
    def test_images_that_do_not_come_out_as_they_went_in_are_refused(self, mix: object) -> None:
        model = nn.Sequential(networks.Call(mix))
        with pytest.raises(UnitsNotFound, match="share an axis or are mixed"):
            maps_of(model, "0", torch.rand(2, 3, 16, 16))

    def test_modes_are_set_back_as_they_were_set(self) -> None:
        model = nn.Sequential(Merging()).train()
        with open_model(model).probe(["0"], (8, 8)):
            assert model[0].merged
        assert not model[0].merged and model[0].weight.item() == 1

    def test_torchscript_is_refused_by_name(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(networks.dilated(), torch.rand(1, 3, 32, 32))
        with pytest.raises(BadInput, match="a TorchScript module runs no hooks on its inner layers"):
            open_model(traced)

    def test_a_default_device_and_inference_mode(self, images: Tensor) -> None:
        model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3))
        expected = maps_of(model, "1", images.clone())
        with torch.device("meta"):
            assert torch.equal(maps_of(model, "1", images.clone()), expected)
            LayerDissection(model, "1").dissect(Noise(), workers=0)
        with torch.inference_mode():
            assert torch.equal(maps_of(model, "1", images.clone()), expected)

    def test_numbers_of_any_kind(self, tmp_path: Path) -> None:
        how = Preprocess((np.int64(32), 32), mean=np.zeros(3), std=torch.ones(3))  # type: ignore[arg-type]
        found = LayerDissection(networks.dilated(), "0").dissect(
            Noise(), workers=0, quantile=np.float64(0.2), min_iou=np.float32(0.04), limit=np.int64(1), preprocess=how
        )  # fmt: skip
        assert isinstance(found, Dissection)
        found.save(tmp_path / "d")
        assert found.settings.min_iou == 0.04 and Dissection.load(tmp_path / "d").provenance.preprocess["mean"] == [
            0,
            0,
            0,
        ]
        for wrong in (32, (32, 32, 3), ("a", 3)):
            with pytest.raises(BadInput):
                Preprocess(wrong)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="preprocess is a Preprocess"):
            LayerDissection(networks.dilated(), "0").dissect(Noise(), preprocess=lambda x: x)  # type: ignore[arg-type]
        with pytest.raises(BadInput, match="quantile 'much' is no number"):
            LayerDissection(networks.dilated(), "0").dissect(Noise(), quantile="much")  # type: ignore[arg-type]

    def test_progress_is_shown_on_stderr(self, capsys: pytest.CaptureFixture[str]) -> None:
        LayerDissection(networks.dilated(), "0").dissect(Noise(), workers=0, show_progress=True)
        shown = capsys.readouterr()
        assert (
            shown.out == ""
            and "activations: 100%" in shown.err
            and "masks: 100%" in shown.err
            and "image/s" in shown.err
        )


class TestTexts:
    def test_a_factory_with_arguments(self, images: Tensor) -> None:
        opened = open_model("networks:ResNet18?width=8&classes=3")
        assert opened.identity.name == "ResNet18" and opened.identity.source == "networks:ResNet18?width=8&classes=3"
        assert next(layer for layer in opened.layers((64, 64)) if layer.name == "layer1").shape == (1, 8, 16, 16)
        assert opened.preprocess.source == "ImageNet's (the model names none)"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("networks:ResNet81", "networks has no 'ResNet81'; the nearest are ResNet18"),
            ("networks:ResNet18?widht=8", "could not be made: TypeError: .*widht"),
            ("nosuchmodule:f", "no module 'nosuchmodule' for the model"),
            ("networks:torch.float32", "gave a dtype|could not be made"),
        ],
    )
    def test_texts_that_name_nothing(self, text: str, message: str) -> None:
        with pytest.raises(ModelNotFound, match=message):
            open_model(text)

    @pytest.mark.parametrize("library", ["torchvision", "timm"])
    def test_libraries_that_are_not_installed(self, library: str) -> None:
        try:
            __import__(library)
        except ImportError:
            with pytest.raises(Unavailable, match=rf"needs {library}, which is not installed: pip install"):
                open_model(f"{library}:resnet18")
        except RuntimeError:
            pytest.skip(f"{library} is broken here")
        else:
            pytest.skip(f"{library} is installed")

    def test_torchvision_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        how = SimpleNamespace(
            crop_size=[96], mean=[0.5] * 3, std=[0.25] * 3, interpolation=SimpleNamespace(value="bicubic")
        )
        weights = Enum("ResNet18_Weights", {"V1": SimpleNamespace()})
        weights.transforms = lambda self: how  # type: ignore[attr-defined]
        weights.DEFAULT = weights.V1  # type: ignore[attr-defined]
        made: list[object] = []

        def get_model(name: str, weights: object, **options: int) -> nn.Module:
            made.append((name, weights, options))
            return networks.ResNet18(**options)

        models = SimpleNamespace(
            list_models=lambda: ["resnet18"], get_model=get_model, get_model_weights=lambda name: weights
        )
        monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(models=models))
        opened = open_model("torchvision:resnet18?width=2").preprocess
        assert (opened.size, opened.mean, opened.interpolation) == ((96, 96), (0.5, 0.5, 0.5), "bicubic")
        assert opened.source == "torchvision's resnet18 weights"
        open_model("torchvision:resnet18?weights=none")
        assert made == [("resnet18", weights.V1, {"width": 2}), ("resnet18", None, {})]
        for text, message in [
            ("torchvision:resnet81", "torchvision has no model 'resnet81'; the nearest are resnet18"),
            ("torchvision:resnet18?weights=V9", "torchvision has no weights 'V9' for resnet18; it has V1, or none"),
        ]:
            with pytest.raises(ModelNotFound, match=message):
                open_model(text)

    def test_timm_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[object] = []

        def create_model(name: str, pretrained: bool, **options: int) -> nn.Module:
            made.append((name, pretrained, options))
            return networks.ResNet18(**options)

        timm = SimpleNamespace(
            is_model=lambda name: name == "resnet18", list_models=lambda: ["resnet18"], create_model=create_model
        )
        monkeypatch.setitem(sys.modules, "timm", timm)
        open_model("timm:resnet18")
        open_model("timm:resnet18?pretrained=false&width=2")
        assert made == [("resnet18", True, {}), ("resnet18", False, {"width": 2})]
        with pytest.raises(ModelNotFound, match="timm has no model 'resnet19'; the nearest are resnet18"):
            open_model("timm:resnet19")

    @pytest.mark.parametrize("form", ["safetensors", "pt", "wrapped"])
    def test_weights_from_a_file(self, tmp_path: Path, images: Tensor, form: str) -> None:
        torch.manual_seed(5)
        model = networks.ResNet18().eval()
        path = tmp_path / ("weights.safetensors" if form == "safetensors" else "weights.pt")
        if form == "safetensors":
            from safetensors.torch import save_file

            save_file(model.state_dict(), path)
        else:
            state = {f"module.{key}": value for key, value in model.state_dict().items()}
            torch.save(model.state_dict() if form == "pt" else {"state_dict": state, "epoch": 3}, path)
        opened = open_model("networks:ResNet18", ModelOptions(weights=str(path)))
        with opened.probe(["layer4"], (64, 64)) as probe:
            assert torch.equal(probe(images)["layer4"], maps_of(model, "layer4", images))
        assert opened.identity.fingerprint == open_model(model).identity.fingerprint
        assert opened.identity.fingerprint != open_model("networks:ResNet18").identity.fingerprint

    def test_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        path = tmp_path / "w.pt"
        torch.save({"a": torch.ones(1)}, path)
        with pytest.raises(ModelNotFound, match=r"do not fit ResNet18: missing: .* more; not in the model: a"):
            open_model("networks:ResNet18", ModelOptions(weights=str(path)))
        torch.save(networks.ResNet18(width=8).state_dict(), path)
        with pytest.raises(ModelNotFound, match=r"do not fit ResNet18: .*size mismatch"):
            open_model("networks:ResNet18", ModelOptions(weights=str(path)))
        with pytest.raises(ModelNotFound, match="no weights file"):
            open_model("networks:ResNet18", ModelOptions(weights=str(tmp_path / "none.pt")))

    def test_a_pickle_is_never_run(self, tmp_path: Path) -> None:
        path = tmp_path / "evil.pt"
        torch.save({"w": Evil(str(tmp_path / "touched"))}, path)
        with pytest.raises(
            ModelNotFound, match=r"it holds a pickle of something else, which is not run; save model.state_dict\(\)"
        ):
            open_model("networks:ResNet18", ModelOptions(weights=str(path)))
        assert not (tmp_path / "touched").exists()

    def test_metadata_of_timm_models(self) -> None:
        model = networks.ResNet18()
        model.__dict__["pretrained_cfg"] = {
            "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "input_size": (3, 96, 80), "interpolation": "bicubic",
        }  # fmt: skip
        how = open_model(model).preprocess
        assert (how.size, how.mean, how.interpolation) == ((96, 80), (0.5, 0.5, 0.5), "bicubic")
        assert how.source == "the model's pretrained_cfg"


class Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (Path(self.path),)


class Noise:
    """A concept set of two images."""

    identity = Identity("noise", "noise", "1", "")
    categories = ("object",)
    concepts = (Concept("left", "object"),)
    native_masks = False

    def __len__(self) -> int:
        return 2

    def name(self, index: int) -> str:
        return f"noise-{index}"

    def image(self, index: int) -> Image.Image:
        return Image.effect_noise((32, 32), 50 * (index + 1))

    def annotation(self, index: int) -> Annotation:
        return Annotation([np.repeat([[1, 0]], 2, 0)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_are_named(value: float) -> None:
    def spoil(x: Tensor) -> Tensor:
        x = x.repeat(1, 2, 1, 1).clone()
        x[-1, 4, 7, 9] = value
        return x

    model = nn.Sequential(nn.Identity(), networks.Call(spoil))
    expected = rf"layer '1', unit 4, image noise-0: the activation at row 7, column 9 is {value}"
    with pytest.raises(NonFiniteActivation, match=expected):
        LayerDissection(model, "1").dissect(Noise(), workers=0)


def test_autocast_does_not_reach_the_counts() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()).double()
    plain = LayerDissection(model, "1").dissect(Noise(), workers=0, quantile=0.2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = LayerDissection(model, "0").dissect(Noise(), workers=0, quantile=0.2)
    assert isinstance(plain, Dissection) and isinstance(cast, Dissection)
    assert plain.concept_area.tolist() == cast.concept_area.tolist() == [2 * 112 * 56]
    assert cast.unit_area.sum() > 0
