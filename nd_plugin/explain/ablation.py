"""Contributions by ablation: what the output loses when a unit is set to 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from captum._utils.common import _expand_target
from torch import Tensor

from nd_plugin.contracts.split_models import Rest
from nd_plugin.explain.cuts import LayerCuts, layer_and_outputs, rest_of
from nd_plugin.explain.question import Contributions, Question
from nd_plugin.explain.targets import select
from nd_plugin.receptive_fields.layout import Layout, axes_of

AT_ONCE = 32  # units ablated in one pass through the rest


def _ablation(question: Question, cuts: LayerCuts) -> Contributions:
    """What the output loses when a unit is 0 everywhere, shared out over its cells by the size of their activation."""
    cut = cuts.of(question)
    value, output = layer_and_outputs(question)
    images, units = axes_of(cut.layout)
    size = by_unit(value, cut.layout).abs()
    kept = select(output, question.target)
    with rest_of(question) as rest, torch.no_grad():
        losses = torch.stack(
            [
                _losses(rest, question.only(image), value.narrow(images, image, 1), kept[image])
                for image in range(len(kept))
            ]
        )
    share = size / size.sum(2, keepdim=True).clamp_min(torch.finfo(size.dtype).tiny)
    spread = (share * losses[:, :, None]).view(value.movedim((images, units), (0, 1)).shape)
    return Contributions("ablation", (spread.movedim((0, 1), (images, units)),))


def by_unit(value: Tensor, layout: Layout) -> Tensor:
    """(image, unit, cell) of a tensor in a layer's own shape; a class token is a cell here."""
    first = value.movedim(axes_of(layout), (0, 1))
    return first.flatten(2) if first.dim() > 2 else first[:, :, None]


def _losses(rest: Rest, question: Question, value: Tensor, kept: Tensor) -> Tensor:
    """(unit,) for one image; a unit that is 0 everywhere already costs nothing to leave out."""
    images, units = axes_of(rest.layout)
    alive = by_unit(value, rest.layout)[0].any(1).nonzero()[:, 0]
    losses = torch.zeros(value.shape[units], dtype=kept.dtype, device=kept.device)
    for some in torch.split(alive, AT_ONCE) if len(alive) else ():
        rows = value.repeat_interleave(len(some), images)
        rows.movedim((images, units), (0, 1))[torch.arange(len(some)), some] = 0
        outputs = rest(rows, *question.inputs)
        losses[some] = kept - select(outputs, _expand_target(question.target, len(some)))
    return losses


def ablated(rest: Rest, question: Question, units: Sequence[int]) -> Tensor:
    """(image,): the output when some units are 0 together."""
    with torch.no_grad():
        value = rest.layer(*question.inputs)
        value.index_fill_(
            axes_of(rest.layout)[1], torch.tensor(units, dtype=torch.long, device=value.device), 0
        )
        return select(rest(value, *question.inputs), question.target)
