"""Numbers of the experiment: of each network, and their spread over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from nd_plugin import Dissection, Summary
from nd_plugin.experiments.evolution.histories import (
    LayerEvolution,
    Transition,
)
from nd_plugin.experiments.probing.discrimination import Discrimination
from nd_plugin.experiments.probing.object_detectors import (
    NetworkPoints,
    match_networks,
)
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.experiments.spread import Spread
from nd_plugin.report.error_bars.records import ChanceLevel
from reproduce.dissections import (
    ALL_LAYERS,
    CHANCE,
    FIRST,
    FOLLOWED,
    LAST,
    LAST_LAYER,
    QUANTILES,
    ROTATED,
    TURNED,
    Dissections,
)
from reproduce.networks import LAYERS
from reproduce.training import TrainingRecord
from reproduce.trainings import TUNED, VARIANTS, Training

UNTRAINED = "untrained"


@dataclass(frozen=True)
class MeasuredNetwork:
    """One trained network with what was measured of it."""

    training: Training
    record: TrainingRecord
    dissections: Dissections

    @property
    def score(self) -> float:
        """Score on its own task, on test scenes."""
        return self.record.scores[self.record.last]

    @cached_property
    def dissection(self) -> Dissection:
        """Dissection of the last layer at the paper's quantile."""
        return self.dissections.layer(self.training)

    @cached_property
    def summary(self) -> Summary:
        """Counts of the last layer."""
        return self.dissection.summary()

    @cached_property
    def evolution(self) -> LayerEvolution:
        """Last layer at several moments of the training."""
        return self.dissections.evolution(self.training).layers[0]

    @property
    def stages(self) -> tuple[Dissection, ...]:
        """Dissections of the last layer at several moments of the training."""
        return self.evolution.dissections

    @property
    def transition(self) -> Transition:
        """What became of the detectors, from the first moment of the training to the last."""
        return self.evolution.overall

    @cached_property
    def rotations(self) -> RotationStudy:
        """Last layer in random bases."""
        return self.dissections.rotations(self.training)

    @cached_property
    def probe(self) -> Discrimination:
        """Linear classifier of scenes on the last layer."""
        return self.dissections.probe(self.training)

    @property
    def accuracy(self) -> float:
        """Accuracy of the linear classifier."""
        return self.probe.layers[0].accuracy.mean

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        summary = self.summary
        return {
            "variant": self.training.variant,
            "seed": self.training.seed,
            "architecture": asdict(self.training.architecture),
            "tuned_from": self.training.source,
            "score_name": self.record.score_name,
            "scores": self.record.scores,
            "training_scenes": self.record.images,
            "training_seconds": self.record.seconds,
            "linear_accuracy": self.accuracy,
            "last_layer": summary.to_dict(),
        }


@dataclass(frozen=True)
class Measures:
    """All networks of a study, by variant."""

    dissections: Dissections

    @cached_property
    def networks(self) -> Mapping[str, Sequence[MeasuredNetwork]]:
        """Networks of each variant, one for each seed."""
        by_variant: dict[str, list[MeasuredNetwork]] = {
            variant: [] for variant in VARIANTS
        }
        for training, record in self.dissections.study.records():
            network = MeasuredNetwork(training, record, self.dissections)
            by_variant[training.variant].append(network)
        return {variant: group for variant, group in by_variant.items() if group}

    @property
    def _all_networks(self) -> list[MeasuredNetwork]:
        return [network for group in self.networks.values() for network in group]

    def spread(
        self, variant: str, value: Callable[[MeasuredNetwork], float]
    ) -> Spread:
        """Return a number of a variant's networks, over the seeds."""
        return Spread.of([value(network) for network in self.networks[variant]])

    def difference(
        self, variant: str, other: str, value: Callable[[MeasuredNetwork], float]
    ) -> Spread:
        """Return the difference between two variants, of networks with the same seed."""
        pairs = zip(self.networks[variant], self.networks[other], strict=True)
        differences = [value(first) - value(second) for first, second in pairs]
        return Spread.of(differences, is_signed=True)

    @property
    def untrained(self) -> Sequence[Dissection]:
        """Dissections of the networks of the baseline before their training."""
        return [network.stages[0] for network in self.networks[ALL_LAYERS]]

    def at_quantile(self, variant: str, quantile: float) -> list[Dissection]:
        """Return the dissections of a variant's last layer at a quantile."""
        return [
            self.dissections.layer(network.training, LAST_LAYER, quantile)
            for network in self.networks[variant]
        ]

    def of_layer(self, layer: str) -> list[Dissection]:
        """Return the dissections of one of the baseline's layers, ``relu1`` to ``relu4``."""
        return [
            self.dissections.layer(network.training, f"features.{layer}")
            for network in self.networks[ALL_LAYERS]
        ]

    @property
    def alphas(self) -> tuple[float, ...]:
        """α of the rotations."""
        return self.networks[ROTATED[0]][0].rotations.alphas

    def rotated(self, variant: str, alpha: float) -> list[list[Dissection]]:
        """Return the dissections at one α: for each network, those of all random rotations."""
        return [network.rotations.at(alpha) for network in self.networks[variant]]

    def rotated_unique(self, variant: str, alpha: float) -> Spread:
        """Return unique detectors at one α: the mean over rotations of each network, over seeds."""
        means = [
            Spread.of([item.unique_detectors for item in group]).mean
            for group in self.rotated(variant, alpha)
        ]
        return Spread.of(means)

    def rotated_accuracy(self, variant: str) -> Spread:
        """Return the linear classifier's accuracy on rotated layers, over seeds and rotations."""
        results = [network.probe.layers[0] for network in self.networks[variant]]
        return Spread.of(
            [item.accuracy.mean for result in results for item in result.rotated]
        )

    @cached_property
    def chance(self) -> Mapping[str, Sequence[Dissection]]:
        """Dissections with the level of chance: of untrained networks, and of some variants."""
        baseline = self.networks[ALL_LAYERS]
        groups = {UNTRAINED: [self._chance(network, FIRST) for network in baseline]}
        for variant in CHANCE:
            networks = self.networks[variant]
            groups[variant] = [self._chance(network, LAST) for network in networks]
            turned = [self._chance(network, TURNED) for network in networks]
            groups[f"{variant}, random basis"] = turned
        return groups

    def _chance(self, network: MeasuredNetwork, moment: str) -> Dissection:
        return self.dissections.chance(network.training, moment)

    def accuracy_points(self, category: str) -> NetworkPoints:
        """Return unique detectors of a category, or "all", and the accuracy of every network."""
        networks = self._all_networks
        probes = [network.probe for network in networks]
        dissections = [network.dissection for network in networks]
        return match_networks(probes, dissections, category)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "scale": asdict(self.dissections.study.scale),
            "networks": [network.to_dict() for network in self._all_networks],
            "untrained": _summaries(self.untrained),
            "emergence": self._emergence(),
            "layers": {layer: _summaries(self.of_layer(layer)) for layer in LAYERS},
            "quantiles": {
                variant: self._quantiles(variant) for variant in self.networks
            },
            "rotations": {variant: self._rotations(variant) for variant in ROTATED},
            "chance": {
                name: _levels_of_chance(group)
                for name, group in self.chance.items()
            },
            "tuning": {variant: self._tuning(variant) for variant in TUNED},
        }

    def _emergence(self) -> dict[str, Any]:
        emergence: dict[str, Any] = {}
        for variant in FOLLOWED:
            networks = self.networks[variant]
            emergence[variant] = [
                _summaries(network.stages) for network in networks
            ]
        return emergence

    def _quantiles(self, variant: str) -> dict[str, Any]:
        return {
            f"{quantile:g}": _unique_by_category(
                self.at_quantile(variant, quantile)
            )
            for quantile in QUANTILES
        }

    def _rotations(self, variant: str) -> dict[str, Any]:
        return {
            "unique_detectors": {
                f"{alpha:g}": self.rotated_unique(variant, alpha).to_dict()
                for alpha in self.alphas
            },
            "linear_accuracy": self.spread(
                variant, lambda network: network.accuracy
            ).to_dict(),
            "linear_accuracy_rotated": self.rotated_accuracy(variant).to_dict(),
        }

    def _tuning(self, variant: str) -> list[dict[str, Any]]:
        return [
            transition_counts(network.transition)
            for network in self.networks[variant]
        ]


def chance_level(dissection: Dissection) -> ChanceLevel:
    """Return the level of chance of a dissection that has it."""
    level = dissection.chance_level
    assert level is not None, "annotations were not permuted"
    return level


def transition_counts(transition: Transition) -> dict[str, Any]:
    """Return how many detectors were kept, changed (with their kinds), lost and gained."""
    return {
        "kept": len(transition.kept),
        "of_both": transition.of_both,
        "share_kept": transition.share_kept,
        "kinds": transition.kinds,
        "lost": len(transition.lost),
        "gained": len(transition.gained),
    }


def _summaries(dissections: Sequence[Dissection]) -> list[dict[str, Any]]:
    return [dissection.summary().to_dict() for dissection in dissections]


def _unique_by_category(dissections: Sequence[Dissection]) -> list[dict[str, int]]:
    summaries = [dissection.summary() for dissection in dissections]
    return [dict(summary.unique_detectors_by_category) for summary in summaries]


def _levels_of_chance(dissections: Sequence[Dissection]) -> list[dict[str, Any]]:
    return [chance_level(dissection).to_dict() for dissection in dissections]
