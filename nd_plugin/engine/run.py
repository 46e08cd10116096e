"""Dissection of one or several layers in one run over a probe data set.

One forward pass collects what thresholds and top images need, and stores the maps that may exceed
their unit's threshold; masks follow from these maps and the annotations alone. A layer goes through
the model a second time only if its maps did not fit on disk, or if a threshold turns out to be
below the stored values; its provenance then has a note. All state is a sum over images: several
processes, machines or interrupted runs add up to the same integers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from platform import python_version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.contracts.models import Model, Probe
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.engine.callbacks import Progress, StateSaver, silent
from nd_plugin.engine.combine import CombinedLayer, CombinedState, combine
from nd_plugin.engine.forward_pass import PartRun
from nd_plugin.engine.forward_pass import observe as observe_images
from nd_plugin.engine.report_data.collected import collects_small_pictures
from nd_plugin.engine.state import State
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.errors import ModelFailed
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import threads
from nd_plugin.method.ranks import complement_rank
from nd_plugin.pictures.grey_values import WHITES
from nd_plugin.probe_data.batches import Batches, Feed
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.results.dissection import Dissection

OpenState = Callable[[tuple[str, ...], Provenance], tuple[StateSaver, State]]
NO_GEOMETRY = (
    "no receptive-field geometry could be derived: "
    "the cells are spread evenly over the image"
)


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
    small_pictures: bool = False,
) -> Iterator[tuple[PartRun, Provenance]]:
    """Open the run over ``feed``'s part of the probe data set, ready to start or to continue.

    ``open_state`` returns the saver and the state to begin with, given the names of the layers
    and the provenance. ``small_pictures``: whether the first pass makes small pictures of the
    images, for reports. The model is left as it was in any case.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(retain_memory())
        # images are decoded while the model is opened, which takes some forward passes
        images_from = partial(feed.images_from, small_pictures=small_pictures)
        images = stack.enter_context(closing(images_from(0)))
        with threads(torch.get_num_threads() - feed.workers):
            probe = stack.enter_context(model.probe(layers, feed.preprocess.size))
        _check_reliable(probe, feed.settings)
        run_provenance = _starting_provenance(model, feed, probe)
        saver, state = open_state(probe.layers, run_provenance)
        part_run = PartRun(
            feed=feed,
            layers=probe.layers,
            device=model.device,
            state=state,
            probe=probe,
            progress=progress,
            saver=saver,
        )
        stack.enter_context(closing(part_run))
        remaining = stack.enter_context(
            closing(_remaining(images, images_from, state))
        )
        part_run.first_pass_batches = remaining
        yield part_run, run_provenance


def _check_reliable(probe: Probe, settings: Settings) -> None:
    """Raise ModelFailed under ``strict`` for layers whose maps are not reproducible."""
    reasons = tuple(getattr(probe, "unreliable", ()))
    if settings.strict and reasons:
        raise ModelFailed(
            f"{'; '.join(reasons)} (or run without --strict, strict=True in Python: "
            "the result then says so in its notes)"
        )


def _starting_provenance(model: Model, feed: Feed, probe: Probe) -> Provenance:
    """Return the provenance of a run that starts now; geometry and seconds follow."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    notes = [
        *feed.preprocess.notes,
        *model.notes,
        *getattr(feed.concepts, "notes", ()),
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
        progress,
        open_state,
        small_pictures=collects_small_pictures(feed),
    )
    with opening as opened_run:
        part_run, run_provenance = opened_run
        earlier_seconds = part_run.state.seconds
        observe_images(part_run)
        combined = combine([part_run], group)
    seconds = max(group.gather(earlier_seconds + time.monotonic() - start))
    return dissections(
        part_run, combined, replace(run_provenance, seconds=round(seconds, 3))
    )


def observe(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress,
    open_state: OpenState,
) -> None:
    """Run the forward pass of a shard, and save its state for `resuming.shards.merge`."""
    with open_run(model, layers, feed, progress, open_state) as (part_run, _):
        observe_images(part_run)
        part_run.saver.save(part_run.state)


def dissections(
    part_run: PartRun, combined: CombinedState, run_provenance: Provenance
) -> list[Dissection]:
    """Return the results of all layers and quantiles; ``part_run`` is any of those combined.

    A layer that was asked for twice has its results twice.
    """
    feed = part_run.feed
    run_provenance = _add_remarks(run_provenance, combined.remarks)
    image_names = tuple(feed.concepts.name(index) for index in range(feed.images))
    skipped = tuple(
        sorted(combined.skipped, key=lambda item: (item.image, item.part))
    )
    results = []
    for name in part_run.layers:
        layer = combined.layers[name]
        layer_provenance = _layer_provenance(
            run_provenance,
            feed.settings,
            layer,
            other_layers=set(part_run.layers) - {name},
        )
        histograms = layer.sample.histograms(layer.statistics.highest)
        for thresholds in layer.thresholds:
            counts = combined.counted.units[name, thresholds.quantile]
            dissection = Dissection(
                layer=name,
                categories=tuple(feed.concepts.categories),
                concepts=tuple(feed.concepts.concepts),
                thresholds=_float64(thresholds.values),
                intersection=counts.intersection.numpy(),
                unit_area=counts.unit_area.numpy(),
                concept_area=combined.counted.areas.area,
                category_images=combined.counted.areas.images,
                dead=~layer.statistics.varied.numpy(),
                sparse=_sparse(layer.statistics, thresholds.quantile),
                locations=layer.statistics.locations,
                top_images=layer.statistics.top.images.numpy(),
                top_activations=_float64(layer.statistics.top.activations),
                image_names=image_names,
                skipped=skipped,
                settings=feed.settings.at(thresholds.quantile),
                provenance=layer_provenance,
                stored_pictures=layer.pictures,
                histograms=histograms,
            )
            results.append(dissection)
    return results


def _add_remarks(run_provenance: Provenance, remarks: Remarks) -> Provenance:
    """Add remarks on images as notes, and what was taken for white in them."""
    notes = (*run_provenance.notes, *remarks.notes())
    extra = dict(run_provenance.extra)
    if remarks.whites:
        extra[WHITES] = dict(remarks.whites)
    return replace(run_provenance, notes=notes, extra=extra)


def _sparse(statistics: UnitStatistics, quantile: float) -> npt.NDArray[np.bool_]:
    """Return which units are sparse; (unit,).

    A sparse unit is not dead, and 0 on more than (1 - τ)·n of all n locations, so that T_k = 0.
    """
    n = statistics.locations
    nonzero_limit = n - complement_rank(quantile, n)
    sparse = (statistics.nonzero < nonzero_limit) & statistics.varied
    return np.asarray(sparse.numpy())


def _float64(values: Tensor) -> npt.NDArray[np.float64]:
    """Convert to float64, which holds every float32 exactly; -0 becomes 0."""
    return values.double().cpu().numpy() + 0.0


def _layer_provenance(
    run_provenance: Provenance,
    settings: Settings,
    layer: CombinedLayer,
    *,
    other_layers: Set[str],
) -> Provenance:
    """Add a layer's geometry and notes to the provenance of the run, without those on others."""
    foreign = tuple(f"layer {other!r}: " for other in other_layers)
    run_notes = [
        note for note in run_provenance.notes if not note.startswith(foreign)
    ]
    notes = [*run_notes, *layer.notes]
    if settings.anchor == "rf" and not layer.geometry.anchored:
        notes.append(NO_GEOMETRY)
    geometry = {**asdict(layer.geometry), "source": layer.geometry.source}
    return replace(run_provenance, geometry=geometry, notes=tuple(notes))
