"""Waits of the host for the GPU: a handful a batch, whatever the number of units and images."""

from __future__ import annotations

import sys
import warnings

import pytest
import torch
from exact_network import LAYERS, PREPROCESS, ExactNetwork

from nd_plugin import Settings, open_concepts, open_model
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed

BATCH = 16
BATCHES = (4, 12)
# of all layers together, in both passes
WAITS_PER_BATCH = 4 * len(LAYERS)


def waits(batches: int, gpu: torch.device) -> int:
    """Count the operations of a dissection that wait for the GPU, as torch's debug mode does."""
    model = open_model(ExactNetwork().eval().to(gpu))
    concepts = open_concepts(f"shapes?images={batches * BATCH}")
    feed = Feed.of(
        concepts, PREPROCESS, Settings(), gpu, batch_size=BATCH, workers=0
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run(model, LAYERS, feed)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    messages = [str(warning.message) for warning in caught]
    return sum("synchroniz" in message for message in messages)


def test_are_a_handful_a_batch(
    real_gpu: torch.device, capsys: pytest.CaptureFixture[str]
) -> None:
    waits(1, real_gpu)  # what is compiled or measured once is not counted
    few, many = (waits(batches, real_gpu) for batches in BATCHES)
    per_batch = (many - few) / (BATCHES[1] - BATCHES[0])
    with capsys.disabled():
        sys.stdout.write(f"\nsynchronisations: {per_batch:.2f} a batch\n")
    assert per_batch <= WAITS_PER_BATCH
