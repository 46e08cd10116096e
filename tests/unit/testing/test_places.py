"""Places verified through probes: what is stated beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nd_plugin import Axis, Geometry, Model, Probe, open_model
from nd_plugin.testing.places import verify_places

SIZE = (48, 80)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 4, 4), nn.Conv2d(16, 16, 3, 1, 1)).eval()


@dataclass
class ShiftedProbe:
    """Probe whose geometry is a cell away along the rows."""

    probe: Any

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.probe.layers)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        return {
            layer: replace(geometry, rows=Axis(4, 4, geometry.rows.offset + 4))
            for layer, geometry in self.probe.geometries.items()
        }

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        maps: Mapping[str, Tensor] = self.probe(images)
        return maps


class Shifted:
    def __init__(self, model: Model) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Any) -> Iterator[Probe]:
        with self.model.probe(layers, size) as probe:
            yield ShiftedProbe(probe)


def test_verified_places_say_what_was_measured() -> None:
    model = open_model(nn.Sequential(network(), nn.AdaptiveAvgPool2d(1)))
    places = list(verify_places(model, model.layers(SIZE), SIZE))
    assert [place.layer for place in places] == ["0.0", "0.1", "0"]
    for place in places:
        assert place.verdict == "agrees"
        assert place.measured is not None
        assert place.measured.rows.stride == 4
    wrong: Any = Shifted(open_model(network()))
    (first, _) = verify_places(wrong, wrong.layers(SIZE), SIZE)
    assert first.verdict == "differs"
    assert first.deviation.rows == pytest.approx(1, abs=0.3)
    assert first.deviation.columns == pytest.approx(0, abs=0.3)
