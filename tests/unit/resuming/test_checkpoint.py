"""Checkpoints: a run that was interrupted anywhere ends with the bits of one that was not."""

from __future__ import annotations

import errno
import gc
import io
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import Drawn, Net
from made_pictures import pictures_as_bytes
from spawned import tell_of_lock
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    ConceptSet,
    Dissection,
    LayerDissection,
    ModelOptions,
    NonFiniteActivation,
    NotSaved,
    Preprocess,
    RunInvalid,
    Settings,
    Skipped,
    open_concepts,
    open_model,
)
from nd_plugin.candidates.map_file import CandidateFile
from nd_plugin.cli.checkpoints import RunOptions
from nd_plugin.cli.dissect import RunInputs
from nd_plugin.cli.dissect import dissect as dissect_command
from nd_plugin.engine.report_data import collected
from nd_plugin.engine.run import open_run, run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.results import atomic_files
from nd_plugin.results.folder_names import LOCK_FILE, STATE, is_state_folder
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.resuming import saved_state
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.resuming.saved_state import load
from nd_plugin.storage import lock_file

IMAGES, SIZE, BATCH = 20, 64, 6  # four batches, the last one smaller
BATCHES = 4
LAYERS = ("near", "far")
QUANTILES = (0.05,)
HOW = Preprocess((SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class Interrupted(Exception):
    """What stands for a power cut."""


@pytest.fixture(scope="module")
def shapes() -> Drawn:
    return Drawn.of(f"shapes?images={IMAGES}&size={SIZE}&seed=3")


@pytest.fixture(scope="module")
def net() -> Net:
    return Net().eval()


@dataclass
class Attempts:
    """Dissections of one kind, kept in one folder, again and again."""

    net: nn.Module
    concepts: ConceptSet
    folder: Path
    layers: Sequence[str] = LAYERS
    quantiles: Sequence[float] = QUANTILES
    settings: Settings = Settings(top_images=7)  # noqa: RUF009  # frozen
    how: Preprocess = HOW
    batch_size: int = BATCH
    memory: int | None = None
    part: Part = WHOLE
    every: int = 1
    resume: bool = True

    def keeping(self) -> CheckpointFolder:
        settings = replace(self.settings, quantiles=tuple(self.quantiles))
        feed = Feed.of(
            self.concepts,
            self.how,
            settings,
            torch.device("cpu"),
            self.batch_size,
            0,
            self.memory,
            self.part,
        )
        return CheckpointFolder(self.folder, feed, self.every, self.resume)

    def __call__(
        self, progress: Callable[[str, int, int], None] = lambda *_: None
    ) -> list[Dissection]:
        kept = self.keeping()
        with kept.guarded():
            return run(
                open_model(self.net),
                self.layers,
                kept.feed,
                progress,
                open_state=kept.open_state,
            )

    def uninterrupted(self) -> list[Dissection]:
        """Without any checkpoint."""
        feed = self.keeping().feed
        return run(open_model(self.net), self.layers, feed)

    def interrupted(self, after: int) -> None:
        """End at call number ``after`` of the progress callback: 0 is before anything."""
        with pytest.raises(Interrupted):
            self(Stop(after))


class Stop:
    """A progress callback that ends the run at its call number ``after``.

    Pictures, which are taken anew after an interruption, are passed over.
    """

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, stage: str, *_: object) -> None:
        if stage == "pictures":
            return
        if self.left == 0:
            raise Interrupted
        self.left -= 1


@pytest.fixture
def attempts(net: Net, shapes: Drawn, tmp_path: Path) -> Attempts:
    return Attempts(net, shapes, tmp_path / "run.partial" / "1-of-1")


def calls(attempts: Attempts) -> int:
    """How often a whole run tells its progress."""
    told: list[tuple[str, int, int]] = []
    feed = attempts.keeping().feed
    run(
        open_model(attempts.net),
        attempts.layers,
        feed,
        lambda *at: told.append(at),
    )
    return len(told)


def on_opening(attempts: Attempts) -> int:
    """How many images pass through the model before the first of the probe data set."""
    assert isinstance(attempts.net, Net)
    before, kept = attempts.net.images, attempts.keeping()
    with open_run(open_model(attempts.net), attempts.layers, kept.feed):
        pass
    return attempts.net.images - before


def assert_same(
    found: Sequence[Dissection], expected: Sequence[Dissection]
) -> None:
    assert [(one.layer, one.settings) for one in found] == [
        (one.layer, one.settings) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        for name in ARRAYS:
            mine, its = getattr(one, name), getattr(other, name)
            assert (mine.dtype, mine.shape) == (its.dtype, its.shape), name
            assert mine.tobytes() == its.tobytes(), (
                f"{name} of {one.layer} at {one.settings.quantile}"
            )
        assert pictures_as_bytes(one) == pictures_as_bytes(other)
        assert (one.skipped, one.locations, one.image_names) == (
            other.skipped,
            other.locations,
            other.image_names,
        )


def test_the_example_is_worth_the_trouble(attempts: Attempts) -> None:
    near, far = attempts.uninterrupted()
    assert (
        near.intersection.any()
        and far.intersection.any()
        and near.category_images.all()
    )
    assert far.dead[4:].tolist() == [True, True] and far.top_images.shape == (6, 7)
    assert calls(attempts) == 2 * (BATCHES + 1)


@pytest.mark.parametrize("place", range(2 * (BATCHES + 1)))
def test_interrupted_anywhere_the_bits_are_the_same_and_no_image_is_seen_twice(
    attempts: Attempts, place: int
) -> None:
    assert isinstance(attempts.net, Net)
    expected, opening = attempts.uninterrupted(), on_opening(attempts)
    before = attempts.net.images
    attempts.interrupted(place)
    assert (attempts.folder / STATE).is_file() == (place > 0), (
        "after the first batch something is kept"
    )
    told: list[tuple[str, int, int]] = []
    found = attempts(lambda *at: told.append(at))
    assert_same(found, expected)
    assert attempts.net.images - before == 2 * opening + IMAGES
    seen = min(place, BATCHES)
    assert told[0] == ("activations", min(seen * BATCH, IMAGES), IMAGES), (
        "the progress goes on from where it was"
    )
    counted = max(place - BATCHES - 1, 0)
    masks = [done for stage, done, _ in told if stage == "masks"]
    assert masks[0] == min(counted * BATCH, IMAGES) and masks[-1] == IMAGES


@pytest.mark.parametrize("memory", [None, 0])
def test_interrupted_after_every_batch(
    attempts: Attempts, memory: int | None
) -> None:
    assert isinstance(attempts.net, Net)
    expected, opening = attempts.uninterrupted(), on_opening(attempts)
    attempts.memory = memory
    before, stops = attempts.net.images, 0
    while True:
        try:
            found = attempts(Stop(2 if stops >= BATCHES else 1))
            break
        except Interrupted:
            stops += 1
            assert stops < 20, "it gets no further"
    assert stops == 2 * BATCHES
    assert_same(found, expected)
    assert attempts.net.images - before == (stops + 1) * opening + IMAGES


def test_interrupted_while_pictures_are_taken(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = attempts.uninterrupted()
    monkeypatch.setattr(collected, "MOST_COLLECTED", 0)  # all are decoded again

    def stop(stage: str, done: int, _: int) -> None:
        if (stage, done) == ("pictures", 3):
            raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            attempts(stop)
    assert_same(attempts(), expected)


@pytest.mark.parametrize("quantiles", [(0.05, 0.2, 0.01), (0.3,)])
@pytest.mark.parametrize("place", [2, 7])
def test_several_quantiles(
    attempts: Attempts, quantiles: tuple[float, ...], place: int
) -> None:
    attempts.quantiles = quantiles
    expected = attempts.uninterrupted()
    assert [one.settings.quantile for one in expected] == [*quantiles, *quantiles]
    attempts.interrupted(place)
    assert_same(attempts(), expected)


@pytest.mark.parametrize("place", range(1, 2 * BATCHES + 2))
def test_cut_off_while_a_checkpoint_is_written(
    attempts: Attempts, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The candidates have grown, and the state that says so is not there yet."""

    assert isinstance(attempts.net, Net)
    attempts.memory = 0
    expected, opening = attempts.uninterrupted(), on_opening(attempts)
    write, left = atomic_files.write_file, [place]

    def cut_off(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Interrupted
        write(path, content)

    monkeypatch.setattr(atomic_files, "write_file", cut_off)
    before = attempts.net.images
    if place <= 2 * BATCHES:
        with pytest.raises(Interrupted):
            attempts()
        lost = min(BATCH, IMAGES - (place - 1) * BATCH) if place <= BATCHES else 0
        assert_same(attempts(), expected)
        assert attempts.net.images - before == 2 * opening + IMAGES + lost, (
            "one batch is seen again, no more"
        )
    else:
        assert_same(attempts(), expected)


@pytest.mark.parametrize("trouble", ["no room", "a bound that was passed", "both"])
@pytest.mark.parametrize("place", range(0, 16, 3))
def test_interrupted_while_a_layer_is_seen_again(
    attempts: Attempts, trouble: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = attempts.uninterrupted()
    if trouble != "a bound that was passed":
        attempts.memory = 0
        monkeypatch.setattr(
            "nd_plugin.candidates.layer_candidates.free_bytes", lambda _: 0
        )
    if trouble != "no room":
        monkeypatch.setattr(
            "nd_plugin.method.lower_bound.poisson_upper_bound", lambda _: 1
        )
    several = calls(attempts)
    assert several == (2 if trouble == "no room" else 3) * (BATCHES + 1)
    if place < several:
        attempts.interrupted(place)
    found = attempts()
    assert_same(found, expected)
    assert all(
        any("second forward pass" in note for note in one.provenance.notes)
        for one in found
    )
    gc.collect()  # files that were left open would be named now


def test_what_cannot_be_read_is_listed_once(
    attempts: Attempts, shapes: Drawn
) -> None:
    attempts.concepts = replace(
        shapes, bad_images=(0, 5, 11), bad_annotations=(5, 7, 19)
    )
    expected = attempts.uninterrupted()
    named = {(shapes.name(image), "image") for image in (0, 5, 11)} | {
        (shapes.name(i), "annotation") for i in (7, 19)
    }
    assert {(item.image, item.part) for item in expected[0].skipped} == named
    for place in range(1, 2 * (BATCHES + 1)):
        attempts.interrupted(place)
        found = attempts()
        assert_same(found, expected)
        assert len(found[0].skipped) == len(named)
        attempts.keeping().remove()


def test_a_beginning_that_cannot_be_read_at_all(
    attempts: Attempts, shapes: Drawn
) -> None:
    first, second = attempts.keeping().feed.order[:2]
    attempts.concepts = replace(
        shapes, bad_images=(*first, *second), bad_annotations=()
    )
    expected = attempts.uninterrupted()
    for place in (1, 2, 3):
        attempts.interrupted(place)
        assert_same(attempts(), expected)
        attempts.keeping().remove()


def other_model(attempts: Attempts) -> None:
    attempts.net = Net(seed=1).eval()


def other_data(attempts: Attempts) -> None:
    attempts.concepts = open_concepts(f"shapes?images={IMAGES}&size={SIZE}&seed=4")


def changing(**settings: Any) -> Callable[[Attempts], None]:
    def change(attempts: Attempts) -> None:
        attempts.settings = replace(attempts.settings, **settings)

    return change


WIDER = replace(HOW, size=(96, 64))
REFUSED: list[tuple[str, Callable[[Attempts], Any]]] = [
    (r"differs in model\.fingerprint", other_model),
    (r"differs in concept set\.(source|fingerprint)", other_data),
    (r"differs in settings\.min_iou: 0\.04, not 0\.1$", changing(min_iou=0.1)),
    (r"differs in settings\.anchor: 'rf', not 'cell'", changing(anchor="cell")),
    (r"differs in settings\.mask_size: 'auto', not '16'", changing(mask_size="16")),
    (r"differs in settings\.limit: None, not 12", changing(limit=12)),
    (r"differs in settings\.strict: False, not True", changing(strict=True)),
    (r"differs in settings\.top_images: 7, not 8", changing(top_images=8)),
    (r"differs in settings\.quantile: 0\.05, not 0\.1", lambda a: setattr(a, "quantiles", (0.1,))),
    (
        r"differs in preprocessing\.size: \[64, 64\], not \[96, 64\]",
        lambda a: setattr(a, "how", WIDER),
    ),
    (r"differs in batch size: 6, not 5", lambda a: setattr(a, "batch_size", 5)),
    (
        r"differs in layers: \['near', 'far'\], not \['far'\]",
        lambda a: setattr(a, "layers", ("far",)),
    ),
    (r"differs in shard: '1/1', not '1/2'", lambda a: setattr(a, "part", Part(0, 2))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "change"), REFUSED, ids=[told for told, _ in REFUSED]
)
def test_a_checkpoint_of_something_else_is_refused(
    attempts: Attempts, told: str, change: Callable[[Attempts], None]
) -> None:
    expected = attempts.uninterrupted()
    attempts.interrupted(3)
    other = replace(attempts)
    change(other)
    with pytest.raises(BadInput, match=told) as refused:
        other()
    assert str(attempts.folder) in str(refused.value) and not isinstance(
        refused.value, RunInvalid
    )
    assert_same(attempts(), expected)  # and nothing is lost by having asked


def test_workers_and_memory_may_change(attempts: Attempts) -> None:
    expected = attempts.uninterrupted()
    attempts.interrupted(2)
    assert_same(replace(attempts, memory=0, every=7)(), expected)


def damaged(state: bytes) -> dict[str, bytes]:
    """What can have become of a state file."""
    with np.load(io.BytesIO(state)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    newer = json.loads(arrays["metadata"].tobytes())
    newer["format"] += 1
    return {
        "empty": b"",
        "half": state[: len(state) // 2],
        "one byte short": state[:-1],
        "another file": b"\x89PNG\r\n\x1a\n" + state[8:],
        "no metadata": packed(
            {name: array for name, array in arrays.items() if name != "metadata"}
        ),
        "an array missing": packed(
            {name: array for name, array in arrays.items() if name != "1/level"}
        ),
        "of another format": packed(
            {
                **arrays,
                "metadata": np.frombuffer(json.dumps(newer).encode(), np.uint8),
            }
        ),
        "pickles": packed(
            {**arrays, "readable": np.array([Interrupted], dtype=object)}
        ),
    }


def packed(arrays: dict[str, Any]) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


KINDS = ("empty", "half", "one byte short", "another file", "no metadata",
         "an array missing", "of another format",
         "pickles")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_state_is_refused(attempts: Attempts, kind: str) -> None:
    attempts.interrupted(3)
    path = attempts.folder / STATE
    path.write_bytes(damaged(path.read_bytes())[kind])
    with pytest.raises(
        RunInvalid,
        match="has format 5, but this nd_plugin reads 4"
        if kind == "of another format"
        else "damaged",
    ) as error:
        attempts()
    assert str(attempts.folder) in str(error.value)
    del error
    gc.collect()  # files that were left open would be named now


def test_a_flipped_byte_is_found_or_does_no_harm(attempts: Attempts) -> None:
    expected = attempts.uninterrupted()
    attempts.interrupted(6)
    path, found = attempts.folder / STATE, 0
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40).tolist():
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        )
        try:
            # it was in what no one reads
            assert_same(replace(attempts, every=10**9)(), expected)
        except RunInvalid as error:
            assert "damaged" in str(error)
            found += 1
    assert found > 10


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("cut", [1, 1000, None])
def test_candidates_that_are_shorter_than_said_are_refused(
    attempts: Attempts, layer: int, cut: int | None
) -> None:
    attempts.interrupted(3)
    path = attempts.folder / f"{layer}.maps"
    if cut is None:
        path.unlink()
    else:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - cut)
    with pytest.raises(RunInvalid, match=rf"{layer}\.maps") as error:
        attempts()
    del error
    gc.collect()  # files that were left open would be named now


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_candidates_that_hold_something_else_are_refused(
    attempts: Attempts, share: float
) -> None:
    attempts.interrupted(3)
    path = attempts.folder / "1.maps"
    whole = bytearray(path.read_bytes())
    whole[int(share * len(whole))] ^= 1
    path.write_bytes(whole)
    with pytest.raises(
        RunInvalid, match=r"is damaged: .*1\.maps does not hold what was written"
    ):
        attempts()


def test_a_folder_in_which_another_process_is_at_work_is_refused(
    attempts: Attempts,
) -> None:
    context, kept = multiprocessing.get_context("spawn"), attempts.keeping()
    told = context.SimpleQueue()
    with lock_file.alone(kept.folder / LOCK_FILE):
        lock = attempts.folder / LOCK_FILE
        other = context.Process(target=tell_of_lock, args=(lock, told))
        other.start()
        message = told.get()
        assert message.startswith(
            f"another process is working in {attempts.folder} ("
        )
        assert f"process {os.getpid()} on " in message
        assert message.endswith("); wait for it, or stop it")
        other.join()
    assert list(attempts.folder.iterdir()) == []
    assert_same(attempts(), attempts.uninterrupted())


def test_a_lock_that_its_holder_has_removed_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened while another process held it and locked after that ended: a third may own it."""
    path, lockf = tmp_path / LOCK_FILE, lock_file.fcntl.lockf

    def late(*how: Any) -> None:
        path.unlink()
        path.write_bytes(b"")
        lockf(*how)

    monkeypatch.setattr(lock_file.fcntl, "lockf", late)
    with (
        pytest.raises(BadInput, match="another process is working in"),
        lock_file.alone(path),
    ):
        raise AssertionError
    assert path.exists(), "it is not ours to remove"


def test_a_damaged_state_is_not_offered_to_be_continued(attempts: Attempts) -> None:
    attempts.interrupted(3)
    (attempts.folder / STATE).write_bytes(b"something else")
    kept = attempts.keeping()
    with pytest.raises(RunInvalid, match="damaged"), kept.guarded():
        run(
            open_model(attempts.net),
            LAYERS,
            kept.feed,
            open_state=kept.open_state,
        )
    assert (
        not kept.owns_content
        and (attempts.folder / STATE).read_bytes() == b"something else"
    )


def test_a_full_disk_costs_checkpoints_and_not_the_run(
    attempts: Attempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, write, left = attempts.uninterrupted(), CandidateFile.write, [3]

    def full(self: CandidateFile, *part: Any, **where: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, *part, **where)

    monkeypatch.setattr(CandidateFile, "write", full)
    with pytest.warns(
        RuntimeWarning,
        match="checkpoint not saved: .* need more room than there is in .*No space left",
    ):
        assert_same(attempts(), expected)
    monkeypatch.setattr(CandidateFile, "write", write)
    assert_same(attempts(), expected)


@pytest.mark.parametrize("place", range(BATCHES + 3, 2 * BATCHES + 4))
def test_of_a_second_pass_no_more_than_an_interval_is_repeated(
    attempts: Attempts, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nd_plugin.method.lower_bound.poisson_upper_bound", lambda _: 1
    )
    assert isinstance(attempts.net, Net)
    opening, before = on_opening(attempts), attempts.net.images
    attempts.interrupted(place)
    attempts()
    assert attempts.net.images - before == 2 * opening + 2 * IMAGES


def test_candidates_that_are_longer_than_said_are_fine(attempts: Attempts) -> None:
    expected = attempts.uninterrupted()
    for place in (2, 6):
        attempts.interrupted(place)
        for path in attempts.folder.glob("*.maps"):
            with path.open("ab") as file:
                file.write(b"\xff" * 4321)
        assert_same(attempts(), expected)
        attempts.keeping().remove()


@pytest.mark.parametrize("memory", [None, 0])
def test_a_failure_before_the_first_checkpoint_leaves_nothing(
    attempts: Attempts, memory: int | None
) -> None:
    attempts.memory, attempts.every = memory, IMAGES + 1
    kept = attempts.keeping()
    with pytest.raises(Interrupted), kept.guarded():
        run(
            open_model(attempts.net),
            LAYERS,
            kept.feed,
            Stop(3),
            open_state=kept.open_state,
        )
    assert not attempts.folder.exists()


def test_a_failure_after_it_leaves_what_was_kept(attempts: Attempts) -> None:
    kept = attempts.keeping()
    with pytest.raises(Interrupted), kept.guarded():
        run(
            open_model(attempts.net),
            LAYERS,
            kept.feed,
            Stop(3),
            open_state=kept.open_state,
        )
    assert sorted(path.name for path in attempts.folder.iterdir()) == [
        "0.maps",
        "1.maps",
        STATE,
    ]


def test_a_checkpoint_is_made_only_as_often_as_asked_for(
    attempts: Attempts,
) -> None:
    attempts.every = 2 * BATCH
    attempts.interrupted(1)
    assert not (attempts.folder / STATE).exists()
    attempts.interrupted(3)
    told: list[tuple[str, int, int]] = []
    attempts(lambda *at: told.append(at))
    assert told[0] == ("activations", 2 * BATCH, IMAGES)


def test_beginning_anew_uses_nothing_of_before(attempts: Attempts) -> None:
    assert isinstance(attempts.net, Net)
    expected, opening = attempts.uninterrupted(), on_opening(attempts)
    attempts.interrupted(3)
    before = attempts.net.images
    assert_same(replace(attempts, resume=False, batch_size=BATCH)(), expected)
    assert attempts.net.images - before == opening + IMAGES


def test_the_seconds_are_those_of_all_attempts_and_no_more(
    attempts: Attempts,
) -> None:
    began = time.monotonic()
    attempts.interrupted(4)
    *_, state = load(attempts.folder, torch.device("cpu"), append=False)
    state.close()
    (found, _) = attempts()
    ended = time.monotonic()
    assert 0 < state.seconds <= found.provenance.seconds <= ended - began + 0.002
    kept = replace(attempts, resume=False)
    began = time.monotonic()
    (found, _) = kept()
    assert found.provenance.seconds <= time.monotonic() - began + 0.002, (
        "what checkpoints have noted counts once"
    )


def test_a_run_of_one_layer_leaves_one_file(attempts: Attempts) -> None:
    attempts.layers = ("near",)
    expected = attempts.uninterrupted()
    attempts.interrupted(6)
    assert sorted(path.name for path in attempts.folder.iterdir()) == [
        "0.maps",
        STATE,
    ]
    assert_same(attempts(), expected)
    kept = attempts.keeping()
    kept.remove()
    assert not attempts.folder.exists()


class Failing(Net):
    """Gives NaN from some image on."""

    left: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.left is not None:
            self.left -= len(x)
            x = x / 0 * 0 if self.left < 0 else x
        return super().forward(x)


def images_of_opening() -> int:
    """Count the images that a model gets before the first one of a run."""
    model = Net().eval()
    with open_model(model).probe(list(LAYERS), HOW.size):
        return model.images


class TestLayerDissection:
    def dissect(
        self, model: nn.Module, concepts: ConceptSet, folder: Path, **how: Any
    ) -> list[Dissection]:
        given = {
            "preprocess": HOW,
            "batch_size": BATCH,
            "workers": 0,
            "quantile": 0.05,
            **how,
        }
        found = LayerDissection(model, list(LAYERS)).dissect(
            concepts, checkpoint=folder, **given
        )
        assert isinstance(found, list)
        return [one for one in found if isinstance(one, Dissection)]

    def expected(self, attempts: Attempts) -> list[Dissection]:
        return replace(attempts, settings=Settings()).uninterrupted()

    def test_is_continued_and_leaves_nothing(
        self,
        attempts: Attempts,
        shapes: Drawn,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(
            "nd_plugin.captum_api.dissection_run.CheckpointFolder", often
        )
        (tmp_path / "mine").touch()
        folder, model = tmp_path / "state", Failing().eval()
        model.left = images_of_opening() + 3 * BATCH
        with pytest.raises(NonFiniteActivation):
            self.dissect(model, shapes, folder)
        assert (folder / STATE).is_file()
        model.left, before = None, model.images
        assert_same(self.dissect(model, shapes, folder), self.expected(attempts))
        assert model.images - before < images_of_opening() + IMAGES
        assert list(tmp_path.iterdir()) == [tmp_path / "mine"]

    def test_uninterrupted(
        self, attempts: Attempts, shapes: Drawn, tmp_path: Path
    ) -> None:
        (tmp_path / "mine").touch()
        assert_same(
            self.dissect(attempts.net, shapes, tmp_path / "state"),
            self.expected(attempts),
        )
        assert list(tmp_path.iterdir()) == [tmp_path / "mine"]

    @pytest.mark.parametrize("memory", [None, 0])
    def test_a_failure_before_the_first_checkpoint_leaves_nothing(
        self, shapes: Drawn, tmp_path: Path, memory: int | None
    ) -> None:
        model = Failing().eval()
        model.left = images_of_opening() + 3 * BATCH
        with pytest.raises(NonFiniteActivation):
            self.dissect(model, shapes, tmp_path / "state", memory=memory)
        assert list(tmp_path.iterdir()) == []

    def test_another_model_is_refused(
        self, shapes: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "nd_plugin.captum_api.dissection_run.CheckpointFolder", often
        )
        model = Failing().eval()
        model.left = images_of_opening() + 3 * BATCH
        with pytest.raises(NonFiniteActivation):
            self.dissect(model, shapes, tmp_path / "state")
        with pytest.raises(BadInput, match="differs in model"):
            self.dissect(Net().eval(), shapes, tmp_path / "state")
        assert (tmp_path / "state" / STATE).is_file()

    def test_a_folder_with_other_things_is_left_alone(
        self, attempts: Attempts, shapes: Drawn, tmp_path: Path
    ) -> None:
        """Someone names their home directory."""
        home = tmp_path / "home"
        home.mkdir()
        (home / "thesis.tex").write_text("years of work")
        try:
            self.dissect(attempts.net, shapes, home)
        except BadInput as refused:
            # refusing is one way, writing beside them another
            assert str(home) in str(refused)
        assert (home / "thesis.tex").read_text() == "years of work"

    def test_the_folder_around_it_is_left_alone(
        self, attempts: Attempts, shapes: Drawn, tmp_path: Path
    ) -> None:
        around = tmp_path / "mine"
        around.mkdir()
        self.dissect(attempts.net, shapes, around / "state")
        assert around.is_dir() and list(around.iterdir()) == []


def often(folder: Path, feed: Feed) -> CheckpointFolder:
    """With a checkpoint after every batch."""
    return CheckpointFolder(folder, feed, every_images=1)


@pytest.mark.parametrize(
    "changed",
    [
        {"settings": Settings(0.05, top_images=3)},
        {"preprocess_values": {"size": (96, 96)}},
        {"layers": ["0"]},
    ],
    ids=str,
)
def test_a_finished_run_of_something_else_is_not_taken_for_this_one(
    tmp_path: Path,
    changed: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dissect(layers: Sequence[str] = ("1",), **how: Any) -> None:
        monkeypatch.setattr("sys.argv", ["nd", "dissect", str(layers), str(how)])
        # the factory draws the weights: the same model each time
        torch.manual_seed(0)
        usual: dict[str, Any] = {
            "settings": Settings(0.05),
            "preprocess_values": {"size": (SIZE, SIZE)},
        }
        text = f"shapes?images=8&size={SIZE}&seed=0"
        usual |= {
            "options": ModelOptions("cpu"),
            "run_options": RunOptions(4, 0, resume=True),
            **how,
        }
        dissect_command(
            RunInputs("networks:dilated", text, **usual),
            layers,
            output=tmp_path / "run",
            overwrite=False,
            as_json=True,
        )

    dissect()
    dissect()
    assert capsys.readouterr().err.count("is complete") == 1
    with pytest.raises(BadInput, match="exists already"):
        dissect(**changed)
    assert "is complete" not in capsys.readouterr().err


def test_skipped_is_what_a_reader_needs(attempts: Attempts, shapes: Drawn) -> None:
    attempts.concepts = replace(shapes, bad_images=(4,), bad_annotations=(6,))
    attempts.interrupted(7)
    (found, _) = attempts()
    assert found.skipped == (
        Skipped(shapes.name(4), "image", "image file is truncated"),
        Skipped(shapes.name(6), "annotation", "of another aspect"),
    )


@contextmanager
def locked_by_another_process(folder: Path) -> Iterator[None]:
    """Hold a folder's lock in another process: within one process, locks exclude nothing."""
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'wb'); "
        "fcntl.lockf(file, fcntl.LOCK_EX); print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder / LOCK_FILE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


class TestFolder:
    """Whose files are removed, and while who holds the lock."""

    def test_a_failed_run_removes_its_files_before_it_releases_the_lock(
        self, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts.memory, attempts.every = 0, IMAGES + 1
        alone = lock_file.alone

        @contextmanager
        def followed_by_another(path: Path) -> Iterator[None]:
            try:
                with alone(path):
                    yield
            finally:
                (path.parent / "0.maps").write_bytes(b"of the process that waited")

        monkeypatch.setattr(lock_file, "alone", followed_by_another)
        attempts.interrupted(3)
        content = (attempts.folder / "0.maps").read_bytes()
        assert content == b"of the process that waited"

    def test_a_checkpoint_that_another_process_works_on_is_not_removed(
        self, attempts: Attempts
    ) -> None:
        attempts.interrupted(3)
        checkpoints = attempts.keeping()
        with locked_by_another_process(attempts.folder):
            checkpoints.remove()
            assert (attempts.folder / STATE).is_file()
            assert (attempts.folder / LOCK_FILE).is_file()
        checkpoints.remove()
        assert not attempts.folder.exists()

    @pytest.mark.parametrize("name", ["mine.maps", "results.values", "0.maps.bak"])
    def test_files_of_the_user_are_not_taken_for_candidates(
        self, attempts: Attempts, name: str
    ) -> None:
        attempts.folder.mkdir(parents=True)
        path = attempts.folder / name
        path.write_bytes(b"years of work")
        with pytest.raises(BadInput, match=f"no checkpoint, such as {name}"):
            attempts()
        attempts.keeping().remove()
        assert path.read_bytes() == b"years of work"

    @pytest.mark.parametrize("name", ["holiday.npz", "mine.maps", "results.values"])
    def test_a_folder_with_files_of_the_user_is_not_a_states(
        self, attempts: Attempts, name: str
    ) -> None:
        attempts.interrupted(3)
        (attempts.folder / ".state.npz.abcd_123").touch()  # of an interrupted write
        assert is_state_folder(attempts.folder)
        (attempts.folder / name).touch()
        assert not is_state_folder(attempts.folder)

    def test_a_file_that_cannot_be_removed_costs_nothing(
        self, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        expected = attempts.uninterrupted()
        attempts.interrupted(1)
        unused = attempts.folder / "7.maps"
        unused.touch()
        unlink = Path.unlink

        def refuse(path: Path, missing_ok: bool = False) -> None:
            if path == unused:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", refuse)
        assert_same(attempts(), expected)
        assert unused.exists()


class TestHandOver:
    def test_the_lock_is_held_until_the_folder_has_moved(
        self, attempts: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts.interrupted(BATCHES)
        rename = Path.rename
        locked = []

        def record(path: Path, target: Path) -> Path:
            locked.append((path / LOCK_FILE).exists())
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", record)
        checkpoints = attempts.keeping()
        with checkpoints.guarded(), lock_file.alone(attempts.folder / LOCK_FILE):
            checkpoints.hand_over(tmp_path / "shard")
        assert locked == [True]
        assert is_state_folder(tmp_path / "shard")

    def test_to_the_same_folder_by_another_path_loses_nothing(
        self, attempts: Attempts, tmp_path: Path
    ) -> None:
        attempts.interrupted(BATCHES)
        (tmp_path / "link").symlink_to(attempts.folder.parent)
        attempts.keeping().hand_over(tmp_path / "link" / attempts.folder.name)
        assert (attempts.folder / STATE).is_file()

    def test_files_of_others_are_not_replaced(
        self, attempts: Attempts, tmp_path: Path
    ) -> None:
        attempts.interrupted(BATCHES)
        (tmp_path / "shard").mkdir()
        (tmp_path / "shard" / "thesis.tex").write_text("mine")
        with pytest.raises(NotSaved, match="it holds something other than such a"):
            attempts.keeping().hand_over(tmp_path / "shard")
        assert (tmp_path / "shard" / "thesis.tex").read_text() == "mine"
        assert (attempts.folder / STATE).is_file()

    def test_a_lock_of_the_next_process_is_not_removed(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "state" / LOCK_FILE
        with lock_file.alone(path):
            path.parent.rename(tmp_path / "moved")
            path.parent.mkdir()
            path.touch()
        assert path.exists()


class TestErrorsOfLoading:
    def load(self, folder: Path) -> None:
        saved = load(folder, torch.device("cpu"), append=False)
        saved.state.close()

    def test_a_file_that_cannot_be_read_is_not_called_damaged(
        self, attempts: Attempts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attempts.interrupted(3)

        def refuse(path: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(
            RunInvalid, match=r"cannot be read: .*Permission denied"
        ):
            self.load(attempts.folder)

    @pytest.mark.parametrize("kind", [MemoryError, torch.OutOfMemoryError])
    def test_lack_of_memory_is_not_damage(
        self,
        attempts: Attempts,
        kind: type[Exception],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        attempts.interrupted(3)

        def fail(*arguments: Any) -> None:
            raise kind("out of memory")

        monkeypatch.setattr(saved_state, "unpack", fail)
        with pytest.raises(kind):
            self.load(attempts.folder)

    def test_damaged_candidates_are_not_blamed_on_the_state(
        self, attempts: Attempts
    ) -> None:
        attempts.interrupted(3)
        (attempts.folder / "1.maps").write_bytes(b"")
        with pytest.raises(RunInvalid) as error:
            self.load(attempts.folder)
        message = str(error.value)
        assert message.startswith(
            f"the checkpoint in {attempts.folder} is damaged: "
        )
        assert "1.maps is 0 bytes long" in message and STATE not in message
