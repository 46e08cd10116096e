"""PyTorch backend: opens live modules, forward functions, and texts that name a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from nd_plugin import (
    BadInput,
    Identity,
    LayerDescription,
    Model,
    ModelOptions,
    Preprocess,
)
from nd_torch import model_texts
from nd_torch.descriptions import describe
from nd_torch.devices import CPU, choose_device, device_of, dtype_of
from nd_torch.exported import (
    as_module,
    fixed_batch_size,
    fixed_image_size,
    with_layers,
)
from nd_torch.first_operations import observe_first_pass
from nd_torch.float32_settings import EXACT, float32_as
from nd_torch.forward import at_rest, private_random_numbers
from nd_torch.measuring import measure
from nd_torch.naming import Target, named_layers, resolve, unwrapped
from nd_torch.preprocessing import NAMES_NONE, complete, preprocess_of
from nd_torch.probe import TorchProbe, open_probe
from nd_torch.split_model import Splittable
from nd_torch.structure import structure_fingerprint
from nd_torch.survey import survey
from nd_torch.tracking import probe_input
from nd_torch.weights import (
    check_values,
    copy_buffers,
    precision_of,
    weights_fingerprint,
)

Size = tuple[int, int]
SCRIPT_FUNCTIONS = ("ScriptFunction", "ScriptMethod")
SCRIPTED = (
    "hooks do not run on the inner layers of a TorchScript module; dissect the nn.Module that it "
    "was scripted or traced from, or convert it (torch.onnx.export with dynamo=False) and dissect "
    "the ONNX file"
)


class TorchBackend:
    """Backend ``torch``."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a module, a forward function or a text.

        Raises ModelNotFound, Unavailable, BadInput.
        """
        if options.input is not None or options.feeds or options.custom_ops:
            raise BadInput(
                "--input, --feed and --custom-op-library are options of ONNX files only"
            )
        if isinstance(model, str):
            opened = _open_text(model, options)
        elif options.weights is not None:
            raise BadInput(
                "weights are loaded only into models named by a text; "
                "call load_state_dict on this module yourself"
            )
        else:
            opened = _open_object(as_module(model), options.device)
        return opened.in_precision(options.precision)


def _open_text(text: str, options: ModelOptions) -> TorchModel:
    device = options.device
    if device == "auto" and torch.cuda.is_available():
        device = "cuda"
    # fails before the weights are read, which may take long
    choose_device(device, None)
    loaded = model_texts.load(text, options.weights)
    source = (
        text if options.weights is None else f"{text}, weights {options.weights}"
    )
    opened = TorchModel.of_module(loaded.module, source, loaded.preprocess, device)
    notes = (*opened.opening_notes, *loaded.notes)
    return replace(opened, opening_notes=notes, spec=loaded.text, is_from_text=True)


def _open_object(model: Any, device: str) -> TorchModel:
    """Open a module, a module's bound method, or another forward function. Raises BadInput."""
    if type(model).__name__ in SCRIPT_FUNCTIONS:
        raise BadInput(SCRIPTED)
    is_module = isinstance(model, nn.Module)
    root = model if is_module else getattr(model, "__self__", None)
    if not isinstance(root, nn.Module):
        return TorchModel.of_function(model, device)
    source = f"{type(root).__module__}.{type(root).__qualname__}"
    opened = TorchModel.of_module(root, source, preprocess_of(root), device)
    return opened if is_module else opened.called_by(model)


@dataclass(frozen=True)
class TorchModel(Splittable):
    """PyTorch model that runs in this process."""

    name: str
    source: str
    stated_preprocess: Preprocess  # by metadata, or assumed
    device: torch.device
    dtype: torch.dtype
    opening_notes: tuple[str, ...]
    call: Callable[[Tensor], Any]
    root: nn.Module | None  # None: a forward function whose modules are unknown
    buffers: Mapping[str, Tensor]  # copies of the root's, as of the opening
    backend: str = "torch"
    chosen_precision: str | None = None
    spec: str = ""  # text that names it, with all options; "" for objects
    is_from_text: bool = False  # not an object of the caller's

    @classmethod
    def of_module(
        cls, module: nn.Module, source: str, preprocess: Preprocess, device: str
    ) -> TorchModel:
        """Open a module; under ``auto`` it stays where it is, else it is moved to ``device``.

        Raises BadInput for a module on which hooks do not fire, or that has no weights yet.
        """
        inner = unwrapped(module)
        _check_openable(inner)
        root = with_layers(inner)
        notes: tuple[str, ...] = ()
        if inner is not module:
            wrapper = type(module).__name__
            notes = (
                f"{wrapper} was unwrapped: the model runs eagerly on one device",
            )
        chosen_device = choose_device(device, root)
        if (device_of(root) or CPU) != chosen_device:
            root.to(chosen_device)
        image_size = fixed_image_size(root)
        if image_size is not None:
            preprocess = replace(preprocess, size=image_size)
        return cls(
            type(root).__name__,
            source,
            preprocess,
            chosen_device,
            dtype_of(root),
            notes,
            root,
            root,
            copy_buffers(root),
        )

    @classmethod
    def of_function(cls, function: Callable[..., Any], device: str) -> TorchModel:
        """Open a forward function, whose layers are then given as modules."""
        name = getattr(function, "__qualname__", type(function).__qualname__)
        source = f"{getattr(function, '__module__', '?')}.{name}"
        return cls(
            name,
            source,
            Preprocess.imagenet(NAMES_NONE),
            choose_device(device, None),
            torch.float32,
            (),
            function,
            None,
            {},
        )

    @cached_property
    def identity(self) -> Identity:
        """Identity; large weights take a while to be fingerprinted, at the first look at it."""
        weights = weights_fingerprint(self.root, self.buffers)
        return Identity(self.name, self.source, torch.__version__, weights)

    @cached_property
    def structure(self) -> str:
        """Fingerprint of the modules; "" of a forward function, whose modules are unknown."""
        return structure_fingerprint(self.root)

    @cached_property
    def preprocess(self) -> Preprocess:
        """Preprocessing that metadata state, else what the first operations of the model tell.

        Raises BadInput for a model of images that are neither RGB nor grey.
        """
        size = self.stated_preprocess.size
        first_pass = observe_first_pass(
            self._run,
            self.root,
            size,
            self.device,
            self.dtype,
            fixed_batch_size(self.root) or 2,
        )
        return complete(self.stated_preprocess, first_pass)

    def called_by(self, function: Callable[..., Any]) -> TorchModel:
        """Return the same model, run through one of its own methods."""
        return replace(self, call=function)

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """List the outputs of all modules as they run; ``#`` numbers the runs of a reused one."""
        if self.root is None:
            raise BadInput(
                "a forward function does not list its layers; pass the nn.Module itself"
            )
        named_modules = list(named_layers(self.root))
        modules = [module for _, module in named_modules]
        images = self._example(size)
        with (
            at_rest(self.root),
            private_random_numbers(self.device),
            float32_as(EXACT),
        ):
            first_pass = survey(self._run, images, modules, self.root)
            unplaced = first_pass.unplaced()
            measurements = measure(self._run, self.root, images[0], unplaced)
        names: dict[nn.Module, str] = {}
        for name, module in named_modules:
            names.setdefault(module, name)
        descriptions: list[LayerDescription] = []
        for run in first_pass.module_runs:
            name = names[run.module]
            if first_pass.count_runs(run.module) > 1:
                name += f"#{run.number}"
            descriptions += describe(run, name, first_pass, measurements)
        return descriptions

    @property
    def precision(self) -> str:
        """Number types of the weights; "" where there are none that can be seen."""
        return "" if self.root is None else precision_of(self.root)

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[TorchProbe]:
        """Open a probe on layers, given by name or as modules."""
        targets = [
            self.resolve_layer(layer, number) for number, layer in enumerate(layers)
        ]
        model = self
        if self.root is None:  # images go where the first layer has its weights
            module = targets[0].module
            model = replace(
                self, device=device_of(module) or CPU, dtype=dtype_of(module)
            )
        with open_probe(
            model._run,
            model.root,
            targets,
            model._example(size),
            fixed_batch_size(self.root),
            model.arithmetic,
        ) as probe:
            yield probe

    def resolve_layer(self, layer: Any, number: int) -> Target:
        """Return the target of the requested layer ``number``. Raises BadInput, LayerNotFound."""
        if not isinstance(layer, str | nn.Module):
            raise BadInput(
                f"a layer is a dotted name or an nn.Module, not {layer!r}"
            )
        if self.root is not None:
            return resolve(layer, self.root)
        if isinstance(layer, str):
            raise BadInput(
                f"layer {layer!r}: layers of a forward function have no names; "
                "pass the layer as an nn.Module"
            )
        return Target(f"{type(layer).__name__}-{number}", layer, None, None)

    def _run(self, images: Tensor) -> Any:
        """Run a batch on the model's device."""
        return self.call(images.to(self.device, self.dtype))

    def _example(self, size: Size) -> Tensor:
        return probe_input(
            size,
            self.device,
            self.dtype,
            image_count=fixed_batch_size(self.root) or 2,
            channels=self.preprocess.channels,
        )


def _check_openable(module: nn.Module) -> None:
    """Check that hooks fire on a model's layers, and that it has weights. Raises BadInput."""
    if isinstance(module, torch.jit.ScriptModule):
        raise BadInput(SCRIPTED)
    check_values(module)
