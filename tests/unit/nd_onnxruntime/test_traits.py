"""Traits of ONNX models: what they give for noise, where the file does not decide it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import Drawn
from onnx import helper
from small_models import model_of

from nd_onnxruntime.backend import OnnxBackend
from nd_plugin import BadInput, ModelOptions, Preprocess, Settings
from nd_plugin.contracts.model_traits import traits_of
from nd_plugin.contracts.provenance import ModelTraits
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.resuming.checkpoint import CheckpointFolder

SIZE = (32, 32)
HOW = Preprocess(SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def opened(operator: str) -> Any:
    node = helper.make_node(operator, ["image"], ["y"])
    # without the host's guard, which is no dataclass
    return OnnxBackend().open(model_of([node]), ModelOptions("cpu"))


def traits(model: Any) -> ModelTraits:
    with torch.no_grad(), model.probe(["y"], SIZE) as probe:
        return traits_of(model, probe, HOW)


def test_each_layer_has_sums_which_are_the_same_in_each_session() -> None:
    first = traits(opened("Sigmoid"))
    assert set(first.sums) == {"y"} and first.noise
    assert first.spec == first.structure == ""
    assert traits(opened("Sigmoid")) == first
    other = traits(opened("Tanh"))
    assert other.noise == first.noise and other.sums != first.sums


def test_no_noise_is_run_twice() -> None:
    with opened("Sigmoid").probe(["y"], SIZE) as probe:
        noise_run = probe.noise_run
        assert noise_run.images.shape == (2, 3, *SIZE)
        expected = torch.sigmoid(noise_run.images)
        torch.testing.assert_close(noise_run.maps["y"], expected)


def test_another_operator_behind_the_same_bytes_is_refused(tmp_path: Path) -> None:
    """As another build of a library of custom operators is."""
    concepts = Drawn.of("shapes?images=6&size=32&seed=3")
    feed = Feed.of(
        concepts, HOW, Settings(0.05, pictures=0), torch.device("cpu"), 2, 0
    )

    def dissect(model: Any, progress: Any) -> None:
        checkpoints = CheckpointFolder(tmp_path / "run", feed, every_images=1)
        with checkpoints.guarded():
            run(model, ["y"], feed, progress, open_state=checkpoints.open_state)

    def stop(stage: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    first = opened("Sigmoid")
    with pytest.raises(KeyboardInterrupt):
        dissect(first, stop)
    other = replace(opened("Tanh"), identity=first.identity)
    with pytest.raises(BadInput, match="what the model computes"):
        dissect(other, stop)
    dissect(opened("Sigmoid"), lambda *_: None)
