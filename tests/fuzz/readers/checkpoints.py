"""Reader of checkpoints: an interrupted run is continued, finished shards are merged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

from drawn import Net
from fuzz.archive_changes import ArchiveChange
from fuzz.cases import Numbers, Reader, Sample, read_files
from fuzz.mutators.archives import STATES
from fuzz.readers import runs
from fuzz.readers.made import CPU, drawn, feed_of

from nd_plugin import Dissection, Settings, open_model
from nd_plugin.contracts.models import Model
from nd_plugin.engine.run import run
from nd_plugin.results.folder_names import STATE
from nd_plugin.resuming import saved_state, shards
from nd_plugin.resuming.checkpoint import CheckpointFolder

LAYERS = ("near", "far")
WITHOUT_TIMES = ArchiveChange(
    metadata=[
        [["made", "started"], "2026-01-01T00:00:00+00:00"],
        [["seconds"], 1.5],
    ]
)
SETTINGS = Settings(quantiles=(0.05,), top_images=2)


class _Stop(Exception):
    """What stands for a power cut."""


@lru_cache(1)
def _model() -> Model:
    return open_model(Net().eval())


def _continue(folder: Path, stop_after: int | None = None) -> list[Dissection]:
    """Run, or continue what is in a folder; stop at a call of the progress callback."""
    checkpoints = CheckpointFolder(
        folder, feed_of(drawn(), SETTINGS), every_images=1
    )
    left = stop_after

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal left
        if left == 0:
            raise _Stop
        left = None if left is None else left - 1

    with checkpoints.guarded():
        return run(
            _model(),
            LAYERS,
            checkpoints.feed,
            progress,
            open_state=checkpoints.open_state,
        )


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return states of a run: after the first batch, while masks are counted, at the end."""
    samples = []
    for calls in range(1, 40):
        target = folder / str(calls)
        try:
            _continue(target, calls)
        except _Stop:
            samples.append(_sample(f"after {calls}", target))
            continue
        samples.append(_sample("finished", target))
        break
    return [sample for sample in samples if sample.files]


def _sample(name: str, folder: Path) -> Sample:
    files = read_files(folder)
    files.pop("lock", None)
    # times differ, and a seed has to decide a case
    for path, content in files.items():
        if path == STATE and content is not None:
            files[path] = WITHOUT_TIMES.apply(content)
    return Sample(
        name, {f"state/{path}": content for path, content in files.items()}
    )


def read(folder: Path, random: Random) -> Numbers:
    """Continue a run to its end; or load its state as that of a shard, and merge it."""
    # as continuing does, before a model is opened: most cases end here, and early
    saved_state.load(folder / "state", CPU, append=False).state.close()
    if random.random() < 0.3:
        loaded = shards.load([folder / "state"])
        try:
            layers = shards.merge(loaded, drawn())
        finally:
            shards.close(loaded)
    else:
        layers = _continue(folder / "state")
    return {layer.layer: runs.numbers_of(layer) for layer in layers}


CHECKPOINTS = Reader(
    "checkpoints",
    make_samples,
    read,
    {".npz": STATES},
    has_checksums=True,
    find_problem=runs.find_problem,
)
