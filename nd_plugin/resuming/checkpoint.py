"""The state of a part of a dissection on disk: to continue an interrupted run, and to bring shards together.

A folder holds ``state.npz`` (no pickles; replaced whole) and a file of candidates per layer, which only grows: what the
state says of its length is what counts.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nd_plugin.contracts.provenance import Provenance
from nd_plugin.engine.callbacks import StateSaver
from nd_plugin.engine.candidates import Candidates
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput, NotSaved, RunInvalid
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import atomic_files
from nd_plugin.resuming.state_arrays import pack, unpack

STATE = "state.npz"


LOCK = "lock"  # held by the process that is at work there


FORMAT = 3


EVERY = 2000  # images


@dataclass
class Checkpoint(StateSaver):
    """Keeps the state of a part in ``folder``, after ``every`` so many images."""

    folder: Path
    described: Mapping[str, Any]  # what is run: model, data, settings, part
    made: Mapping[str, Any]  # its provenance
    every: int = EVERY
    _since: int = 0
    _clock: float = field(default_factory=time.monotonic)

    def watch(self, candidates: Candidates, place: int) -> None:
        """The candidates of a layer, the ``place``-th, begin: their file will lie in the folder."""
        candidates.place = self.folder / str(place)

    def due(self, images: int) -> bool:
        """Whether the state is kept when so many images more are done."""
        return self._since + images >= self.every

    def tick(self, state: State, images: int) -> None:
        """So many images more are done."""
        due = self.due(images)
        self._since += images
        if due:
            try:
                self.save(state)
            except NotSaved as error:  # the run goes on: what it has is in memory
                self._since = 0
                warnings.warn(f"no checkpoint: {error}", RuntimeWarning, stacklevel=2)

    def save(self, state: State) -> None:
        """Write the state as it is. Raises NotSaved."""
        now = time.monotonic()
        state.seconds, self._clock, self._since = (
            state.seconds + now - self._clock,
            now,
            0,
        )
        packed, arrays = pack(state)
        metadata = {
            "format": FORMAT,
            "described": dict(self.described),
            "made": dict(self.made),
            **packed,
        }
        content = io.BytesIO()
        np.savez(
            content,
            metadata=np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8),
            **arrays,
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for candidates in state.files():
                if candidates.file is not None:
                    os.fsync(candidates.file.fileno())
        except OSError as error:
            raise NotSaved(
                f"{self.folder} cannot be written: {error.strerror or error}"
            ) from error
        atomic_files.write_file(self.folder / STATE, content.getvalue())
        used = {self.folder / STATE, *(candidates.path for candidates in state.files())}
        for path in ours(self.folder):
            if path not in used:
                path.unlink()


@dataclass
class CheckpointFolder:
    """Where a run is kept while it lasts, and how it begins: `keep` is what `engine.run` asks."""

    folder: Path
    feed: Feed
    quantiles: Sequence[float]
    every: int = EVERY
    resume: bool = (
        True  # where an interrupted run is found there; else it is left behind
    )
    begun: bool = False  # what is in the folder is this run's
    _held: ExitStack = field(default_factory=ExitStack)  # until the end of `watched`

    def keep(
        self, layers: tuple[str, ...], made: Provenance
    ) -> tuple[Checkpoint, State]:
        """The keeper, and where the run stands. Raises BadInput where another one was interrupted, or is at work."""
        described = describe(self.feed, layers, self.quantiles, made)
        checkpoint = Checkpoint(self.folder, described, asdict(made), self.every)
        strange = [
            path
            for path in self.folder.glob("*")
            if path not in ours(self.folder) and path.name != LOCK
        ]
        if strange:
            raise BadInput(
                f"{self.folder} holds other things than the state of a run, such as {strange[0].name}"
            )
        self._held.enter_context(atomic_files.alone(self.folder / LOCK))
        if not self.resume or not states(self.folder):
            self.begun = True
            self.remove()
            return checkpoint, State()
        stored, _, state = load(self.folder, torch.device(made.device), to_go_on=True)
        try:
            check_same(stored, described, f"what is in {self.folder}", but=["source"])
        except BadInput:
            state.close()
            raise
        self.begun = True
        return checkpoint, state

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While a run goes on; whatever ends it before its first checkpoint, nothing is left of it."""
        try:
            with self._held:
                yield
        except BaseException:
            if self.begun and not states(self.folder):
                self.remove()
            raise
        finally:
            with suppress(OSError):
                self.folder.rmdir()  # where nothing is kept

    def remove(self) -> None:
        """Once the result is saved: what is ours, and the folder when nothing else is in it."""
        for path in ours(self.folder):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def hand_over(self, target: Path) -> None:
        """The folder becomes a shard's own. Raises NotSaved."""
        if target == self.folder:
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            (self.folder / LOCK).unlink(missing_ok=True)
            self.folder.rename(target)
        except OSError as error:
            raise NotSaved(
                f"{target} cannot be written: {error.strerror or error}; it is in {self.folder}"
            ) from error


def states(*folders: Path) -> list[Path]:
    """Those of ``folders`` that hold a state."""
    return [folder for folder in folders if (folder / STATE).is_file()]


def ours(folder: Path) -> list[Path]:
    """The files of a state in a folder, half-written ones too."""
    return [
        path
        for form in (STATE, f".{STATE}.*", "*.maps", "*.values")
        for path in folder.glob(form)
    ]


def describe(
    feed: Feed, layers: Sequence[str], quantiles: Sequence[float], made: Provenance
) -> dict[str, Any]:
    """All that decides the numbers of a part: what has to be the same to continue it, or to belong together."""
    return {
        "model": asdict(made.model),
        "concept set": asdict(made.concept_set),
        "layers": list(layers),
        "quantiles": list(quantiles),
        "settings": asdict(feed.settings),
        "preprocessing": feed.preprocess.describe(),
        "batch size": feed.batch_size,
        "images": feed.images,
        "shard": str(feed.part),
        "backend": made.backend,
        "device": made.device.partition(":")[0],
        "versions": dict(made.versions),
    }


def load(
    folder: Path, device: torch.device, *, to_go_on: bool
) -> tuple[dict[str, Any], dict[str, Any], State]:
    """What was run, its provenance, and where it stands; ``to_go_on`` or only to be read. Raises RunInvalid."""
    path, state = folder / STATE, State()
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            metadata = json.loads(stored["metadata"].tobytes().decode())
            if metadata["format"] != FORMAT:
                raise RunInvalid(
                    f"{path} is of format {metadata['format']}, and this nd_plugin reads {FORMAT}"
                )
            state = unpack(metadata, stored, folder, device)
            for candidates in state.files():
                candidates.reopen(to_go_on=to_go_on)
    except Exception as error:  # zip, npy and JSON errors have no common root
        state.close()
        if isinstance(error, RunInvalid):
            raise
        raise RunInvalid(
            f"{path} is damaged: {type(error).__name__}: {error}"
        ) from error
    return metadata["described"], metadata["made"], state


def check_same(
    stored: Mapping[str, Any],
    wanted: Mapping[str, Any],
    where: str,
    *,
    but: Sequence[str] = (),
) -> None:
    """Raises BadInput that names what differs between what was run and what is asked for."""
    plain = json.loads(json.dumps(wanted))
    for name, before, now in _differences(stored, plain):
        if not set(name.split(".")) & set(but):
            raise BadInput(
                f"{where} was run with another {name}: {before!r}, not {now!r}"
            )


def _differences(
    before: Any, now: Any, name: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(
                before.get(key), now.get(key), f"{name}.{key}" if name else key
            )
    elif before != now:
        yield name, before, now
