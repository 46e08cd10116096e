"""Size of a run's result, estimated while it runs: checkpoints leave room for it."""

from __future__ import annotations

from dataclasses import dataclass

from nd_plugin.engine.state import State
from nd_plugin.probe_data.batches import Feed

# of an image with its annotation and its maps, rather too many
BYTES_OF_PICTURE = 2**16
BYTES_OF_NUMBER = 8
BYTES_OF_TEXT = 2**18  # of a layer: run.json, units.csv, names of images


@dataclass(frozen=True)
class ResultSize:
    """Estimate of the bytes of a run's result, rather too many than too few."""

    feed: Feed

    def of(self, state: State) -> int:
        """Return the bytes of all layers of a state, at all quantiles."""
        layers = state.layers.values()
        by_layer = [self._layer_bytes(len(layer.bound.level)) for layer in layers]
        return len(self.feed.settings.all_quantiles) * sum(by_layer)

    def _layer_bytes(self, units: int) -> int:
        """Return the bytes of a layer: counts by concept and fold, top images, pictures."""
        settings = self.feed.settings
        concepts = self.feed.concepts
        counts = len(concepts.concepts) + len(concepts.categories)
        numbers = counts * max(settings.folds, 1) + 2 * settings.top_images
        pictures = min(self.feed.images, units * settings.pictures)
        picture_bytes = min(settings.picture_budget, pictures * BYTES_OF_PICTURE)
        return units * numbers * BYTES_OF_NUMBER + picture_bytes + BYTES_OF_TEXT
