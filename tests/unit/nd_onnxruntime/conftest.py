"""A small ResNet, exported by both of torch's exporters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import pytest
import torch
from torch import nn

EXPORTERS: dict[str, dict[str, Any]] = {
    "TorchScript": {"dynamo": False, "dynamic_axes": {"image": {0: "N"}}},
    "dynamo": {"dynamo": True, "dynamic_shapes": ({0: "N"},), "verbose": False},
}


@dataclass(frozen=True)
class Exported:
    """A module and the file that an exporter made of it."""

    module: nn.Module
    path: Path
    exporter: str


@pytest.fixture(scope="session", params=EXPORTERS)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    """ResNet-18 of few channels, whose BatchNorms do something."""
    if request.param == "dynamo":
        pytest.importorskip(
            "onnxscript", reason="torch's dynamo exporter needs onnxscript"
        )
    torch.manual_seed(0)
    module = networks.ResNet18(width=2).eval()
    for norm in (
        part for part in module.modules() if isinstance(part, nn.BatchNorm2d)
    ):
        for values in (
            norm.weight.data,
            norm.bias.data,
            norm.running_mean,
            norm.running_var,
        ):
            assert values is not None
            values.uniform_(0.3, 1.5)
    path = tmp_path_factory.mktemp(request.param) / "resnet.onnx"
    with warnings.catch_warnings():
        # the exporters' own: deprecations, and what they do not know
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.rand(2, 3, 64, 64),),
            str(path),
            input_names=["image"],
            **EXPORTERS[request.param],
        )
    return Exported(module, path, request.param)
