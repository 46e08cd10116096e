"""Rotation studies that are run, saved and reported: ``nd rotate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nd_plugin.bases.opening import read_basis
from nd_plugin.cli import console
from nd_plugin.cli.checkpoints import (
    RunFolders,
    open_checkpoints,
    opened_alike,
    progress_saved,
)
from nd_plugin.cli.dissect import RunInputs
from nd_plugin.cli.views.plot_files import PlotFile
from nd_plugin.contracts.provenance import Settings
from nd_plugin.errors import BadInput, NDError
from nd_plugin.experiments.rotation.folder import (
    RUN,
    is_study,
    load_study,
    save_study,
)
from nd_plugin.experiments.rotation.rotate import RotationPlan, RotationRun
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.experiments.rotation.text import LEGEND, render
from nd_plugin.machine import termination
from nd_plugin.machine.process_group import SingleProcess, joined
from nd_plugin.plots.experiments.rotation_kinds import (
    PICTURES,
    ROTATION,
    check_kind,
)
from nd_plugin.report.terminal import plural
from nd_plugin.results import run_folder
from nd_plugin.resuming.checkpoint import CheckpointFolder
from nd_plugin.storage.durable_files import remove_empty

# Of each basis: five pictures for each unit, as in figure 7. There are 51 bases by default.
PICTURES_OF_BASIS = 5
PICTURE_BUDGET = 2**22


def plot_file(path: Path | None, kind: str | None, studies: int) -> PlotFile:
    """Return the file to draw studies into, checked. Raises BadInput, Unavailable."""
    file = PlotFile(path, kind)
    if path is not None:
        check_kind(kind or ROTATION, studies)
        file.check(has_pictures=kind == PICTURES)
    return file


def _check_pictures(plot: PlotFile, settings: Settings) -> None:
    """Raise BadInput where the figure needs pictures and there will be none."""
    if plot.kind == PICTURES and not settings.pictures:
        raise BadInput(
            "--plot-kind pictures needs pictures; leave --no-pictures out"
        )


def _draw(studies: Sequence[RotationStudy], plot: PlotFile) -> None:
    plot.write(lambda: _figure(studies, plot.kind or ROTATION))


def _figure(studies: Sequence[RotationStudy], kind: str) -> Any:
    # matplotlib takes a second to import
    from nd_plugin.plots.experiments.rotations import draw

    return draw(kind, studies)


def parse_plan(
    alpha: str, repeats: int, seed: int, basis: Sequence[str] | None
) -> RotationPlan:
    """Return the plan that options ask for. Raises BadInput."""
    try:
        alphas = tuple(float(number) for number in alpha.split(","))
    except ValueError as error:
        raise BadInput(
            f"--alpha {alpha!r} is not numbers with commas between, such as 0,0.5,1"
        ) from error
    bases = tuple(read_basis(text) for text in basis or ())
    return RotationPlan(alphas, repeats, seed, bases)


def study_settings(
    *, min_iou: float | None, picture_budget: int = PICTURE_BUDGET, **values: Any
) -> Settings:
    """Return settings, by default with few pictures: each basis has its own."""
    values.setdefault("pictures", PICTURES_OF_BASIS)
    if min_iou is not None:
        values["min_iou"] = min_iou
    return Settings(picture_budget=picture_budget, **values)


def report_saved(
    folders: Sequence[Path],
    min_iou: float | None,
    plot: PlotFile,
    *,
    as_json: bool,
) -> None:
    """Report saved studies, without a model. Raises RunInvalid."""
    studies = [load_study(folder, min_iou) for folder in folders]
    _draw(studies, plot)
    if as_json:
        contents = [study.to_dict() for study in studies]
        content = contents[0] if len(contents) == 1 else {"studies": contents}
        console.print_json(content)
        return
    for study in studies:
        _show(study)


def _show(study: RotationStudy) -> None:
    console.show(render(study))
    console.say(LEGEND)


def run_study(
    inputs: RunInputs,
    layer: str,
    plan: RotationPlan,
    *,
    output: Path | None,
    overwrite: bool,
    plot: PlotFile,
    as_json: bool,
) -> None:
    """Run, save and report a study. Refuse what cannot be done before the model runs."""
    run_options = inputs.run_options
    _check_pictures(plot, inputs.settings)
    output = output or inputs.free_folder("-rotation")
    run_folder.check_place(output)
    if not (overwrite and is_study(output)):
        run_folder.check_target(output, overwrite=overwrite)
    with joined(inputs.options.device) as group:
        model, feed = inputs.open(group)
        with console.results_only():
            study_run = RotationRun.of(model, layer, feed, plan, group)
        if group.rank == 0 and study_run.batch_note:
            console.say(study_run.batch_note)
        folders = RunFolders.of(output, feed.part, group.size, resume_shard=False)
        checkpoints = open_checkpoints(
            folders,
            study_run.feed,
            group,
            run_options.every_images,
            resume=run_options.resume,
            overwrite=overwrite,
        )
        study = _run(study_run, group, checkpoints)
        # signals wait until the study is saved
        with termination.saving():
            if group.rank == 0:
                _save_and_report(study, output, as_json=as_json)
                _draw([study], plot)
            group.wait()  # checkpoints are needed until the study is saved
            checkpoints.remove()
            remove_empty(folders.partial)
        termination.grant_request()


def _run(
    study_run: RotationRun, group: SingleProcess, checkpoints: CheckpointFolder
) -> RotationStudy:
    """Run with checkpoints; the first process shows progress."""
    rotations = len(study_run.plan.seeds) if any(study_run.plan.alphas) else 0
    if rotations and group.rank == 0:
        noun = plural(rotations, "rotation")
        console.say(f"{rotations} {noun} of {study_run.shape.units} units")
    with (
        progress_saved(checkpoints),
        console.results_only(),
        console.progress(is_shown=group.rank == 0) as progress,
    ):
        return study_run.run(
            progress, group=group, open_state=opened_alike(checkpoints, group)
        )


def _save_and_report(study: RotationStudy, output: Path, *, as_json: bool) -> None:
    """Save a study and report it; where it cannot be saved, report it and raise NotSaved."""
    failure: NDError | None = None
    try:
        save_study(study, output, ["nd", *sys.argv[1:]])
    except NDError as error:
        failure = error
    if as_json:
        console.print_json(study.to_dict())
    else:
        _show(study)
    if failure is not None:
        raise failure
    console.say(
        f"saved in {output} (nd rotate --from {output}; nd report {output / RUN})"
    )
