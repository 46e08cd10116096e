"""Names of ATen operations by how they treat the elements of a tensor."""

from __future__ import annotations

from typing import Any

import torch

RESHAPES = frozenset("view _unsafe_view reshape".split())
MOVES = RESHAPES | frozenset(  # operations that only move values
    """
    diagonal expand flip gather im2col index index_select movedim narrow permute repeat roll
    select slice split split_with_sizes squeeze t transpose unbind unfold unsqueeze
    """.split()
)
NORMALISATIONS = frozenset(
    """
    native_layer_norm native_group_norm native_batch_norm cudnn_batch_norm miopen_batch_norm
    _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update
    batch_norm_with_update _fused_rms_norm rms_norm _softmax _log_softmax _safe_softmax glu
    _weight_norm_interface
    """.split()
)
DROPOUTS = frozenset(
    "native_dropout dropout alpha_dropout feature_dropout bernoulli".split()
)
COPIES = frozenset(
    "clone contiguous detach alias _to_copy lift lift_fresh copy _conj".split()
)
ACTIVATION_FUNCTIONS = frozenset(
    """
    fill masked_fill where hardtanh hardswish relu6 rrelu rrelu_with_noise _prelu_kernel celu
    """.split()
)
ATTENTION = frozenset(  # a token keeps the position of its query
    """
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
    _scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention
    _scaled_dot_product_fused_attention_overrideable _scaled_dot_product_attention_math
    _native_multi_head_attention _transformer_encoder_layer_fwd
    """.split()
)
ELEMENTWISE = NORMALISATIONS | DROPOUTS | COPIES | ACTIVATION_FUNCTIONS


def is_elementwise(operation: Any, name: str) -> bool:
    """Return whether each element of the result depends on the operands' elements at its position.

    In-place variants (``relu_``) count as the operation itself.
    """
    base_name = name.rstrip("_")
    if base_name in ELEMENTWISE:
        return True
    overloads = [operation]
    packet = getattr(torch.ops.aten, base_name, None)
    if packet is not None:
        overloads += [
            getattr(packet, overload_name) for overload_name in packet.overloads()
        ]
    return any(torch.Tag.pointwise in overload.tags for overload in overloads)


def takes_values(operation: Any) -> bool:
    """Return whether an operation reads the values of its operands, not their shape and type alone.

    ``zeros_like`` and ``new_full`` do not.
    """
    name = operation.overloadpacket.__name__
    return not (name.endswith("_like") or name.startswith("new_"))
