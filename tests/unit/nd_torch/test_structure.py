"""Structure and complete text of a model: what its weights do not say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import Tensor, nn

from nd_plugin import ModelOptions, SpecText, open_model
from nd_torch.structure import complete_text, structure_fingerprint


class Named(nn.Module):
    """Module of a user's, which shows where a function lies in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ReLU()

    def extra_repr(self) -> str:
        return f"made at {id(self)}"

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def test_classes_names_and_settings_count() -> None:
    fingerprint = structure_fingerprint(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)))
    assert fingerprint == structure_fingerprint(
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3))
    )
    variants = [
        nn.Sequential(nn.Sigmoid(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3, eps=1e-3)),
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()),
        nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm2d(3)),
    ]
    fingerprints = {structure_fingerprint(variant) for variant in variants}
    assert len(fingerprints | {fingerprint}) == 5


def test_what_foreign_modules_show_may_vary() -> None:
    assert structure_fingerprint(Named()) == structure_fingerprint(Named())


def test_a_forward_function_has_no_structure() -> None:
    assert structure_fingerprint(None) == ""


def factory(
    act: str = "relu", width: float = 1, seed: str = "0", init: object = print
) -> None:
    """Make a model of options."""


@pytest.mark.parametrize(
    "options",
    [{}, {"act": "relu"}, {"seed": 0}, {"width": 1.0, "seed": "0"}],
    ids=str,
)
def test_defaults_are_part_of_the_text(options: dict[str, object]) -> None:
    text = complete_text(SpecText.parse("net:small"), options, factory)
    assert text == "net:small?act=relu&seed=0.0&width=1.0"


def test_other_options_are_another_text() -> None:
    spec = SpecText.parse("net:small?act=sigmoid")
    assert "act=sigmoid" in complete_text(spec, {"act": "sigmoid"}, factory)
    assert complete_text(spec, {"depth": True}) == "net:small?depth=True"
    assert complete_text(spec, {}, nn.ReLU()) == "net:small"
    # a class without a signature that Python can read
    assert complete_text(spec, {}, type) == "net:small"


def test_an_opened_text_knows_its_options_and_an_object_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts_net.py").write_text(
        "from torch import nn\n"
        "def net(act='ReLU'):\n"
        "    return nn.Sequential(nn.Conv2d(3, 2, 3), getattr(nn, act)())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    models = [
        open_model(text, ModelOptions("cpu"))
        for text in (
            "texts_net:net",
            "texts_net:net?act=ReLU",
            "texts_net:net?act=Sigmoid",
        )
    ]
    specs = [getattr(model, "spec", None) for model in models]
    assert specs[0] == specs[1] == "texts_net:net?act=ReLU"
    assert specs[2] == "texts_net:net?act=Sigmoid"
    structures = [getattr(model, "structure", None) for model in models]
    assert structures[0] == structures[1] != structures[2]
    assert getattr(open_model(nn.ReLU()), "spec", None) == ""
    sys.modules.pop("texts_net", None)
