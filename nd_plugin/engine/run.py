"""The dissection of one or many layers in one run over a probe data set.

One forward pass: it remembers what thresholds and top images need and keeps the maps that may exceed their unit's
threshold; masks follow from these and the annotations alone. Only a layer whose maps found no room, or whose
thresholds turn out not to be among what was kept, is seen a second time, and says so. All state is a sum over images:
what several processes, machines or interrupted runs have seen adds up to the same integers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nd_plugin.contracts.models import Model
from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.engine.callbacks import Progress, StateSaver, silent
from nd_plugin.engine.combine import CombinedState, combine
from nd_plugin.engine.passes import Passes
from nd_plugin.engine.provenance import check, provenance
from nd_plugin.engine.state import State
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.machine.threads import threads
from nd_plugin.method.ranks import complement_rank
from nd_plugin.probe_data.batches import Feed
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.results.dissection import Dissection

OpenState = Callable[[tuple[str, ...], Provenance], tuple[StateSaver, State]]


def start_fresh(layers: tuple[str, ...], made: Provenance) -> tuple[StateSaver, State]:
    """A run that begins at the beginning and leaves nothing behind."""
    return StateSaver(), State()


@contextmanager
def opened(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress = silent,
    quantiles: Sequence[float] = (),
    keep: OpenState = start_fresh,
) -> Iterator[tuple[Passes, Provenance]]:
    """The passes over ``feed``'s part of the probe data set, ready to begin or to go on.

    ``keep`` says, by the layers' names and what is run, where the state is kept and where it stands. The model is left
    as it was found in any case. Images are decoded from the beginning already, while the model is surveyed.
    """
    wanted = [
        replace(feed.settings, quantile=quantile).quantile for quantile in quantiles
    ]  # as plain numbers
    quantiles = tuple(dict.fromkeys(wanted or [feed.settings.quantile]))
    check(feed.settings, quantiles)
    with ExitStack() as stack:
        for surroundings in (torch.no_grad(), retain_memory()):
            stack.enter_context(surroundings)
        first = stack.enter_context(closing(feed.images_from(0)))
        with threads(torch.get_num_threads() - feed.workers):
            probe = stack.enter_context(model.probe(layers, feed.preprocess.size))
        made = provenance(model, feed, datetime.now(UTC).isoformat(timespec="seconds"))
        made = replace(made, notes=(*made.notes, *getattr(probe, "notes", ())))
        keeper, state = keep(probe.layers, made)
        passes = Passes(
            feed,
            probe.layers,
            quantiles,
            model.device,
            state,
            probe,
            progress,
            keeper,
            first,
        )
        yield stack.enter_context(closing(passes)), made


def run(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress = silent,
    *,
    quantiles: Sequence[float] = (),
    group: SingleProcess | None = None,
    keep: OpenState = start_fresh,
) -> list[Dissection]:
    """Dissect ``layers`` of ``model`` on what ``feed`` brings; one Dissection per layer, in the order asked for.

    With several ``quantiles`` (else the settings' own) one for each of them, layer by layer. ``group`` are the
    processes that share the work, each with its part. Raises what the tree in `nd_plugin.errors` says.
    """
    group = group or SingleProcess()
    clock = time.monotonic()
    with opened(model, layers, feed, progress, quantiles, keep) as (passes, made):
        before = passes.state.seconds
        passes.observe()
        whole = combine([passes], group)
    seconds = max(group.gather(before + time.monotonic() - clock))
    return dissections(passes, whole, replace(made, seconds=round(seconds, 3)))


def observe(
    model: Model,
    layers: Sequence[Any],
    feed: Feed,
    progress: Progress,
    quantiles: Sequence[float],
    keep: OpenState,
) -> None:
    """The pass over the images alone, for a shard: what it has seen is kept for `shards.merge`."""
    with opened(model, layers, feed, progress, quantiles, keep) as (passes, _):
        passes.observe()
        passes.keeper.save(passes.state)


def dissections(
    passes: Passes, whole: CombinedState, made: Provenance
) -> list[Dissection]:
    """The results, layer by layer."""
    feed = passes.feed
    names = tuple(feed.concepts.name(index) for index in range(feed.images))
    found = []
    for layer in passes.layers:
        seen = whole.observations[layer]
        geometry = whole.geometries[layer]
        for at in whole.thresholds[layer]:
            counts = whole.counted.units[layer, at.quantile]
            found.append(
                Dissection(
                    layer=layer,
                    categories=tuple(feed.concepts.categories),
                    concepts=tuple(feed.concepts.concepts),
                    thresholds=_floats(at.values),
                    intersection=counts.intersection.numpy(),
                    unit_area=counts.unit_area.numpy(),
                    concept_area=whole.counted.areas.area,
                    category_images=whole.counted.areas.images,
                    dead=~seen.varied.numpy(),
                    sparse=_sparse(seen, at.quantile),
                    locations=seen.locations,
                    top_images=seen.top.images.numpy(),
                    top_activations=_floats(seen.top.activations),
                    image_names=names,
                    skipped=tuple(
                        sorted(whole.skipped, key=lambda item: (item.image, item.part))
                    ),
                    settings=replace(feed.settings, quantile=at.quantile),
                    provenance=_noted(
                        made, geometry, feed.settings, whole.notes[layer]
                    ),
                )
            )
    return found


def _sparse(seen: UnitStatistics, quantile: float) -> npt.NDArray[np.bool_]:
    """Units that are 0 on more than (1 - τ)·n of all n locations, so that T_k = 0, and not dead; (unit,)."""
    few = seen.locations - complement_rank(quantile, seen.locations)
    return np.asarray(((seen.nonzero < few) & seen.varied).numpy())


def _floats(values: Tensor) -> npt.NDArray[np.float64]:
    """To float64, which holds every float32 exactly; -0 becomes 0."""
    return values.double().cpu().numpy() + 0.0


def _noted(
    made: Provenance, geometry: Geometry, settings: Settings, notes: Sequence[str]
) -> Provenance:
    """With the layer's geometry; evenly spread cells and a second forward pass are stated."""
    if settings.anchor == "rf" and not geometry.anchored:
        notes = [
            *notes,
            "no receptive-field geometry could be derived: the cells are spread evenly over the image",
        ]
    found = {**asdict(geometry), "source": geometry.source}
    return replace(made, geometry=found, notes=(*made.notes, *notes))
