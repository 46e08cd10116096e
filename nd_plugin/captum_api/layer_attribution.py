"""Captum's `LayerAttribution`, with types.

Captum has no ``py.typed``: type checkers would know nothing of a class that derives from its.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nd_plugin.captum_api.opened_model import ForwardFunction, LayerName

if TYPE_CHECKING:
    from torch import Tensor

    class LayerAttribution:  # the bodies are Captum's
        """What type checkers see of Captum's class; it has no part in a run."""

        forward_func: ForwardFunction
        layer: Any  # LayerName, a sequence of them, or None; may be set
        device_ids: list[int] | None

        def __init__(
            self,
            forward_func: ForwardFunction,
            layer: LayerName | Sequence[LayerName] | None,
            device_ids: list[int] | None = None,
        ) -> None: ...

        @property
        def multiplies_by_inputs(self) -> bool:
            """Whether attributions hold the activation as a factor."""
            raise NotImplementedError

        def has_convergence_delta(self) -> bool:
            """Return whether attributions sum to a known value."""
            raise NotImplementedError

        @classmethod
        def get_name(cls) -> str:
            """Return the method's name in words."""
            raise NotImplementedError

        @staticmethod
        def interpolate(
            layer_attribution: Tensor,
            interpolate_dims: int | tuple[int, ...],
            interpolate_mode: str = "nearest",
        ) -> Tensor:
            """Resize attributions of a layer, to the size of the images, say."""
            raise NotImplementedError

else:
    from captum.attr import LayerAttribution as LayerAttribution
