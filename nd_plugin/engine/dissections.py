"""Dissections of a run: the results of all layers and quantiles, with their provenance."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nd_plugin.contracts.provenance import Provenance, Settings
from nd_plugin.engine.batch_counter import category_indices
from nd_plugin.engine.combine import CombinedLayer, CombinedState
from nd_plugin.engine.part_run import PartRun
from nd_plugin.engine.state import CountState
from nd_plugin.engine.unit_statistics import UnitStatistics
from nd_plugin.method.ranks import complement_rank
from nd_plugin.pictures.grey_values import WHITES
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.remarks import Remarks
from nd_plugin.results.dissection import Dissection
from nd_plugin.significance.fold_counts import FoldCounts
from nd_plugin.significance.image_concepts import ImageConcepts

NO_GEOMETRY = (
    "no receptive-field geometry could be derived: "
    "the cells are spread evenly over the image"
)


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
    folds = _fold_counts(feed, combined.counted)
    results = []
    for name in part_run.layers:
        layer = combined.layers[name]
        layer_provenance = _layer_provenance(
            run_provenance,
            feed.settings,
            name,
            layer,
            other_layers=set(part_run.layers) - {name},
        )
        histograms = layer.sample.histograms(layer.statistics.highest)
        for thresholds in layer.thresholds:
            key = (name, thresholds.quantile)
            counts = combined.counted.units[key]
            dissection = Dissection(
                layer=name,
                categories=tuple(feed.concepts.categories),
                concepts=tuple(feed.concepts.concepts),
                thresholds=_float64(thresholds.values),
                intersection=counts.intersection.numpy(),
                unit_area=counts.unit_area.numpy(),
                concept_area=combined.counted.areas.area,
                category_images=combined.counted.areas.images,
                category_pixels=combined.counted.areas.pixels,
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
                folds=folds.get(key),
                chance=combined.chance.get(key),
            )
            results.append(dissection)
    return results


def _fold_counts(
    feed: Feed, counted: CountState
) -> dict[tuple[str, float], FoldCounts]:
    """Return the counts by fold, by layer and quantile; nothing without folds."""
    if feed.fold_of is None:
        return {}
    images = ImageConcepts.joined(counted.image_concepts)
    concept_area, category_images = images.count_by_fold(
        feed.fold_of,
        feed.settings.folds,
        category_indices(feed.concepts),
        len(feed.concepts.categories),
    )
    return {
        key: sums.counts(concept_area, category_images)
        for key, sums in counted.folds.items()
    }


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
    name: str,
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
    return replace(
        run_provenance,
        geometry=geometry,
        notes=tuple(notes),
        traits=run_provenance.traits.of_layer(name),
    )
