"""Models and probes: what a backend implements, and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from nd_plugin.contracts.provenance import Identity
from nd_plugin.receptive_fields.geometry import Geometry, Size

if TYPE_CHECKING:
    import torch

    from nd_plugin.preprocess import Preprocess


@dataclass(frozen=True)
class LayerDescription:
    """One line of ``nd layers``."""

    name: str
    kind: str  # the class of the module, or the operator of the node
    shape: (
        tuple[int, ...] | None
    )  # (1, C, h, w) as the layer produces it for one image; None where it is no tensor
    geometry: Geometry | None = None


class Probe(Protocol):
    """An open look into one or many layers of a model.

    It may have ``notes``, a sequence of texts: what a reader of the result has to know of this look.
    """

    @property
    def layers(self) -> tuple[str, ...]:
        """The canonical names of the probed layers, in the order asked for."""
        ...

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """The receptive-field geometry of each layer."""
        ...

    def __call__(self, images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Activation maps (image, unit, row, column) of each layer for preprocessed images (image, 3, row, column).

        The maps are the caller's own: nothing changes them afterwards.
        """
        ...


class Model(Protocol):
    """A model that a backend has opened."""

    @property
    def backend(self) -> str:
        """The name of the backend that opened it."""
        ...

    @property
    def identity(self) -> Identity:
        """Name, source and fingerprint of the weights."""
        ...

    @property
    def preprocess(self) -> Preprocess:
        """How the model's own metadata says that images are to be brought to it; its ``source`` says so."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result has to know, such as a fallback that was taken."""
        ...

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """Every layer that runs for an input of this size, in the order in which they run."""
        ...

    def probe(self, layers: Sequence[Any], size: Size) -> AbstractContextManager[Probe]:
        """Open a probe on layers (names, or objects that the backend knows) for inputs of this size.

        On leaving, after an exception too, the model is as it was.
        """
        ...


@dataclass(frozen=True)
class ModelOptions:
    """What a user may say about a model beside its spec."""

    device: str = "auto"  # auto | cpu | cuda | cuda:1 …; a live module stays where it is under auto
    weights: str | None = None  # a safetensors file or a state dict
    input: str | None = None  # which of several inputs takes the images
    feeds: Mapping[str, str] = field(
        default_factory=dict
    )  # values for the others: numbers or .npy files, by name
    custom_ops: tuple[str, ...] = ()  # libraries of operators that the runtime does not know


class Backend(Protocol):
    """Opens models."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a model from a text or an object that the backend's spec matched."""
        ...
