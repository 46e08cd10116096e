"""Loaded models: an ONNX model with all that is needed to run parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from onnx import NodeProto, ValueInfoProto

from nd_onnxruntime.blocked import BlockedValues
from nd_onnxruntime.device_stream import DeviceStream
from nd_onnxruntime.document import Document
from nd_onnxruntime.feeding import Feed, required_feeds
from nd_onnxruntime.graph import Graph
from nd_onnxruntime.image_input import (
    Dimension,
    ImageInput,
    Size,
    without_invalid_lengths,
)
from nd_onnxruntime.runner import Runner
from nd_onnxruntime.sessions import SessionDevice, open_session
from nd_onnxruntime.subgraph import extract_subgraph


@dataclass(frozen=True)
class LoadedModel:
    """Model with its inputs described, its feeds read and its device chosen."""

    document: Document
    image: ImageInput
    feeds: Mapping[str, Feed]
    device: SessionDevice
    custom_ops: tuple[str, ...] = ()  # libraries

    @cached_property
    def graph(self) -> Graph:
        """Graph of the model."""
        return Graph(self.document.model)

    @cached_property
    def blocked(self) -> BlockedValues:
        """Values that are kept in blocks of channels."""
        return BlockedValues(self.document, self.graph)

    @property
    def output_names(self) -> list[str]:
        """Names of the model's own outputs."""
        return [output.name for output in self.graph.proto.output]

    def declared_inputs(self, batch: Dimension, size: Size) -> list[ValueInfoProto]:
        """Return the inputs, that of the images declared for a batch dimension and a size."""
        image = self.image.declare(batch, size)
        return [
            image if value.name == image.name else without_invalid_lengths(value)
            for value in self.graph.inputs
        ]

    def runner(
        self,
        values: Sequence[str],
        size: Size,
        *,
        singly: bool,
        replaced: Sequence[ValueInfoProto] = (),
        prepended: Sequence[NodeProto] = (),
        appended: Sequence[NodeProto] = (),
    ) -> Runner:
        """Open a session that computes ``values`` from images of a size.

        ``singly``: for one image at a time, else for batches of any size. ``replaced`` are inner
        values that become inputs; ``prepended`` and ``appended`` nodes run first and last.
        """
        inputs = [
            *self.declared_inputs(self._batch_dimension(singly), size),
            *replaced,
        ]
        subgraph = extract_subgraph(
            self.graph, values, inputs, prepended=prepended, appended=appended
        )
        document = self.document.of_subgraph(subgraph)
        stream = DeviceStream.on(self.device.tensors)
        session = open_session(
            document, self.device, self.custom_ops, stream=stream
        )
        replaced_names = {value.name for value in replaced}
        fed = [
            value
            for value in subgraph.graph.input
            if value.name not in replaced_names
        ]
        feeds = required_feeds(fed, self.image, self.feeds)
        return Runner(session, self.device, self.image, feeds, stream)

    def _batch_dimension(self, singly: bool) -> Dimension:
        if singly:
            return 1
        return self.image.batch if isinstance(self.image.batch, str) else "N"
