"""Traits of models: sums of maps of noise, by which a run knows its model again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nd_plugin import NoiseRun, Preprocess
from nd_plugin.borders.json_values import read_record
from nd_plugin.contracts.model_traits import signed_sums, traits_of
from nd_plugin.contracts.provenance import ModelTraits

HOW = Preprocess((8, 6))
MAPS = torch.randn(2, 5, 7, 3, generator=torch.Generator().manual_seed(0))


def test_sums_are_of_the_order_of_a_value_and_always_the_same() -> None:
    sums = signed_sums(MAPS)
    assert len(sums) == 64
    assert sums == signed_sums(MAPS.clone())
    # variance of the values, divided among the sums
    assert sum(value**2 for value in sums) == pytest.approx(1, rel=0.5)


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 4, 6, 2), (0, 3, 5, 1)])
def test_a_change_of_any_value_changes_one_sum(place: tuple[int, ...]) -> None:
    changed = MAPS.clone()
    changed[place] += 1
    pairs = zip(signed_sums(MAPS), signed_sums(changed), strict=True)
    differences = [abs(first - second) for first, second in pairs]
    assert sum(difference > 0 for difference in differences) == 1
    assert max(differences) == pytest.approx(MAPS.numel() ** -0.5)


def test_the_order_of_units_matters() -> None:
    assert signed_sums(MAPS) != signed_sums(MAPS.flip(1))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_counts_as_0(value: float) -> None:
    broken = MAPS.clone()
    broken[0] = value
    zeroed = MAPS.clone()
    zeroed[0] = 0
    assert signed_sums(broken) == signed_sums(zeroed)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_type_has_sums(dtype: torch.dtype) -> None:
    assert signed_sums(MAPS.to(dtype)) == pytest.approx(signed_sums(MAPS), abs=0.02)


def test_no_values_have_sums_of_0() -> None:
    assert signed_sums(torch.empty(2, 0, 1, 1)) == (0.0,) * 64


def test_traits_outlive_json() -> None:
    traits = ModelTraits("net?act=relu", "abc", "def", {"layer": signed_sums(MAPS)})
    stored = json.loads(json.dumps(asdict(traits)))
    assert read_record(ModelTraits, stored, "traits") == traits
    assert read_record(ModelTraits, {}, "traits") == ModelTraits()


def test_a_layer_has_its_own_sums_alone() -> None:
    traits = ModelTraits("net", "abc", "def", {"near": (1.0,), "far": (2.0,)})
    assert traits.of_layer("far") == replace(traits, sums={"far": (2.0,)})


@dataclass
class ThirdPartyProbe:
    """Probe of a backend that knows nothing of noise."""

    compute: Callable[[Tensor], Tensor]
    batches: int = 0
    layers: tuple[str, ...] = ("safe", "odd")
    geometries: Any = None

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        self.batches += 1
        return {"safe": images * 2, "odd": self.compute(images)}


MODEL: Any = SimpleNamespace(device=torch.device("cpu"))


def test_the_host_runs_noise_where_the_backend_does_not() -> None:
    probe = ThirdPartyProbe(torch.relu)
    traits = traits_of(MODEL, probe, HOW)
    assert set(traits.sums) == {"safe", "odd"}
    assert probe.batches == 2
    assert traits_of(MODEL, ThirdPartyProbe(torch.relu), HOW) == traits
    other = traits_of(MODEL, ThirdPartyProbe(torch.sigmoid), HOW)
    assert other.noise == traits.noise and other.sums["safe"] == traits.sums["safe"]
    assert other.sums["odd"] != traits.sums["odd"]


def test_noise_is_of_another_size_for_another_preprocessing() -> None:
    first = traits_of(MODEL, ThirdPartyProbe(torch.relu), HOW)
    second = traits_of(MODEL, ThirdPartyProbe(torch.relu), Preprocess((6, 8)))
    assert first.noise != second.noise


def test_layers_that_vary_are_left_out() -> None:
    probe = ThirdPartyProbe(lambda images: images + torch.rand_like(images))
    assert set(traits_of(MODEL, probe, HOW).sums) == {"safe"}


def test_a_model_that_refuses_noise_is_not_compared() -> None:
    def refuse(images: Tensor) -> Tensor:
        raise ZeroDivisionError

    assert traits_of(MODEL, ThirdPartyProbe(refuse), HOW) == ModelTraits()


def test_a_backend_that_has_run_noise_runs_none_again() -> None:
    probe: Any = ThirdPartyProbe(torch.relu)
    probe.noise_run = NoiseRun(MAPS, {"safe": MAPS})
    traits = traits_of(MODEL, probe, HOW)
    assert probe.batches == 0
    assert traits.sums == {"safe": signed_sums(MAPS)}
    probe.noise_run = NoiseRun.none()
    assert traits_of(MODEL, probe, HOW) == ModelTraits() and probe.batches == 0


def test_spec_and_structure_are_the_model_s_own() -> None:
    model: Any = SimpleNamespace(
        device=MODEL.device, spec="net?act=relu", structure="abc"
    )
    traits = traits_of(model, ThirdPartyProbe(torch.relu), HOW)
    assert (traits.spec, traits.structure) == ("net?act=relu", "abc")
