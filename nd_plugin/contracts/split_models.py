"""Optional interfaces of a model, from which contributions of units to outputs are computed.

A model need not implement `SplitModel` or `TracedModel`: an error then names the missing one, and
what is possible without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from nd_plugin.receptive_fields.geometry import Geometry
    from nd_plugin.receptive_fields.layout import Layout


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Head of a model that is global average pooling and a linear map, from a layer on.

    Model outputs (image, output) = pooled maps (image, unit) @ weight.T + bias, exactly.
    """

    weight: Tensor  # (output, unit)
    bias: Tensor  # (output,)


class Rest(Protocol):
    """Model split at a layer into the parts before and after it."""

    @property
    def name(self) -> str:
        """Canonical name of the layer, as in `Probe.layers`."""
        ...

    @property
    def layout(self) -> Layout:
        """Layout of images, units, rows and columns in the layer's own output."""
        ...

    @property
    def geometry(self) -> Geometry:
        """Receptive-field geometry of the layer's cells."""
        ...

    def layer(self, *inputs: Any) -> Tensor:
        """Return the layer's output for the model's inputs, in the layer's own shape."""
        ...

    def __call__(self, output: Tensor, *inputs: Any) -> Tensor:
        """Return the model's output with the layer's output replaced by ``output``.

        The inputs hold as many images as ``output``, or a single one that is used for all. The
        model may change ``output`` in place.
        """
        ...


@runtime_checkable
class SplitModel(Protocol):
    """Model that can be run from a layer on."""

    def outputs(self, *inputs: Any) -> Any:
        """Run the model on its inputs (for most models, one tensor of preprocessed images)."""
        ...

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """Return the linear head after a layer, for inputs of the shape of ``inputs``, or None.

        Its linearity is verified numerically, on two images of noise and on noise in place of the
        layer's maps. Inactive dropout and flattening may precede the linear map, a ReLU may not.
        """
        ...

    def rest(
        self, layer: Any, inputs: Sequence[Any]
    ) -> AbstractContextManager[Rest]:
        """Split the model at a layer, for inputs of the shape of ``inputs``.

        On exit, also after an exception, the model is restored to its previous state. Raises
        LayerNotFound, LayerAmbiguous, UnitsNotFound.
        """
        ...


@dataclass(frozen=True, eq=False)
class Trace:
    """Values of one forward pass at a layer."""

    name: str  # canonical name of the layer
    output: Any  # of the model
    # of the layer, by device in the order of the images
    values: tuple[tuple[Tensor, ...], ...]
    several: bool  # whether the layer returns a tuple or list; its attributions are then a tuple


@runtime_checkable
class TracedModel(Protocol):
    """Model that runs under autograd, with any inputs."""

    def trace(
        self,
        layer: Any,
        inputs: Sequence[Any],
        *,
        at_input: bool = False,
        gradients: bool = False,
        device_ids: Sequence[int] | None = None,
    ) -> Trace:
        """Run the model on ``inputs`` and record a layer's output (or its input, ``at_input``).

        With ``gradients``, the model's output depends on these values in autograd's graph.
        """
        ...
