"""Exposed values: what is read from the graph in place of a layer's own value."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto


@dataclass(frozen=True)
class ExposedValue:
    """Value to read from the graph in place of a layer's own."""

    name: str
    # nodes that compute it, if the graph has none
    appended: tuple[NodeProto, ...] = ()
    note: str = ""  # for the reader of the results
    # nodes that compute the layer's own value from it
    restoring: tuple[NodeProto, ...] = ()
    # units in axis 1, where the layer's own value has more to fill its last block
    units: int | None = None
