"""Dissections that are saved and reported: ``nd dissect``, ``nd demo``, ``nd merge``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nd_plugin.captum_api.progress import StageProgress
from nd_plugin.cli import console, parsing
from nd_plugin.cli.checkpoints import (
    RunFolders,
    RunOptions,
    open_checkpoints,
    opened_alike,
    progress_saved,
)
from nd_plugin.cli.experiments.bases import open_in_bases, see_in_bases
from nd_plugin.cli.finished_run import find_finished_run
from nd_plugin.cli.report import NO_PLOT, show_dissections
from nd_plugin.cli.views.plot_files import PlotRequest
from nd_plugin.contracts.models import Model, ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.engine.run import observe, run
from nd_plugin.errors import NDError
from nd_plugin.machine import termination
from nd_plugin.machine.process_group import SingleProcess, joined
from nd_plugin.plugins.host import announce
from nd_plugin.plugins.layer_patterns import choose_layers
from nd_plugin.plugins.opening import open_concepts, open_on_own_device
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results import run_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.resuming import shards
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.resuming.run_identity.finished_run import RequestedRun
from nd_plugin.storage.durable_files import remove_empty


@dataclass(frozen=True)
class RunInputs:
    """Model and concept set of a run, as texts, and how both are opened and read."""

    model: str
    concepts: str
    options: ModelOptions
    settings: Settings
    # that replace the model's own
    preprocess_values: Mapping[str, Any] = field(default_factory=dict)
    run_options: RunOptions = field(default_factory=RunOptions)

    def free_folder(self, ending: str = "") -> Path:
        """Return a folder for the results that does not exist yet."""
        name = parsing.run_name(self.model, self.concepts)
        return run_folder.free_name(Path("runs") / f"{name}{ending}")

    def open(self, group: SingleProcess) -> tuple[Model, Feed]:
        """Open the model of one process, and the feed of its part of the images."""
        run_options = self.run_options
        part = run_options.part.part(group.rank, group.size)
        with console.results_only():
            concept_set = open_concepts(self.concepts)
            model = open_on_own_device(self.model, self.options)
        preprocess = model.preprocess.changed(self.preprocess_values)
        if group.rank == 0:
            console.warn(preprocess.notes)
        feed = Feed.of(
            concept_set,
            preprocess,
            self.settings,
            model.device,
            run_options.batch_size,
            run_options.workers,
            run_options.memory,
            part,
            run_options.device_memory,
        )
        return model, feed


@dataclass(frozen=True)
class Job:
    """Work of one process of a run: layers of an opened model, on its part of the images."""

    model: Model
    layers: Sequence[str]
    feed: Feed
    group: SingleProcess
    plot: PlotRequest


def dissect(
    inputs: RunInputs,
    layers: Sequence[str],
    *,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
    plot: PlotRequest = NO_PLOT,
    bases: Sequence[str] = (),
) -> None:
    """Dissect, save, report. Refuse what cannot be done before the model runs.

    ``bases`` are files of bases in which the layers are seen.
    """
    run_options = inputs.run_options
    output = output or inputs.free_folder()
    with joined(inputs.options.device) as group:
        finished_run = find_finished_run(
            output,
            run_options.shard,
            resume=run_options.resume,
            overwrite=overwrite,
        )
        model, feed = inputs.open(group)
        job = _choose_work(model, layers, feed, bases, group, plot)
        run_folder.check_layer_paths(
            output, job.layers, feed.settings.all_quantiles
        )
        if finished_run:
            requested = _request(job)
            remarks = finished_run.compare(requested, overwrite=overwrite)
            if remarks is not None:
                if group.rank == 0:
                    finished_run.report(requested, remarks, as_json=as_json)
                    plot.write(finished_run.dissections)
                return
        _run_with_checkpoints(
            job, output, run_options, overwrite=overwrite, as_json=as_json
        )


def _choose_work(
    model: Model,
    layers: Sequence[str],
    feed: Feed,
    bases: Sequence[str],
    group: SingleProcess,
    plot: PlotRequest,
) -> Job:
    """Return the work on the layers that texts name. Raises BadInput, also for the plot."""
    say = console.say if group.rank == 0 else console.say_nothing
    with console.results_only():
        names = choose_layers(model, layers, feed.preprocess.size, say)
        model, names, feed = see_in_bases(model, names, feed, bases, group)
    plot.check_run(len(names), feed.settings)
    return Job(model, names, feed, group, plot)


def _run_with_checkpoints(
    job: Job,
    output: Path,
    run_options: RunOptions,
    *,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Run a job, or continue it; save and report the run, or the shard."""
    folders = RunFolders.of(
        output,
        job.feed.part,
        job.group.size,
        resume_shard=run_options.resume_shard,
    )
    if run_options.shard and folders.state != folders.target:
        # other shards in the output are no reason to replace what is in its place
        run_folder.check_target(folders.target, overwrite=overwrite)
    checkpoints = open_checkpoints(
        folders,
        job.feed,
        job.group,
        run_options.every_images,
        resume=run_options.resume,
        overwrite=overwrite,
    )
    if run_options.shard:
        _run_shard(job, folders, checkpoints, overwrite=overwrite)
    else:
        _run_and_save(job, output, checkpoints, as_json=as_json)
    remove_empty(folders.partial)


def _request(job: Job) -> RequestedRun:
    """Return what a job asks for, to compare it with a finished run."""
    with _progress_shown(job.group) as progress:
        return RequestedRun.of(job.model, job.layers, job.feed, progress)


def _run_and_save(
    job: Job, output: Path, checkpoints: CheckpointFolder, *, as_json: bool
) -> None:
    with ExitStack() as stack:
        with progress_saved(checkpoints), _progress_shown(job.group) as progress:
            dissections = run(
                job.model,
                job.layers,
                job.feed,
                progress,
                group=job.group,
                open_state=opened_alike(checkpoints, job.group),
            )
            # signals wait until the run is saved
            stack.enter_context(termination.saving())
        if job.group.rank == 0:
            save_and_report(output, dissections, as_json=as_json)
            job.plot.write(dissections)
        job.group.wait()  # checkpoints are needed until the run is saved
        checkpoints.remove()
    termination.grant_request()


def _run_shard(
    job: Job,
    folders: RunFolders,
    checkpoints: CheckpointFolder,
    *,
    overwrite: bool,
) -> None:
    with progress_saved(checkpoints), _progress_shown(job.group) as progress:
        open_state = opened_alike(checkpoints, job.group)
        observe(job.model, job.layers, job.feed, progress, open_state)
        checkpoints.hand_over(folders.target, overwrite=overwrite)
    if folders.state == folders.target:
        outcome = f"{folders.output} is complete"
    else:
        outcome = f"saved shard {job.feed.part} in {folders.target}"
    console.say(f"{outcome} (nd merge brings the shards together)")


@contextmanager
def _progress_shown(group: SingleProcess) -> Iterator[StageProgress]:
    """Show the progress of the first process; send to stderr what the model prints."""
    with (
        console.results_only(),
        console.progress(is_shown=group.rank == 0) as progress,
    ):
        yield progress


def merge(
    folders: Sequence[Path],
    *,
    output: Path,
    overwrite: bool,
    concepts: str | None,
    model: str | None,
    options: ModelOptions,
    workers: int | None,
    memory: int | None,
    as_json: bool,
    bases: Sequence[str] = (),
) -> None:
    """Merge shards, save, report."""
    run_folder.check_target(output, overwrite=overwrite)
    loaded_shards = shards.load(folders)
    try:
        with console.results_only(), console.progress() as progress:
            recorded = loaded_shards[0].run_description["concept set"]
            concept_set = open_concepts(concepts or recorded["source"])
            opened_model = open_in_bases(model, options, bases) if model else None
            dissections = shards.merge(
                loaded_shards,
                concept_set,
                model=opened_model,
                workers=workers,
                memory=memory,
                progress=progress,
            )
    finally:
        shards.close(loaded_shards)
    save_and_report(output, dissections, as_json=as_json)


def save_and_report(
    output: Path, dissections: Sequence[Dissection], *, as_json: bool
) -> None:
    """Save a run and report it; where it cannot be saved, report it and raise NotSaved."""
    failure: NDError | None = None
    try:
        run_folder.save_run(output, dissections, ["nd", *sys.argv[1:]])
    except NDError as error:
        failure = error
    show_dissections(dissections, as_json=as_json)
    if failure is not None:
        raise failure
    with console.results_only():
        for dissection in dissections:
            announce(dissection)
    console.say(f"saved in {output} (nd report {output})")
