"""Failures of a concept set that no image is to blame for, in this process and in workers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from nd_plugin import (
    Annotation,
    Concept,
    Identity,
    PluginFailed,
    Preprocess,
    RunFailed,
    Settings,
)
from nd_plugin.probe_data.batches import Feed


class OwnEnd(BaseException):
    pass


class Ending:
    """Concept set, given as an object, that ends its process at the fourth image."""

    native_masks = True
    categories = ("thing",)
    concepts = (Concept("dot", "thing"),)
    identity = Identity("ending", "a test", "1", "1")

    def __init__(self, place: str, end: BaseException) -> None:
        self.place = place
        self.end = end

    def __len__(self) -> int:
        return 6

    def name(self, index: int) -> str:
        return f"picture-{index}"

    def image(self, index: int) -> Image.Image:
        self._end_at("image", index)
        return Image.new("RGB", (8, 8))

    def annotation(self, index: int) -> Annotation:
        self._end_at("annotation", index)
        return Annotation([np.ones((4, 4), np.int32)])

    def _end_at(self, place: str, index: int) -> None:
        if place == self.place and index == 3:
            raise self.end


def load(concepts: Ending, workers: int) -> None:
    feed = Feed.of(
        concepts,
        Preprocess(size=(8, 8)),
        Settings(),
        torch.device("cpu"),
        batch_size=2,
        workers=workers,
    )
    for _ in feed.batches(annotated=True):
        pass


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("place", ["image", "annotation"])
@pytest.mark.parametrize(
    "end", [SystemExit(0), SystemExit("no data"), GeneratorExit(), OwnEnd("enough")]
)
def test_an_end_of_the_process_is_a_failure_of_the_concept_set(
    end: BaseException, place: str, workers: int
) -> None:
    with pytest.raises(RunFailed) as caught:
        load(Ending(place, end), workers)
    message = str(caught.value)
    assert f"the concept set failed in the {place} of picture-3" in message
    assert type(end).__name__ in message and str(end) in message
    assert "crashed" not in message
    # the traceback, which comes from workers, too
    assert type(end).__name__ in caught.value.__notes__[0]


def test_ctrl_c_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        load(Ending("image", KeyboardInterrupt()), workers=0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failed_plugin_is_named_with_the_traceback(workers: int) -> None:
    failure = PluginFailed("plugin 'x' of y 1.0 failed")
    failure.__cause__ = ValueError("odd")
    with pytest.raises(PluginFailed, match="plugin 'x' of y") as caught:
        load(Ending("image", failure), workers)
    assert "ValueError: odd" in caught.value.__notes__[0]
