"""Listing of a model's layers: those that can be taken, and why the others cannot."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from onnx import NodeProto

from nd_onnxruntime.exposed_layer import ExposedLayer, expose_layer
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.measuring import measure
from nd_onnxruntime.naming import Layer, LayerNames, ListedLayer
from nd_onnxruntime.operators import RUNTIME_DOMAINS, operator_of
from nd_onnxruntime.runtime_errors import KernelMissing
from nd_onnxruntime.subgraph import replacement_name
from nd_onnxruntime.survey import Survey, run_survey, survey_one_image
from nd_plugin import LayerDescription, Measurement, ModelFailed, NDError

Reasons = dict[int, str]  # why the outputs of nodes cannot be read, by node


@dataclass(frozen=True)
class Listing:
    """Descriptions of all layers of a model."""

    model: LoadedModel
    names: LayerNames

    def descriptions(self, size: Size) -> list[LayerDescription]:
        """Describe every layer once, in order, for images of a size.

        Left out are values that do not depend on the image's pixels, as shapes and grids of
        anchors, of which a file may compute hundreds.
        """
        rows = list(self.names.listed())
        reasons = self._without_library()
        surveyed = self._survey(rows, reasons, size)
        measurements = self._measure(rows, reasons, surveyed, size)
        descriptions: dict[str, LayerDescription] = {}
        without_units: list[ListedLayer] = []
        for row in rows:
            if row.node in reasons:
                descriptions[row.name] = self._refused(row, reasons[row.node])
            elif row.value in surveyed.pixel_values:
                description = self._described(row, surveyed, measurements, size)
                descriptions[row.name] = description
                if description.shape is None:
                    without_units.append(row)
        descriptions |= self._described_singly(without_units, surveyed, size)
        return list(descriptions.values())

    def _described_singly(
        self, rows: Sequence[ListedLayer], surveyed: Survey, size: Size
    ) -> dict[str, LayerDescription]:
        """Describe those rows, without units for two images, that have them for one.

        A file exported for one image may join two in an axis of positions. These rows are not
        measured: the many values of windows would take long.
        """
        if surveyed.batch_size == 1 or not rows:
            return {}
        values = [row.value for row in rows]
        try:
            single = survey_one_image(self.model, values, size)
        except ModelFailed:  # made for two images
            return {}
        descriptions: dict[str, LayerDescription] = {}
        for row in rows:
            description = self._described(row, single, {}, size)
            if description.shape is not None:
                descriptions[row.name] = description
        return descriptions

    def _measure(
        self,
        rows: Sequence[ListedLayer],
        reasons: Reasons,
        surveyed: Survey,
        size: Size,
    ) -> Mapping[str, Measurement]:
        """Measure the layers whose geometry is not derived."""
        layers: list[ExposedLayer] = []
        for row in rows:
            if row.node in reasons or row.value not in surveyed.pixel_values:
                continue
            layer = Layer(row.name, row.value)
            with suppress(NDError):  # without units, as its description says
                exposed_layer = expose_layer(self.model, layer, surveyed)
                if not exposed_layer.has_geometry(size):
                    layers.append(exposed_layer)
        singly = surveyed.batch_size == 1
        return measure(self.model, layers, size, singly=singly)

    def _survey(
        self, rows: Sequence[ListedLayer], reasons: Reasons, size: Size
    ) -> Survey:
        """Survey the rows without a reason; give one to nodes that cannot run, and their users."""
        while True:
            values = [row.value for row in rows if row.node not in reasons]
            try:
                return run_survey(self.model, values, size)
            except KernelMissing as error:
                added = self._without_kernel(error)
                if added.keys() <= reasons.keys():
                    raise
                reasons |= added

    def _described(
        self,
        row: ListedLayer,
        surveyed: Survey,
        measurements: Mapping[str, Measurement],
        size: Size,
    ) -> LayerDescription:
        layer = Layer(row.name, row.value)
        try:
            exposed_layer = expose_layer(self.model, layer, surveyed)
            measurement = measurements.get(exposed_layer.exposed.name)
            placement = exposed_layer.place(size, measurement)
        except NDError as error:
            return LayerDescription.without_units(row.name, self._kind(row), error)
        output = torch.empty(exposed_layer.shape, device="meta")
        maps_shape = placement.layout.maps(output).shape
        shape = (1, *maps_shape[1:])
        return LayerDescription(
            row.name, self._kind(row), shape, placement.geometry
        )

    def _refused(self, row: ListedLayer, reason: str) -> LayerDescription:
        return LayerDescription(row.name, self._kind(row), None, reason=reason)

    def _kind(self, row: ListedLayer) -> str:
        """Return the operator of a row, with its domain if it is not ONNX Runtime's."""
        node = self.model.graph.nodes[row.node]
        return node.op_type if _is_known(node) else operator_of(node)

    def _without_library(self) -> Reasons:
        """Return the nodes that need custom operators whose library was not given; warn of them."""
        if self.model.custom_ops:
            return {}
        reasons: Reasons = {}
        operators = set[str]()
        for index, node in enumerate(self.model.graph.nodes):
            if not _is_known(node):
                operators.add(operator_of(node))
                reason = f"{operator_of(node)} may need --custom-op-library FILE"
                reasons = self._reasons_from(index, reason) | reasons
        if operators:
            listing = ", ".join(sorted(operators))
            warnings.warn(
                f"{self.model.document.source}: {listing} may need --custom-op-library FILE; "
                "layers from there on cannot be taken without it",
                UserWarning,
                stacklevel=5,
            )
        return reasons

    def _without_kernel(self, error: KernelMissing) -> Reasons:
        """Return the nodes that need one that ONNX Runtime cannot run."""
        reason = f"ONNX Runtime has no implementation of {error.operator} for its types here"
        for index, node in enumerate(self.model.graph.nodes):
            if error.node_name in (node.name, replacement_name(node)):
                return self._reasons_from(index, reason)
        return {}

    def _reasons_from(self, index: int, reason: str) -> Reasons:
        """Give a node and all nodes that depend on it a reason."""
        graph = self.model.graph
        indices = {index}
        for value in filter(None, graph.nodes[index].output):
            indices |= graph.descendants(value)
        return dict.fromkeys(sorted(indices), reason)


def _is_known(node: NodeProto) -> bool:
    return node.domain in RUNTIME_DOMAINS
