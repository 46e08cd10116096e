"""Folding: convolutions that absorbed the layers after them when the model was exported."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from nd_onnxruntime.operators import (
    QUANTISED_CONVOLUTIONS,
    RUNTIME_DOMAINS,
    operator_of,
)

REWRITE_RULES_KEY = "pkg.onnxscript.rewriter.rule_name"
# of parameters that the TorchScript exporter computed itself
TORCHSCRIPT_PREFIX = "onnx::Conv"
CONVOLUTIONS = ("Conv", "ConvTranspose", *QUANTISED_CONVOLUTIONS)
FOLDED = (
    "the exporter folded the BatchNorm that follows into this convolution: the value is the one "
    "after the BatchNorm"
)
EXPORTER_HINT = (
    "; a BatchNorm that the exporter folded into a convolution has the name of "
    "the convolution"
)
QUANTISER_HINT = (
    "; a layer that the quantiser folded into a convolution has the name of "
    "the convolution"
)


def folding_note(node: NodeProto) -> str:
    """Return a note for a convolution that a BatchNorm was folded into, else an empty text."""
    if operator_of(node) not in CONVOLUTIONS:
        return ""
    is_folded = _has_computed_parameters(node) or _was_rewritten(node)
    return FOLDED if is_folded else ""


def folding_hint(nodes: Sequence[NodeProto]) -> str:
    """Return where to look for a layer that a convolution may have absorbed."""
    if any(_is_quantised(node) for node in nodes):
        return QUANTISER_HINT
    if any(folding_note(node) for node in nodes):
        return EXPORTER_HINT
    return ""


def _is_quantised(node: NodeProto) -> bool:
    return node.domain in RUNTIME_DOMAINS and node.op_type.startswith("QLinear")


def _has_computed_parameters(node: NodeProto) -> bool:
    """Return whether the TorchScript exporter computed both weight and bias."""
    parameters = list(node.input[1:3])
    if operator_of(node) in QUANTISED_CONVOLUTIONS:
        parameters = [*node.input[3:4], *node.input[8:9]]
    computed = [name for name in parameters if name.startswith(TORCHSCRIPT_PREFIX)]
    return len(computed) == len(parameters) == 2


def _was_rewritten(node: NodeProto) -> bool:
    """Return whether the dynamo exporter applied a rule for BatchNorms to a node."""
    for entry in node.metadata_props:
        if entry.key == REWRITE_RULES_KEY:
            return "BatchNorm" in entry.value
    return False
