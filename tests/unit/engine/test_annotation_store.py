"""Annotations in a compact form: in memory, in a file, and on a full disk."""

from __future__ import annotations

import errno
import tempfile
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from random_data import random_planes

from nd_plugin import Annotation, NotSaved
from nd_plugin.engine.chance.annotation_store import AnnotationStore
from nd_plugin.engine.chance.device_counter import joined_bytes
from nd_plugin.method.annotations import LabelCombinations
from nd_plugin.probe_data.annotation_tensors import AnnotationTensors


def labels_of(image: int) -> LabelCombinations:
    planes = random_planes(image, (9, 7), image % 4, 400 if image % 2 else 6)
    return LabelCombinations.of(Annotation(planes, (3,) * (image % 3)), (9, 7))


@pytest.mark.parametrize("memory", [0, 2000, 10**9])
def test_what_is_stored_is_read(memory: int) -> None:
    with closing(AnnotationStore(memory)) as store:
        for image in range(12):
            store.add(image, labels_of(image))
        assert store.nbytes <= memory
        assert bool(store.places) == (memory < 10**9)
        for image in range(12):
            expected = labels_of(image)
            stored = store.of(image)
            combined = stored.combined((9, 7))
            assert np.array_equal(combined.combinations, expected.combinations)
            assert np.array_equal(combined.members, expected.members)
            assert np.array_equal(combined.concepts, expected.concepts)
        assert 3 in store and 12 not in store


def test_bytes_of_annotations_side_by_side() -> None:
    """One image of many combinations makes those of all others as long."""
    with closing(AnnotationStore(10**9)) as store:
        for image in range(12):
            store.add(image, labels_of(image))
        stored = [store.of(image) for image in range(12)]
    labels = [of_image.combined((9, 7)) for of_image in stored]
    tensors = AnnotationTensors.of(range(12), labels)
    nbytes = tensors.combinations.nbytes + tensors.members.nbytes
    assert nbytes <= joined_bytes(stored) <= 2 * nbytes


@pytest.mark.parametrize("full", ["write", "flush"])
def test_a_full_disk_is_named(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            self.fail_in("write")
            return len(data)

        def flush(self) -> None:
            self.fail_in("flush")

        def fail_in(self, step: str) -> None:
            if step == full:
                raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    def open_full(*_: Any, **__: Any) -> Full:
        return Full()

    monkeypatch.setattr(tempfile, "TemporaryFile", open_full)
    with (
        closing(AnnotationStore(0)) as store,
        pytest.raises(NotSaved, match=r"No space left .* set TMPDIR .* --memory"),
    ):
        store.add(0, labels_of(1))
