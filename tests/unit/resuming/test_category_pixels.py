"""Mask pixels of categories in saved states: kept, and unknown in those of earlier versions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nd_plugin.engine.state import CountState, State
from nd_plugin.method.counting import ConceptCounts
from nd_plugin.resuming.state_arrays import pack, unpack


@pytest.mark.parametrize("pixels", [np.array([768, 0]), None])
def test_they_are_packed_as_they_are(tmp_path: Path, pixels: object) -> None:
    areas = ConceptCounts(np.array([5, 7, 0]), np.array([3, 0]), pixels)  # type: ignore[arg-type]
    metadata, arrays = pack(State(counted=CountState(areas, {})))
    assert ("counted/pixels" in arrays) == (pixels is not None)
    state = unpack(metadata, arrays, tmp_path, torch.device("cpu"))
    assert state.counted is not None
    restored = state.counted.areas
    assert restored.area.tolist() == [5, 7, 0]
    if pixels is None:
        assert restored.pixels is None
    else:
        assert restored.pixels is not None
        assert restored.pixels.tolist() == [768, 0]
