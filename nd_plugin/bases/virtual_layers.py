"""Virtual layers: layers of a model seen in other bases, from the same forward pass.

`ModelInBases` is a Model like any other, so that everything that runs on models runs on it: both
strategies of the engine, shards, checkpoints, several processes. Its probe runs the real layers
once, and computes the maps of a view when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor

from nd_plugin.bases.basis import SEPARATOR, Basis, LayerView, view_name
from nd_plugin.bases.views import View, ViewedMaps
from nd_plugin.contracts.models import LayerDescription, Model, Probe
from nd_plugin.contracts.noise_run import NoiseRun
from nd_plugin.contracts.provenance import Identity, fingerprint
from nd_plugin.contracts.split_models import SplitModel, TracedModel
from nd_plugin.errors import BadInput
from nd_plugin.preprocess import Preprocess
from nd_plugin.receptive_fields.geometry import Geometry, Size

# methods whose first argument is a layer
OF_LAYERS = ("linear_head", "rest", "trace")


@dataclass(frozen=True)
class ViewProbe:
    """Probe of views: each forward pass runs the real layers once."""

    probe: Probe
    model: Model
    views: tuple[View, ...]  # in the requested order

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(view.name for view in self.views)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Geometry of each view: its layer's."""
        return {view.name: self.probe.geometries[view.layer] for view in self.views}

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the layers, for each of their views, and on guesses that bases made."""
        notes = self._of_views(getattr(self.probe, "notes", ()))
        for view in self.views:
            basis_notes = view.basis.notes if view.basis else ()
            notes += [f"layer {view.name!r}: {note}" for note in basis_notes]
        return tuple(dict.fromkeys(notes))

    @property
    def unreliable(self) -> tuple[str, ...]:
        """Reasons why the same image may give other maps, of the layers."""
        return tuple(self._of_views(getattr(self.probe, "unreliable", ())))

    @property
    def noise_run(self) -> NoiseRun | None:
        """Noise that the model has run, and its maps of the views; each computed when looked up."""
        noise_run: NoiseRun | None = getattr(self.probe, "noise_run", None)
        if noise_run is None:
            return None
        views = {
            view.name: view for view in self.views if view.layer in noise_run.maps
        }
        return NoiseRun(
            noise_run.images, ViewedMaps(views, noise_run.maps, self.model)
        )

    def _of_views(self, notes: Sequence[str]) -> list[str]:
        """Return the notes with those on one layer repeated for each of its views."""
        repeated: list[str] = []
        for note in notes:
            own_views = [
                view for view in self.views if note.startswith(_prefix(view.layer))
            ]
            for view in own_views:
                text = note.removeprefix(_prefix(view.layer))
                repeated.append(_prefix(view.name) + text)
            if not own_views:
                repeated.append(note)
        return repeated

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps of all views, each computed when it is looked up."""
        views = {view.name: view for view in self.views}
        return ViewedMaps(views, self.probe(images), self.model)


def _prefix(layer: str) -> str:
    return f"layer {layer!r}: "


class ModelInBases:
    """Model whose layers can be seen in bases, under names such as ``layer4@pca.npz``.

    Everything else is the model's own: the precision, notes, the parts it can be split into.
    """

    def __new__(cls, model: Model | None = None, *_: Any) -> Self:
        """Return an object of the class that names what the model can be split into.

        Of a class derived from this one, and of an instance that is only being copied, the class
        is known.
        """
        if cls is not ModelInBases or model is None:
            return object.__new__(cls)
        split = isinstance(model, SplitModel)
        traced = isinstance(model, TracedModel)
        return cast(Self, object.__new__(CLASSES[split, traced]))

    def __init__(self, model: Model, bases: Sequence[Basis]) -> None:
        names = [basis.name for basis in bases]
        for name in names:
            if names.count(name) > 1:
                raise BadInput(
                    f"two bases are named {name!r}; give each a name of its own"
                )
        self.model = model
        self.bases: tuple[Basis, ...] = tuple(bases)

    def __getattr__(self, name: str) -> Any:
        """Return an optional capability of the model, such as ``precision`` or ``rest``."""
        if name in ("model", "bases"):  # of an instance that is only being copied
            raise AttributeError(name)
        capability = getattr(self.model, name)
        if name == "in_precision":
            return self._changed(capability)
        return self._of_own_units(capability) if name in OF_LAYERS else capability

    def _changed(self, change: Callable[..., Model]) -> Callable[..., ModelInBases]:
        def in_precision(precision: str | None) -> ModelInBases:
            return ModelInBases(change(precision), self.bases)

        return in_precision

    def _of_own_units(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of the model that refuses views: it is about a layer's own units."""

        def checked(layer: Any, *arguments: Any, **options: Any) -> Any:
            view = self._view_of(layer)
            if view.basis is not None:
                raise BadInput(
                    f"{layer!r} is a layer in another basis, which can be dissected; "
                    f"contributions and gradients are of its own units: choose {view.layer!r}"
                )
            return method(view.layer, *arguments, **options)

        return checked

    @property
    def backend(self) -> str:
        """Name of the backend that opened the model."""
        return self.model.backend

    @property
    def identity(self) -> Identity:
        """Identity of the model, with the bases in its fingerprint.

        So a run that is resumed or merged has to have the same bases.
        """
        identity = self.model.identity
        if not self.bases:
            return identity
        parts = [identity.fingerprint or identity.source]
        for basis in self.bases:
            parts += [basis.name, basis.fingerprint]
        return Identity(
            identity.name,
            identity.source,
            identity.version,
            fingerprint(f"{len(part)} {part}".encode() for part in parts),
        )

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing of the model."""
        return self.model.preprocess

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self.model.device

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of the model."""
        return self.model.notes

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """List the real layers."""
        return self.model.layers(size)

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[ViewProbe]:
        """Open a probe on layers (as the model takes them), views, and names of views."""
        requests = [self._view_of(layer) for layer in layers]
        real_layers: list[Any] = []
        for request in requests:
            if not any(_is_same(request.layer, layer) for layer in real_layers):
                real_layers.append(request.layer)
        with self.model.probe(real_layers, size) as probe:
            names = dict(enumerate(probe.layers))
            views: list[View] = []
            for request in requests:
                index = _index(real_layers, request.layer)
                layer = names[index]
                name = view_name(layer, request.basis)
                views.append(View(name, layer, request.basis))
            yield ViewProbe(probe, self.model, tuple(views))

    def _view_of(self, layer: Any) -> LayerView:
        """Return the view that a requested layer means."""
        if isinstance(layer, LayerView):
            return layer
        if isinstance(layer, str):
            for basis in self.bases:
                ending = SEPARATOR + basis.name
                if layer.endswith(ending):
                    return LayerView(layer.removesuffix(ending), basis)
        return LayerView(layer)


def _is_same(first: Any, second: Any) -> bool:
    """Return whether two requests mean the same layer: equal names, or one object."""
    are_names = isinstance(first, str) and isinstance(second, str)
    return first == second if are_names else first is second


def _index(layers: Sequence[Any], layer: Any) -> int:
    return next(
        index for index, known in enumerate(layers) if _is_same(known, layer)
    )


class Capability:
    """Optional method of the model, as a member of a class.

    From Python 3.12 on, ``isinstance`` of a protocol looks at members of classes only, and not at
    what ``__getattr__`` returns.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: ModelInBases | None, owner: type) -> Any:
        """Return the model's method."""
        return self if instance is None else instance.__getattr__(self._name)


class SplitModelInBases(ModelInBases):
    """Model in bases that can be run from a layer on."""

    outputs: Any = Capability()
    linear_head: Any = Capability()
    rest: Any = Capability()


class TracedModelInBases(ModelInBases):
    """Model in bases that runs under autograd."""

    trace: Any = Capability()


class TorchModelInBases(SplitModelInBases, TracedModelInBases):
    """Model in bases that can do both."""


CLASSES: dict[tuple[bool, bool], type[ModelInBases]] = {
    (False, False): ModelInBases,
    (True, False): SplitModelInBases,
    (False, True): TracedModelInBases,
    (True, True): TorchModelInBases,
}
