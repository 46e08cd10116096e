"""Rotation of a layer's basis (section 3.2 of the paper): all α and seeds in one forward pass.

Network Dissection asks whether units are special, or whether any direction of a layer would do: a
random rotation keeps all that a layer says, and takes away what its axes mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nd_plugin.bases.basis import Basis, LayerView
from nd_plugin.bases.memory import (
    LayerShape,
    fitting_feed,
    measure_layer,
    view_bytes,
)
from nd_plugin.bases.rotations import rotation_bases
from nd_plugin.bases.virtual_layers import ModelInBases
from nd_plugin.contracts.models import Model
from nd_plugin.engine.part_run import Progress, silent
from nd_plugin.engine.run import OpenState, run, start_fresh
from nd_plugin.errors import BadInput
from nd_plugin.experiments.rotation.study import RotationStudy
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.results.dissection import Dissection

ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REPEATS = 10


@dataclass(frozen=True)
class RotationPlan:
    """What is dissected beside the layer itself: Q^α of each seed, and other bases."""

    alphas: tuple[float, ...] = ALPHAS
    repeats: int = REPEATS  # random rotations
    seed: int = 0  # of the first; the others follow
    bases: tuple[Basis, ...] = ()

    def __post_init__(self) -> None:
        """Sort the α and drop repeated ones. Raises BadInput for values that make no sense."""
        for alpha in self.alphas:
            if not (math.isfinite(alpha) and 0 <= alpha <= 1):
                raise BadInput(
                    f"α {alpha:g} is not between 0 (the layer's own basis) and 1 (a random one)"
                )
        if self.repeats < 1:
            raise BadInput(f"{self.repeats} repeats: at least 1 rotation is needed")
        if self.seed < 0:
            raise BadInput(f"seed {self.seed} is negative")
        alphas = tuple(sorted({float(alpha) for alpha in self.alphas}))
        object.__setattr__(self, "alphas", alphas)

    @property
    def seeds(self) -> range:
        """Seeds of the random rotations."""
        return range(self.seed, self.seed + self.repeats)


@dataclass(frozen=True)
class RotationRun:
    """Rotation study that is ready to run: the layer is measured, and batches fit in memory."""

    model: Model
    layer: Any  # as the model takes it
    feed: Feed
    plan: RotationPlan
    shape: LayerShape
    batch_note: str = ""  # on a batch size that was reduced

    @classmethod
    def of(
        cls,
        model: Model,
        layer: Any,
        feed: Feed,
        plan: RotationPlan,
        group: SingleProcess | None = None,
    ) -> RotationRun:
        """Measure a layer, and reduce the batch size where the maps of all bases need it.

        Every process of a ``group`` gets the same batch size. Raises BadInput for a layer of one
        unit, which has no rotations, and for several quantiles.
        """
        if len(feed.settings.all_quantiles) > 1:
            raise BadInput("a rotation study takes one quantile")
        shape = measure_layer(model, layer, feed.preprocess.size)
        rotations = len(plan.seeds) * sum(alpha != 0 for alpha in plan.alphas)
        if rotations and shape.units < 2:
            raise BadInput(
                f"layer {shape.name!r} has a single unit, which cannot be rotated"
            )
        views = [None] * (1 + rotations)
        nbytes = view_bytes(shape, [*views, *plan.bases])
        feed, note = fitting_feed(feed, nbytes, model.device, group)
        return cls(model, layer, feed, plan, shape, note)

    def run(
        self,
        progress: Progress = silent,
        *,
        group: SingleProcess | None = None,
        open_state: OpenState = start_fresh,
    ) -> RotationStudy:
        """Dissect the layer in all bases, in one forward pass.

        ``group``, ``open_state``, and errors: `nd_plugin.engine.run.run`.
        """
        plan = self.plan
        rotations = rotation_bases(self.shape.units, plan.alphas, plan.seeds)
        bases = [*rotations.values(), *plan.bases]
        views = [LayerView(self.layer)]
        views += [LayerView(self.layer, basis) for basis in bases]
        dissections = run(
            ModelInBases(self.model, bases),
            views,
            self.feed,
            progress,
            group=group,
            open_state=open_state,
        )
        own, *others = _of_model(dissections, self.model, [None, *bases])
        rotated = dict(zip(rotations, others, strict=False))
        in_bases = others[len(rotations) :]
        named = zip(plan.bases, in_bases, strict=True)
        return RotationStudy(
            self.shape.name,
            own,
            # by α first
            {key: rotated[key] for key in sorted(rotated)},
            {basis.name: dissection for basis, dissection in named},
        )


def rotate(
    model: Model,
    layer: Any,
    feed: Feed,
    plan: RotationPlan | None = None,
    progress: Progress = silent,
) -> RotationStudy:
    """Dissect a layer in its own basis, rotated, and in other bases, in one forward pass.

    Batches are smaller than ``feed``'s where the maps of all bases take too much memory. Errors:
    `RotationRun`.
    """
    prepared = RotationRun.of(model, layer, feed, plan or RotationPlan())
    return prepared.run(progress)


def _of_model(
    dissections: Sequence[Dissection],
    model: Model,
    bases: Sequence[Basis | None],
) -> list[Dissection]:
    """Return dissections with the model's own identity, and the basis of each beside it."""
    identity = model.identity
    results: list[Dissection] = []
    for dissection, basis in zip(dissections, bases, strict=True):
        extra = dict(dissection.provenance.extra)
        if basis is not None:
            extra["basis"] = {
                "name": basis.name,
                "fingerprint": basis.fingerprint,
                **dict(basis.description),
            }
        provenance = replace(dissection.provenance, model=identity, extra=extra)
        results.append(replace(dissection, provenance=provenance))
    return results
