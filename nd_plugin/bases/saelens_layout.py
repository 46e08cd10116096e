"""Layout of SAELens: W_enc (unit, latent), b_enc, b_dec, threshold, and ``cfg.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nd_plugin.bases.dictionary_reading import Reading, guess_note, whole_number
from nd_plugin.bases.encoder import JUMP_RELU, RELU, TOP_K, UNCHANGED, Encoder
from nd_plugin.errors import BadInput

CONFIGURATION = "cfg.json"
CONFIGURATION_BYTES = 2**20  # at most


def is_saelens(reading: Reading) -> bool:
    """Return whether a file has SAELens' tensors."""
    return reading.has("W_enc")


def read_saelens(reading: Reading) -> Encoder:
    """Read the encoder. Raises BadInput for a gated one."""
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
        return TOP_K, whole_number(str(k), "k")
    is_stated = bool(configuration)
    reason = "" if is_stated else guess_note("ReLU")
    return reading.activation(threshold, RELU, reason)


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
