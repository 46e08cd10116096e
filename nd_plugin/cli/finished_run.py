"""Runs that are finished already: ``nd dissect --resume`` reports them, where they are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nd_plugin.cli import console
from nd_plugin.cli.report import show_dissections
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.resuming import shards
from nd_plugin.resuming.leftovers import remove_leftovers
from nd_plugin.resuming.run_identity.finished_run import (
    RequestedRun,
    check_finished_run,
    load_finished_run,
)
from nd_plugin.resuming.saved_state import folders_with_state
from nd_plugin.storage.partial_folder import partial_folder


@dataclass(frozen=True)
class FinishedRun:
    """Run in ``output`` that ``--resume`` has found finished."""

    output: Path
    dissections: list[Dissection]

    def compare(
        self, requested: RequestedRun, *, overwrite: bool
    ) -> list[str] | None:
        """Return remarks on what could not be compared; None for another run than asked for.

        Raises BadInput, which names the difference, unless another run may be overwritten.
        """
        try:
            return check_finished_run(self.output, self.dissections, requested)
        except BadInput:
            if not overwrite:
                raise
        run_folder.check_target(self.output, overwrite=True)
        return None

    def report(
        self, requested: RequestedRun, remarks: Sequence[str], *, as_json: bool
    ) -> None:
        """Report the run; remove its own checkpoints, and say what else lies beside it."""
        console.warn(remarks)
        left = remove_leftovers(self.output, requested.description)
        if left:
            names = ", ".join(path.name for path in left)
            console.say(
                f"left in {partial_folder(self.output)}, no checkpoint of this run: {names}"
            )
        show_dissections(self.dissections, as_json=as_json)
        console.say(f"{self.output} is complete (nd report {self.output})")


def find_finished_run(
    output: Path, shard: str | None, *, resume: bool, overwrite: bool
) -> FinishedRun | None:
    """Return the run in ``output`` if ``--resume`` may find it finished.

    Else check that a run can be saved there, and return None.
    """
    if resume and shard and folders_with_state(shards.within(output)):
        return None
    dissections = None
    if resume and not shard:
        try:
            dissections = load_finished_run(output)
        except RunInvalid:
            if not overwrite:
                raise
    if dissections is None:
        run_folder.check_target(output, overwrite=overwrite)
        return None
    return FinishedRun(output, dissections)
