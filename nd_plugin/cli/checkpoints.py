"""Checkpoints of a run of ``nd dissect``: their folders, and what users are told of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.contracts.provenance import Provenance
from nd_plugin.engine.part_run import StateSaver
from nd_plugin.engine.run import OpenState
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput
from nd_plugin.machine.process_group import SingleProcess, started_by_torchrun
from nd_plugin.machine.termination import Terminated
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE, Part, parse_part
from nd_plugin.resuming.checkpoint import (
    IMAGES_BETWEEN_CHECKPOINTS,
    CheckpointFolder,
)
from nd_plugin.resuming.run_identity.run_description import describe
from nd_plugin.resuming.run_identity.same_run import check_same_group
from nd_plugin.resuming.saved_state import (
    folders_with_state,
    has_state,
    remove_checkpoint,
)
from nd_plugin.storage.durable_files import remove_empty
from nd_plugin.storage.partial_folder import check_not_live, partial_folder


@dataclass(frozen=True)
class RunOptions:
    """Options of how a dissection is run; only the batch size can change numbers, by rounding."""

    batch_size: int | None = None
    workers: int | None = None
    memory: int | None = None
    device_memory: int | None = None
    every_images: int | None = None
    resume: bool = False
    shard: str | None = None

    @property
    def part(self) -> Part:
        """Part of the concept set: a shard, or the whole."""
        return parse_part(self.shard) if self.shard else WHOLE

    @property
    def resume_shard(self) -> bool:
        """Whether a shard is to be continued, or found finished."""
        return self.resume and self.shard is not None


@dataclass(frozen=True)
class RunFolders:
    """Folders of one process of a run.

    ::

        runs/net-shapes                    output: the run, or the shard, once it is finished
        runs/net-shapes/2-of-4             target: the shard of one of several processes
        runs/net-shapes.partial            partial: checkpoints of all processes while they run
        runs/net-shapes.partial/2-of-4     state: the checkpoint of one process
    """

    output: Path
    target: Path
    partial: Path
    state: Path

    @classmethod
    def of(
        cls, output: Path, part: Part, processes: int, *, resume_shard: bool
    ) -> RunFolders:
        """Return the folders of the process with ``part``; a finished shard stays where it is."""
        name = str(part).replace("/", "-of-")
        partial = partial_folder(output)
        target = output if processes == 1 else output / name
        is_finished_shard = resume_shard and has_state(target)
        return cls(
            output, target, partial, target if is_finished_shard else partial / name
        )


def open_checkpoints(
    folders: RunFolders,
    feed: Feed,
    group: SingleProcess,
    every_images: int | None,
    *,
    resume: bool,
    overwrite: bool,
) -> CheckpointFolder:
    """Return the folder of this process's checkpoints, once all processes may begin.

    Raises BadInput where another run was interrupted there, or is at work.
    """
    check_not_live(folders.output)
    has_checkpoint = has_state(folders.state)
    if not (resume and has_checkpoint):
        _check_interrupted(folders, resume=resume, overwrite=overwrite)
    if resume and group.rank == 0 and not has_checkpoint:
        console.say("no checkpoint found; starting from scratch")
    group.wait()  # no process saves a checkpoint before all have looked for one
    return CheckpointFolder(folders.state, feed, every_images, resume)


def opened_alike(checkpoints: CheckpointFolder, group: SingleProcess) -> OpenState:
    """Return a function that opens the state once all processes are known to do the same work.

    It raises BadInput, in all of them, that names the first process with other work.
    """

    def open_state(
        layers: tuple[str, ...], run_provenance: Provenance
    ) -> tuple[StateSaver, State]:
        description = describe(checkpoints.feed, layers, run_provenance)
        check_same_group(description, group)
        return checkpoints.open_state(layers, run_provenance)

    return open_state


def _check_interrupted(
    folders: RunFolders, *, resume: bool, overwrite: bool
) -> None:
    """Refuse to begin beside an interrupted run, or discard its checkpoints (``overwrite``)."""
    interrupted = folders_with_state(folders.partial.glob("*"))
    size = _number_of_parts(folders.state)
    of_other_size = [
        folder for folder in interrupted if _number_of_parts(folder) != size
    ]
    if overwrite:
        is_first_part = folders.state.name.startswith("1-")
        for folder in of_other_size if is_first_part else ():
            remove_checkpoint(folder)
        return
    if of_other_size:
        raise BadInput(
            f"{folders.partial} holds a run interrupted in "
            f"{_number_of_parts(of_other_size[0])} parts: resume with the same number of "
            "processes and --resume, or discard it with --overwrite"
        )
    if interrupted and not resume:
        raise BadInput(
            f"{folders.partial} holds an interrupted run: "
            "continue it with --resume, or discard it with --overwrite"
        )


def _number_of_parts(state_folder: Path) -> str:
    """Return N of a folder's name ``I-of-N``."""
    return state_folder.name.rpartition("-")[2]


@contextmanager
def progress_saved(checkpoints: CheckpointFolder) -> Iterator[None]:
    """Say, after whatever ends a run early, whether a checkpoint is saved to continue from."""
    try:
        with checkpoints.guarded():
            yield
    except BaseException as error:
        if checkpoints.owns_content and has_state(checkpoints.folder):
            console.say(
                f"nd: progress saved in {checkpoints.folder}; continue with --resume"
                f"{_resuming_command()}",
                "yellow",
            )
        elif checkpoints.owns_content and isinstance(
            error, KeyboardInterrupt | Terminated
        ):
            console.say(
                "nd: no progress saved: the first checkpoint is written after "
                f"{checkpoints.every_images or IMAGES_BETWEEN_CHECKPOINTS} images "
                "(--checkpoint-every)",
                "yellow",
            )
        raise
    finally:
        remove_empty(checkpoints.folder.parent)


def _resuming_command() -> str:
    """Return the command that continues this run, as the end of a sentence.

    Nothing for a process of torchrun, whose own command is not known here.
    """
    if started_by_torchrun():
        return ""
    arguments = [argument for argument in sys.argv[1:] if argument != "--overwrite"]
    if "--resume" not in arguments:
        arguments.append("--resume")
    return f": {shlex.join(['nd', *arguments])}"
