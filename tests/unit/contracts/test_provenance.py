"""Settings of a run with one quantile or several, and what cannot be meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nd_plugin import BadInput, Settings


def test_several_quantiles_begin_with_the_first() -> None:
    settings = Settings(quantiles=(0.02, 0.05, 0.02))
    assert settings.quantile == 0.02
    assert settings.all_quantiles == (0.02, 0.05)
    assert settings.at(0.05) == Settings(0.05)


def test_one_of_several_is_one() -> None:
    assert Settings(quantiles=(0.02,)) == Settings(0.02)
    assert Settings().all_quantiles == (0.005,)


def test_one_quantile_can_be_replaced() -> None:
    assert replace(Settings(0.02), quantile=0.1).all_quantiles == (0.1,)


def test_two_answers_are_refused() -> None:
    with pytest.raises(BadInput, match=r"quantile 0\.1 beside quantiles"):
        replace(Settings(quantiles=(0.02, 0.05)), quantile=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantiles": (0.02, 2)}, "quantile 2.0 is not between 0 and 1"),
        ({"quantile": "many"}, "quantile 'many' is no number"),
        ({"min_iou": 1.5}, "min_iou 1.5 is not between 0 and 1"),
        ({"anchor": "middle"}, "anchor 'middle' is neither"),
        ({"top_images": 0}, "top_images 0 is not a positive number"),
        ({"limit": 0}, "limit 0 leaves no image"),
    ],
)
def test_what_cannot_be_meant(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Settings(**change)
