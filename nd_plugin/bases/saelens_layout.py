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
ARCHITECTURES = ("standard", "topk", "jumprelu")
ACTIVATION_NAMES = ("relu", "topk")


def is_saelens(reading: Reading) -> bool:
    """Return whether a file has SAELens' tensors."""
    return reading.has("W_enc")


def read_saelens(reading: Reading) -> Encoder:
    """Read the encoder. Raises BadInput for a gated one."""
    configuration = _saelens_configuration(reading)
    _check_known(reading, configuration)
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
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(configuration, dict):
        raise BadInput(f"{path} holds no configuration of SAELens")
    return configuration


def _check_known(reading: Reading, configuration: Mapping[str, Any]) -> None:
    """Raise BadInput for an autoencoder that encodes in another way than those known here."""
    architecture = configuration.get("architecture", "standard")
    if reading.has("r_mag"):
        architecture = "gated"
    activation = _activation_name(configuration)
    for name, known in (
        (architecture, ARCHITECTURES),
        (activation, ACTIVATION_NAMES),
    ):
        if name not in known:
            raise BadInput(
                f"{reading.file.path} is an autoencoder of SAELens of the kind {name!r}, which is "
                f"not supported (known are {', '.join(known)}); give its encoder as a function "
                "in Python"
            )


def _activation_name(configuration: Mapping[str, Any]) -> str:
    name = configuration.get(
        "activation_fn_str", configuration.get("activation_fn")
    )
    return str(name or RELU)


def _saelens_activation(
    reading: Reading, configuration: Mapping[str, Any], threshold: Tensor | None
) -> tuple[str, int | None]:
    keywords = configuration.get("activation_fn_kwargs") or {}
    k = configuration.get("k", keywords.get("k"))
    kinds = (configuration.get("architecture"), _activation_name(configuration))
    is_stated_by_user = bool({"k", "activation"} & set(reading.options))
    if TOP_K in kinds and not is_stated_by_user:
        if k is None:
            raise BadInput(
                f"{reading.file.path} is a top-k autoencoder, and {CONFIGURATION} does not state "
                f"k: {reading.file.path.name}?k=32 does"
            )
        return TOP_K, whole_number(str(k), "k")
    reason = "" if configuration else guess_note("ReLU")
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
