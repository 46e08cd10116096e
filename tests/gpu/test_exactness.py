"""The integers and thresholds of a GPU are those of a CPU, where the arithmetic is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exact_network import LAYERS, PREPROCESS, ExactNetwork, check_exactness

from nd_plugin import (
    ConceptSet,
    Dissection,
    Model,
    Settings,
    open_concepts,
    open_model,
)
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.resuming.checkpoint import CheckpointFolder

IMAGES = 60
BATCH = 8  # the last batch is smaller
QUANTILES = (0.005, 0.05, 0.3)
MIB = 2**20
INTEGERS = (
    "intersection",
    "unit_area",
    "concept_area",
    "category_images",
    "category_pixels",
    "dead",
    "sparse",
    "top_images",
)
EXACT_FLOATS = ("thresholds", "top_activations")


@pytest.fixture(scope="module")
def concepts() -> ConceptSet:
    return open_concepts(f"shapes?images={IMAGES}")


def dissect(
    concepts: ConceptSet,
    device: torch.device | str,
    *,
    quantiles: Sequence[float] = QUANTILES,
    **options: Any,
) -> list[Dissection]:
    model = open_model(ExactNetwork().eval().to(device))
    return run(model, LAYERS, feed_of(concepts, model, quantiles, **options))


def feed_of(
    concepts: ConceptSet, model: Model, quantiles: Sequence[float], **options: Any
) -> Feed:
    return Feed.of(
        concepts,
        PREPROCESS,
        Settings(quantiles=tuple(quantiles)),
        model.device,
        batch_size=BATCH,
        **{"workers": 0, **options},
    )


@pytest.fixture(scope="module")
def on_the_cpu(concepts: ConceptSet) -> list[Dissection]:
    return dissect(concepts, "cpu")


def assert_equal(
    results: Sequence[Dissection], expected: Sequence[Dissection]
) -> None:
    assert len(results) == len(expected) == len(LAYERS) * len(QUANTILES)
    for result, reference in zip(results, expected, strict=True):
        where = f"{result.layer} at {result.settings.quantile}"
        for name in (*INTEGERS, *EXACT_FLOATS):
            np.testing.assert_array_equal(
                getattr(result, name),
                getattr(reference, name),
                err_msg=f"{name} of {where}",
            )
        assert result.layer == reference.layer
        assert result.locations == reference.locations
        assert asdict(result.settings) == asdict(reference.settings)


def test_the_arithmetic_is_exact_in_float32(concepts: ConceptSet) -> None:
    pixels = [PREPROCESS.resize(concepts.image(index)) for index in range(8)]
    images = PREPROCESS.normalise(torch.stack(list(map(torch.as_tensor, pixels))))
    check_exactness(images)


def test_units_are_of_every_kind(on_the_cpu: list[Dissection]) -> None:
    far = on_the_cpu[-3]
    assert far.settings.quantile == QUANTILES[0]
    assert far.dead.any() and far.sparse.any()
    assert (~far.dead & ~far.sparse).sum() > 4
    assert all(int(result.intersection.sum()) > 0 for result in on_the_cpu)


def test_a_checkpoint_after_each_batch(
    gpu: torch.device,
    concepts: ConceptSet,
    on_the_cpu: list[Dissection],
    tmp_path: Path,
) -> None:
    model = open_model(ExactNetwork().eval().to(gpu))
    feed = feed_of(concepts, model, QUANTILES)
    folder = CheckpointFolder(tmp_path / "state", feed, every_images=BATCH)
    with folder.guarded():
        results = run(model, LAYERS, feed, open_state=folder.open_state)
    assert_equal(results, on_the_cpu)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"workers": 2},
        # nothing stays in the host's memory
        {"memory": 0},
        {"device_memory": 64 * MIB},
        # next to nothing stays on the device, either
        {"device_memory": MIB, "memory": MIB},
    ],
    ids=str,
)
def test_gpu_equals_cpu(
    gpu: torch.device,
    concepts: ConceptSet,
    on_the_cpu: list[Dissection],
    options: dict[str, Any],
) -> None:
    assert_equal(dissect(concepts, gpu, **options), on_the_cpu)


@pytest.mark.parametrize("device_memory", [None, MIB])
def test_folds_and_permutations(
    gpu: torch.device, concepts: ConceptSet, device_memory: int | None
) -> None:
    settings = Settings(quantiles=QUANTILES, folds=5, permutations=3, seed=1)
    results = []
    for device in (torch.device("cpu"), gpu):
        model = open_model(ExactNetwork().eval().to(device))
        feed = feed_of(concepts, model, QUANTILES, device_memory=device_memory)
        results.append(run(model, LAYERS, replace(feed, settings=settings)))
    assert_equal(results[1], results[0])
    for one, other in zip(*results, strict=True):
        for counts in ("folds", "chance"):
            expected = vars(getattr(other, counts))
            for name, value in vars(getattr(one, counts)).items():
                np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_real_annotations(gpu: torch.device, request: Any) -> None:
    """Broden's: several planes of a category, whole-image labels, masks of their own size."""
    folder = request.getfixturevalue("real_data") / "broden_camvid"
    broden = open_concepts(f"broden:{folder}")
    limited: dict[str, Any] = {"batch_size": 32, "workers": 2}
    results = []
    for device in (torch.device("cpu"), gpu):
        model = open_model(ExactNetwork().eval().to(device))
        feed = Feed.of(
            broden,
            PREPROCESS,
            Settings(quantiles=QUANTILES, limit=200),
            model.device,
            **limited,
        )
        results.append(run(model, LAYERS, feed))
    assert_equal(results[1], results[0])
