"""Opens PyTorch models: live modules, forward functions, and texts that name a factory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Identity,
    LayerDescription,
    Model,
    ModelOptions,
    NDError,
    Preprocess,
    Unavailable,
    find_layout,
    geometry_of,
)
from nd_torch import texts
from nd_torch.forward import at_rest
from nd_torch.naming import Target, named_layers, resolve, unwrapped
from nd_torch.probe import Sighting, TorchProbe, open_probe, survey
from nd_torch.rest import Splittable
from nd_torch.tracking import probe_input

Size = tuple[int, int]


class TorchBackend:
    """The backend ``torch``."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a module, a forward function or a text. Raises ModelNotFound, Unavailable, BadInput."""
        if options.input is not None or options.feeds or options.custom_ops:
            raise BadInput("which input takes the images, values for others and custom operators are for ONNX files")
        if isinstance(model, str):
            best = "cuda" if options.device == "auto" and torch.cuda.is_available() else options.device
            choose_device(best, None)  # before the weights are read, which may take long
            loaded = texts.load(model, options.weights)
            source = model if options.weights is None else f"{model}, weights {options.weights}"
            return TorchModel.of_module(loaded.module, source, loaded.preprocess, best)
        if options.weights is not None:
            raise BadInput("weights are loaded into models named by a text; load them into this module yourself")
        if isinstance(model, torch.jit.ScriptModule):
            raise BadInput("a TorchScript module runs no hooks on its inner layers: dissect the module it was made of")
        root = model if isinstance(model, nn.Module) else getattr(model, "__self__", None)
        if isinstance(root, nn.Module):
            source = f"{type(root).__module__}.{type(root).__qualname__}"
            opened = TorchModel.of_module(root, source, texts.preprocess_of(root), options.device)
            return opened if isinstance(model, nn.Module) else opened.called_by(model)
        return TorchModel.of_function(model, options.device)


@dataclass(frozen=True)
class TorchModel(Splittable):
    """A model that runs in this process."""

    identity: Identity
    preprocess: Preprocess
    device: torch.device
    dtype: torch.dtype
    notes: tuple[str, ...]
    call: Callable[[Tensor], Any]
    root: nn.Module | None  # None: a forward function whose modules are not known
    backend: str = "torch"

    @classmethod
    def of_module(cls, module: nn.Module, source: str, preprocess: Preprocess, device: str) -> TorchModel:
        """Of a module, which stays where it is unless a device is asked for or it came from a text."""
        root = unwrapped(module)
        notes = (
            [] if root is module else [f"{type(module).__name__} was unwrapped: the model runs eagerly on one device"]
        )
        where = choose_device(device, root)
        if _device_of(root) != where:
            root.to(where)
        identity = Identity(type(root).__name__, source, torch.__version__, fingerprint(root))
        return cls(identity, preprocess, where, _dtype_of(root), tuple(notes), root, root)

    @classmethod
    def of_function(cls, function: Callable[..., Any], device: str) -> TorchModel:
        """Of a forward function: layers are given as modules, and images go where these have their weights."""
        name = getattr(function, "__qualname__", type(function).__qualname__)
        identity = Identity(name, f"{getattr(function, '__module__', '?')}.{name}", torch.__version__, "")
        where, how = choose_device(device, None), Preprocess(source=texts.IMAGENET, assumed=True)
        return cls(identity, how, where, torch.float32, (), function, None)

    def called_by(self, function: Callable[..., Any]) -> TorchModel:
        """The same model, run through one of its own methods."""
        return replace(self, call=function)

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """Every module that runs, in the order in which they first finish; a module that runs again with ``#``."""
        if self.root is None:
            raise BadInput("the layers of a forward function are not known: give the module itself")
        names = {id(module): name for name, module in reversed(list(named_layers(self.root)))}
        modules = [module for _, module in named_layers(self.root)]
        with at_rest(self.root):
            seen = survey(self._run, self._example(size), modules, self.root)
        return [
            description
            for sighting in seen.sightings
            for description in _descriptions(sighting, names[id(sighting.module)], seen.runs(sighting.module), size)
        ]

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[TorchProbe]:
        """Open a probe on layers given by name or as modules."""
        targets = [self._target(layer, place) for place, layer in enumerate(layers)]
        placed = self if self.root is not None else self._beside(targets[0].module)
        with open_probe(placed._run, self.root, targets, placed._example(size)) as probe:
            yield probe

    def _run(self, images: Tensor) -> Any:
        return self.call(images.to(self.device, self.dtype))

    def _beside(self, layer: nn.Module) -> TorchModel:
        """With the device and number type of a layer, for a function whose other modules are not known."""
        return replace(self, device=_device_of(layer), dtype=_dtype_of(layer))

    def _target(self, layer: Any, place: int) -> Target:
        if not isinstance(layer, str | nn.Module):
            raise BadInput(f"a layer is a dotted name or an nn.Module, not {layer!r}")
        if self.root is not None:
            return resolve(layer, self.root)
        if isinstance(layer, str):
            raise BadInput(f"layer {layer!r}: a forward function has no names; give the layer as an nn.Module")
        return Target(f"{type(layer).__name__}-{place}", layer, None, None)

    def _example(self, size: Size) -> Tensor:
        return probe_input(size, self.device, self.dtype)


def _descriptions(sighting: Sighting, name: str, runs: int, size: Size) -> Iterator[LayerDescription]:
    name = name if runs == 1 else f"{name}#{sighting.run}"
    kind = type(sighting.module).__name__
    for entry, shape in sighting.shapes.items():
        shown = name if len(sighting.shapes) == 1 else f"{name}[{entry}]"
        try:
            layout = find_layout(shape, sighting.positions[entry], shown)
            maps = layout.maps(torch.empty(shape, device="meta")).shape
            yield LayerDescription(shown, kind, (1, *maps[1:]), geometry_of(layout, shape, size))
        except NDError:
            yield LayerDescription(shown, kind, None)


def choose_device(wanted: str, module: nn.Module | None) -> torch.device:
    """The device that was asked for, or under ``auto`` where the module is. Raises Unavailable, never falls back."""
    if wanted == "auto":
        return _device_of(module) if module is not None else torch.device("cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise BadInput(f"no device {wanted!r}: auto, cpu, cuda, cuda:1 … are") from error
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise Unavailable(
            f"device {wanted!r} was asked for, and this torch {torch.__version__} sees {torch.cuda.device_count()} "
            "CUDA devices; use --device cpu, or install a torch built for CUDA and its driver"
        )
    try:
        torch.empty(0, device=device)
    except Exception as error:  # NotImplementedError, AssertionError, RuntimeError: by build and device
        raise Unavailable(f"device {wanted!r} is not available to torch {torch.__version__}: {error}") from error
    return device


def _device_of(module: nn.Module) -> torch.device:
    return next((tensor.device for tensor in _tensors(module)), torch.device("cpu"))


def _dtype_of(module: nn.Module) -> torch.dtype:
    return next((tensor.dtype for tensor in _tensors(module) if tensor.is_floating_point()), torch.float32)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def fingerprint(module: nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of parameters and buffers; the first 16 digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted({**dict(module.named_parameters()), **dict(module.named_buffers())}.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
