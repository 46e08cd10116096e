"""Commands that run a dissection: ``nd dissect``, ``nd demo``, ``nd merge``, ``nd layers``."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nd_plugin.cli import console, listings
from nd_plugin.cli.report import show_reports
from nd_plugin.contracts.models import ModelOptions
from nd_plugin.contracts.provenance import Settings
from nd_plugin.engine.provenance import check
from nd_plugin.engine.run import observe, run
from nd_plugin.errors import BadInput, NDError
from nd_plugin.machine.process_group import joined, own_device
from nd_plugin.plugins.host import announce
from nd_plugin.plugins.opening import open_concepts, open_model
from nd_plugin.probe_data import parts
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import WHOLE
from nd_plugin.results import folder_names, run_folder
from nd_plugin.results.dissection import Dissection
from nd_plugin.resuming import checkpoint, shards
from nd_plugin.resuming.checkpoint import CheckpointFolder


@dataclass(frozen=True)
class RunOptions:
    """How a dissection is run, beside what is dissected; nothing here changes its numbers but the batch size."""

    batch_size: int | None = None
    workers: int | None = None
    memory: int | None = None
    every: int = checkpoint.EVERY  # images from checkpoint to checkpoint
    resume: bool = False
    shard: str | None = None


def dissect(
    model: str,
    layers: Sequence[str],
    concepts: str,
    *,
    output: Path | None,
    overwrite: bool,
    options: ModelOptions,
    settings: Settings,
    as_json: bool,
    quantiles: Sequence[float] = (),
    given: Mapping[str, Any] | None = None,
    work: RunOptions | None = None,
) -> None:
    """Dissect, save, report. Everything that can be refused is refused before the model runs."""
    work = work or RunOptions()
    check(settings, quantiles or (settings.quantile,))
    shard = parts.parse_part(work.shard) if work.shard else WHOLE
    folder = output or run_folder.free_name(Path("runs") / _run_name(model, concepts))
    partial = Path(f"{folder}.partial")
    with joined() as group:
        if work.resume and run_folder.is_complete(folder, ["nd", *sys.argv[1:]]):
            if group.rank == 0:
                _show_complete(folder, partial, as_json=as_json)
            return
        if not (work.resume and work.shard and checkpoint.states(*shards.within(folder))):
            run_folder.check_target(folder, overwrite=overwrite)
        with console.results_only():
            probe_set = open_concepts(concepts)
            opened = open_model(model, replace(options, device=own_device(options.device)))
        part = shard.part(group.rank, group.size)
        how = opened.preprocess.changed(given or {})
        feed = Feed.of(
            probe_set,
            how,
            settings,
            opened.device,
            work.batch_size,
            work.workers,
            work.memory,
            part,
        )
        name = str(part).replace("/", "-of-")
        target = folder if group.size == 1 else folder / name
        finished = work.resume and work.shard is not None and bool(checkpoint.states(target))
        place = target if finished else partial / name
        _check_interrupted(partial, place, work, overwrite=overwrite)
        if work.resume and group.rank == 0 and not checkpoint.states(place):
            console.say("nothing was kept of an earlier run: this one begins at the beginning")
        group.wait()  # nobody leaves a state there before all have looked
        kept = CheckpointFolder(
            place, feed, quantiles or (settings.quantile,), work.every, work.resume
        )
        with (
            console.results_only(),
            _kept(kept),
            console.StageProgress(quiet=group.rank > 0) as progress,
        ):
            if work.shard:
                observe(opened, layers, feed, progress, quantiles, kept.keep)
                kept.hand_over(target)
            else:
                found = run(
                    opened, layers, feed, progress, quantiles=quantiles, group=group, keep=kept.keep
                )
        if not work.shard:
            if group.rank == 0:
                _save_and_report(folder, found, as_json=as_json)
            group.wait()  # only when it is saved is there nothing to go on from any more
            kept.remove()
        with suppress(OSError):  # the last of the processes finds it empty
            partial.rmdir()
    if work.shard:
        done = f"{folder} is complete" if finished else f"saved shard {part} in {target}"
        console.say(f"{done} (nd merge brings the shards together)")


def _show_complete(folder: Path, partial: Path, *, as_json: bool) -> None:
    """Report a run that was done before."""
    shutil.rmtree(partial, ignore_errors=True)  # interrupted after its last step
    show_reports(
        [dissection.report() for dissection in run_folder.load_run(folder)],
        "json" if as_json else None,
        None,
    )
    console.say(f"{folder} is complete (nd report {folder})")


def _check_interrupted(partial: Path, place: Path, work: RunOptions, *, overwrite: bool) -> None:
    """Refuse to begin where another run was interrupted; ``overwrite`` leaves it behind."""
    if work.resume and checkpoint.states(place):
        return
    found = checkpoint.states(*partial.glob("*"))
    same = [
        folder for folder in found if folder.name.partition("-")[2] == place.name.partition("-")[2]
    ]
    if overwrite:
        for folder in found if place.name.startswith("1-") else ():
            if folder not in same:
                shutil.rmtree(folder, ignore_errors=True)
        return
    others = [folder for folder in found if folder not in same]
    if others:
        count = others[0].name.rpartition("-")[2]
        raise BadInput(
            f"{partial} holds a run interrupted in {count} parts: go on with as many and --resume, or say --overwrite"
        )
    if same and not work.resume:
        raise BadInput(
            f"{partial} holds an interrupted run: continue it with --resume, or begin anew with --overwrite"
        )


@contextmanager
def _kept(kept: CheckpointFolder) -> Iterator[None]:
    """Whatever ends a run early, what a checkpoint has kept is there to go on from, and said to be."""
    try:
        with kept.watched():
            yield
    except BaseException as error:
        if kept.begun and checkpoint.states(kept.folder):
            console.say(
                f"nd: kept in {kept.folder} up to its last checkpoint; --resume continues it",
                "yellow",
            )
        elif kept.begun and isinstance(error, KeyboardInterrupt):
            console.say(
                f"nd: nothing is kept: the first checkpoint comes after {kept.every} images (--checkpoint-every)",
                "yellow",
            )
        raise
    finally:
        with suppress(OSError):
            kept.folder.parent.rmdir()


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
) -> None:
    """Bring shards together, save, report."""
    run_folder.check_target(output, overwrite=overwrite)
    found = shards.load(folders)
    try:
        with console.results_only(), console.StageProgress() as progress:
            probe_set = open_concepts(concepts or found[0].described["concept set"]["source"])
            opened = open_model(model, options) if model else None
            merged = shards.merge(
                found, probe_set, model=opened, workers=workers, memory=memory, progress=progress
            )
    finally:
        shards.close(found)
    _save_and_report(output, merged, as_json=as_json)


def _save_and_report(folder: Path, found: Sequence[Dissection], *, as_json: bool) -> None:
    """A run that cannot be saved is reported all the same: what was computed is not lost."""
    failure: NDError | None = None
    try:
        run_folder.save_run(folder, found, ["nd", *sys.argv[1:]])
    except NDError as error:
        failure = error
    show_reports([dissection.report() for dissection in found], "json" if as_json else None, None)
    if failure is not None:
        raise failure
    with console.results_only():
        for dissection in found:
            announce(dissection)
    console.say(f"saved in {folder} (nd report {folder})")


def _run_name(model: str, concepts: str) -> str:
    """A folder's name from what is run: efficientnet_lite0-shapes."""
    name = re.split(r"[:/]", model.partition("?")[0])[-1].removesuffix(".onnx")
    kind, _, root = concepts.partition("?")[0].partition(":")
    return folder_names.folder_of("-".join(part for part in (name, kind, Path(root).name) if part))


def layers(model: str, given: Mapping[str, Any], options: ModelOptions, *, as_json: bool) -> None:
    """List a model's layers."""
    with console.results_only():
        opened = open_model(model, options)
        listed = opened.layers(opened.preprocess.changed(given).size)
    listings.print_layers(listed, as_json=as_json)
