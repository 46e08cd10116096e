"""Layouts of dictionaries in files: which tensor is which, by the names that libraries give them.

Recognised are a matrix alone, our own names, SAELens and overcomplete. What a file leaves open is
guessed, and every guess is a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nd_plugin.bases.dictionary_reading import Reading, guess_note
from nd_plugin.bases.encoder import JUMP_RELU, LINEAR, RELU, Encoder
from nd_plugin.bases.saelens_layout import is_saelens, read_saelens
from nd_plugin.errors import BadInput
from nd_plugin.foreign_code import describe_error, translating_errors

MATRICES = ("components", "components_", "matrix", "basis", "directions")
MEANS = ("mean", "mean_")
OVERCOMPLETE = "encoder.final_block."
BATCH_NORM_EPSILON = 1e-5  # torch's default
NAMES_SHOWN = 8


def read_encoder(reading: Reading) -> Encoder:
    """Read the encoder in a file.

    Raises BadInput for names that nothing is known of, and for content that no encoder has.
    """

    def damaged(error: BaseException) -> BadInput:
        return BadInput(
            f"{reading.file.path} or what lies beside it cannot be read as a basis: it is damaged "
            f"({describe_error(error)})"
        )

    for is_layout, read in LAYOUTS:
        if is_layout(reading):
            with translating_errors(damaged):
                return read(reading)
    names = sorted(reading.file.shapes)
    listing = ", ".join(names[:NAMES_SHOWN]) or "nothing"
    raise BadInput(
        f"{reading.file.path} is no basis that is known: it has {listing}; expected a matrix "
        f"(direction, unit) alone or as {MATRICES[0]!r}, an encoder's 'weight' (latent, unit) "
        "with 'bias' and 'pre_bias', or the tensors of SAELens or overcomplete"
    )


def _is_overcomplete(reading: Reading) -> bool:
    return reading.has(f"{OVERCOMPLETE}0.weight")


def _read_overcomplete(reading: Reading) -> Encoder:
    """Read overcomplete's state dict: a linear encoder, batch norm or none, ReLU."""
    names = reading.file.shapes
    hidden = [name for name in names if name.startswith("encoder.mlp_blocks.")]
    if hidden:
        raise BadInput(
            f"{reading.file.path} has an encoder of several layers ({hidden[0]}), which is no "
            "dictionary of directions; give it as a function in Python"
        )
    weight = reading.matrix(f"{OVERCOMPLETE}0.weight")
    bias = reading.optional(f"{OVERCOMPLETE}0.bias")
    weight, bias = _with_batch_norm(reading, weight, bias)
    log_threshold = reading.optional("thresholds")
    threshold = None if log_threshold is None else log_threshold.exp()
    reason = (
        "overcomplete's weights do not tell a top-k from other autoencoders: ReLU is assumed "
        "(FILE?k=32 says k)"
    )
    activation, k = reading.activation(threshold, RELU, reason)
    return Encoder(
        weight,
        bias,
        None,
        activation,
        k,
        threshold if activation == JUMP_RELU else None,
    )


def _with_batch_norm(
    reading: Reading, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Fold the batch norm behind a linear encoder into it, as in evaluation."""
    variance = reading.optional(f"{OVERCOMPLETE}1.running_var")
    mean = reading.optional(f"{OVERCOMPLETE}1.running_mean")
    if variance is None or mean is None:
        if reading.has(f"{OVERCOMPLETE}1.weight"):
            raise BadInput(
                f"{reading.file.path} normalises its latents by a layer norm, which is not "
                "supported; give its encoder as a function in Python"
            )
        return weight, bias
    scale = (variance + BATCH_NORM_EPSILON).rsqrt()
    gain = reading.optional(f"{OVERCOMPLETE}1.weight")
    shift = reading.optional(f"{OVERCOMPLETE}1.bias")
    scale = scale if gain is None else scale * gain
    before = torch.zeros_like(mean) if bias is None else bias
    folded = (before - mean) * scale
    return weight * scale[:, None], folded if shift is None else folded + shift


def _is_own(reading: Reading) -> bool:
    return reading.has("weight")


def _read_own(reading: Reading) -> Encoder:
    """Read our own names: weight (latent, unit), bias, pre_bias, threshold, activation, k."""
    bias = reading.optional("bias")
    pre_bias = reading.optional("pre_bias")
    threshold = reading.optional("threshold")
    default = LINEAR if bias is None else RELU
    reason = "" if bias is None else guess_note("ReLU")
    activation, k = reading.activation(threshold, default, reason)
    return Encoder(
        reading.matrix("weight"), bias, pre_bias, activation, k, threshold
    )


def _is_matrix(reading: Reading) -> bool:
    return _matrix_name(reading) is not None


def _matrix_name(reading: Reading) -> str | None:
    for name in MATRICES:
        if reading.has(name):
            return name
    shapes = reading.file.shapes
    tables = [name for name, shape in shapes.items() if len(shape) == 2]
    others = set(shapes) - set(tables) - {*MEANS, "k"}
    return tables[0] if len(tables) == 1 and not others else None


def _read_matrix(reading: Reading) -> Encoder:
    """Read directions (direction, unit), and the mean that is subtracted first, as of a PCA."""
    name = _matrix_name(reading)
    assert name is not None
    activation, k = reading.activation(None, LINEAR, "")
    mean = reading.optional(*MEANS)
    return Encoder(reading.matrix(name), None, mean, activation, k)


LAYOUTS: Sequence[
    tuple[Callable[[Reading], bool], Callable[[Reading], Encoder]]
] = (
    (is_saelens, read_saelens),
    (_is_overcomplete, _read_overcomplete),
    (_is_own, _read_own),
    (_is_matrix, _read_matrix),
)
