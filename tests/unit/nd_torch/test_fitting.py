"""Weights fitted to models: prefixes of names, other classes, missing parts, what looks wrong."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from torch import Tensor, nn

from nd_plugin import ModelNotFound, ModelOptions, open_model
from nd_torch.weight_files.fitting import fit_weights
from nd_torch.weight_files.reading import read_weights_file

MODEL = "networks:ResNet18"

State = dict[str, Tensor]


def load(path: Path, module: nn.Module) -> tuple[str, ...]:
    return fit_weights(read_weights_file(str(path), module), module)


def assert_same(module: nn.Module, state: State) -> None:
    loaded = module.state_dict()
    for name, values in state.items():
        assert torch.equal(loaded[name], values), name


def saved(state: Any, folder: Path) -> Path:
    path = folder / "w.pt"
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"model.{name}",  # Lightning
        lambda name: f"module.encoder.{name}",
        lambda name: name.replace("layer4.", "layer4.module."),
    ],
)
def test_names_as_wrappers_write_them(
    tmp_path: Path, rename: Callable[[str], str]
) -> None:
    state = networks.ResNet18().state_dict()
    renamed = {rename(name): values for name, values in state.items()}
    module = networks.ResNet18()
    assert load(saved(renamed, tmp_path), module) == ()
    assert_same(module, dict(state))


def test_names_that_a_wrapper_and_the_model_share_stay(tmp_path: Path) -> None:
    """A model that has a part called module keeps it."""

    def build() -> nn.Module:
        return nn.Sequential(
            OrderedDict(module=nn.Linear(2, 2), head=nn.Linear(2, 2))
        )

    source, target = build(), build()
    assert load(saved(source.state_dict(), tmp_path), target) == ()
    assert_same(target, dict(source.state_dict()))


def test_counts_of_batches_may_be_missing_or_too_many(tmp_path: Path) -> None:
    state = networks.ResNet18().state_dict()
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    module = networks.ResNet18()
    assert load(saved(old, tmp_path), module) == ()
    assert_same(module, old)
    further = {**state, "fc.num_batches_tracked": torch.tensor(1)}
    assert load(saved(further, tmp_path), networks.ResNet18()) == ()


def test_another_number_of_classes_is_the_files(tmp_path: Path) -> None:
    source = networks.ResNet18(classes=9)
    path = saved(source.state_dict(), tmp_path)
    model: Any = open_model(MODEL, ModelOptions(weights=str(path)))
    assert model.notes == (
        "the weights are of 9 classes, the model of 5: fc was given 9 outputs",
    )
    assert_same(model.root, dict(source.state_dict()))
    assert model.root.fc.out_features == 9
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.root.eval()(images), source.eval()(images))


def test_several_classifiers_of_the_same_classes(tmp_path: Path) -> None:
    def build(classes: int) -> nn.Module:
        parts = {"fc": nn.Linear(4, classes), "aux": nn.Conv2d(4, classes, 1)}
        return nn.Sequential(OrderedDict(body=nn.Linear(4, 4), **parts))

    source, module = build(7), build(3)
    (note,) = load(saved(source.state_dict(), tmp_path), module)
    assert "fc and aux was given 7 outputs" in note
    assert_same(module, dict(source.state_dict()))


def test_layers_of_two_widths_are_no_classifiers(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self, first: int, second: int) -> None:
            super().__init__()
            self.first = nn.Linear(2, first)
            self.second = nn.Linear(2, second)

    path = saved(Two(3, 4).state_dict(), tmp_path)
    message = r"size mismatch for first\.weight: \(3, 2\) in the file, \(5, 2\) in the model"
    with pytest.raises(ModelNotFound, match=message):
        load(path, Two(5, 5))


def test_a_wider_network_is_refused(tmp_path: Path) -> None:
    path = saved(networks.ResNet18(width=8).state_dict(), tmp_path)
    message = r"do not fit ResNet18: size mismatch for conv1\.weight: \(8, 3, 7, 7\) in the file"
    with pytest.raises(ModelNotFound, match=message):
        load(path, networks.ResNet18())


def test_a_file_without_classifier(tmp_path: Path) -> None:
    state = networks.ResNet18().state_dict()
    body = {name: values for name, values in state.items() if name[:3] != "fc."}
    module = networks.ResNet18()
    classifier = module.fc.weight.clone()
    (note,) = load(saved(body, tmp_path), module)
    assert note.startswith(
        "the weights file has no classifier: 'fc' keeps its random"
    )
    assert_same(module, body)
    assert torch.equal(module.fc.weight, classifier)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {k: v for k, v in state.items() if "layer4.1" not in k},
            r"missing: layer4\.1\.bn1\.bias, .* and 7 more",
        ),
        (
            lambda state: {**state, "head.weight": torch.ones(1)},
            r"not in the model: head\.weight$",
        ),
        (
            lambda state: {k: v for k, v in state.items() if "bn" not in k},
            "without these batch normalisations",
        ),
        (
            lambda state: {**state, "bn9.running_mean": torch.ones(1)},
            "of a network with batch normalisation",
        ),
        (
            lambda state: {"w": torch.ones(1)},
            "no name is the same: weights of another network",
        ),
        (
            lambda state: {"arch": "resnet50", "state_dict": {"w": torch.ones(1)}},
            "the file says that it is of 'resnet50'",
        ),
    ],
)
def test_what_looks_wrong_is_said(
    tmp_path: Path, change: Callable[[State], Any], message: str
) -> None:
    path = saved(change(dict(networks.ResNet18().state_dict())), tmp_path)
    with pytest.raises(ModelNotFound, match=message):
        load(path, networks.ResNet18())


def test_classifiers_of_training_have_a_remedy(tmp_path: Path) -> None:
    def build(**parts: nn.Module) -> nn.Module:
        return nn.Sequential(OrderedDict(body=nn.Linear(2, 2), **parts))

    auxiliary = {
        "aux1": nn.Linear(2, 2),
        "aux2": nn.Linear(2, 2),
        "fc": nn.Linear(2, 2),
    }
    path = saved(build(fc=nn.Linear(2, 2)).state_dict(), tmp_path)
    with pytest.raises(ModelNotFound, match=r"\?aux_logits=False"):
        load(path, build(**auxiliary))


def test_a_failed_load_changes_nothing(tmp_path: Path) -> None:
    """Weights that do not fit leave the model as it was, its classifier, too."""
    state = networks.ResNet18(classes=9).state_dict()
    del state["layer1.0.conv1.weight"]
    module = networks.ResNet18()
    before = {name: values.clone() for name, values in module.state_dict().items()}
    with pytest.raises(ModelNotFound):
        load(saved(state, tmp_path), module)
    assert_same(module, before)


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
@pytest.mark.parametrize("key", ["state_dict", "net"])
def test_quantised_tensors_are_read_by_torch(tmp_path: Path, key: str) -> None:
    """A kind of tensor that the reader does not know, and torch reads without running a pickle."""
    values = torch.quantize_per_tensor(torch.rand(3, 2), 0.1, 0, torch.qint8)
    content = {"epoch": 3, key: {"weight": values, "bias": torch.ones(3)}}
    path = saved(content, tmp_path)
    file = read_weights_file(str(path), nn.Linear(2, 3))
    assert torch.equal(
        file.tensors["weight"].load().dequantize(), values.dequantize()
    )
