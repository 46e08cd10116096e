"""Layer that says how sure its numbers are: intervals, chance level, stability of names."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import BadInput, Unavailable
from nd_plugin.report.error_bars.records import ChanceLevel, LayerIntervals
from nd_plugin.significance.statistics.bootstrap import LEVEL, check_level
from nd_plugin.significance.statistics.chance_level import chance_level
from nd_plugin.significance.statistics.intervals import (
    ResampledLayer,
    layer_intervals,
    second_concepts,
)
from nd_plugin.significance.statistics.resampling import (
    draw_weights,
    leave_one_out,
    resample,
)

if TYPE_CHECKING:
    from nd_plugin.contracts.provenance import Settings
    from nd_plugin.significance.chance_counts import ChanceCounts
    from nd_plugin.significance.fold_counts import FoldCounts

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RESAMPLES = 1000
SEED = 0
FEWEST_RESAMPLES = 40  # so that 2.5 % are one of them


class SignificantLayer:
    """Layer with counts by fold and by permutation, where its run has taken them."""

    if TYPE_CHECKING:
        categories: tuple[str, ...]
        settings: Settings
        image_names: tuple[str, ...]
        folds: FoldCounts | None
        chance: ChanceCounts | None

        @property
        def iou(self) -> Floats: ...  # noqa: D102

        @property
        def labels(self) -> Integers: ...  # noqa: D102

        @property
        def category_of(self) -> Integers: ...  # noqa: D102

    def intervals(
        self, level: float = LEVEL, *, resamples: int = RESAMPLES, seed: int = SEED
    ) -> LayerIntervals:
        """Return intervals of counts and of each unit's IoU, and the stability of names.

        Folds of images are drawn with replacement, as many as there are, ``resamples`` times
        (bootstrap); everything but the thresholds T_k is computed anew. Units are compared with
        the label that they have in all images. The same arguments give the same numbers.

        Args:
            level: Share of cases in which an interval covers the true value, that of all images of
                the kind that was dissected. What was measured of it: docs/experiments.md.
            resamples: Number of resamples.
            seed: Seed of the draws.

        Returns:
            Intervals of detectors and unique detectors (symmetric), overall and by category, and of
            IoU (percentile); ``stability``, ``margins`` and ``seconds`` of each unit.

        Raises:
            Unavailable: The run has no folds.
            BadInput: A level that is not between 0 and 1, or fewer than 40 resamples.
        """
        check_level(level)
        key = (level, resamples, seed)
        if key not in self._layer_intervals:
            layer = self.resampled(resamples, seed)
            self._layer_intervals[key] = layer_intervals(layer, level)
        return self._layer_intervals[key]

    def resampled(
        self, resamples: int = RESAMPLES, seed: int = SEED
    ) -> ResampledLayer:
        """Return labels and IoU of all units in resamples of the images.

        Raises Unavailable where the run has no folds, BadInput for fewer than 40 resamples.
        """
        if resamples < FEWEST_RESAMPLES:
            raise BadInput(
                f"resamples is {resamples}; expected {FEWEST_RESAMPLES} or more"
            )
        key = (resamples, seed)
        if key not in self._resampled_layers:
            self._resampled_layers[key] = self._resample(resamples, seed)
        return self._resampled_layers[key]

    @cached_property
    def _layer_intervals(self) -> dict[tuple[float, int, int], LayerIntervals]:
        return {}

    @cached_property
    def _resampled_layers(self) -> dict[tuple[int, int], ResampledLayer]:
        return {}

    def _resample(self, resamples: int, seed: int) -> ResampledLayer:
        folds = self._folds()
        weights = draw_weights(folds.folds, resamples, seed)
        jackknife = leave_one_out(folds.folds)
        return ResampledLayer(
            self.iou,
            self.category_of,
            self.categories,
            self.settings.min_iou,
            resample(folds, self.category_of, self.labels, weights),
            resample(folds, self.category_of, self.labels, jackknife),
        )

    def _folds(self) -> FoldCounts:
        if self.folds is None:
            raise Unavailable(
                "the run has no counts by fold, from which intervals come; dissect the layer again "
                "with --folds 20 (folds=20)"
            )
        return self.folds

    @cached_property
    def chance_level(self) -> ChanceLevel:
        """Detectors to expect by chance, the false-discovery rate, and p-values of the units.

        Raises Unavailable where the run has no permutations.
        """
        if self.chance is None:
            raise Unavailable(
                "the run has no permuted annotations, which give the level of chance; dissect the "
                "layer again with --permutations 100 (permutations=100)"
            )
        return chance_level(
            self.iou.max(axis=1),
            self.chance,
            self.category_of,
            self.categories,
            self.settings.min_iou,
        )

    @property
    def p_values(self) -> Floats:
        """p-value of each unit's best IoU over all concepts; (unit,).

        Of 100 permutations the smallest possible is 1 / 101. Raises Unavailable.
        """
        return self.chance_level.p_values

    @property
    def q_values(self) -> Floats:
        """Benjamini and Hochberg's q-value of each unit; (unit,). Raises Unavailable."""
        return self.chance_level.q_values

    @property
    def false_discovery_rate(self) -> float:
        """Share of the layer's detectors that chance explains. Raises Unavailable."""
        return self.chance_level.false_discovery_rate

    @property
    def stability(self) -> Floats:
        """Share of resamples in which each unit keeps its label; (unit,). Raises Unavailable."""
        return self.intervals().stability

    @cached_property
    def margins(self) -> Floats:
        """IoU of each unit with its label, minus that with its second concept; (unit,)."""
        seconds = second_concepts(self.iou)
        second_iou = np.take_along_axis(self.iou, seconds[:, None], 1)[:, 0]
        margins: Floats = self.iou.max(axis=1) - second_iou
        return margins
