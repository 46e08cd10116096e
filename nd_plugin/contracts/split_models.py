"""What a backend's Model may offer beyond `Model`, so that units can be held responsible for outputs.

Both protocols are optional: contributions say which of them a model lacks, and what is possible without.
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
    """All that follows a layer, where that is global average pooling and a linear map.

    Model outputs (image, output) = pooled maps (image, unit) @ weight.T + bias, exactly.
    """

    weight: Tensor  # (output, unit)
    bias: Tensor  # (output,)


class Rest(Protocol):
    """A model cut at a layer: what comes before it, and what comes after."""

    @property
    def name(self) -> str:
        """The layer's canonical name, as a probe gives it."""
        ...

    @property
    def layout(self) -> Layout:
        """Where images, units, rows and columns are in the layer's own output."""
        ...

    @property
    def geometry(self) -> Geometry:
        """Where the layer's cells look."""
        ...

    def layer(self, *inputs: Any) -> Tensor:
        """The layer's output for the model's inputs, in the layer's own shape."""
        ...

    def __call__(self, output: Tensor, *inputs: Any) -> Tensor:
        """The model's output when the layer's is replaced by ``output``.

        The inputs hold as many images as ``output``, or a single one that stands for all. ``output`` belongs to the
        model from then on, which may change it in place.
        """
        ...


@runtime_checkable
class SplitModel(Protocol):
    """A Model whose rest can be run by itself, from a layer on."""

    def outputs(self, *inputs: Any) -> Any:
        """What the model gives for its inputs (for most models one tensor of preprocessed images)."""
        ...

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        """The linear head behind a layer, for inputs of the shape of these; None where there is none.

        That the head is one is verified, on two images of noise and on maps of noise in place of the layer's own,
        never assumed: dropout at rest and flattening may lie between, a ReLU may not.
        """
        ...

    def rest(self, layer: Any, inputs: Sequence[Any]) -> AbstractContextManager[Rest]:
        """Cut the model at a layer, for inputs of the shape of these: most often one tensor of images.

        On leaving, after an exception too, the model is as it was. Raises LayerNotFound, LayerAmbiguous, UnitsNotFound.
        """
        ...


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward pass, seen at a layer."""

    name: str  # the layer's canonical name
    output: Any  # of the model
    values: tuple[
        tuple[Tensor, ...], ...
    ]  # by device, in the order of the images; what the layer gave there
    several: bool  # whether the layer gives a tuple or list: its attributions are a tuple then


@runtime_checkable
class TracedModel(Protocol):
    """A Model that runs under autograd, and may take any inputs."""

    def trace(
        self,
        layer: Any,
        inputs: Sequence[Any],
        *,
        at_input: bool = False,
        gradients: bool = False,
        device_ids: Sequence[int] | None = None,
    ) -> Trace:
        """Run the model on ``inputs`` and take what a layer gives (or gets, ``at_input``).

        With ``gradients``, the output depends on these values in autograd's graph.
        """
        ...
