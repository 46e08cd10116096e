"""Models of the same weights that compute something else are not continued, and not merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import Drawn
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Dissection,
    LayerDissection,
    Preprocess,
    Settings,
    in_bases,
    open_model,
)
from nd_plugin.engine.run import observe, run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import Part
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

HOW = Preprocess((32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CPU = torch.device("cpu")
SETTINGS = Settings(0.05, pictures=0)
Function = Callable[[Tensor], Tensor]


class Net(nn.Module):
    """Network whose activation function and whose end are attributes: no module shows them."""

    def __init__(
        self, act: Function = torch.relu, end: Function = torch.relu
    ) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.near = nn.Conv2d(3, 5, 5, 4, 2)
        self.far = nn.Conv2d(5, 6, 3, 2, 1)
        self.behind = nn.Conv2d(6, 4, 1)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=random) / 4
        self.act = act
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.behind(self.act(self.far(self.act(self.near(x))))))


class Noisy(Net):
    """Network with dropout at test time."""

    def forward(self, x: Tensor) -> Tensor:
        near = nn.functional.dropout(self.near(x), 0.5, training=True)
        return self.behind(self.far(near))


class Stop:
    """Progress callback that ends a run at its second call."""

    calls = 0

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def shapes() -> Drawn:
    return Drawn.of("shapes?images=8&size=32&seed=3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


def feed_of(concepts: Any, part: str = "1/1") -> Feed:
    index, of = map(int, part.split("/"))
    return Feed.of(concepts, HOW, SETTINGS, CPU, 2, 0, part=Part(index - 1, of))


def dissect(
    model: Any, layers: Sequence[Any], concepts: Any, folder: Path, progress: Any
) -> list[Dissection]:
    checkpoints = CheckpointFolder(folder, feed_of(concepts), every_images=1)
    with checkpoints.guarded():
        return run(
            open_model(model) if not hasattr(model, "probe") else model,
            layers,
            checkpoints.feed,
            progress,
            open_state=checkpoints.open_state,
        )


def interrupt(
    model: Any, layers: Sequence[Any], concepts: Any, folder: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        dissect(model, layers, concepts, folder, Stop())
    assert (folder / "state.npz").is_file()


def resume(
    model: Any, layers: Sequence[Any], concepts: Any, folder: Path
) -> list[Dissection]:
    return dissect(model, layers, concepts, folder, lambda *_: None)


def test_an_edited_forward_is_refused(shapes: Drawn, folder: Path) -> None:
    interrupt(Net(torch.relu), ["far"], shapes, folder)
    with pytest.raises(BadInput) as refused:
        resume(Net(torch.sigmoid), ["far"], shapes, folder)
    message = str(refused.value)
    assert "differs in what the model computes" in message and "'far'" in message
    assert "use the model that the run began with" in message


def test_the_same_forward_goes_on(shapes: Drawn, folder: Path) -> None:
    interrupt(Net(), ["far"], shapes, folder)
    (resumed,) = resume(Net(), ["far"], shapes, folder)
    (whole,) = run(open_model(Net()), ["far"], feed_of(shapes))
    assert np.array_equal(resumed.intersection, whole.intersection)
    assert resumed.provenance.notes == whole.provenance.notes
    assert resumed.provenance.traits == whole.provenance.traits


def test_what_lies_behind_the_layers_does_not_matter(
    shapes: Drawn, folder: Path
) -> None:
    interrupt(Net(end=torch.relu), ["far"], shapes, folder)
    assert resume(Net(end=torch.sigmoid), ["far"], shapes, folder)


@pytest.mark.parametrize(
    ("original", "function"),
    [
        (torch.relu, lambda x: nn.functional.leaky_relu(x, 0.001)),
        (nn.functional.gelu, lambda x: nn.functional.gelu(x, approximate="tanh")),
        (torch.relu, lambda x: x.relu().clamp(max=0.5)),
    ],
    ids=["a slope of 0.001", "gelu by tanh", "clipped"],
)
def test_functions_that_are_nearly_the_same_are_refused(
    shapes: Drawn, folder: Path, original: Function, function: Function
) -> None:
    interrupt(Net(original), ["far"], shapes, folder)
    with pytest.raises(BadInput, match="what the model computes"):
        resume(Net(function), ["far"], shapes, folder)


def test_another_class_in_the_place_of_a_module_is_refused(
    shapes: Drawn, folder: Path
) -> None:
    def net(act: nn.Module) -> nn.Module:
        parts = Net()
        return nn.Sequential(parts.near, act, parts.far)

    interrupt(net(nn.ReLU()), ["2"], shapes, folder)
    with pytest.raises(BadInput, match=r"differs in model\.structure"):
        resume(net(nn.Sigmoid()), ["2"], shapes, folder)


def test_a_closure_that_changed_is_refused(shapes: Drawn, folder: Path) -> None:
    net = Net()

    def with_factor(factor: float) -> Function:
        return lambda images: net(images * factor)

    interrupt(with_factor(1.0), [net.far], shapes, folder)
    assert resume(with_factor(1.0), [net.far], shapes, folder)
    interrupt(with_factor(1.0), [net.far], shapes, folder / "again")
    with pytest.raises(BadInput, match="what the model computes"):
        resume(with_factor(1.01), [net.far], shapes, folder / "again")


def test_a_module_called_by_another_method_is_refused(
    shapes: Drawn, folder: Path
) -> None:
    class Methods(Net):
        def features(self, x: Tensor) -> Tensor:
            return self.far(self.near(x))

    net = Methods()
    interrupt(net.features, ["far"], shapes, folder)
    with pytest.raises(BadInput, match="what the model computes"):
        resume(net, ["far"], shapes, folder)


def test_a_basis_that_depends_on_what_is_not_seen_is_refused(
    shapes: Drawn, folder: Path
) -> None:
    class Hidden:
        """Callable whose state no fingerprint sees."""

        __slots__ = ("factor",)

        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, maps: Tensor) -> Tensor:
            return maps + self.factor * maps.square()

    def model(factor: float) -> Any:
        return in_bases(Net(), own=Hidden(factor))

    layers = ["far", "far@own"]
    interrupt(model(1.0), layers, shapes, folder)
    with pytest.raises(BadInput, match=r"what the model computes.*'far@own'"):
        resume(model(1.01), layers, shapes, folder)
    assert len(resume(model(1.0), layers, shapes, folder)) == 2


def test_a_model_that_varies_goes_on_and_a_note_says_what_was_not_compared(
    shapes: Drawn, folder: Path
) -> None:
    interrupt(Noisy(), ["far"], shapes, folder)
    (resumed,) = resume(Noisy(), ["far"], shapes, folder)
    assert any(
        "'far'" in note and "could not be compared" in note
        for note in resumed.provenance.notes
    )


def test_captum_s_checkpoint_is_of_the_model_s_function(
    shapes: Drawn, folder: Path
) -> None:
    interrupt(Net(), ["far"], shapes, folder)
    how: dict[str, Any] = {
        "preprocess": HOW, "quantile": 0.05, "batch_size": 2, "workers": 0, "pictures": False,
        "checkpoint": folder,
    }  # fmt: skip
    with pytest.raises(BadInput, match="what the model computes"):
        LayerDissection(Net(torch.tanh), "far").dissect(shapes, **how)
    assert LayerDissection(Net(), "far").dissect(shapes, **how)


def shard(model: Any, concepts: Any, folder: Path, part: str) -> Path:
    checkpoints = CheckpointFolder(folder, feed_of(concepts, part))
    with checkpoints.guarded():
        observe(
            open_model(model),
            ["far"],
            checkpoints.feed,
            lambda *_: None,
            checkpoints.open_state,
        )
    return folder


def test_shards_of_other_functions_are_not_merged(
    shapes: Drawn, tmp_path: Path
) -> None:
    first = shard(Net(), shapes, tmp_path / "first", "1/2")
    second = shard(Net(torch.sigmoid), shapes, tmp_path / "second", "2/2")
    with pytest.raises(BadInput) as refused:
        shards.load([first, second])
    assert f"{second} does not belong to {first}" in str(refused.value)
    assert "what the model computes" in str(refused.value)


def test_a_model_for_the_merge_computes_what_the_shards_did(
    shapes: Drawn, tmp_path: Path
) -> None:
    folders = [
        shard(Net(), shapes, tmp_path / part.replace("/", "-"), part)
        for part in ("1/2", "2/2")
    ]
    loaded = shards.load(folders)
    with pytest.raises(
        BadInput, match="the model differs in what the model computes"
    ):
        shards.merge(
            loaded, shapes, model=open_model(Net(torch.sigmoid)), workers=0
        )
    shards.close(loaded)
    loaded = shards.load(folders)
    (merged,) = shards.merge(loaded, shapes, model=open_model(Net()), workers=0)
    shards.close(loaded)
    (whole,) = run(open_model(Net()), ["far"], feed_of(shapes))
    assert np.array_equal(merged.intersection, whole.intersection)
    assert merged.provenance.traits == whole.provenance.traits
