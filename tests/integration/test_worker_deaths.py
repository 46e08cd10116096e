"""Worker processes that die, wherever the first process is: our error, then the same bits.

ND_KILLS, from 36 on, lets workers die in all ways at all places; else each place has one way.
"""

from __future__ import annotations

import itertools
import mmap
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import Drawn, Net
from PIL import Image
from torch import Tensor

from nd_plugin import (
    Annotation,
    Dissection,
    Preprocess,
    ProcessLost,
    Settings,
    open_model,
)
from nd_plugin.engine.chance.host_counter import HostChanceCounter
from nd_plugin.engine.report_data import collected
from nd_plugin.engine.report_data.picture_files import FileMaker
from nd_plugin.engine.run import observe, run
from nd_plugin.experiments.probing.pooled_features import pooled_features
from nd_plugin.machine.forked_workers import can_fork
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE, Part
from nd_plugin.results.folder_names import STATE
from nd_plugin.results.npz_format import ARRAYS
from nd_plugin.resuming import saved_state, shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

pytestmark = [
    pytest.mark.skipif(not can_fork(), reason="processes are not forked here"),
    pytest.mark.filterwarnings(
        "ignore:.*multi-threaded, use of fork:DeprecationWarning"
    ),
    # more workers than processors
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

IMAGES, SIZE, BATCH = 22, 64, 2
LAYERS = ("near", "far")
HOW = Preprocess((SIZE, SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
SETTINGS = Settings(
    quantile=0.05, folds=2, permutations=3, seed=1, pictures=4, top_images=6
)
LATE_BATCH = 7  # two workers, each two batches ahead of the first process: not before the third
DONE = 5 * BATCH  # images after which that batch is decoded
REMEDY = "use fewer workers, or none (--workers 0, workers=0), smaller batches"

WAYS: dict[str, Callable[[], Any]] = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit 3": lambda: os._exit(3),
    "exit 0": lambda: os._exit(0),
}
CAUSES = {
    "SIGKILL": "(exit code -9), most likely out of memory",
    "SIGSEGV": "(exit code -11), by SIGSEGV, in native code such as a decoder",
    "exit 3": "(exit code 3), ended by a concept set or a library",
    "exit 0": "(exit code 0), ended by a concept set or a library",
}


class Trap:
    """Place where a worker dies once it is armed, in memory that all processes share."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 64)
        self.first_process = os.getpid()
        self.way = "SIGKILL"

    def arm(self) -> None:
        self.memory[0] = 1

    def spring(self) -> None:
        """End this process, if it is a worker and the trap is armed; one dies, no more."""
        if os.getpid() == self.first_process or not self.memory[0]:
            return
        self.memory[0] = 0
        self.memory[8:16] = os.getpid().to_bytes(8, "little")
        WAYS[self.way]()

    def await_death(self) -> None:
        """Return when the worker is dead and the system has told this process of it."""
        worker = 0
        while not worker:
            worker = int.from_bytes(self.memory[8:16], "little")
        os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)


@dataclass(frozen=True)
class Deadly(Drawn):
    """Concept set with an image and an annotation that end the process which decodes them."""

    trap: Trap = field(default_factory=Trap)
    image_at: int = -1
    annotation_at: int = -1

    def image(self, index: int) -> Image.Image:
        if index == self.image_at:
            self.trap.spring()
        return super().image(index)

    def annotation(self, index: int) -> Annotation:
        if index == self.annotation_at:
            self.trap.spring()
        return super().annotation(index)


class Waiting(Net):
    """The network, which awaits a death in a pass, once it is told to."""

    trap: Trap
    waits = False
    swallows = False

    def forward(self, x: Tensor) -> Tensor:
        if self.waits:
            self.waits = False
            self.await_death()
        return super().forward(x)

    def await_death(self) -> None:
        try:
            self.trap.await_death()
        except RuntimeError:
            # as models do that have a second way of computing something
            if not self.swallows:
                raise


@dataclass
class Case:
    """Run whose worker dies at a place, and the same run without."""

    folder: Path
    drawn: Drawn
    patch: pytest.MonkeyPatch
    settings: Settings
    way: str
    trap: Trap = field(default_factory=Trap)
    model: Waiting = field(default_factory=Waiting)
    progress: Callable[[str, int, int], None] = lambda *_: None
    every: int = IMAGES + 1  # images between checkpoints

    def deadly(self, **places: int) -> Deadly:
        self.trap.way = self.way
        return Deadly(**vars(self.drawn), trap=self.trap, **places)

    def feed(self, concepts: Drawn, part: Part = WHOLE, workers: int = 2) -> Feed:
        return Feed.of(
            concepts,
            HOW,
            self.settings,
            torch.device("cpu"),
            BATCH,
            workers,
            None,
            part,
        )

    def run(self, concepts: Drawn, workers: int = 2) -> list[Dissection]:
        checkpoint = CheckpointFolder(
            self.folder, self.feed(concepts, workers=workers), self.every
        )
        with checkpoint.guarded():
            dissections = run(
                open_model(self.model),
                LAYERS,
                checkpoint.feed,
                self.progress,
                open_state=checkpoint.open_state,
            )
        checkpoint.remove()
        return dissections

    def arm_at(self, stage: str) -> None:
        def progress(running: str, done: int, total: int) -> None:
            if running == stage and not done:
                self.trap.arm()

        self.progress = progress


def image_of(batch: int) -> int:
    """Return an image of a batch, and not of the first one."""
    feed = Feed(Drawn.of(CONCEPTS), HOW, SETTINGS, BATCH, 0)  # type: ignore[arg-type]
    return feed.order[batch][0]


CONCEPTS = f"shapes?images={IMAGES}&size={SIZE}&seed=3"


# Each place lets a worker die there, and returns the concept set in which it does.
def while_the_model_opens(case: Case) -> Deadly:
    case.trap.arm()
    case.patch.setattr(
        "nd_plugin.engine.run._check_reliable",
        lambda *_: case.trap.await_death(),
    )
    return case.deadly(image_at=image_of(0))


def in_the_model(case: Case, *, swallows: bool = False) -> Deadly:
    case.trap.arm()
    case.model.trap = case.trap
    case.model.swallows = swallows

    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("activations", DONE):
            case.model.waits = True

    case.progress = progress
    return case.deadly(image_at=image_of(LATE_BATCH))


def in_a_model_that_swallows_errors(case: Case) -> Deadly:
    return in_the_model(case, swallows=True)


def while_it_is_saved(case: Case) -> Deadly:
    case.trap.arm()
    case.every = DONE
    serialise = saved_state.serialise
    awaited: list[bool] = []

    def await_death(*arguments: Any) -> bytes:
        if not awaited:
            awaited.append(True)
            case.trap.await_death()
        return serialise(*arguments)

    case.patch.setattr(saved_state, "serialise", await_death)
    return case.deadly(image_at=image_of(LATE_BATCH))


def at_the_last_batch(case: Case) -> Deadly:
    case.trap.arm()
    return case.deadly(image_at=image_of(IMAGES // BATCH - 1))


def in_the_second_pass(case: Case) -> Deadly:
    case.patch.setattr(
        "nd_plugin.method.lower_bound.poisson_upper_bound", lambda _: 1
    )
    case.arm_at("activations, second pass")
    return case.deadly(image_at=image_of(LATE_BATCH))


def at_the_annotations(case: Case) -> Deadly:
    """On the host while masks are counted, on a device with the images."""
    if os.environ["ND_STRATEGY"] == "device":
        case.trap.arm()
    case.arm_at("masks")
    return case.deadly(annotation_at=image_of(LATE_BATCH))


def at_permuted_annotations(case: Case) -> Deadly:
    case.arm_at("annotations")
    return case.deadly(annotation_at=image_of(LATE_BATCH))


def at_permutations(case: Case) -> Deadly:
    count = HostChanceCounter.count

    def spring(counter: HostChanceCounter, number: int) -> Any:
        case.trap.spring()
        return count(counter, number)

    case.patch.setattr(HostChanceCounter, "count", spring)
    case.arm_at("permutations")
    return case.deadly()


PLACES = (
    while_the_model_opens,
    in_the_model,
    in_a_model_that_swallows_errors,
    while_it_is_saved,
    at_the_last_batch,
    in_the_second_pass,
    at_the_annotations,
    at_permuted_annotations,
    at_permutations,
)


def cases() -> list[Any]:
    """Return place, strategy and way: all of them, or each place with one way by turns."""
    strategies = ("host", "device")
    triples = list(itertools.product(PLACES, strategies, WAYS))
    if int(os.environ.get("ND_KILLS", "0")) < 36:
        # DataLoader looks for an exit without an error every five seconds
        ways = [way for way in WAYS if way != "exit 0"]
        turns = zip(
            PLACES, itertools.cycle(strategies), itertools.cycle(ways), strict=False
        )
        triples = list(turns)
    # a device counts permutations without workers
    return [
        pytest.param(*triple, id="-".join([triple[0].__name__, *triple[1:]]))
        for triple in triples
        if triple[:2] != (at_permutations, "device")
    ]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return replace(Drawn.of(CONCEPTS), bad_images=(3,), bad_annotations=(5,))


@pytest.fixture(scope="module")
def whole(
    drawn: Drawn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Dissection]]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("whole") / "run.partial"
        yield Case(folder, drawn, patch, SETTINGS, "SIGKILL").run(drawn, workers=0)


def assert_same(
    dissections: Sequence[Dissection], expected: Sequence[Dissection]
) -> None:
    for dissection, other in zip(dissections, expected, strict=True):
        for name in ARRAYS:
            array = getattr(dissection, name)
            assert array.tobytes() == getattr(other, name).tobytes(), name
        assert dissection.chance is not None and other.chance is not None
        assert dissection.chance.iou.tobytes() == other.chance.iou.tobytes()
        assert dissection.skipped == other.skipped


@pytest.mark.parametrize(("place", "strategy", "way"), cases())
def test_a_worker_dies(
    place: Callable[[Case], Deadly],
    strategy: str,
    way: str,
    drawn: Drawn,
    whole: list[Dissection],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ND_STRATEGY", strategy)
    with pytest.MonkeyPatch.context() as patch:
        case = Case(tmp_path / "run.partial", drawn, patch, SETTINGS, way)
        deadly = place(case)
        with pytest.raises(ProcessLost) as raised:
            case.run(deadly)
    message = str(raised.value)
    assert CAUSES[way] in message and REMEDY in message, message
    assert (case.folder / STATE).is_file() == (place is not while_the_model_opens)
    resumed = Case(case.folder, drawn, monkeypatch, SETTINGS, way)
    assert_same(resumed.run(drawn, workers=1), whole)
    assert not case.folder.exists()


@pytest.mark.parametrize("way", ["SIGKILL", "exit 3"])
def test_a_worker_dies_at_pictures(
    way: str,
    drawn: Drawn,
    whole: list[Dissection],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The numbers are those of the whole run, and a note says what is missing."""
    case = Case(tmp_path / "run.partial", drawn, monkeypatch, SETTINGS, way)
    monkeypatch.setattr(collected, "MOST_COLLECTED", 0)
    case.arm_at("permutations")
    make = FileMaker.make

    def spring(maker: FileMaker, image: int) -> Any:
        case.trap.spring()
        return make(maker, image)

    monkeypatch.setattr(FileMaker, "make", spring)
    dissections = case.run(case.deadly())
    assert_same(dissections, whole)
    notes = [note for note in dissections[0].provenance.notes if "picture" in note]
    assert any(CAUSES[way] in note for note in notes), notes


def test_a_worker_dies_while_shards_are_merged(
    drawn: Drawn,
    whole: list[Dissection],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = Case(tmp_path, drawn, monkeypatch, SETTINGS, "SIGKILL")
    folders = []
    for index in range(2):
        folder = tmp_path / f"{index + 1}-of-2"
        checkpoint = CheckpointFolder(folder, case.feed(drawn, Part(index, 2)), 1)
        with checkpoint.guarded():
            observe(
                open_model(Waiting()),
                LAYERS,
                checkpoint.feed,
                lambda *_: None,
                checkpoint.open_state,
            )
        folders.append(folder)
    deadly = case.deadly(annotation_at=image_of(LATE_BATCH))
    case.trap.arm()
    with pytest.raises(ProcessLost, match="most likely out of memory"):
        merge(folders, deadly)
    assert_same(merge(folders, drawn), whole)


def merge(folders: Sequence[Path], concepts: Drawn) -> list[Dissection]:
    loaded = shards.load(folders)
    try:
        return shards.merge(loaded, concepts, workers=2)
    finally:
        shards.close(loaded)


def test_a_worker_dies_while_features_are_pooled(
    drawn: Drawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path, drawn, monkeypatch, SETTINGS, "SIGSEGV")
    case.trap.arm()
    deadly = case.deadly(image_at=image_of(LATE_BATCH))
    name = deadly.name(image_of(LATE_BATCH))
    with pytest.raises(ProcessLost, match=f"check image {name}; use fewer"):
        pooled_features(open_model(Waiting()), ["near"], case.feed(deadly))
