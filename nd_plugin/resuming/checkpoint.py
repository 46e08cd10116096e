"""Checkpoints: the state of one part of a dissection on disk, to continue it or to merge shards.

A folder holds ``state.npz`` (without pickles; replaced as a whole) and for each layer a file of
candidates. That file only grows: bytes beyond the length that the state records are ignored.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
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
from nd_plugin.resuming.run_description import check_same, describe
from nd_plugin.resuming.state_arrays import pack, unpack

STATE = "state.npz"


LOCK = "lock"  # held by the process that works in the folder


FORMAT = 3


EVERY = 2000  # images between checkpoints, by default


@dataclass
class Checkpoint(StateSaver):
    """Saver of a part's state in ``folder``, whenever ``every`` more images are done."""

    folder: Path
    described: Mapping[str, Any]  # see `run_description.describe`
    run_provenance: Mapping[str, Any]
    every: int = EVERY
    _images_since: int = 0  # the last checkpoint
    _last_time: float = field(
        default_factory=time.monotonic
    )  # of a checkpoint, or the start

    def watch(self, candidates: Candidates, place: int) -> None:
        """Put the file of new candidates, number ``place``, into the folder."""
        candidates.place = self.folder / str(place)

    def due(self, images: int) -> bool:
        """Return whether the next `tick` of so many images saves the state."""
        return self._images_since + images >= self.every

    def tick(self, state: State, images: int) -> None:
        """Take note that so many more images are done; save the state if it is due.

        Without room for a checkpoint the run continues, since all its state is in memory.
        """
        is_due = self.due(images)
        self._images_since += images
        if not is_due:
            return
        try:
            self.save(state)
        except NotSaved as error:
            self._images_since = 0
            warnings.warn(
                f"checkpoint not saved: {error}", RuntimeWarning, stacklevel=2
            )

    def save(self, state: State) -> None:
        """Save the state now. Raises NotSaved."""
        now = time.monotonic()
        state.seconds += now - self._last_time
        self._last_time = now
        self._images_since = 0
        content = self._state_file(state)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _flush_candidates(state)
        except OSError as error:
            raise NotSaved(
                f"{self.folder} cannot be written: {error.strerror or error}"
            ) from error
        atomic_files.write_file(self.folder / STATE, content)
        self._remove_unused(state)

    def _state_file(self, state: State) -> bytes:
        """Serialise the state; writes candidates that are in memory to their files."""
        packed, arrays = pack(state)
        metadata = {
            "format": FORMAT,
            "described": dict(self.described),
            "made": dict(self.run_provenance),
            **packed,
        }
        metadata_bytes = np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8)
        file = io.BytesIO()
        np.savez(file, metadata=metadata_bytes, **arrays)
        return file.getvalue()

    def _remove_unused(self, state: State) -> None:
        """Remove files of earlier states, such as maps of a layer that has values only by now."""
        used = {self.folder / STATE, *(candidates.path for candidates in state.files())}
        for path in state_files(self.folder):
            if path not in used:
                path.unlink()


def _flush_candidates(state: State) -> None:
    """Write files of candidates through to the disk, before a state refers to their content."""
    for candidates in state.files():
        if candidates.file is not None:
            os.fsync(candidates.file.fileno())


@dataclass
class CheckpointFolder:
    """Folder of checkpoints during a run; `keep` opens the state for `engine.run`."""

    folder: Path
    feed: Feed
    every: int = EVERY
    resume: bool = True  # continue the folder's interrupted run; else discard it
    begun: bool = False  # the folder's content belongs to this run
    _lock: ExitStack = field(
        default_factory=ExitStack
    )  # released at the end of `watched`

    def keep(
        self, layers: tuple[str, ...], run_provenance: Provenance
    ) -> tuple[Checkpoint, State]:
        """Lock the folder, and return its saver and the state to begin with.

        Raises BadInput if another process works in the folder, or if it holds other files or the
        state of a different run.
        """
        described = describe(self.feed, layers, run_provenance)
        checkpoint = Checkpoint(
            self.folder, described, asdict(run_provenance), self.every
        )
        self._check_only_state_files()
        self._lock.enter_context(atomic_files.alone(self.folder / LOCK))
        if self.resume and states(self.folder):
            state = self._load(described, torch.device(run_provenance.device))
            self.begun = True
            return checkpoint, state
        self.begun = True
        self.remove()
        return checkpoint, State()

    def _check_only_state_files(self) -> None:
        expected = {*state_files(self.folder), self.folder / LOCK}
        for path in self.folder.glob("*"):
            if path not in expected:
                raise BadInput(
                    f"{self.folder} holds files that are no checkpoint, such as {path.name}; "
                    "choose another folder"
                )

    def _load(self, described: Mapping[str, Any], device: torch.device) -> State:
        """Load the state, to continue it. Raises BadInput if it is of a different run."""
        stored, _, state = load(self.folder, device, to_continue=True)
        try:
            check_same(
                stored, described, f"the run in {self.folder}", ignored=["source"]
            )
        except BadInput:
            state.close()
            raise
        return state

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Guard the folder during a run.

        Afterwards the lock is released, and a run that fails before its first checkpoint leaves no
        files.
        """
        try:
            with self._lock:
                yield
        except BaseException:
            if self.begun and not states(self.folder):
                self.remove()
            raise
        finally:
            with suppress(OSError):  # not empty
                self.folder.rmdir()

    def remove(self) -> None:
        """Remove the checkpoint, and the folder if nothing else is in it."""
        for path in state_files(self.folder):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            self.folder.rmdir()

    def hand_over(self, target: Path) -> None:
        """Move the finished state of a shard to its folder ``target``. Raises NotSaved."""
        if target == self.folder:
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            (self.folder / LOCK).unlink(missing_ok=True)
            self.folder.rename(target)
        except OSError as error:
            raise NotSaved(
                f"{target} cannot be written: {error.strerror or error}; "
                f"the shard is saved in {self.folder}"
            ) from error


def states(*folders: Path) -> list[Path]:
    """Return those of ``folders`` that hold a state."""
    return [folder for folder in folders if (folder / STATE).is_file()]


def state_files(folder: Path) -> list[Path]:
    """Return the files of a state in a folder, and incomplete ones of interrupted writes."""
    paths: list[Path] = []
    for pattern in (STATE, f".{STATE}.*", "*.maps", "*.values"):
        paths += folder.glob(pattern)
    return paths


def load(
    folder: Path, device: torch.device, *, to_continue: bool
) -> tuple[dict[str, Any], dict[str, Any], State]:
    """Load a state, ``to_continue`` it or only to read it.

    Returns the description of the run, its provenance and the state. Raises RunInvalid for damaged
    files and other formats.
    """
    path = folder / STATE
    state = State()
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            metadata = json.loads(stored["metadata"].tobytes().decode())
            if metadata["format"] != FORMAT:
                raise RunInvalid(
                    f"{path} has format {metadata['format']}, but this nd_plugin reads {FORMAT}; "
                    "use the version of nd_plugin that wrote it"
                )
            state = unpack(metadata, stored, folder, device)
            for candidates in state.files():
                candidates.reopen(append=to_continue)
    except Exception as error:  # errors of zip, npy and JSON have no common base class
        state.close()
        if isinstance(error, RunInvalid):
            raise
        raise RunInvalid(
            f"{path} is damaged: {type(error).__name__}: {error}"
        ) from error
    return metadata["described"], metadata["made"], state
