"""Texts that no backend opens: what to write instead."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from nd_plugin import ModelNotFound, open_model
from nd_plugin.plugins.suggestions import suggest_model
from nd_torch.known_models import known_models

TIMM = """
@register_model
def resnet18(pretrained=False, **kwargs):
    pass

@register_model
def vit_small_patch16_224(pretrained=False, **kwargs):
    pass
"""
TORCHVISION = """
@register_model()
@handle_legacy_interface(weights=("pretrained", 1))
def resnet18(*, weights=None):
    pass

@register_model(name="quantized_resnet18")
def resnet18(*, weights=None):
    pass
"""


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources of timm and torchvision, which cannot be imported."""
    for library, source in (("timm", TIMM), ("torchvision", TORCHVISION)):
        models = tmp_path / library / "models"
        models.mkdir(parents=True)
        (tmp_path / library / "__init__.py").write_text("raise ImportError")
        (models / "resnet.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for library in ("timm", "torchvision"):
        monkeypatch.delitem(sys.modules, library, raising=False)


@pytest.mark.usefixtures("libraries")
def test_models_of_installed_libraries() -> None:
    known = known_models(installed=True)
    assert known[:4] == [
        "torchvision:quantized_resnet18",
        "torchvision:resnet18",
        "timm:resnet18",
        "timm:vit_small_patch16_224",
    ]
    assert all(text.startswith("nd_torch.zoo:") for text in known[4:])
    assert (
        suggest_model("resnet18") == "; write torchvision:resnet18 or timm:resnet18"
    )
    assert (
        suggest_model("ViT-small-patch16-224")
        == "; write timm:vit_small_patch16_224"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resnet18", "no backend opens 'resnet18'; write torchvision:resnet18"),
        ("ResNet-18", "; write torchvision:resnet18"),
        ("zoo.resnet18()", "; write torchvision:resnet18"),
        ("torchvision.models.vgg16", "; write torchvision:vgg16"),
        ("timm/resnet18.a1_in1k", "; write timm:resnet18.a1_in1k"),
        ("resnet181", "; the nearest are torchvision:resnet18, "),
        ("net.pt", "package.module:factory --weights net.pt; known are FILE.onnx"),
        ("street", "no backend opens 'street'; known are FILE.onnx"),
    ],
)
def test_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ModelNotFound) as error:
        open_model(text)
    assert message in str(error.value)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from nd_plugin.plugins.suggestions import suggest_model; "
        "assert suggest_model('resnet18'); "
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
