"""Models named by texts, and weights from files."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import networks
import pytest
import torch
from torch import Tensor, nn

from nd_plugin import BadInput, ModelNotFound, ModelOptions, Unavailable, open_model


class TestFactories:
    def test_a_factory_with_arguments(self) -> None:
        text = "networks:ResNet18?width=8&classes=3"
        opened = open_model(text)
        layers = {layer.name: layer for layer in opened.layers((64, 64))}
        assert opened.identity.name == "ResNet18"
        assert opened.identity.source == text
        assert layers["layer1"].shape == (1, 8, 16, 16)
        assert opened.preprocess.source == "ImageNet's (the model names none)"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "networks:ResNet81",
                "networks has no 'ResNet81'; the nearest are ResNet18",
            ),
            (
                "networks:ResNet18?widht=8",
                "could not be created: TypeError: .*widht",
            ),
            ("nosuchmodule:f", "no module 'nosuchmodule' for the model"),
            (
                "networks:torch.float32",
                "could not be created: TypeError: .*not callable",
            ),
            ("builtins:dict", "'builtins:dict' returned a dict, not an nn.Module"),
        ],
    )
    def test_texts_that_name_nothing(self, text: str, message: str) -> None:
        with pytest.raises(ModelNotFound, match=message):
            open_model(text)


class TestLibraries:
    @pytest.mark.parametrize("library", ["torchvision", "timm"])
    def test_libraries_that_are_not_installed(self, library: str) -> None:
        try:
            __import__(library)
        except ImportError:
            message = rf"needs {library}, which is not installed: pip install"
            with pytest.raises(Unavailable, match=message):
                open_model(f"{library}:resnet18")
        except RuntimeError:
            pytest.skip(f"{library} is broken here")
        else:
            pytest.skip(f"{library} is installed")

    def test_torchvision_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        transform = SimpleNamespace(
            crop_size=[96],
            mean=[0.5] * 3,
            std=[0.25] * 3,
            interpolation=SimpleNamespace(value="bicubic"),
        )
        weights = Enum("ResNet18_Weights", {"V1": SimpleNamespace()})
        weights.transforms = lambda self: transform  # type: ignore[attr-defined]
        weights.DEFAULT = weights.V1  # type: ignore[attr-defined]
        calls: list[object] = []

        def get_model(name: str, weights: object, **options: int) -> nn.Module:
            calls.append((name, weights, options))
            return networks.ResNet18(**options)

        models = SimpleNamespace(
            list_models=lambda: ["resnet18"],
            get_model=get_model,
            get_model_weights=lambda name: weights,
        )
        monkeypatch.setitem(
            sys.modules, "torchvision", SimpleNamespace(models=models)
        )
        preprocess = open_model("torchvision:resnet18?width=2").preprocess
        assert preprocess.size == (96, 96)
        assert preprocess.mean == (0.5, 0.5, 0.5)
        assert preprocess.interpolation == "bicubic"
        assert preprocess.source == "torchvision's resnet18 weights"
        open_model("torchvision:resnet18?weights=none")
        assert calls == [
            ("resnet18", weights.V1, {"width": 2}),
            ("resnet18", None, {}),
        ]
        message = "torchvision has no model 'resnet81'; the nearest are resnet18"
        with pytest.raises(ModelNotFound, match=message):
            open_model("torchvision:resnet81")
        message = "torchvision has no weights 'V9' for resnet18; it has V1, or none"
        with pytest.raises(ModelNotFound, match=message):
            open_model("torchvision:resnet18?weights=V9")

    def test_timm_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[object] = []

        def create_model(name: str, pretrained: bool, **options: int) -> nn.Module:
            calls.append((name, pretrained, options))
            return networks.ResNet18(**options)

        timm = SimpleNamespace(
            is_model=lambda name: name == "resnet18",
            list_models=lambda: ["resnet18"],
            create_model=create_model,
        )
        monkeypatch.setitem(sys.modules, "timm", timm)
        open_model("timm:resnet18")
        open_model("timm:resnet18?pretrained=false&width=2")
        assert calls == [("resnet18", True, {}), ("resnet18", False, {"width": 2})]
        message = "timm has no model 'resnet19'; the nearest are resnet18"
        with pytest.raises(ModelNotFound, match=message):
            open_model("timm:resnet19")

    def test_metadata_of_timm_models(self) -> None:
        model = networks.ResNet18()
        model.__dict__["pretrained_cfg"] = {
            "mean": (0.5, 0.5, 0.5),
            "std": (0.25, 0.25, 0.25),
            "input_size": (3, 96, 80),
            "interpolation": "bicubic",
        }
        preprocess = open_model(model).preprocess
        assert preprocess.size == (96, 80)
        assert preprocess.mean == (0.5, 0.5, 0.5)
        assert preprocess.interpolation == "bicubic"
        assert preprocess.source == "the model's pretrained_cfg"

    def test_metadata_of_pixels_and_channels(self) -> None:
        model = networks.ResNet18()
        config = {"mean": (104, 117, 123), "std": (1, 1, 1)}
        config |= {"scale": 1.0, "channel_order": "bgr"}
        model.__dict__["pretrained_cfg"] = config
        preprocess = open_model(model).preprocess
        assert preprocess.scale == 1 and preprocess.channel_order == "bgr"
        model.__dict__["pretrained_cfg"] = {**config, "channel_order": "grb"}
        with pytest.raises(
            BadInput, match="pretrained_cfg is invalid: channel order"
        ):
            open_model(model)


class TestWeights:
    @pytest.mark.parametrize("form", ["safetensors", "pt", "wrapped"])
    def test_weights_from_a_file(
        self, tmp_path: Path, images: Tensor, form: str
    ) -> None:
        torch.manual_seed(5)
        model = networks.ResNet18().eval()
        path = save_weights(model, tmp_path, form)
        opened = open_model("networks:ResNet18", ModelOptions(weights=str(path)))
        original = open_model(model)
        with opened.probe(["layer4"], (64, 64)) as probe:
            maps = probe(images)["layer4"]
        with original.probe(["layer4"], (64, 64)) as probe:
            expected = probe(images)["layer4"]
        assert torch.equal(maps, expected)
        random_weights = open_model("networks:ResNet18")
        assert opened.identity.fingerprint == original.identity.fingerprint
        assert opened.identity.fingerprint != random_weights.identity.fingerprint

    def test_weights_that_do_not_fit(self, tmp_path: Path) -> None:
        path = tmp_path / "w.pt"
        options = ModelOptions(weights=str(path))
        torch.save({"a": torch.ones(1)}, path)
        message = r"do not fit ResNet18: missing: .* more; not in the model: a"
        with pytest.raises(ModelNotFound, match=message):
            open_model("networks:ResNet18", options)
        torch.save(networks.ResNet18(width=8).state_dict(), path)
        with pytest.raises(
            ModelNotFound, match=r"do not fit ResNet18: .*size mismatch"
        ):
            open_model("networks:ResNet18", options)
        torch.save([torch.ones(1)], path)
        with pytest.raises(
            ModelNotFound, match="contains a list, not a state dict of tensors"
        ):
            open_model("networks:ResNet18", options)
        path.unlink()
        with pytest.raises(ModelNotFound, match="no weights file"):
            open_model("networks:ResNet18", options)

    def test_a_pickle_is_never_run(self, tmp_path: Path) -> None:
        path = tmp_path / "evil.pt"
        torch.save({"w": Evil(str(tmp_path / "touched"))}, path)
        message = r"contains other pickled objects, which are never executed; save model.state_dict"
        with pytest.raises(ModelNotFound, match=message):
            open_model("networks:ResNet18", ModelOptions(weights=str(path)))
        assert not (tmp_path / "touched").exists()


def save_weights(model: nn.Module, folder: Path, form: str) -> Path:
    state = model.state_dict()
    if form == "safetensors":
        from safetensors.torch import save_file

        path = folder / "weights.safetensors"
        save_file(state, path)
        return path
    path = folder / "weights.pt"
    if form == "pt":
        torch.save(state, path)
    else:  # as a training script saves it, under DataParallel
        prefixed = {f"module.{name}": tensor for name, tensor in state.items()}
        torch.save({"state_dict": prefixed, "epoch": 3}, path)
    return path


class Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (Path(self.path),)
