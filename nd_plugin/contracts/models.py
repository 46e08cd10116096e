"""Models and probes: interfaces that a backend implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from nd_plugin.contracts.precision import check_precision
from nd_plugin.contracts.provenance import Identity
from nd_plugin.errors import NDError
from nd_plugin.receptive_fields.geometry import Geometry, Size

if TYPE_CHECKING:
    import torch

    from nd_plugin.preprocess import Preprocess

# in errors, where a list of layers needs none
ADVICE = "; choose a neighbouring layer"


@dataclass(frozen=True)
class LayerDescription:
    """Layer as listed by ``nd layers``."""

    name: str
    kind: str  # class of the module, or operator of the node
    # of the output for one image; None if it is not a tensor
    shape: tuple[int, ...] | None
    geometry: Geometry | None = None
    reason: str = ""  # why units cannot be taken there; empty where they can

    @classmethod
    def without_units(
        cls, name: str, kind: str, error: NDError
    ) -> LayerDescription:
        """Describe a layer that cannot be taken, for the reason in the error of a request."""
        message = str(error).removeprefix(f"layer {name!r} ")
        reason = getattr(error, "reason", "") or message.removesuffix(ADVICE)
        return cls(name, kind, None, reason=reason)


class Probe(Protocol):
    """Access to the activations of one or more layers of a model.

    Two optional attributes are sequences of texts: ``notes`` are shown with results, and so is
    ``unreliable``, reasons why the same image may give other maps (dropout at test time, statistics
    of the batch), for which a run is refused under ``strict``.

    A third, ``noise_run``, is a `NoiseRun`: what `examine_reproducibility` has run, for instance. A
    run that is continued knows its model by it. Without one (or None), the host runs two images of
    noise through the probe, twice; `NoiseRun.none` says that nothing is to be compared.
    """

    @property
    def layers(self) -> tuple[str, ...]:
        """Canonical names of the probed layers, in the requested order."""
        ...

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Receptive-field geometry of each layer, by name."""
        ...

    def __call__(self, images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Run preprocessed images (image, channel, row, column) through the model.

        There are as many channels as the model's ``preprocess`` has means: 3, or 1 for grey images.
        Returns each layer's activation maps (image, unit, row, column), by name: one for each
        image, and of one number of units, one grid and one type in all passes. They belong to the
        caller: the probe must not change them afterwards.
        """
        ...


class Model(Protocol):
    """Model that a backend has opened.

    Two optional attributes are texts: ``precision`` names the number types of the weights, such as
    "float16" or "int8 and float32", the most frequent first; ``nd parity`` shows it.
    ``compute_precision`` is the precision that passes compute in: "float32", "tf32", "float16",
    "bfloat16", or the types of the weights where these decide; results record it.

    Two more tell models of the same weights apart, which a run does not mix: ``spec`` is the text
    that names the model, with the values of all its options, and ``structure`` a fingerprint of
    what is computed, where that of ``identity`` is of the weights alone.

    Two optional methods: ``in_precision(precision)`` returns the model with another choice of
    `ModelOptions.precision`; ``computing()`` is a context in which operations on the model's
    tensors have the precision of its passes.
    """

    @property
    def backend(self) -> str:
        """Name of the backend that opened the model."""
        ...

    @property
    def identity(self) -> Identity:
        """Name, source and fingerprint of the weights."""
        ...

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing that the model's metadata ask for; ``source`` says where it is stated.

        Where nothing states it, it is ``assumed``, which results warn of. `FirstOperations` tells
        it from what the model does to its images first.
        """
        ...

    @property
    def device(self) -> torch.device:
        """Device on which the model runs."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes to be shown with results, such as a fallback that was used."""
        ...

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """List all layers that run for an input of this size, in the order in which they run."""
        ...

    def probe(
        self, layers: Sequence[Any], size: Size
    ) -> AbstractContextManager[Probe]:
        """Open a probe on layers (names, or objects of the backend) for inputs of this size.

        On exit, also after an exception, the model is restored to its previous state.
        """
        ...


@dataclass(frozen=True)
class ModelOptions:
    """User options for opening a model."""

    device: str = "auto"  # auto | cpu | cuda | cuda:1 …; auto leaves a live module on its device
    # safetensors file, state dict or Caffe file
    weights: str | None = None
    input: str | None = None  # name of the input that takes the images
    # Values of the remaining inputs, by name: numbers or .npy files.
    feeds: Mapping[str, str] = field(default_factory=dict)
    # libraries of operators that the runtime does not have
    custom_ops: tuple[str, ...] = ()
    # of `PRECISIONS`; None: float32, unless the weights or a live autocast decide
    precision: str | None = None

    def __post_init__(self) -> None:
        """Check the precision. Raises BadInput."""
        check_precision(self.precision)


class Backend(Protocol):
    """Backend plugin: opens models."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a model from a text or an object that the backend's spec has matched."""
        ...
