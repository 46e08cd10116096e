"""The probe data set as batches: the same each time, and what cannot be read named and left out."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from noise_set import Noise, feed
from PIL import Image

from nd_plugin import (
    Annotation,
    BadInput,
    Preprocess,
    ProcessLost,
    Settings,
    Skipped,
    Unreadable,
    open_concepts,
)
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.preprocess import parse_size
from nd_plugin.probe_data.batches import Batch, Feed, shuffled
from nd_plugin.probe_data.items import mask_size
from nd_plugin.probe_data.parts import Part

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning"
    ),
    # more workers than processors
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


def concepts_of(labels: LabelCombinations) -> list[list[list[int]]]:
    """1 + concept of what each pixel carries, ascending; (row, column, any number)."""
    return [
        [sorted(set(which) - {0}) for which in row]
        for row in labels.members[labels.combinations].tolist()
    ]


def labels_of(batches: list[Batch]) -> list[list[list[list[int]]] | None]:
    return [
        labels and concepts_of(labels)
        for batch in batches
        for labels in batch.labels
    ]


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images as they lie in the set, for tests that are about something else."""
    monkeypatch.setattr(
        "nd_plugin.probe_data.batches.shuffled", lambda count: list(range(count))
    )


def test_the_order_is_random_and_always_the_same() -> None:
    numbers = [
        i
        for batch in feed(Noise()).batches(annotated=False)
        for i in batch.indices.tolist()
    ]
    assert numbers == [6, 2, 1, 3, 0, 5, 4] != sorted(numbers)
    many = shuffled(63305)
    assert sorted(many) == list(range(63305)) and many[:3] == [44612, 18965, 40357]
    assert abs(np.mean(many[:1000]) / 63305 - 0.5) < 0.05


@pytest.mark.parametrize("of", [1, 2, 3])
def test_parts_share_the_batches(of: int) -> None:
    whole = {batch.number: batch for batch in feed(Noise()).batches(annotated=True)}
    parts = [
        batch
        for index in range(of)
        for batch in replace(feed(Noise()), part=Part(index, of)).batches(
            annotated=True
        )
    ]
    assert sorted(batch.number for batch in parts) == sorted(whole) == [0, 1, 2]
    for batch in parts:
        assert_same([batch], [whole[batch.number]])


def test_a_part_goes_on_where_it_stood() -> None:
    part = replace(feed(Noise(), batch=2), part=Part(1, 2))
    assert [batch.number for batch in part.batches(annotated=False, start=1)] == [3]
    assert part.part.part(0, 2) == Part(1, 4) and part.part.part(1, 2) == Part(3, 4)


def test_parts_that_cannot_be() -> None:
    with pytest.raises(BadInput, match="shard 4/3: shards are 1/3 to 3/3"):
        Part(3, 3)
    with pytest.raises(
        BadInput, match="4 parts are more than the 3 batches of 3 images"
    ):
        Feed.of(
            Noise(),
            Preprocess(),
            Settings(),
            torch.device("cpu"),
            3,
            part=Part(0, 4),
        )  # type: ignore[arg-type]


def test_more_folds_than_images_are_refused_before_the_run() -> None:
    inputs = (Noise(), Preprocess(), Settings(folds=5, limit=4))
    with pytest.raises(BadInput, match="folds 5 are more than the 4 images"):
        Feed.of(*inputs, torch.device("cpu"))  # type: ignore[arg-type]


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.indices, other.indices) and torch.equal(
            one.pixels, other.pixels
        )
        assert (one.skipped, one.image_count) == (other.skipped, other.image_count)
    assert labels_of(found) == labels_of(expected)


BAD: dict[str, Mapping[int, Exception]] = {
    "bad_images": {
        1: OSError("image file is truncated"),
        6: ValueError("no image"),
    },
    "bad_annotations": {
        1: OSError("never asked for"),
        2: ValueError("of another aspect"),
    },
}


@pytest.mark.usefixtures("in_order")
def test_batches() -> None:
    concepts = Noise()
    batches = list(feed(concepts).batches(annotated=True))
    assert [batch.indices.tolist() for batch in batches] == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]
    assert [batch.image_count for batch in batches] == [3, 3, 1]
    for batch in batches:
        assert batch.pixels.dtype == torch.uint8 and batch.pixels.shape == (
            batch.image_count,
            3,
            8,
            10,
        )
        assert batch.indices.dtype == torch.int64 and batch.skipped == ()
        for place, index in enumerate(batch.indices.tolist()):
            expected = concepts.image(index).resize(
                (10, 8), Image.Resampling.BILINEAR
            )
            assert np.array_equal(
                batch.pixels[place].permute(1, 2, 0), np.asarray(expected)
            )
            labels = batch.labels[place]
            assert (
                labels is not None
                and labels.combinations.dtype == np.uint8
                and labels.size == (4, 5)
            )
            assert labels.members.shape[1] == 1 + index % 3 + index % 2
            assert not index % 2 or (labels.members == 1 + index % 3).any(1).all()


def test_without_annotations() -> None:
    batches = list(feed(Noise(**BAD)).batches(annotated=False))  # type: ignore[arg-type]
    assert all(labels is None for batch in batches for labels in batch.labels)
    assert [skipped.part for batch in batches for skipped in batch.skipped] == [
        "image",
        "image",
    ]


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("concepts", [Noise(), Noise(**BAD)], ids=["good", "bad"])  # type: ignore[arg-type]
def test_batches_are_the_same_each_time_and_for_any_number_of_workers(
    concepts: Noise, workers: int
) -> None:
    expected = list(feed(concepts).batches(annotated=True))
    several = feed(concepts, workers=workers)
    assert_same(list(several.batches(annotated=True)), expected)
    assert_same(list(several.batches(annotated=True)), expected)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_the_batch_size_changes_nothing_else(size: int) -> None:
    expected = list(feed(Noise(**BAD)).batches(annotated=True))  # type: ignore[arg-type]
    found = list(feed(Noise(**BAD), batch=size).batches(annotated=True))  # type: ignore[arg-type]
    assert sum(batch.image_count for batch in found) == 7
    assert [i for b in found for i in b.indices.tolist()] == [
        i for b in expected for i in b.indices.tolist()
    ]
    assert [s for b in found for s in b.skipped] == [
        s for b in expected for s in b.skipped
    ]
    assert labels_of(found) == labels_of(expected)


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_read_is_named_and_left_out(workers: int) -> None:
    batches = list(feed(Noise(**BAD), workers=workers).batches(annotated=True))  # type: ignore[arg-type]
    assert [batch.indices.tolist() for batch in batches] == [[0, 2], [3, 4, 5], []]
    assert [skipped for batch in batches for skipped in batch.skipped] == [
        Skipped("1.jpg", "image", "image file is truncated"),
        Skipped("2.jpg", "annotation", "of another aspect"),
        Skipped("6.jpg", "image", "no image"),
    ]
    assert [labels is None for labels in batches[0].labels] == [False, True]
    assert [batch.image_count for batch in batches] == [3, 3, 1]
    assert len(batches[0].pixels) == 2 and len(batches[2].pixels) == 0


def test_a_batch_without_a_readable_image_has_pixels_of_the_same_kind() -> None:
    *_, last = feed(Noise(**BAD)).batches(annotated=True)  # type: ignore[arg-type]
    assert last.pixels.dtype == torch.uint8


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(),
        SyntaxError("broken PNG file"),
        KeyError("x"),
    ],
)
def test_whatever_a_concept_set_raises(error: Exception) -> None:
    (batch,) = feed(Noise(1, bad_images={0: error})).batches(annotated=True)
    assert batch.skipped == (
        Skipped("0.jpg", "image", str(error) or "RuntimeError"),
    )


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (
            Annotation([np.array([[0, 4]])]),
            "label 4 is outside the vocabulary of 3 concepts",
        ),
        (
            Annotation([np.array([[-1, 2]])]),
            "label -1 is outside the vocabulary of 3 concepts",
        ),
        (Annotation([], (7,)), "label 7 is outside the vocabulary of 3 concepts"),
    ],
)
def test_labels_outside_the_vocabulary(annotation: Annotation, reason: str) -> None:
    (batch,) = feed(Noise(1, annotations={0: annotation})).batches(annotated=True)
    assert batch.indices.tolist() == [0] and batch.labels == (None,)
    assert batch.skipped == (Skipped("0.jpg", "annotation", reason),)


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("bad", "message", "before"),
    [
        (
            {"bad_images": {4: OSError("truncated")}},
            "the image of 4.jpg cannot be read: truncated",
            1,
        ),
        (
            {"bad_annotations": {5: OSError("torn")}},
            "the annotation of 5.jpg cannot be read: torn",
            1,
        ),
        (
            {"bad_annotations": {1: OSError("torn"), 0: OSError("!")}},
            "the annotation of 0.jpg cannot be read: !",
            0,
        ),
    ],
)
def test_strict_stops_at_the_first(
    bad: Mapping[str, Mapping[int, Exception]],
    message: str,
    before: int,
    workers: int,
) -> None:
    batches = feed(Noise(**bad), workers=workers, strict=True).batches(
        annotated=True
    )  # type: ignore[arg-type]
    for _ in range(before):
        assert next(batches).skipped == ()
    with pytest.raises(Unreadable) as caught:
        next(batches)
    assert str(caught.value) == message


def test_strict_looks_at_annotations_only_where_they_are_asked_for() -> None:
    concepts = Noise(bad_annotations={0: OSError("torn")})
    assert len(list(feed(concepts, strict=True).batches(annotated=False))) == 3


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize(
    ("limit", "images"), [(None, 7), (1, 1), (3, 3), (4, 4), (7, 7), (99, 7)]
)
def test_limit(limit: int | None, images: int) -> None:
    limited = feed(Noise(), limit=limit)
    assert limited.images == images
    assert [
        i
        for batch in limited.batches(annotated=False)
        for i in batch.indices.tolist()
    ] == list(range(images))


@pytest.mark.usefixtures("in_order")
def test_a_limit_counts_images_that_cannot_be_read() -> None:
    batches = list(feed(Noise(**BAD), limit=2).batches(annotated=True))  # type: ignore[arg-type]
    assert [batch.indices.tolist() for batch in batches] == [[0]] and batches[
        0
    ].image_count == 2


@pytest.mark.parametrize(
    ("text", "native", "image", "size"),
    [
        ("auto", False, (224, 224), (112, 112)),
        ("auto", False, (227, 193), (113, 96)),
        ("auto", False, (1, 1), (1, 1)),
        ("auto", True, (224, 224), None),
        ("native", False, (224, 224), None),
        ("native", True, (224, 224), None),
        ("56", True, (224, 224), (56, 56)),
        ("56x30", False, (224, 224), (56, 30)),
        ("56X30", False, (224, 224), (56, 30)),
    ],
)
def test_mask_size(
    text: str, native: bool, image: tuple[int, int], size: tuple[int, int] | None
) -> None:
    assert (
        mask_size(Settings(mask_size=text), Noise(native_masks=native), image)
        == size
    )


@pytest.mark.parametrize(
    "text", ["", "0", "-3", "12x", "x12", "1x2x3", "56 x 30", "half", "1.5", "0x7"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(
        BadInput,
        match=f"mask size {text!r} is not auto, native, N or HxW in pixels",
    ):
        mask_size(Settings(mask_size=text), Noise(), (224, 224))
    with pytest.raises(
        BadInput, match=f"input size {text!r} is not N or HxW in pixels"
    ):
        parse_size(text, "input size")


MIXED = Annotation([np.ones((18, 22), np.uint8), np.full((6, 7), 2)])


@pytest.mark.parametrize(
    ("text", "native", "annotation", "shape"),
    [
        ("auto", False, MIXED, (4, 5)),
        ("6x3", False, MIXED, (6, 3)),
        ("native", False, MIXED, (18, 22)),  # the first plane's size
        ("auto", True, MIXED, (18, 22)),
        # the annotation's own
        ("auto", True, Annotation(MIXED.planes, (3,), (5, 5)), (5, 5)),
        ("auto", True, Annotation([], (3, 1), (5, 6)), (5, 6)),
        ("auto", False, Annotation([], (3,)), (4, 5)),
        ("auto", False, Annotation([]), (4, 5)),
        pytest.param(
            "native",
            False,
            Annotation([], (3,)),
            (4, 5),  # as the slow twin: half the image
        ),
    ],
)
def test_size_of_planes(
    text: str, native: bool, annotation: Annotation, shape: tuple[int, ...]
) -> None:
    concepts = Noise(1, annotations={0: annotation}, native_masks=native)
    (batch,) = feed(concepts, mask_size=text).batches(annotated=True)
    assert batch.skipped == () and batch.labels[0] is not None
    assert batch.labels[0].combinations.shape == batch.labels[0].size == shape


def test_planes_are_brought_over_by_nearest_neighbours() -> None:
    plane = np.array([[1, 2, 3], [0, 1, 2], [3, 0, 1]])
    (batch,) = feed(
        Noise(1, annotations={0: Annotation([plane])}), mask_size="2"
    ).batches(annotated=True)
    assert batch.labels[0] is not None and concepts_of(batch.labels[0]) == [
        [[1], [3]],
        [[3], [1]],
    ]


def test_stopping_early_leaves_no_worker_behind() -> None:
    before = set(multiprocessing.active_children())
    batches = feed(Noise(200), batch=1, workers=2).batches(annotated=True)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert set(multiprocessing.active_children()) <= before


class Killing(Noise):
    """A concept set that ends the process which decodes its images, as a lack of memory does."""

    def image(self, index: int) -> Image.Image:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_worker_that_crashes_is_named_with_a_remedy() -> None:
    message = (
        r"a data-loading worker crashed \(exit code -9\), most likely out of memory: "
        r"check image \d\.jpg; use fewer workers, or none \(--workers 0, workers=0\)"
    )
    with pytest.raises(ProcessLost, match=message):
        list(feed(Killing(), workers=1).batches(annotated=False))


def test_the_callers_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    list(feed(Noise()).batches(annotated=True))
    assert torch.equal(torch.get_rng_state(), before)


def masks_on_disk(root: Path) -> str:
    """Five images, each with a mask; in the second to fifth something is wrong."""
    for name in ("a", "b", "c", "d", "e"):
        for path in (
            root / "images" / f"{name}.jpg",
            root / "masks" / "object" / f"{name}.png",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(ord(name)).integers(
                0, 3, (40, 60, 3), dtype=np.uint8
            )
            Image.fromarray(
                noise * 80 if path.suffix == ".jpg" else noise[:, :, 0]
            ).save(path)
    jpeg = root / "images" / "b.jpg"
    jpeg.write_bytes(jpeg.read_bytes()[:-500])
    (root / "masks/object/c.png").write_bytes(b"")
    Image.new("L", (60, 60)).save(root / "masks/object/d.png")
    (root / "images" / "e.jpg").write_bytes(b"")
    (root / "concepts.csv").write_text(
        "category,value,name\nobject,1,cat\nobject,2,dog\n"
    )
    return f"masks:{root}"


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("workers", [0, 2])
def test_bad_files_on_disk(tmp_path: Path, workers: int) -> None:
    concepts = open_concepts(masks_on_disk(tmp_path))
    batches = list(feed(concepts, workers=workers).batches(annotated=True))
    assert [i for batch in batches for i in batch.indices.tolist()] == [0, 2, 3]
    assert [labels is not None for batch in batches for labels in batch.labels] == [
        True,
        False,
        False,
    ]
    skipped = {
        (s.image, s.part): s.reason for batch in batches for s in batch.skipped
    }
    assert list(skipped) == [
        ("b.jpg", "image"),
        ("c.jpg", "annotation"),
        ("d.jpg", "annotation"),
        ("e.jpg", "image"),
    ]
    assert "truncated" in skipped["b.jpg", "image"]
    assert skipped["c.jpg", "annotation"].startswith(
        "the mask object/c.png cannot be read"
    )
    assert skipped["d.jpg", "annotation"].startswith(
        "the mask object/d.png is 60x60"
    )
    with pytest.raises(
        Unreadable, match=r"the image of b\.jpg cannot be read: .*truncated"
    ):
        list(feed(concepts, workers=workers, strict=True).batches(annotated=True))


def in_mode(mode: str) -> Image.Image:
    """A picture with a bright and a dark half, so that what a mode means can be seen."""
    grey = Image.fromarray(
        np.repeat(np.array([[200] * 6 + [20] * 6], np.uint8), 8, axis=0)
    )
    if mode == "I;16":
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    if mode == "P":
        palette = Image.frombytes("P", grey.size, bytes(np.asarray(grey) // 100))
        palette.putpalette([20] * 3 + [120] * 3 + [200] * 3)
        return palette
    return grey.convert(mode)


@pytest.mark.parametrize(
    "mode",
    [
        "L",
        "LA",
        "P",
        "RGB",
        "RGBA",
        "CMYK",
        "I;16",
    ],
)
def test_modes_of_images(tmp_path: Path, mode: str) -> None:
    root = tmp_path / "images"
    root.mkdir()
    in_mode(mode).save(root / ("x.jpg" if mode == "CMYK" else "x.png"), quality=100)
    (tmp_path / "image_labels.csv").write_text(
        f"image,category,name\nx.{'jpg' if mode == 'CMYK' else 'png'},scene,sea\n"
    )
    (batch,) = feed(open_concepts(f"masks:{tmp_path}"), size=(8, 12)).batches(
        annotated=True
    )
    assert batch.pixels.shape == (1, 3, 8, 12)
    assert (batch.pixels[..., :5].float() - 200).abs().max() <= 3 and (
        batch.pixels[..., 7:].float() - 20
    ).abs().max() <= 3


def test_a_palette_with_transparency_warns_nobody(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    in_mode("P").save(
        tmp_path / "images" / "x.png", transparency=bytes([0, 128, 255])
    )
    (tmp_path / "image_labels.csv").write_text(
        "image,category,name\nx.png,scene,sea\n"
    )
    (batch,) = feed(open_concepts(f"masks:{tmp_path}"), size=(8, 12)).batches(
        annotated=True
    )
    assert batch.skipped == () and batch.pixels[0, :, 0, 0].tolist() == [
        200,
        200,
        200,
    ]


@pytest.mark.parametrize(
    "read",
    [lambda s: s.image(0), lambda s: s.annotation(0)],
    ids=["image", "annotation"],
)
def test_a_pickled_concept_set_reads_the_same(
    tmp_path: Path, read: Callable[..., object]
) -> None:
    """What DataLoader does where processes are not forked."""
    concepts = open_concepts(masks_on_disk(tmp_path))
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        names = pool.map(concepts.name, range(5))
    assert (
        names == [f"{name}.jpg" for name in "abcde"] and read(concepts) is not None
    )
