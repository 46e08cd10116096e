"""Shards: parts of one dissection that were run apart, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.models import Model, Probe
from nd_plugin.contracts.provenance import Identity, Provenance, Settings
from nd_plugin.engine.callbacks import Progress, silent
from nd_plugin.engine.combine import combine
from nd_plugin.engine.forward_pass import PartRun
from nd_plugin.engine.run import dissections
from nd_plugin.engine.state import State
from nd_plugin.errors import BadInput, RunInvalid
from nd_plugin.machine.allocator import retain_memory
from nd_plugin.machine.process_group import SingleProcess
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.parts import parse_part
from nd_plugin.results.dissection import Dissection
from nd_plugin.resuming import checkpoint


class Shard(NamedTuple):
    """A part that has been seen."""

    folder: Path
    described: dict[str, Any]  # what was run
    made: dict[str, Any]  # its provenance
    state: State


def load(folders: Sequence[Path]) -> list[Shard]:
    """Read shards. Raises RunInvalid, and BadInput for such as do not belong together, overlap or are missing."""
    shards: list[Shard] = []
    try:
        for folder in chain.from_iterable(map(within, folders)):
            if not checkpoint.states(folder):
                raise RunInvalid(
                    f"{folder} is no shard: it has no {checkpoint.STATE} (nd dissect --shard 1/{len(folders)})"
                )
            shards.append(
                Shard(folder, *checkpoint.load(folder, torch.device("cpu"), to_go_on=False))
            )
        _check_together(shards)
    except BaseException:
        close(shards)
        raise
    return shards


def within(folder: Path) -> list[Path]:
    """The shards in a folder that several processes have filled; else the folder itself."""
    return checkpoint.states(*sorted(folder.glob("*"))) or [folder]


def close(shards: Sequence[Shard]) -> None:
    """Let go of their files."""
    for shard in shards:
        shard.state.close()


def _check_together(shards: Sequence[Shard]) -> None:
    first, expected = shards[0][:2]
    batches = -(-expected["images"] // expected["batch size"])
    owner: dict[int, int] = {}
    for place, (folder, described, _, state) in enumerate(shards):
        checkpoint.check_same(
            described, expected, f"{folder} does not belong to {first}: it", but=["shard", "source"]
        )
        part = parse_part(described["shard"])
        mine = range(part.index, batches, part.of)
        if state.batches < len(mine):
            raise BadInput(
                f"{folder} is not finished: {state.batches} of {len(mine)} batches; run it with --resume"
            )
        for number in mine:
            other = owner.setdefault(number, place)
            if other != place:
                raise BadInput(
                    f"{folder} (shard {part}) overlaps with {shards[other].folder}: each part belongs in once"
                )
    missing = [number for number in range(batches) if number not in owner]
    if missing:
        of = max(parse_part(described["shard"]).of for _, described, *_ in shards)
        lacking = sorted({number % of + 1 for number in missing})
        raise BadInput(f"shards are missing: {', '.join(f'{index}/{of}' for index in lacking)}")


def merge(
    shards: Sequence[Shard],
    concepts: ConceptSet,
    *,
    model: Model | None = None,
    workers: int | None = None,
    memory: int | None = None,
    progress: Progress = silent,
) -> list[Dissection]:
    """The dissections that one run would have given. ``model`` is needed for layers that have to be seen again."""
    _, described, made, _ = shards[0]
    identity = asdict(concepts.identity)
    checkpoint.check_same(described["concept set"], identity, "the concept set", but=["source"])
    if model is not None:
        checkpoint.check_same(
            described["model"], asdict(model.identity), "the model", but=["source"]
        )
    preprocess, settings = (
        Preprocess(**described["preprocessing"]),
        Settings(**described["settings"]),
    )
    device = model.device if model is not None else torch.device("cpu")
    layers, quantiles = tuple(described["layers"]), tuple(described["quantiles"])
    whole = Feed.of(
        concepts, preprocess, settings, device, described["batch size"], workers, memory
    )
    opened: AbstractContextManager[Probe | None] = (
        model.probe(layers, preprocess.size) if model else nullcontext()
    )
    with torch.no_grad(), retain_memory(), opened as probe:
        parts = [
            PartRun(
                replace(whole, part=parse_part(one["shard"])),
                layers,
                quantiles,
                device,
                state,
                probe,
                progress,
            )
            for _, one, _, state in shards
        ]
        try:
            found = combine(parts, SingleProcess())
        finally:
            for part in parts:
                part.close()
    seconds = sum(state.seconds for *_, state in shards)
    return dissections(parts[0], found, _provenance(made, round(seconds, 3), len(shards)))


def _provenance(made: dict[str, Any], seconds: float, shards: int) -> Provenance:
    models = {name: Identity(**made[name]) for name in ("model", "concept_set")}
    notes = (*made["notes"], f"merged from {shards} shards")
    return Provenance(**{**made, **models, "seconds": seconds, "notes": notes})
