"""Concept sets that do not keep their contract, and too little memory: named, not skipped."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from noise_set import Noise, feed
from PIL import Image

from nd_plugin import (
    Annotation,
    BadInput,
    ConceptSetInvalid,
    RunFailed,
    Settings,
    Skipped,
    Unreadable,
)
from nd_plugin.pictures.grey_values import wide_grey
from nd_plugin.pictures.pixel_limit import pixel_limit
from nd_plugin.pictures.png_checksums import checksums_are_checked
from nd_plugin.probe_data.items import mask_size

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]
# of the third batch of feeds of Noise()
CHANGED = 4


class Changing(Noise):
    """Noise whose image or annotation 4 is something else."""

    def __init__(self, image: Any = None, annotation: Any = None) -> None:
        super().__init__()
        self.changed_image = image
        self.changed_annotation = annotation

    def image(self, index: int) -> Any:
        changes = index == CHANGED and self.changed_image is not None
        return self.changed_image if changes else super().image(index)

    def annotation(self, index: int) -> Any:
        changes = index == CHANGED and self.changed_annotation is not None
        return self.changed_annotation if changes else super().annotation(index)


def batches_before_failure(
    concepts: Noise, error: type[Exception], message: str, **options: Any
) -> int:
    batches = feed(concepts, **options).batches(annotated=True)
    count = 0
    with pytest.raises(error, match=message) as raised:
        for _ in batches:
            count += 1
    assert "Traceback" not in str(raised.value)
    return count


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("image", "annotation", "message"),
    [
        (
            [1],
            None,
            r"the image of 4\.jpg: .* returned an object of list as an image",
        ),
        (
            np.zeros((9, 11, 3), np.uint8),
            None,
            r"the image of 4\.jpg: .* an object of ndarray as an image; .* a PIL image",
        ),
        (
            None,
            {"planes": []},
            r"the annotation of 4\.jpg: .* returned an object of dict",
        ),
        (
            None,
            Annotation([np.full((2, 3), 1.5)]),
            r"the annotation of 4\.jpg: a plane of the .* noise is of type float64",
        ),
        (
            None,
            Annotation([np.full((2, 3), "1")]),  # type: ignore[list-item]
            r"the annotation of 4\.jpg: a plane of .* is of type <U1",
        ),
        (
            None,
            Annotation([], (1.9,)),  # type: ignore[arg-type]
            r"the annotation of 4\.jpg: the labels of .* are|is of type float64",
        ),
    ],
)
def test_what_is_no_image_or_annotation_stops_the_run_at_its_batch(
    image: Any, annotation: Any, message: str, workers: int
) -> None:
    concepts = Changing(image, annotation)
    count = batches_before_failure(
        concepts, ConceptSetInvalid, message, workers=workers
    )
    assert count == 2


def test_the_pass_over_annotations_alone_stops_too() -> None:
    whole = feed(Changing(annotation={"planes": []}))
    whole.annotations(1)
    with pytest.raises(ConceptSetInvalid, match=r"the annotation of 4\.jpg"):
        whole.annotations(2)


def test_integer_types_of_any_width_and_bool_are_labels() -> None:
    for dtype in ("u1", "i2", "u8", "?"):
        plane = np.array([[0, 1]]).astype(dtype)
        (batch,) = feed(
            Noise(1, annotations={0: Annotation([plane], (np.int8(2),))})
        ).batches(  # type: ignore[arg-type]
            annotated=True
        )
        assert batch.skipped == ()


@pytest.mark.parametrize("count", [5, 8])
def test_a_set_that_changes_its_length_stops_the_run(count: int) -> None:
    concepts = Noise()
    batches = feed(concepts).batches(annotated=True)
    next(batches)
    concepts.count = count
    with pytest.raises(
        ConceptSetInvalid,
        match=rf"the image of \d\.jpg: .* has {count} images by now, and had 7 when",
    ):
        next(batches)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("part", ["image", "annotation"])
def test_too_little_memory_stops_the_run_and_names_the_image(
    part: str, workers: int
) -> None:
    bad = {f"bad_{part}s": {CHANGED: MemoryError("4 GiB")}}
    message = (
        rf"the {part} of 4\.jpg: out of memory .*4 GiB.*--workers N.*--max-pixels"
    )
    count = batches_before_failure(
        Noise(**bad),  # type: ignore[arg-type]
        RunFailed,
        message,
        workers=workers,
    )
    assert count == 2


@pytest.mark.parametrize("reader", ["a foreign one", "ours"])
def test_memory_that_does_not_suffice_for_the_sample_of_grey_values_is_said(
    reader: str,
) -> None:
    class Sampled(Noise):
        def image(self, index: int) -> Image.Image:
            with pixel_limit(None) if reader == "ours" else nullcontext():
                raise MemoryError("4 GiB")

    sample = feed(Sampled()).decoder(pictures=True, annotated=False).grey_sample
    grey = wide_grey(Image.fromarray(np.full((2, 3), 300, np.uint16)))
    assert grey is not None
    with pytest.raises((MemoryError, RunFailed), match="4 GiB"):
        sample.choose_range(grey)


def test_an_error_of_a_reader_is_skipped_as_before() -> None:
    errors = {0: Unreadable("gone"), 1: OSError("truncated")}
    (batch,) = feed(Noise(2, bad_images=errors)).batches(annotated=True)
    assert set(batch.skipped) == {
        Skipped("0.jpg", "image", "gone"),
        Skipped("1.jpg", "image", "truncated"),
    }


def test_the_size_of_an_annotation_is_limited_before_it_is_made() -> None:
    huge = Annotation([], (1,), (10**6, 10**6))
    concepts = Noise(1, annotations={0: huge}, native_masks=True)
    (batch,) = feed(concepts).batches(annotated=True)
    (skipped,) = batch.skipped
    assert skipped.reason.startswith(
        "an annotation of 1000000x1000000 pixels exceeds the limit of 178956970 pixels"
    )
    (batch,) = feed(
        Noise(
            1, annotations={0: Annotation([], (1,), (40, 50))}, native_masks=True
        ),
        max_pixels=1999,
    ).batches(annotated=True)
    assert "exceeds the limit of 1999 pixels" in batch.skipped[0].reason


def test_the_size_of_masks_is_limited_before_the_run() -> None:
    with pytest.raises(
        BadInput, match=r"mask size '20000' exceeds the limit of 178956970"
    ):
        mask_size(Settings(mask_size="20000"), Noise(), (8, 10))
    settings = Settings(mask_size="20000", max_pixels=4 * 10**8)
    assert mask_size(settings, Noise(), (8, 10)) == (20000, 20000)


def test_checksums_are_checked_under_strict() -> None:
    checked: list[bool] = []

    class Watching(Noise):
        def annotation(self, index: int) -> Annotation:
            checked.append(checksums_are_checked())
            return super().annotation(index)

    for strict in (False, True):
        list(feed(Watching(1), strict=strict).batches(annotated=True))
    assert checked == [False, True]
