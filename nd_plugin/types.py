"""The data types and protocols that the host and its plugins share.

One vocabulary for axes everywhere: image, unit, row, column, concept, category, plane.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nd_plugin.errors import BadInput
from nd_plugin.geometry import Geometry

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from nd_plugin.preprocess import Preprocess

Size = tuple[int, int]  # (height, width) in pixels


@dataclass(frozen=True)
class Concept:
    """A label with its one primary category (DESIGN section 1)."""

    name: str
    category: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Annotation:
    """What one image shows, as dense planes and as labels of the whole image.

    A value v > 0, in a plane or among ``labels``, means ``concepts[v - 1]`` of the concept set; 0 means "no label".
    A pixel may carry several concepts, one per plane; the same concept may stand in several planes. Planes cover the
    whole image, each at a resolution of its own.
    """

    planes: Sequence[npt.NDArray[np.integer[Any]]]  # (row, column) each
    labels: tuple[int, ...] = ()  # concepts that cover every pixel
    size: Size | None = None  # the annotation's own resolution; None: the first plane's


@dataclass(frozen=True)
class Identity:
    """Which concept set (or model) this is, for provenance."""

    name: str  # "broden"
    source: str  # where it came from: a folder, a spec, a class
    version: str  # of the data, where it has one, else of the reader
    fingerprint: str  # of what names and describes the content; "" where there is none


@runtime_checkable
class ConceptSet(Protocol):
    """A densely labelled probe data set.

    ``image`` and ``annotation`` are asked for separately and from worker processes, so a concept set can be pickled.
    Either may raise: the item is then named and skipped (or the run stops, under ``strict``).
    It may have ``notes``, a sequence of texts: what a reader of the result has to know of it.
    """

    @property
    def identity(self) -> Identity:
        """Name, version and content fingerprint."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, in the order in which reports show them."""
        ...

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The vocabulary; a concept's index here is its index in every result."""
        ...

    @property
    def native_masks(self) -> bool:
        """Whether masks are compared at their own size (Broden) or at half the model's input size (everything else)."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def name(self, index: int) -> str:
        """A short unique name of the image, such as its path inside the set."""
        ...

    def image(self, index: int) -> Image.Image:
        """The image, decoded; any mode that Pillow converts to RGB."""
        ...

    def annotation(self, index: int) -> Annotation:
        """The annotation of the image, at its own resolution."""
        ...


@dataclass(frozen=True)
class LayerDescription:
    """One line of ``nd layers``."""

    name: str
    kind: str  # the class of the module, or the operator of the node
    shape: tuple[int, ...] | None  # (1, C, h, w) as the layer produces it for one image; None where it is no tensor
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
    feeds: Mapping[str, str] = field(default_factory=dict)  # values for the others: numbers or .npy files, by name
    custom_ops: tuple[str, ...] = ()  # libraries of operators that the runtime does not know


class Backend(Protocol):
    """Opens models."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a model from a text or an object that the backend's spec matched."""
        ...


@dataclass(frozen=True)
class BackendSpec:
    """What a backend plugin says of itself without importing anything heavy."""

    name: str
    summary: str
    factory: str  # "package.module:Class", called without arguments
    match: Callable[[Any], int]  # 0: not mine; the highest match opens the model
    accepts: tuple[str, ...] = ()  # what to type, for help and errors: "torchvision:NAME", "FILE.onnx"
    doctor: str = ""  # "package.module:function": what this machine offers the backend, a sequence of `Finding`


@dataclass(frozen=True)
class Finding:
    """One line of ``nd doctor``: what was looked at, what was found, and what to do where that is not well."""

    subject: str
    found: str
    remedy: str = ""  # empty: it is well


@dataclass(frozen=True)
class ConceptSetSpec:
    """What a concept-set plugin says of itself without importing anything heavy.

    A text ``name:argument?key=value`` calls the factory as ``factory(argument, key=value)``; a text of another form
    may be claimed by ``match``, and is then given whole as the argument.
    """

    name: str
    summary: str
    factory: str  # "package.module:Class"
    match: Callable[[str], int] | None = None  # beyond the name itself
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReporterSpec:
    """A way to write a report: ``factory`` names a function ``(Sequence[LayerReport]) -> str``."""

    name: str
    summary: str
    factory: str


@dataclass(frozen=True)
class Skipped:
    """An image or an annotation that could not be read, and why."""

    image: str
    part: str  # "image" | "annotation"
    reason: str


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a dissection."""

    quantile: float = 0.005  # τ
    min_iou: float = 0.04
    anchor: str = "rf"  # "rf": receptive-field centres | "cell": cells spread evenly
    mask_size: str = "auto"  # "auto" | "native" | "N" | "HxW"
    limit: int | None = None  # only the first images
    strict: bool = False  # stop at the first image that cannot be read
    top_images: int = 50

    def __post_init__(self) -> None:
        """Plain numbers, whatever kind of number was given."""
        for name, kind in (("quantile", float), ("min_iou", float), ("limit", int), ("top_images", int)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _plain(name, value, kind))


def _plain(name: str, value: Any, kind: type) -> Any:
    try:
        return kind(str(value)) if kind is float else operator.index(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} {value!r} is no {'number' if kind is float else 'whole number'}") from error


@dataclass(frozen=True)
class Provenance:
    """What was run, to be read by people and machines; everything here goes into run.json."""

    model: Identity
    concept_set: Identity
    backend: str
    device: str
    preprocess: Mapping[str, Any]
    geometry: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str  # ISO 8601, UTC
    seconds: float
    notes: tuple[str, ...] = ()  # every fallback that was taken
    extra: Mapping[str, Any] = field(default_factory=dict)
