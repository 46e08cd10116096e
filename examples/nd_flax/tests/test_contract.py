"""The contract of backends, checked by the kit that nd_plugin ships for plugin authors."""

from __future__ import annotations

import pytest

from nd_flax.backend import FlaxBackend
from nd_plugin.testing import Check, backend_checks

NNX = backend_checks(
    FlaxBackend,
    "flax:nd_flax.example:SmallNetwork?width=8",  # residual block, patches, attention
    layers=["stem", "block", "attention", "head"],
    size=(48, 64),
)
LINEN = backend_checks(
    FlaxBackend,
    "flax:flax_models:linen_network",
    layers=["stem", "LinenBlock_1"],
    size=(32, 48),
)
DENSE = backend_checks(
    FlaxBackend,
    "flax:flax_models:ConvolutionalNetwork",  # takes images of one size only
    layers=["norm", "second", "head"],
    size=(64, 64),
)


@pytest.mark.parametrize("check", NNX, ids=str)
def test_an_nnx_model(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", LINEN, ids=str)
def test_a_linen_model(check: Check) -> None:
    check()


@pytest.mark.parametrize("check", DENSE, ids=str)
def test_a_model_of_one_size(check: Check) -> None:
    check()
