"""Large annotations are combined strip by strip: the same numbers as all at once."""

from __future__ import annotations

import numpy as np
import pytest

from nd_plugin import Annotation
from nd_plugin.method import annotations
from nd_plugin.method.annotations import LabelCombinations


def drawn(seed: int) -> Annotation:
    random = np.random.default_rng(seed)
    planes = [
        random.integers(0, random.integers(1, 9), random.integers(1, 40, 2))
        for _ in range(random.integers(0, 4))
    ]
    labels = tuple(random.integers(1, 9, random.integers(0, 3)).tolist())
    return Annotation(planes, labels)


@pytest.mark.parametrize("pixels_at_once", [1, 50, 333])
@pytest.mark.parametrize("seed", range(12))
def test_strips_give_the_same_as_the_whole(
    seed: int, pixels_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotation = drawn(seed)
    for size in ((23, 31), (7, 90)):
        whole = LabelCombinations.of(annotation, size)
        with monkeypatch.context() as patch:
            patch.setattr(annotations, "PIXELS_AT_ONCE", pixels_at_once)
            strips = LabelCombinations.of(annotation, size)
        for name in ("combinations", "members", "concepts", "areas"):
            left, right = getattr(whole, name), getattr(strips, name)
            assert left.dtype == right.dtype and np.array_equal(left, right), name


def test_a_plane_that_is_none_is_refused_in_strips_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annotations, "PIXELS_AT_ONCE", 4)
    for shape in ((3,), (0, 4), (2, 3, 4)):
        with pytest.raises(ValueError, match=r"annotation plane has shape"):
            LabelCombinations.of(Annotation([np.zeros(shape, int)]), (5, 6))
