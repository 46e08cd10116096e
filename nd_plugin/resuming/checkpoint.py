"""Checkpoints: the state of one part of a dissection on disk, to continue it or to merge shards.

The files are described in `saved_state`.
"""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.contracts.provenance import Provenance
from nd_plugin.engine.part_run import StateSaver
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput, NotSaved
from nd_plugin.machine import termination
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import atomic_files
from nd_plugin.results.folder_names import (
    LOCK_FILE,
    STATE,
    is_run_folder,
    state_files,
)
from nd_plugin.resuming import saved_state
from nd_plugin.resuming.run_description import describe
from nd_plugin.resuming.same_run import (
    check_same_contents,
    check_same_group,
    check_same_run,
)
from nd_plugin.resuming.saved_state import has_state

IMAGES_BETWEEN_CHECKPOINTS = 2000  # by default
# by default at least: a GPU is through with 2000 images before they are worth a checkpoint
SECONDS_BETWEEN_CHECKPOINTS = 30.0


@dataclass
class CheckpointSaver(StateSaver):
    """Saver of a part's state in ``folder``, whenever ``every_images`` more images are done.

    None: about every `IMAGES_BETWEEN_CHECKPOINTS`, `SECONDS_BETWEEN_CHECKPOINTS` apart.
    """

    folder: Path
    run_description: Mapping[str, Any]  # see `run_description.describe`
    run_provenance: Mapping[str, Any]
    every_images: int | None = None
    notes: Sequence[str] = ()
    _images_since_save: int = field(default=0, init=False)
    # Of a clock that runs on while the system's time is set; the start, before the first save.
    _last_save_seconds: float = field(default_factory=time.monotonic, init=False)

    def watch(self, candidates: Candidates, file_number: int) -> None:
        """Set the file of new candidates: ``file_number``, in the folder."""
        candidates.path_without_suffix = self.folder / str(file_number)

    def due(self, images: int) -> bool:
        """Return whether the next `tick` of so many images saves the state."""
        return self._has_waited(images) or termination.is_requested()

    def _has_waited(self, images: int) -> bool:
        """Return whether enough images, and enough time by default, lie behind the last save."""
        images_since_save = self._images_since_save + images
        if self.every_images is not None:
            return images_since_save >= self.every_images
        seconds = time.monotonic() - self._last_save_seconds
        return (
            images_since_save >= IMAGES_BETWEEN_CHECKPOINTS
            and seconds >= SECONDS_BETWEEN_CHECKPOINTS
        )

    def tick(self, state: State, images: int) -> None:
        """Take note that so many more images are done; save the state if it is due.

        A checkpoint that cannot be written only costs a warning: the run does not need it. Raises
        Terminated, after saving, where SIGTERM has asked the process to end.
        """
        is_due = self.due(images)
        self._images_since_save += images
        # SIGTERM may come after the run has asked whether it is due; then the next batch is it
        if not is_due or state.has_pending_maps:
            return
        try:
            self.save(state)
        except NotSaved as error:
            warnings.warn(
                f"checkpoint not saved: {error}", RuntimeWarning, stacklevel=2
            )
        if termination.is_requested():
            raise termination.Terminated

    def save(self, state: State) -> None:
        """Save the state now. Raises NotSaved, and then waits as long as after a save."""
        now = time.monotonic()
        state.seconds += now - self._last_save_seconds
        self._last_save_seconds = now
        self._images_since_save = 0
        self._store_candidates(state)
        content = saved_state.serialise(
            self.run_description, self.run_provenance, state
        )
        atomic_files.write_file(self.folder / STATE, content)
        self._remove_unused(state)

    def _store_candidates(self, state: State) -> None:
        """Write candidates through to the disk, before a state refers to their places there."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for candidates in state.files():
                candidates.write_all()
                if candidates.file is not None:
                    os.fsync(candidates.file.fileno())
        except OSError as error:
            raise NotSaved(
                f"{self.folder} cannot be written: {error.strerror or error}"
            ) from error

    def _remove_unused(self, state: State) -> None:
        """Remove files of earlier states, such as maps of a layer that has only values by now.

        A file that cannot be removed does no harm: no state refers to it.
        """
        used = {
            self.folder / STATE,
            *(candidates.path for candidates in state.files()),
        }
        for path in state_files(self.folder):
            if path not in used:
                with suppress(OSError):
                    path.unlink()


@dataclass
class CheckpointFolder:
    """Folder of a run's checkpoints, locked while the run works in it.

    ::

        with folder.guarded():
            run(…, open_state=folder.open_state)

    `open_state` locks the folder as soon as the run knows its layers; the end of `guarded` releases
    the lock. One without the other is a mistake.
    """

    folder: Path
    feed: Feed
    every_images: int | None = None  # between checkpoints; see `CheckpointSaver`
    resume: bool = True  # continue the folder's interrupted run; else discard it
    # the processes that share the run
    group: SingleProcess = field(default_factory=SingleProcess)
    # the content belongs to this run
    owns_content: bool = field(default=False, init=False)
    # on what could not be compared with the checkpoint
    remarks: list[str] = field(default_factory=list, init=False)
    _lock: ExitStack = field(default_factory=ExitStack, init=False)

    def open_state(
        self, layers: tuple[str, ...], run_provenance: Provenance
    ) -> tuple[CheckpointSaver, State]:
        """Lock the folder, and return its saver and the state to begin with.

        Raises BadInput if another process works in the folder, if it holds other files or the state
        of a different run, or if a process of the group does something else; RunInvalid for a
        damaged state; NotSaved if the folder cannot be written.
        """
        run_description = describe(self.feed, layers, run_provenance)
        check_same_group(run_description, self.group)
        self._check_only_state_files()
        self._lock_folder()
        state = self._load_or_start(run_description, run_provenance.device)
        self.owns_content = True
        saver = CheckpointSaver(
            self.folder,
            run_description,
            asdict(run_provenance),
            self.every_images,
            notes=self.remarks,
        )
        return saver, state

    def _check_only_state_files(self) -> None:
        """Raise BadInput for files that a run would not have written: they are someone's own."""
        expected = {*state_files(self.folder), self.folder / LOCK_FILE}
        for path in self.folder.glob("*"):
            if path not in expected:
                raise BadInput(
                    f"{self.folder} holds files that are no checkpoint, such as {path.name}; "
                    "choose another folder"
                )

    def _lock_folder(self) -> None:
        self._lock.enter_context(atomic_files.alone(self.folder / LOCK_FILE))
        self._lock.enter_context(termination.postponed())

    def _load_or_start(
        self, run_description: Mapping[str, Any], device: str
    ) -> State:
        """Load the folder's state if it is to be resumed; else discard it and return a new one."""
        if self.resume and has_state(self.folder):
            return self._load(run_description, torch.device(device))
        saved_state.remove_state_files(self.folder)
        return State()

    def _load(
        self, run_description: Mapping[str, Any], device: torch.device
    ) -> State:
        """Load the state, to continue it. Raises BadInput if it is of a different run."""
        saved = saved_state.load(self.folder, device, append=True)
        try:
            self._check_same(saved.run_description, run_description)
        except BadInput:
            saved.state.close()
            raise
        return saved.state

    def _check_same(
        self, saved: Mapping[str, Any], requested: Mapping[str, Any]
    ) -> None:
        """Check that two descriptions are of the same run. Raises BadInput."""
        subject = f"the run in {self.folder}"
        self.remarks = check_same_run(saved, requested, subject)
        check_same_contents(saved["contents"], requested["contents"], subject)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Guard the folder during a run, and release the lock that `open_state` has taken.

        A run that fails before its first checkpoint leaves no files.
        """
        try:
            with self._lock:
                try:
                    yield
                except BaseException:
                    # Still locked: all files are of this run.
                    if self.owns_content and not has_state(self.folder):
                        saved_state.remove_state_files(self.folder)
                    raise
        finally:
            self._remove_if_empty()

    def remove(self) -> None:
        """Remove the checkpoint after the run, and the folder if nothing else is in it.

        A checkpoint that another process has begun to work on since is left to that process.
        """
        if not self.folder.is_dir():
            return
        with (
            # locked by another process; cannot be locked
            suppress(BadInput, NotSaved),
            atomic_files.alone(self.folder / LOCK_FILE),
        ):
            saved_state.remove_state_files(self.folder)
        self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        with suppress(OSError):  # not empty, or moved by `hand_over`
            self.folder.rmdir()

    def hand_over(self, target: Path) -> None:
        """Move the finished state of a shard to its folder, within `guarded`.

        A folder ``target`` that exists already is replaced; the caller has asked whether it may be
        (`run_folder.check_target`). Raises NotSaved, also for one that holds other things than a
        run.
        """
        if target.resolve() == self.folder.resolve():
            return
        if target.is_dir() and not is_run_folder(target):
            raise NotSaved(
                f"{target} holds other things than a run, and is not replaced; the shard is saved "
                f"in {self.folder}"
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            self.folder.rename(target)
        except OSError as error:
            raise NotSaved(
                f"{target} cannot be written: {error.strerror or error}; "
                f"the shard is saved in {self.folder}"
            ) from error
        # Moved with the folder, and held up to here.
        with suppress(OSError):
            (target / LOCK_FILE).unlink()
