"""Layouts of dictionaries in files: which tensor is which, by the names that libraries give them.

Recognised are a matrix alone, our own names, SAELens and overcomplete. What a file leaves open is
guessed, and every guess is a note.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nd_plugin.bases.encoder import (
    JUMP_RELU,
    LINEAR,
    RELU,
    TOP_K,
    UNCHANGED,
    Encoder,
)
from nd_plugin.bases.tensor_files import TensorFile
from nd_plugin.errors import BadInput

MATRICES = ("components", "components_", "matrix", "basis", "directions")
MEANS = ("mean", "mean_")
CONFIGURATION = "cfg.json"  # of SAELens, beside the weights
CONFIGURATION_BYTES = 2**20  # at most
OVERCOMPLETE = "encoder.final_block."
BATCH_NORM_EPSILON = 1e-5  # torch's default
NAMES_SHOWN = 8

# what users may say of a file: activation and k
Options = Mapping[str, str]


@dataclass
class Reading:
    """File that is being read, what users say of it, and the guesses so far."""

    file: TensorFile
    options: Options
    notes: list[str] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        """Return whether the file has all these tensors."""
        return all(name in self.file.shapes for name in names)

    def optional(self, *names: str) -> Tensor | None:
        """Return the first of these tensors that the file has, or None."""
        for name in names:
            if name in self.file.shapes:
                return self.file.tensor(name)
        return None

    def matrix(self, name: str) -> Tensor:
        """Return a tensor of two axes. Raises BadInput."""
        shape = self.file.shapes[name]
        if len(shape) != 2:
            raise BadInput(
                f"{self.file.path}: {name} has shape {shape}, not two axes"
            )
        return self.file.tensor(name)

    def stated(self, name: str) -> str | None:
        """Return what an option says, else the file."""
        text = self.options.get(name, self.file.texts.get(name))
        if text is None and name == "k":
            number = self.file.number(name)
            return None if number is None else str(number)
        return text

    def activation(
        self, threshold: Tensor | None, default: str, reason: str
    ) -> tuple[str, int | None]:
        """Return the activation, and k: as stated, else as the tensors imply, else a guess."""
        k_text = self.stated("k")
        k = None if k_text is None else _whole(k_text, "k")
        activation = self.stated("activation")
        if activation is not None:
            return activation.lower(), k
        if k is not None:
            return TOP_K, k
        if threshold is not None:
            return JUMP_RELU, None
        if reason:
            self.notes.append(reason)
        return default, None


def _whole(text: str, name: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = 0.5
    if not number.is_integer():
        raise BadInput(f"{name} is {text!r}, not a whole number")
    return int(number)


def read_encoder(reading: Reading) -> Encoder:
    """Read the encoder in a file. Raises BadInput for names that nothing is known of."""
    for is_layout, read in LAYOUTS:
        if is_layout(reading):
            return read(reading)
    names = sorted(reading.file.shapes)
    listing = ", ".join(names[:NAMES_SHOWN]) or "nothing"
    raise BadInput(
        f"{reading.file.path} is no basis that is known: it has {listing}; expected a matrix "
        f"(direction, unit) alone or as {MATRICES[0]!r}, an encoder's 'weight' (latent, unit) "
        "with 'bias' and 'pre_bias', or the tensors of SAELens or overcomplete"
    )


def _is_saelens(reading: Reading) -> bool:
    return reading.has("W_enc")


def _read_saelens(reading: Reading) -> Encoder:
    """Read SAELens: W_enc (unit, latent), b_enc, b_dec, threshold, and cfg.json beside them."""
    configuration = _saelens_configuration(reading)
    architecture = str(configuration.get("architecture", "standard"))
    if architecture == "gated" or reading.has("r_mag"):
        raise BadInput(
            f"{reading.file.path} is a gated autoencoder, which is not supported; "
            "give its encoder as a function in Python"
        )
    weight = reading.matrix("W_enc").T.contiguous()
    bias = reading.optional("b_enc")
    threshold = reading.optional("threshold")
    activation, k = _saelens_activation(reading, configuration, threshold)
    pre_bias = None
    if configuration.get("apply_b_dec_to_input", True):
        pre_bias = reading.optional("b_dec")
    if configuration.get("rescale_acts_by_decoder_norm") and reading.has("W_dec"):
        norms = reading.matrix("W_dec").norm(dim=1)
        weight = weight * norms[:, None]
        bias = None if bias is None else bias * norms
    return Encoder(
        weight,
        bias,
        pre_bias,
        activation,
        k,
        threshold if activation == JUMP_RELU else None,
        _saelens_normalisation(reading, configuration),
    )


def _saelens_configuration(reading: Reading) -> dict[str, Any]:
    """Return the configuration beside a file of SAELens; nothing, noted, where there is none."""
    path = reading.file.path.with_name(CONFIGURATION)
    if not path.is_file():
        reading.notes.append(
            f"no {CONFIGURATION} beside {reading.file.path.name}: b_dec, if there is one, is "
            "subtracted from the maps, and they are not normalised"
        )
        return {}
    if path.stat().st_size > CONFIGURATION_BYTES:
        raise BadInput(f"{path} is too large for a configuration of SAELens")
    try:
        configuration = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(configuration, dict):
        raise BadInput(f"{path} holds no configuration of SAELens")
    return configuration


def _saelens_activation(
    reading: Reading, configuration: Mapping[str, Any], threshold: Tensor | None
) -> tuple[str, int | None]:
    keywords = configuration.get("activation_fn_kwargs") or {}
    k = configuration.get("k", keywords.get("k"))
    name = configuration.get(
        "activation_fn_str", configuration.get("activation_fn")
    )
    is_top_k = "topk" in (configuration.get("architecture"), name)
    if is_top_k and k is not None and not reading.options:
        return TOP_K, _whole(str(k), "k")
    is_stated = bool(configuration)
    reason = "" if is_stated else _guessed("ReLU")
    return reading.activation(threshold, RELU, reason)


def _guessed(activation: str) -> str:
    return (
        f"the file states no activation: {activation} is assumed "
        "(FILE?activation=topk&k=32 says another)"
    )


def _saelens_normalisation(
    reading: Reading, configuration: Mapping[str, Any]
) -> str:
    normalisation = str(configuration.get("normalize_activations", UNCHANGED))
    if normalisation != "expected_average_only_in":
        return normalisation
    reading.notes.append(
        "its activations were scaled by a constant in training, which the file does not hold: the "
        "maps are taken as they are (SAELens: fold_activation_norm_scaling_factor before saving)"
    )
    return UNCHANGED


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
    reason = "" if bias is None else _guessed("ReLU")
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
    (_is_saelens, _read_saelens),
    (_is_overcomplete, _read_overcomplete),
    (_is_own, _read_own),
    (_is_matrix, _read_matrix),
)
