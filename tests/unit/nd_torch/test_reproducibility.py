"""Models whose maps of an image vary: dropout at test time, statistics of the batch."""

from __future__ import annotations

import random
from typing import Any

import networks
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_maps import maps_of

from nd_plugin import (
    Dissection,
    LayerDissection,
    ModelFailed,
    Preprocess,
    open_model,
)

SIZE = (32, 32)


def model_with(function: object) -> nn.Module:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    return nn.Sequential(convolution, networks.Call(function), nn.Conv2d(4, 2, 1))


def dropping() -> nn.Module:
    """Return a model with the usual mistake: F.dropout drops unless it is told not to."""
    return model_with(lambda x: F.dropout(x, 0.1))


def normalising() -> nn.Module:
    """Return a model that normalises by the batch, in evaluation mode too."""
    return model_with(lambda x: F.batch_norm(x, None, None, training=True))


def dissected(model: nn.Module, layer: str, **options: Any) -> Dissection:
    dissection = LayerDissection(model, layer).dissect(
        "shapes",
        workers=0,
        limit=6,
        quantile=0.1,
        preprocess=Preprocess(size=(64, 64)),
        **options,
    )
    assert isinstance(dissection, Dissection)
    return dissection


class TestProbe:
    def test_dropout_at_test_time_is_named_at_each_layer_behind_it(self) -> None:
        with open_model(dropping()).probe(["0", "1", "2"], SIZE) as probe:
            (reason,) = probe.unreliable
            assert reason.startswith("layers '1', '2': two runs of the same images")
            assert probe.notes == ()

    def test_layers_in_front_of_it_are_reliable(self) -> None:
        with open_model(dropping()).probe(["0"], SIZE) as probe:
            assert probe.unreliable == ()

    def test_dropout_of_training_is_off(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5)).train()
        with open_model(model).probe(["1"], SIZE) as probe:
            assert probe.unreliable == ()

    def test_statistics_of_the_batch_make_images_run_alone(
        self, images: Tensor
    ) -> None:
        model = normalising()
        with torch.no_grad():
            single_maps = torch.cat([model(image[None]) for image in images])
            assert not torch.allclose(model(images), single_maps, atol=0.01)
        maps = maps_of(model, "2", images)
        # two computations of one convolution, in other memory formats
        torch.testing.assert_close(maps, single_maps, rtol=1e-4, atol=1e-5)
        with open_model(model).probe(["2"], (64, 64)) as probe:
            assert probe.unreliable == ()
            assert probe.notes == (
                "outputs depend on the rest of the batch; images were run one at a time",
            )

    def test_statistics_of_the_batch_that_need_several_images(self) -> None:
        def normalise(x: Tensor) -> Tensor:
            return F.batch_norm(x.mean((2, 3)), None, None, training=True)

        model = nn.Sequential(nn.Conv2d(3, 4, 3), networks.Call(normalise))
        with open_model(model).probe(["1"], SIZE) as probe:
            (reason,) = probe.unreliable
            assert "'1'" in reason and "fails on single images" in reason

    def test_the_generators_of_random_numbers_are_left_alone(self) -> None:
        def disturb(x: Tensor) -> Tensor:
            return F.dropout(x) + random.random() + np.random.rand()

        model = model_with(disturb)
        for seed in (torch.manual_seed, random.seed, np.random.seed):
            seed(5)
        expected = (torch.rand(1), random.random(), np.random.rand())
        for seed in (torch.manual_seed, random.seed, np.random.seed):
            seed(5)
        with open_model(model).probe(["1"], SIZE):
            pass
        assert (torch.rand(1), random.random(), np.random.rand()) == expected

    def test_an_input_that_is_changed_in_place(self) -> None:
        model = nn.Sequential(networks.Call(lambda x: x.mul_(-2)), nn.ReLU())
        with open_model(model).probe(["0"], SIZE) as probe:
            assert probe.unreliable == () and probe.notes == ()


class TestResult:
    def test_a_random_model_is_said_in_the_notes(self) -> None:
        dissection = dissected(dropping(), "1")
        notes = dissection.provenance.notes
        assert sum("two runs of the same images" in note for note in notes) == 1

    def test_a_random_model_is_refused_under_strict(self) -> None:
        message = r"layer '1': two runs.*dropout.*choose a layer.*--strict"
        with pytest.raises(ModelFailed, match=message):
            dissected(dropping(), "1", strict=True)

    def test_statistics_of_the_batch_give_one_result_for_every_batch_size(
        self,
    ) -> None:
        dissections = []
        for batch_size in (1, 4):
            dissection = dissected(
                normalising(), "2", batch_size=batch_size, strict=True
            )
            dissections.append(dissection)
        first, second = dissections
        # of one image at a time in both runs: the same computation, to the last bit
        assert np.array_equal(first.thresholds, second.thresholds)
        assert np.array_equal(first.intersection, second.intersection)
        assert any("one at a time" in note for note in second.provenance.notes)
