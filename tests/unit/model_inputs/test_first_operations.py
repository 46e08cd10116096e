"""What a model does to its images first, and the preprocessing that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nd_plugin import FirstOperations, Preprocess

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
CAFFE = (103.939, 116.779, 123.68)  # blue, green, red
ASSUMED = Preprocess.imagenet("nothing says")

PIXELS = ((0, 0, 0), (1, 1, 1), 1)
UNIT = ((0, 0, 0), (1, 1, 1), 1 / 255)
SIGNED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 1 / 255)
IMAGENET = (MEAN, STD, 1 / 255)


def followed(*steps: tuple[str, Any], channels: int = 3) -> FirstOperations:
    """Operations with a number, or with one for each channel."""
    operations = FirstOperations.none(channels)
    for kind, numbers in steps:
        listed = numbers if isinstance(numbers, Sequence) else [numbers]
        result = operations.computed(kind, listed)
        assert result is not None
        operations = result
    return operations


def values(preprocess: Preprocess) -> tuple[Any, ...]:
    return preprocess.mean, preprocess.std, preprocess.scale


class TestCertain:
    @pytest.mark.parametrize(
        ("steps", "expected"),
        [
            ([("div", 255)], PIXELS),
            ([("mul", 1 / 255)], PIXELS),
            ([("mul", 0.00390625)], PIXELS),
            ([("mul", 1 / 127.5), ("sub", 1)], PIXELS),
            ([("sub", 127.5), ("div", 127.5)], PIXELS),
            ([("sub", 127), ("div", 128)], PIXELS),
            ([("div", 255), ("mul", 2), ("sub", 1)], PIXELS),
            ([("div", 255), ("sub", 0.5)], PIXELS),
            ([("div", 255), ("sub", MEAN), ("div", STD)], PIXELS),
            ([("div", 255), ("sub", MEAN), ("div", STD), ("mul", STD)], PIXELS),
            (
                [("sub", (123.675, 116.28, 103.53)), ("div", (58.4, 57.1, 57.4))],
                PIXELS,
            ),
            ([("sub", CAFFE[::-1])], PIXELS),
            ([("sub", MEAN), ("div", STD)], UNIT),
            ([("sub", 0.5), ("div", 0.5)], UNIT),
            ([("sub", 0.5)], UNIT),
            ([("mul", 2), ("sub", 1)], UNIT),
            ([("mul", 2), ("add", -1)], UNIT),
            ([("mul", 255)], UNIT),
            ([("mul", 255), ("sub", CAFFE[::-1])], UNIT),
            # folded into a factor and an offset by channel
            (
                [
                    ("mul", [1 / std for std in STD]),
                    ("sub", [m / s for m, s in zip(MEAN, STD, strict=True)]),
                ],
                UNIT,
            ),
            ([("add", 1), ("mul", 127.5)], SIGNED),
            ([("mul", 0.5), ("add", 0.5)], SIGNED),
        ],
    )
    def test_ranges(self, steps: Any, expected: Any) -> None:
        preprocess = followed(*steps).complete(ASSUMED, "the graph")
        assert values(preprocess) == expected
        assert preprocess.channel_order == "rgb"
        assert not preprocess.assumed and preprocess.notes == ()

    def test_grey_images(self) -> None:
        operations = followed(("sub", 0.1307), ("div", 0.3081), channels=1)
        assumed = Preprocess.imagenet("nothing says", (28, 28), 1)
        preprocess = operations.complete(assumed, "the graph")
        assert values(preprocess) == ((0,), (1,), 1 / 255)
        assert preprocess.size == (28, 28)

    def test_the_source_says_which_operations(self) -> None:
        operations = followed(("div", 255), ("sub", MEAN), ("add", 0))
        source = operations.complete(ASSUMED, "the graph").source
        assert source == (
            "the graph's first operations (div 255, sub 0.485 0.456 0.406) take pixels 0 to 255"
        )

    def test_channels_in_the_order_bgr(self) -> None:
        """The means of Caffe's models tell the order, unless the model reverses channels itself."""
        preprocess = followed(("sub", CAFFE)).complete(ASSUMED, "the graph")
        assert values(preprocess) == PIXELS and preprocess.channel_order == "bgr"
        assert preprocess.source.endswith(
            "pixels 0 to 255, channels in the order BGR"
        )
        reversing = FirstOperations.none(3).reordered(
            (2, 1, 0), "channels reversed"
        )
        operations = reversing.computed("sub", CAFFE)
        assert operations is not None
        preprocess = operations.complete(ASSUMED, "the graph")
        assert values(preprocess) == PIXELS and preprocess.channel_order == "rgb"


class TestHints:
    @pytest.mark.parametrize(
        ("mean", "variance", "hint"),
        [
            ([110, 120, 100], [3600, 3500, 3400], "suggest pixels 0 to 255"),
            ([0.45, 0.44, 0.4], [0.07, 0.07, 0.08], "suggest values 0 to 1"),
            ([0, 0, 0], [1, 1, 1], "do not tell which values it takes"),
            ([0.1, 0.2, 0.15], [1.1, 1, 1], "do not tell which values it takes"),
        ],
    )
    def test_a_batch_norm_is_no_proof(
        self, mean: Any, variance: Any, hint: str
    ) -> None:
        operations = FirstOperations.none(3).batch_normalised(mean, variance)
        preprocess = operations.complete(ASSUMED, "the graph")
        assert values(preprocess) == IMAGENET and preprocess.assumed
        assert preprocess.source == (
            f"ImageNet's (nothing says); its first operations (a BatchNorm) {hint}"
        )

    @pytest.mark.parametrize(
        "steps",
        [
            # a BatchNorm that was taken apart
            [("mul", (0.016, 0.017, 0.018)), ("add", (-1.9, -1.8, -2.1))],
            [
                ("sub", (99, 98, 97)),
                ("mul", (0.02, 0.021, 0.02)),
                ("add", (0.1, 0, 0)),
            ],
        ],
    )
    def test_nor_is_one_that_was_taken_apart(self, steps: Any) -> None:
        preprocess = followed(*steps).complete(ASSUMED, "the graph")
        assert values(preprocess) == IMAGENET and preprocess.assumed
        assert preprocess.source.endswith("suggest pixels 0 to 255")

    @pytest.mark.parametrize("steps", [[("mul", 0.37)], [("mul", -1), ("add", 1)]])
    def test_other_operations_are_named(self, steps: Any) -> None:
        preprocess = followed(*steps).complete(ASSUMED, "the graph")
        assert values(preprocess) == IMAGENET and preprocess.assumed
        assert f"first operations ({steps[0][0]} " in preprocess.source
        assert preprocess.source.endswith("do not tell which values it takes")

    def test_operations_that_change_nothing(self) -> None:
        operations = followed(("mul", 1), ("add", 0), ("sub", (0, 0, 0)))
        assert operations.complete(ASSUMED, "the graph") is ASSUMED

    def test_operations_that_reverse_or_divide_by_zero(self) -> None:
        none = FirstOperations.none(3)
        assert none.computed("sub", [1], constant_first=True) is None
        assert none.computed("div", [1], constant_first=True) is None
        assert none.computed("div", [1, 0, 1]) is None
        with pytest.raises(ValueError, match="2 values for 3 channels"):
            none.computed("add", [1, 2])
