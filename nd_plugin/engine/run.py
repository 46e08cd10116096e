"""Dissection of one or several layers in one run over a probe data set.

One forward pass collects what thresholds and top images need, and stores the maps that may exceed
their unit's threshold; masks follow from these maps and the annotations alone. A layer goes through
the model a second time only if its maps did not fit on disk, or if a threshold turns out to be
below the stored values; its provenance then has a note. All state is a sum over images: several
processes, machines or interrupted runs add up to the same integers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from platform import python_version
from typing import Any

import torch

from nd_plugin.accelerator.device_memory import DeviceMemory
from nd_plugin.contracts.data_files import Contents
from nd_plugin.contracts.model_traits import traits_of
from nd_plugin.contracts.models import Model, Probe
from nd_plugin.contracts.precision import computed_precision
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.engine.batch_counter import category_indices
from nd_plugin.engine.combine import combine
from nd_plugin.engine.device_strategy import DeviceStrategy
from nd_plugin.engine.dissections import dissections
from nd_plugin.engine.host_strategy import HostStrategy
from nd_plugin.engine.part_run import PartRun, Progress, StateSaver, silent
from nd_plugin.engine.passes import observe as observe_images
from nd_plugin.engine.report_data.collected import collects_small_pictures
from nd_plugin.engine.state import State
from nd_plugin.errors import (
    BadInput,
    ModelFailed,
    NDError,
    ProcessLost,
    RunFailed,
)
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import threads
from nd_plugin.probe_data.batches import Batches, Feed
from nd_plugin.results.dissection import Dissection

OpenState = Callable[[tuple[str, ...], Provenance], tuple[StateSaver, State]]
STRATEGY_VARIABLE = "ND_STRATEGY"
STRATEGIES = ("host", "device")


def start_fresh(
    layers: tuple[str, ...], run_provenance: Provenance
) -> tuple[StateSaver, State]:
    """Start from scratch, and save no state."""
    return StateSaver(), State()


@contextmanager
def open_run(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress = silent,
    open_state: OpenState = start_fresh,
    *,
    counts: bool = True,
    small_pictures: bool = False,
) -> Iterator[tuple[PartRun, Provenance]]:
    """Open the run over ``feed``'s part of the probe data set, ready to start or to continue.

    ``counts`` tells whether masks will be counted, too.
    ``open_state`` returns the saver and the state to begin with, given the names of the layers
    and the provenance. ``small_pictures``: whether the first pass makes small pictures of the
    images, for reports. The model is left as it was in any case.
    """
    with ExitStack() as stack:
        stack.enter_context(_explain_exhaustion(model.device))
        stack.enter_context(torch.no_grad())
        stack.enter_context(retain_memory())
        contents = feed.hash_contents(progress)
        on_device = uses_device_strategy(model.device)
        annotated = on_device and counts
        # images are decoded while the model is opened, which takes some forward passes
        images_from = partial(
            feed.images_from, annotated=annotated, small_pictures=small_pictures
        )
        images = stack.enter_context(closing(images_from(0)))
        # weights are hashed and files measured meanwhile, which may take as long
        pool = stack.enter_context(ThreadPoolExecutor(1))
        identity = pool.submit(lambda: (model.identity, feed.concepts.identity))
        with threads(torch.get_num_threads() - feed.workers):
            probe = stack.enter_context(model.probe(layers, feed.preprocess.size))
        _check_reliable(probe, feed.settings)
        # an error of the model's or the data's own
        identity.result()
        run_provenance = starting_provenance(model, feed, probe, contents)
        saver, state = open_state(probe.layers, run_provenance)
        part_run = PartRun(
            feed=feed,
            layers=probe.layers,
            device=model.device,
            state=state,
            strategy=_strategy(model.device, feed)
            if on_device
            else HostStrategy(feed.memory),
            probe=probe,
            progress=progress,
            saver=saver,
        )
        stack.enter_context(closing(part_run))
        remaining = stack.enter_context(
            closing(_remaining(images, images_from, state))
        )
        part_run.first_pass_batches = remaining
        with _saved_after_a_loss(part_run):
            yield part_run, run_provenance


@contextmanager
def _saved_after_a_loss(part_run: PartRun) -> Iterator[None]:
    """Save the state of a run that a dead worker ends: that is noticed between two batches."""
    try:
        yield
    except ProcessLost:
        _save_what_is_done(part_run)
        raise


def _save_what_is_done(part_run: PartRun) -> None:
    """Save the state, between two batches, if that is possible."""
    if not part_run.state.batches:
        return
    with suppress(NDError, MemoryError, torch.OutOfMemoryError):
        # a checkpoint holds no pending maps
        part_run.strategy.finish(part_run)
        part_run.saver.save(part_run.state)


@contextmanager
def _explain_exhaustion(device: torch.device) -> Iterator[None]:
    """Raise RunFailed, with a remedy, where a device has run out of memory for good."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise RunFailed(
            f"{device} ran out of memory, with smaller steps, too ({error}); use smaller "
            "batches (--batch-size, batch_size=), store less on the device "
            "(--device-memory, device_memory=), or run on another (--device cpu)"
        ) from error


def _check_reliable(probe: Probe, settings: Settings) -> None:
    """Raise ModelFailed under ``strict`` for layers whose maps are not reproducible."""
    reasons = tuple(getattr(probe, "unreliable", ()))
    if settings.strict and reasons:
        raise ModelFailed(
            f"{'; '.join(reasons)} (or run without --strict, strict=True in Python: "
            "the result then says so in its notes)"
        )


def starting_provenance(
    model: Model, feed: Feed, probe: Probe, contents: Contents
) -> Provenance:
    """Return the provenance of a run that starts now; geometry and seconds follow."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    notes = [
        *feed.preprocess.notes,
        *model.notes,
        *getattr(feed.concepts, "notes", ()),
        *contents.notes,
        *getattr(probe, "notes", ()),
        *getattr(probe, "unreliable", ()),
    ]
    return Provenance(
        model=model.identity,
        concept_set=feed.concepts.identity,
        backend=model.backend,
        device=str(model.device),
        preprocess=feed.preprocess.describe(),
        geometry={},
        versions=_versions(),
        started=started,
        seconds=0.0,
        notes=tuple(dict.fromkeys(notes)),
        extra={"batch_size": feed.batch_size, "workers": feed.workers},
        precision=computed_precision(model),
        traits=traits_of(model, probe, feed.preprocess),
        contents=contents.fingerprint,
    )


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers."""
    versions = {"python": python_version()}
    for package in ("nd_plugin", "torch", "numpy", "pillow"):
        versions[package] = metadata.version(package)
    return versions


def _remaining(
    images: Batches, images_from: Callable[[int], Batches], state: State
) -> Batches:
    """Return the batches that ``state`` does not hold; ``images`` are those from the first on."""
    if state.batches == 0:
        return images
    images.close()
    return images_from(state.batches)


def uses_device_strategy(device: torch.device) -> bool:
    """Return whether the engine works on ``device`` in large steps. Raises BadInput.

    The environment's ``ND_STRATEGY`` decides otherwise, for comparisons and tests.
    """
    choice = os.environ.get(STRATEGY_VARIABLE, "")
    if choice and choice not in STRATEGIES:
        raise BadInput(
            f"{STRATEGY_VARIABLE} is {choice!r}, not one of {', '.join(STRATEGIES)}"
        )
    if choice:
        return choice == "device"
    return device.type != "cpu"


def _strategy(device: torch.device, feed: Feed) -> DeviceStrategy:
    memory = DeviceMemory.of(device, feed.device_memory)
    return DeviceStrategy(device, memory, category_indices(feed.concepts))


def run(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress = silent,
    *,
    group: SingleProcess | None = None,
    open_state: OpenState = start_fresh,
) -> list[Dissection]:
    """Dissect ``layers`` of ``model`` on the probe data set of ``feed``.

    Returns one Dissection for each layer, in the order of ``layers``; where the settings have
    several quantiles one for each of them, layer by layer. ``group``: the processes that share
    the work, each with a part. ``open_state``: see `open_run`. Raises errors as listed in
    `nd_plugin.errors`.
    """
    group = group or SingleProcess()
    start = time.monotonic()
    opening = open_run(
        model,
        layers,
        feed,
        group.noting(progress),
        open_state,
        small_pictures=collects_small_pictures(feed),
    )
    with opening as opened_run:
        part_run, run_provenance = opened_run
        earlier_seconds = part_run.state.seconds
        with group.saving(partial(_save_what_is_done, part_run)):
            observe_images(part_run)
            combined = combine([part_run], group)
        notes = (
            *run_provenance.notes,
            *part_run.saver.notes,
            *part_run.strategy.notes,
        )
    seconds = max(group.gather(earlier_seconds + time.monotonic() - start))
    return dissections(
        part_run,
        combined,
        replace(run_provenance, notes=notes, seconds=round(seconds, 3)),
    )


def observe(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress,
    open_state: OpenState,
) -> None:
    """Run the forward pass of a shard, and save its state for `resuming.shards.merge`."""
    opened_run = open_run(model, layers, feed, progress, open_state, counts=False)
    with opened_run as (part_run, _):
        observe_images(part_run)
        part_run.saver.save(part_run.state)
