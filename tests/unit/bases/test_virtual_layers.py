"""Virtual layers: views of a layer's maps from one forward pass, by both strategies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_files
import pytest
import torch
from opened_checks import check_opened_model
from planted import HOW, IMAGES, Numbered, Planted, drawn
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Dissection,
    ModelFailed,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.bases.basis import Basis, LayerView, view_name
from nd_plugin.bases.encoder import Encoder
from nd_plugin.bases.opening import open_basis
from nd_plugin.bases.rotations import random_rotation, rotation_bases
from nd_plugin.bases.virtual_layers import ModelInBases
from nd_plugin.contracts.models import Model
from nd_plugin.contracts.precision import in_precision
from nd_plugin.engine.part_run import silent
from nd_plugin.engine.run import observe, run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import parse_part
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

UNITS = 6
SETTINGS = Settings(quantiles=(0.05, 0.3), pictures=2)
MAPS = drawn(1, units=UNITS)
ARRAYS = ("intersection", "unit_area", "concept_area", "category_images")
BY_UNIT = (
    "thresholds",
    "intersection",
    "unit_area",
    "dead",
    "sparse",
    "top_images",
    "top_activations",
)


@pytest.fixture(params=["host", "device"])
def strategy(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("ND_STRATEGY", request.param)
    return str(request.param)


@pytest.fixture
def concepts() -> Numbered:
    return Numbered(open_concepts(f"shapes?images={IMAGES}&size=32"))


@pytest.fixture
def feed(concepts: Numbered) -> Feed:
    return Feed.of(concepts, HOW, SETTINGS, torch.device("cpu"), 8, 0)


def equal(
    first: Dissection, second: Dissection, order: list[int] | None = None
) -> None:
    """Check that two dissections have the same numbers; ``order``: the second's units."""
    for name in ARRAYS[2:]:
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    units = np.arange(first.units) if order is None else np.array(order)
    for name in BY_UNIT:
        permuted = getattr(second, name)[units]
        assert np.array_equal(getattr(first, name), permuted), name


def permutation(order: list[int]) -> Tensor:
    return torch.eye(len(order))[order]


def test_views_share_one_forward_pass_and_equal_dissections_of_their_maps(
    strategy: str, feed: Feed
) -> None:
    bases = list(rotation_bases(UNITS, [0, 0.5, 1], [1, 2]).values())
    model = Planted({"layer": MAPS, "other": drawn(9)})
    views = [
        LayerView("layer"),
        *(LayerView("layer", basis) for basis in bases),
        LayerView("other", bases[0]),
    ]
    dissections = run(ModelInBases(model, bases), views, feed)
    # each image once, whatever the number of views
    assert sorted(model.seen) == list(range(IMAGES))
    names = [dissection.layer for dissection in dissections[::2]]
    assert names == [
        "layer",
        *(f"layer@{basis.name}" for basis in bases),
        f"other@{bases[0].name}",
    ]
    maps = {"layer": MAPS}
    for basis in bases:
        maps[view_name("layer", basis)] = basis.transform(MAPS)
    maps[view_name("other", bases[0])] = bases[0].transform(drawn(9))
    plain = run(Planted(maps), list(maps), feed)
    for seen, expected in zip(dissections, plain, strict=True):
        equal(seen, expected)
        assert seen.provenance.geometry == expected.provenance.geometry


def test_a_permutation_permutes_the_units_exactly(
    strategy: str, feed: Feed
) -> None:
    order = [3, 0, 5, 1, 4, 2]
    basis = open_basis(permutation(order))
    model = ModelInBases(Planted({"layer": MAPS}), [basis])
    plain, _, permuted, _ = run(model, ["layer", "layer@matrix"], feed)
    equal(permuted, plain, order)
    assert plain.summary().to_dict() == {
        **permuted.summary().to_dict(),
        "layer": "layer",
    }


def test_both_strategies_give_the_same_integers(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    basis = open_basis(
        Encoder(
            torch.randn(40, UNITS, generator=torch.Generator().manual_seed(3)),
            torch.full((40,), -0.5),
            activation="topk",
            k=5,
        )
    )
    model = ModelInBases(Planted({"layer": MAPS}), [basis])
    results = []
    for strategy in ("host", "device"):
        monkeypatch.setenv("ND_STRATEGY", strategy)
        results.append(run(model, ["layer@dictionary"], feed))
    for host, device in zip(*results, strict=True):
        assert host.units == 40
        equal(host, device)


def test_shards_of_views_add_up_and_other_bases_are_refused(
    concepts: Numbered, tmp_path: Path
) -> None:
    bases = list(rotation_bases(UNITS, [0.5], [1]).values())
    model = ModelInBases(Planted({"layer": MAPS}), bases)
    layers = [view_name("layer", bases[0])]

    def feed(part: str) -> Feed:
        part_of = parse_part(part)
        return Feed.of(
            concepts, HOW, SETTINGS, torch.device("cpu"), 8, 0, None, part_of
        )

    folders = []
    for part in ("1/2", "2/2"):
        folder = CheckpointFolder(tmp_path / part[0], feed(part))
        with folder.guarded():
            observe(model, layers, feed(part), silent, folder.open_state)
        folders.append(folder.folder)
    loaded = shards.load(folders)
    merged = shards.merge(loaded, concepts, workers=0)
    for part_of_all, whole in zip(
        merged, run(model, layers, feed("1/1")), strict=True
    ):
        equal(part_of_all, whole)
    # resumed in another basis: another seed under the same name of a layer
    other = Basis(
        bases[0].name,
        Encoder(torch.eye(UNITS)),
        "another",
        UNITS,
        UNITS,
    )
    changed = ModelInBases(Planted({"layer": MAPS}), [other])
    folder = CheckpointFolder(folders[0], feed("1/2"))
    with (
        pytest.raises(BadInput, match=r"differs in model\.fingerprint"),
        folder.guarded(),
    ):
        run(changed, layers, feed("1/2"), open_state=folder.open_state)
    loaded = shards.load(folders)
    with pytest.raises(BadInput, match=r"the model differs in fingerprint"):
        shards.merge(loaded, concepts, model=changed, workers=0)
    shards.close(loaded)
    # the same basis goes on
    again = ModelInBases(
        Planted({"layer": MAPS}),
        list(rotation_bases(UNITS, [0.5], [1]).values()),
    )
    loaded = shards.load(folders)
    for merged_again, whole in zip(
        shards.merge(loaded, concepts, model=again, workers=0),
        merged,
        strict=True,
    ):
        equal(merged_again, whole)
    shards.close(loaded)


def test_an_interrupted_run_is_resumed(feed: Feed, tmp_path: Path) -> None:
    bases = list(rotation_bases(UNITS, [0.5, 1], [1]).values())
    layers = [LayerView("layer", basis) for basis in bases]
    planted = Planted({"layer": MAPS})
    model = ModelInBases(planted, bases)
    whole = run(model, layers, feed)

    def stop(stage: str, done: int, total: int) -> None:
        if done >= 24:
            raise KeyboardInterrupt

    folder = CheckpointFolder(tmp_path / "state", feed, every_images=8)
    with pytest.raises(KeyboardInterrupt), folder.guarded():
        run(model, layers, feed, stop, open_state=folder.open_state)
    planted.seen.clear()
    folder = CheckpointFolder(tmp_path / "state", feed)
    with folder.guarded():
        resumed = run(model, layers, feed, open_state=folder.open_state)
    assert 0 < len(planted.seen) < IMAGES
    for part, expected in zip(resumed, whole, strict=True):
        equal(part, expected)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x))


def test_torch_layers_by_name_and_by_module() -> None:
    net = Net().eval()
    bases = list(rotation_bases(8, [1], [0]).values())
    model = ModelInBases(open_model(net), bases)
    images = torch.randn(2, 3, 32, 32)
    name = f"conv@{bases[0].name}"
    with model.probe(
        [net.conv, LayerView(net.conv, bases[0]), name], (32, 32)
    ) as probe:
        assert probe.layers == ("conv", name, name)
        maps = dict(probe(images))
    # before the ReLU that works in place
    expected = net.conv(images)
    assert torch.allclose(maps["conv"], expected, atol=1e-6)
    rotation = torch.from_numpy(random_rotation(8, 0)).float()
    turned = torch.einsum("du,nurc->ndrc", rotation, expected)
    assert torch.allclose(maps[name], turned, atol=1e-5)


def test_onnx_layers(tmp_path: Path) -> None:
    path = onnx_files.dynamic_batch(tmp_path)
    plain = open_model(str(path))
    size = plain.preprocess.size
    layer = next(layer.name for layer in plain.layers(size) if layer.shape)
    images = torch.randn(2, 3, *size)
    with plain.probe([layer], size) as probe:
        maps = probe(images)[layer]
    order = list(reversed(range(maps.shape[1])))
    basis = open_basis(permutation(order))
    model = ModelInBases(plain, [basis])
    with model.probe([f"{layer}@matrix", layer], size) as probe:
        views = probe(images)
        assert torch.equal(views[f"{layer}@matrix"], maps[:, order])
        assert torch.equal(views[layer], maps)
        assert probe.geometries[f"{layer}@matrix"] == probe.geometries[layer]


class ActivationsOnly(ModelInBases):
    """Without the parts it can be split into, which are of the layers' own units."""

    def __getattr__(self, name: str) -> Any:
        if name in ("outputs", "linear_head", "rest"):
            raise AttributeError(name)
        return super().__getattr__(name)


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_views_keep_the_contract_of_models(backend: str, tmp_path: Path) -> None:
    if backend == "torch":
        plain, layer, size = open_model(Net().eval()), "conv", (32, 32)
    else:
        plain = open_model(str(onnx_files.dynamic_batch(tmp_path)))
        size = plain.preprocess.size
        layer = next(item.name for item in plain.layers(size) if item.shape)
    basis = open_basis(lambda maps: maps.flip(1), name="flipped")
    model = ActivationsOnly(plain, [basis])
    check_opened_model(model, [f"{layer}@flipped", layer], size)


def test_capabilities_of_the_model_pass_through() -> None:
    net = Net().eval()
    opened = open_model(net)
    basis = open_basis(torch.eye(8))
    model = ModelInBases(opened, [basis])
    assert model.compute_precision == "float32"
    assert model.precision == "float32"
    assert model.notes == opened.notes and model.backend == "torch"
    half = in_precision(model, "bfloat16")
    assert isinstance(half, ModelInBases) and half.bases == (basis,)
    assert half.compute_precision == "bfloat16"
    assert model.identity.fingerprint != opened.identity.fingerprint
    assert ModelInBases(opened, []).identity == opened.identity
    assert hasattr(model, "rest")
    planted: Model = ModelInBases(Planted({"layer": MAPS}), [basis])
    assert not hasattr(planted, "in_precision")


def test_half_precision_is_changed_in_float32() -> None:
    net = Net().eval()
    basis = next(iter(rotation_bases(8, [1], [0]).values()))
    model = in_precision(ModelInBases(open_model(net), [basis]), "bfloat16")
    images = torch.randn(2, 3, 32, 32)
    with (
        model.probe(["conv", f"conv@{basis.name}"], (32, 32)) as probe,
        torch.autocast("cpu", torch.bfloat16),
    ):
        maps = probe(images)
        turned = maps[f"conv@{basis.name}"]
        own = maps["conv"]
    assert turned.dtype == torch.float32
    exact = random_rotation(8, 0) @ own.double().flatten(2).numpy()
    # of a product in bfloat16 the error were 4e-3
    assert np.allclose(turned.flatten(2).numpy(), exact, atol=1e-5)


@pytest.mark.parametrize(
    ("transform", "error", "message"),
    [
        (lambda maps: maps.mean(1), ModelFailed, r"returns shape \(8, 5, 4\)"),
        (lambda maps: maps[:, :, :2], ModelFailed, "only the number of units"),
        (lambda maps: 3, ModelFailed, "returns a int"),
        (lambda maps: maps @ torch.eye(3), ModelFailed, "fails on maps of shape"),
        (torch.eye(5), BadInput, "for layers of 5 units, and 'layer' has 6"),
        (torch.ones(6, 2), BadInput, "transpose it: directions are the rows"),
    ],
)
def test_what_is_no_basis_of_the_layer_is_refused(
    transform: Callable[[Tensor], Tensor] | Tensor,
    error: type[Exception],
    message: str,
    feed: Feed,
) -> None:
    basis = open_basis(transform, name="mine")
    model = ModelInBases(Planted({"layer": MAPS}), [basis])
    with pytest.raises(error, match=message):
        run(model, ["layer@mine"], feed)


def test_a_function_may_work_in_place(feed: Feed) -> None:
    basis = open_basis(lambda maps: maps.mul_(-1), name="negated")
    model = ModelInBases(Planted({"layer": MAPS}), [basis])
    negated, _, plain, _ = run(model, ["layer@negated", "layer"], feed)
    alone = run(Planted({"layer": MAPS, "minus": -MAPS}), ["layer", "minus"], feed)
    equal(plain, alone[0])
    equal(negated, alone[2])


def test_notes_on_a_layer_reach_its_views(feed: Feed) -> None:
    planted = Planted({"layer": MAPS, "other": MAPS})
    basis = Basis("b", lambda maps: maps, "1", notes=("a guess",))
    model = ModelInBases(planted, [basis])
    with model.probe(["layer@b", "other"], (32, 32)) as probe:
        noted = type(
            "Noted",
            (),
            {
                "notes": ("layer 'layer': spread evenly", "all"),
                "layers": probe.probe.layers,
                "geometries": {},
            },
        )()
        changed = type(probe)(noted, planted, probe.views)
        assert changed.notes == (
            "layer 'layer@b': spread evenly",
            "all",
            "layer 'layer@b': a guess",
        )


def test_two_bases_of_one_name_are_refused() -> None:
    basis = open_basis(torch.eye(2), name="twice")
    with pytest.raises(BadInput, match="two bases are named 'twice'"):
        ModelInBases(Planted({"layer": MAPS}), [basis, basis])
