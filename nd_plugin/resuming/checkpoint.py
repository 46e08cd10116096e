"""Checkpoints: the state of one part of a dissection on disk, to continue it or to merge shards.

The files are described in `saved_state`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from nd_plugin.candidates.disk_space import DiskRoom
from nd_plugin.candidates.layer_candidates import Candidates
from nd_plugin.contracts.provenance import Provenance
from nd_plugin.engine.part_run import StateSaver
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput, NotSaved
from nd_plugin.machine import termination
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import atomic_files
from nd_plugin.results.folder_names import LOCK_FILE, STATE, state_files
from nd_plugin.resuming import finished_shard, saved_state
from nd_plugin.resuming.candidate_files import (
    remove_unused,
    unwritten_bytes,
    write_candidates,
)
from nd_plugin.resuming.count_checks import check_vocabulary
from nd_plugin.resuming.result_size import ResultSize
from nd_plugin.resuming.run_identity.run_description import describe
from nd_plugin.resuming.run_identity.same_run import (
    check_same_contents,
    check_same_run,
)
from nd_plugin.resuming.saved_state import has_state
from nd_plugin.storage import lock_file
from nd_plugin.storage.durable_files import remove_empty

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
    result_size: ResultSize | None = None  # None: checkpoints may fill the disk
    notes: Sequence[str] = ()
    _images_since_save: int = field(default=0, init=False)
    # Of a clock that runs on while the system's time is set; the start, before the first save.
    _last_save_seconds: float = field(default_factory=time.monotonic, init=False)
    _state_bytes: int = field(default=0, init=False)  # of the last save
    _has_warned: bool = field(default=False, init=False)

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

        A checkpoint that cannot be written, or would leave too little of the disk for the result,
        only costs a warning. Raises Terminated, after saving, where a signal has asked for the end.
        """
        is_due = self.due(images)
        self._images_since_save += images
        # a signal may come after the run has asked whether it is due; then the next batch is it
        if not is_due or state.has_pending_maps:
            return
        try:
            self.save(state, self._room(state))
        except NotSaved as error:
            self._warn_once(error)
        termination.grant_request()

    def _room(self, state: State) -> DiskRoom | None:
        """Return the room of the disk, less what the result will take on it."""
        if self.result_size is None:
            return None
        return DiskRoom(self.folder, self.result_size.of(state))

    def _warn_once(self, error: NotSaved) -> None:
        """Say that a checkpoint is not saved; the next ones are not for the same reason."""
        if not self._has_warned:
            warnings.warn(
                f"checkpoint not saved: {error}", RuntimeWarning, stacklevel=3
            )
        self._has_warned = True

    def save(self, state: State, room: DiskRoom | None = None) -> None:
        """Save the state now, within ``room`` if given.

        Raises NotSaved, and then waits as long as after a save. Signals wait until it is saved.
        """
        with termination.saving():
            self._save(state, room)

    def _save(self, state: State, room: DiskRoom | None) -> None:
        now = time.monotonic()
        state.seconds += now - self._last_save_seconds
        self._last_save_seconds = now
        self._images_since_save = 0
        if room is not None:
            room.check(unwritten_bytes(state) + self._state_bytes)
        write_candidates(self.folder, state)
        content = saved_state.serialise(
            self.run_description, self.run_provenance, state
        )
        self._state_bytes = len(content)
        if room is not None:
            # beside the earlier one, until it is complete
            room.check(len(content))
        atomic_files.write_file(self.folder / STATE, content)
        remove_unused(self.folder, state)


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
    # the content belongs to this run
    owns_content: bool = field(default=False, init=False)
    # on what could not be compared with the checkpoint
    remarks: list[str] = field(default_factory=list, init=False)
    _lock: ExitStack = field(default_factory=ExitStack, init=False)

    def open_state(
        self, layers: tuple[str, ...], run_provenance: Provenance
    ) -> tuple[CheckpointSaver, State]:
        """Lock the folder, and return its saver and the state to begin with.

        Raises BadInput if another process works in the folder, or if it holds other files or the
        state of a different run; RunInvalid for a damaged state; NotSaved if the folder cannot be
        written.
        """
        run_description = describe(self.feed, layers, run_provenance)
        self._check_only_state_files()
        is_ours = saved_state.is_ours(self.folder)
        self._lock_folder()
        state = self._load_or_start(
            run_description, run_provenance.device, may_discard=is_ours
        )
        self.owns_content = True
        saver = CheckpointSaver(
            self.folder,
            run_description,
            asdict(run_provenance),
            self.every_images,
            ResultSize(self.feed),
            self.remarks,
        )
        return saver, state

    def _check_only_state_files(self) -> None:
        """Raise BadInput for files that a run would not have written: they are someone's own."""
        expected = {*state_files(self.folder), self.folder / LOCK_FILE}
        for path in self.folder.glob("*"):
            if path not in expected:
                raise self._not_ours(path)

    def _not_ours(self, path: Path) -> BadInput:
        return BadInput(
            f"{self.folder} holds files that are no checkpoint, such as {path.name}; "
            "choose another folder"
        )

    def _lock_folder(self) -> None:
        self._lock.enter_context(lock_file.alone(self.folder / LOCK_FILE))
        self._lock.enter_context(termination.postponed())

    def _load_or_start(
        self, run_description: Mapping[str, Any], device: str, *, may_discard: bool
    ) -> State:
        """Load the folder's state if it is to be resumed; else discard it and return a new one.

        Raises BadInput for files with such names that nothing shows to be ours.
        """
        if self.resume and has_state(self.folder):
            return self._load(run_description, torch.device(device))
        earlier_files = state_files(self.folder)
        if earlier_files and not may_discard:
            raise self._not_ours(earlier_files[0])
        saved_state.remove_state_files(self.folder)
        return State()

    def _load(
        self, run_description: Mapping[str, Any], device: torch.device
    ) -> State:
        """Load the state, to continue it. Raises BadInput if it is of a different run."""
        saved = saved_state.load(self.folder, device, append=True)
        try:
            self._check_same(saved.run_description, run_description)
            check_vocabulary(saved.state, self.feed.concepts, self.folder)
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
            # unless it holds something, or `hand_over` has moved it
            remove_empty(self.folder)

    def remove(self) -> None:
        """Remove the checkpoint after the run, and the folder if nothing else is in it.

        A checkpoint that another process has begun to work on since is left to that process.
        """
        if self.folder.is_dir():
            saved_state.remove_idle(self.folder)

    def hand_over(self, target: Path, *, overwrite: bool = True) -> None:
        """Move the finished state of a shard to its folder, within `guarded`. Raises NotSaved."""
        finished_shard.hand_over(self.folder, target, overwrite=overwrite)
