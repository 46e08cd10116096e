"""Backends that are wrong in one thing each, as authors may write them, beside a right one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nd_plugin import (
    Axis,
    BadInput,
    Geometry,
    Identity,
    LayerDescription,
    LayerNotFound,
    LinearHead,
    ModelNotFound,
    ModelOptions,
    NoiseRun,
    Preprocess,
    SpecText,
    Trace,
    Unavailable,
    find_layout,
    fingerprint,
    geometry,
    nearest,
)

TEXT = "tiny:net?width=16"
LAYERS = {
    "conv1": "Conv2d",
    "norm": "BatchNorm2d",
    "relu": "ReLU",
    "conv2": "Conv2d",
}


class Tiny(nn.Module):
    """Network whose cells are twice as high as wide, in pixels."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv1 = nn.Conv2d(3, width, (4, 2), (4, 2))
            self.norm = nn.BatchNorm2d(width)
            self.relu = nn.ReLU()
            self.drop = nn.Dropout(0.5)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
            self.fc = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.relu(self.norm(self.conv1(x))))
        logits: Tensor = self.fc(self.conv2(x).mean((2, 3)))
        return logits


@contextmanager
def at_rest(module: nn.Module) -> Iterator[None]:
    modes = {inner: inner.training for inner in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for inner, mode in modes.items():
            inner.training = mode


class RightProbe:
    def __init__(self, model: Any, layers: tuple[str, ...]) -> None:
        self.model = model
        self.layers = layers
        self.captured: dict[str, Tensor] = {}

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        return {layer: self.model.geometry_of(layer) for layer in self.layers}

    def hook(self, layer: str) -> Callable[..., None]:
        def capture(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.captured[layer] = output

        return capture

    def run(self, images: Tensor) -> None:
        with torch.no_grad(), at_rest(self.model.module):
            self.model.module(images)

    def __call__(self, images: Tensor) -> Mapping[str, Any]:
        self.run(images)
        return {layer: self.given(self.captured[layer]) for layer in self.layers}

    def given(self, output: Tensor) -> Any:
        return output.clone()


class RightModel:
    backend = "tiny"
    device = torch.device("cpu")
    preprocess: Any = Preprocess((48, 64), source="the network's own")
    notes: Any = ()
    probe_class: type[RightProbe] = RightProbe

    def __init__(self, module: nn.Module, source: str) -> None:
        self.module = module
        self.source = source

    @cached_property
    def identity(self) -> Identity:
        weights = [
            value.numpy().tobytes() for value in self.module.state_dict().values()
        ]
        return Identity("tiny", self.source, "1", fingerprint(weights))

    def geometry_of(self, layer: str) -> Geometry:
        rows = geometry.convolve(Axis(), 4, 4)
        columns = geometry.convolve(Axis(), 2, 2)
        if layer == "conv2":
            rows = geometry.convolve(rows, 3, 1, 1)
            columns = geometry.convolve(columns, 3, 1, 1)
        return Geometry(rows, columns)

    def layers(self, size: tuple[int, int]) -> Sequence[LayerDescription]:
        height, width = size
        units = self.module.get_submodule("norm").num_features
        shape: Any = (1, units, height // 4, width // 2)
        return [
            LayerDescription(name, kind, shape, self.geometry_of(name))
            for name, kind in LAYERS.items()
        ]

    def resolve(self, layers: Sequence[Any]) -> tuple[str, ...]:
        for layer in layers:
            if layer not in LAYERS:
                names = ", ".join(nearest(layer, LAYERS) or LAYERS)
                raise LayerNotFound(f"no layer {layer!r}; the nearest are {names}")
        return tuple(layers)

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Any) -> Iterator[RightProbe]:
        probe = self.probe_class(self, self.resolve(layers))
        handles = []
        try:
            for name in probe.layers:
                module = self.module.get_submodule(name)
                handles.append(module.register_forward_hook(probe.hook(name)))
            yield probe
        finally:
            for handle in handles:
                handle.remove()


@dataclass
class RightRest:
    model: Any
    name: str
    shape: torch.Size

    @property
    def layout(self) -> Any:
        layout: Any = find_layout(torch.Size((1, 1, 1, 1)), None, self.name)
        return layout

    @property
    def geometry(self) -> Geometry:
        stated: Geometry = self.model.geometry_of(self.name)
        return stated

    def layer(self, *inputs: Any) -> Tensor:
        value: Tensor = self.model.trace(self.name, inputs).values[0][0]
        return value

    def __call__(self, output: Tensor, *inputs: Any) -> Tensor:
        module = self.model.module.get_submodule(self.name)
        handle = module.register_forward_hook(self.hook(output))
        try:
            return self.run(*inputs)
        finally:
            handle.remove()

    def run(self, *inputs: Any) -> Tensor:
        outputs: Tensor = self.model.outputs(*inputs)
        return outputs

    def hook(self, output: Tensor) -> Callable[..., Any]:
        return lambda module, inputs, own: output


class SplittableModel(RightModel):
    rest_class: type[RightRest] = RightRest

    def outputs(self, *inputs: Any) -> Any:
        with at_rest(self.module):
            return self.module(*inputs)

    @contextmanager
    def rest(self, layer: Any, inputs: Sequence[Any]) -> Iterator[RightRest]:
        (name,) = self.resolve([layer])
        yield self.rest_class(self, name, inputs[0].shape)

    def linear_head(self, layer: Any, inputs: Sequence[Any]) -> LinearHead | None:
        if layer != "conv2":
            return None
        fc = self.module.get_submodule("fc")
        return LinearHead(fc.weight, self.bias(fc))  # type: ignore[arg-type]

    def bias(self, fc: Any) -> Tensor:
        bias: Tensor = fc.bias
        return bias

    def trace(
        self,
        layer: Any,
        inputs: Sequence[Any],
        *,
        at_input: bool = False,
        gradients: bool = False,
        device_ids: Sequence[int] | None = None,
    ) -> Trace:
        values: list[Tensor] = []

        def capture(module: nn.Module, inputs: Any, output: Tensor) -> Any:
            leaf = output.detach().clone().requires_grad_(gradients)
            values.append(leaf)
            return self.passed_on(leaf)

        handle = self.module.get_submodule(layer).register_forward_hook(capture)
        with torch.set_grad_enabled(gradients):
            output = self.outputs(*inputs)
        self.after_trace(handle)
        return Trace(layer, output, ((values[0],),), several=False)

    def passed_on(self, leaf: Tensor) -> Any:
        return leaf.clone()

    def after_trace(self, handle: Any) -> None:
        handle.remove()


class RightBackend:
    model_class: type[RightModel] = SplittableModel

    def open(self, model: Any, options: ModelOptions) -> Any:
        self.check_device(options.device)
        self.check_options(options)
        if isinstance(model, nn.Module):
            return self.model_class(model, "a module")
        return self.model_class(self.load(model), model)

    def load(self, text: str) -> nn.Module:
        parts = SpecText.parse(text)
        self.check_text(parts)
        return self.network(int(parts.options.get("width", "16")))

    def network(self, width: int) -> nn.Module:
        return Tiny(width)

    def check_text(self, text: SpecText) -> None:
        if text.argument != "net":
            raise ModelNotFound(
                f"no network {text.argument!r}; there is one: tiny:net"
            )
        for option in text.options:
            if option != "width":
                raise BadInput(f"tiny:net has no option {option!r}; it takes width")

    def check_device(self, device: str) -> None:
        if device not in ("auto", "cpu"):
            raise Unavailable(f"tiny runs on the CPU, not on {device}")

    def check_options(self, options: ModelOptions) -> None:
        if options.weights or options.input or options.feeds or options.custom_ops:
            raise BadInput("tiny:net takes no weights, inputs or libraries")


@dataclass(frozen=True)
class WrongBackend:
    """Row of the table: what is wrong, and which check has to say so."""

    name: str
    fault: str
    check: str
    make: Callable[[], Any]
    # checks that cannot hold either, as they look at the same thing
    follows: tuple[str, ...] = ()
    model: Callable[[], Any] = Tiny


def backend(
    model: type[RightModel] | None = None, **members: Any
) -> Callable[[], Any]:
    """Return the factory of a backend with members replaced, or a model's class."""
    if model is not None:
        members["model_class"] = model
    return type("Wrong", (RightBackend,), members)


def model(base: type[RightModel] = RightModel, **members: Any) -> Callable[[], Any]:
    """Return the factory of a backend whose model has members replaced."""
    return backend(type("WrongModel", (base,), members))


def probe(**members: Any) -> Callable[[], Any]:
    """Return the factory of a backend whose probe has members replaced."""
    return model(probe_class=type("WrongProbe", (RightProbe,), members))


def rest(**members: Any) -> Callable[[], Any]:
    """Return the factory of a backend whose split model has members replaced."""
    wrong = type("WrongRest", (RightRest,), members)
    return model(SplittableModel, rest_class=wrong)


# ---- the model ----------------------------------------------------------------------------------


class WithoutPreprocess(RightModel):
    def __getattribute__(self, name: str) -> Any:
        if name == "preprocess":
            raise AttributeError(name)
        return super().__getattribute__(name)


OPENINGS = count()


def identity_of_now(self: RightModel) -> Identity:
    return Identity("tiny", self.source, "1", f"{next(OPENINGS):016x}")


def one_note_more(self: RightModel) -> Sequence[str]:
    self.__dict__.setdefault("said", []).append("opened")
    return tuple(self.__dict__["said"])


def layers_with_shapes_as_lists(
    self: RightModel, size: Any
) -> list[LayerDescription]:
    listed = RightModel.layers(self, size)
    return [replace(layer, shape=list(layer.shape or ())) for layer in listed]  # type: ignore[arg-type]


def layers_twice(self: RightModel, size: Any) -> list[LayerDescription]:
    listed = list(RightModel.layers(self, size))
    return [*listed, listed[0]]


def layers_numbered_on(self: RightModel, size: Any) -> list[LayerDescription]:
    listed = list(RightModel.layers(self, size))
    numbers = self.__dict__.setdefault("numbers", count())
    return [*listed, LayerDescription(f"view_{next(numbers)}", "view", None)]


def layers_of_the_models_size(self: RightModel, size: Any) -> Any:
    return RightModel.layers(self, (48, 64))


def key_error(self: RightModel, layers: Sequence[Any]) -> tuple[str, ...]:
    return tuple({name: name for name in LAYERS}[layer] for layer in layers)


def another_layer(self: RightModel, layers: Sequence[Any]) -> tuple[str, ...]:
    return tuple(layer if layer in LAYERS else "conv1" for layer in layers)


def unnamed_layer(self: RightModel, layers: Sequence[Any]) -> tuple[str, ...]:
    if not set(layers) <= set(LAYERS):
        raise LayerNotFound("there is no such layer")
    return tuple(layers)


def in_model_order(self: RightModel, layers: Sequence[Any]) -> tuple[str, ...]:
    resolved = RightModel.resolve(self, layers)
    return tuple(sorted(resolved, key=list(LAYERS).index))


@contextmanager
def hooks_before_names(
    self: Any, layers: Sequence[Any], size: Any
) -> Iterator[Any]:
    probe = self.probe_class(self, tuple(layers))
    handles = []
    for name in layers:
        self.resolve([name])
        module = self.module.get_submodule(name)
        handles.append(module.register_forward_hook(probe.hook(name)))
    try:
        yield probe
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def hooks_without_finally(
    self: Any, layers: Sequence[Any], size: Any
) -> Iterator[Any]:
    probe = self.probe_class(self, self.resolve(layers))
    handles = [
        self.module.get_submodule(name).register_forward_hook(probe.hook(name))
        for name in layers
    ]
    yield probe
    for handle in handles:
        handle.remove()


@contextmanager
def hooks_for_ever(self: Any, layers: Sequence[Any], size: Any) -> Iterator[Any]:
    probe = self.probe_class(self, self.resolve(layers))
    for name in layers:
        module = self.module.get_submodule(name)
        module.register_forward_hook(probe.hook(name))
    yield probe


@contextmanager
def broken_by_errors(self: Any, layers: Sequence[Any], size: Any) -> Iterator[Any]:
    try:
        with RightModel.probe(self, layers, size) as probe:
            probe.is_broken = self.__dict__.get("is_broken", False)
            yield probe
    except Exception:
        self.is_broken = True
        raise


# ---- the probe ----------------------------------------------------------------------------------


def rows_and_columns_exchanged(self: Any) -> Mapping[str, Geometry]:
    right = RightProbe.geometries.fget(self)  # type: ignore[attr-defined]
    return {
        layer: Geometry(right[layer].columns, right[layer].rows) for layer in right
    }


def without_padding(self: Any) -> Mapping[str, Geometry]:
    right = dict(RightProbe.geometries.fget(self))  # type: ignore[attr-defined]
    for layer in right:
        rows, columns = right[layer].rows, right[layer].columns
        rows = replace(rows, offset=rows.offset + rows.stride)
        right[layer] = Geometry(rows, columns)
    return right


def run_in_training_mode(self: Any, images: Tensor) -> None:
    # the dropout is off, and batch normalisation is forgotten
    self.model.module.get_submodule("drop").eval()
    with torch.no_grad():
        self.model.module(images)


def run_with_dropout(self: Any, images: Tensor) -> None:
    with torch.no_grad(), at_rest(self.model.module):
        self.model.module.get_submodule("drop").train()
        self.model.module(images)


def run_and_stay_in_evaluation_mode(self: Any, images: Tensor) -> None:
    self.model.module.eval()
    with torch.no_grad():
        self.model.module(images)


def run_with_gradients(self: Any, images: Tensor) -> None:
    with at_rest(self.model.module):
        self.model.module(images)


def run_on_normalised(self: Any, images: Tensor) -> None:
    images -= images.mean((2, 3), keepdim=True)
    RightProbe.run(self, images)


def run_once_for_a_shape(self: Any, images: Tensor) -> Mapping[str, Tensor]:
    cache = self.__dict__.setdefault("cache", {})
    if images.shape not in cache:
        cache[images.shape] = RightProbe.__call__(self, images)
    return {layer: maps.clone() for layer, maps in cache[images.shape].items()}


def into_a_buffer(self: Any, images: Tensor) -> Mapping[str, Tensor]:
    buffers = self.__dict__.setdefault("buffers", {})
    for layer, maps in RightProbe.__call__(self, images).items():
        key = (layer, maps.shape)
        buffers.setdefault(key, torch.empty_like(maps)).copy_(maps)
    return {layer: buffers[layer, maps.shape] for layer in self.layers}


def squeezed(self: Any, output: Tensor) -> Tensor:
    return output.clone().squeeze(0)


def first_layers(self: Any, images: Tensor) -> Mapping[str, Tensor]:
    """Count the requested layers from the first that ran, and not by name."""
    self.run(images)
    captured = self.captured
    if len(self.layers) == 1:
        with torch.no_grad():
            captured = {
                self.layers[0]: self.model.module.get_submodule("conv1")(images)
            }
    return {layer: captured[layer].clone() for layer in self.layers}


def broken_zeros(self: Any, output: Tensor) -> Tensor:
    return output * 0 if self.is_broken else output.clone()


class OnGPU(Tensor):
    """Tensor that says it is on a GPU, in place of one that is."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda:0")


def only_first(self: Any, images: Tensor) -> Mapping[str, Tensor]:
    maps = RightProbe.__call__(self, images)
    return {layer: maps[layer][:1] for layer in maps}


# ---- the rest of a model ------------------------------------------------------------------------


def rest_in_training_mode(self: Any, *inputs: Any) -> Tensor:
    modes = {inner: inner.training for inner in self.model.module.modules()}
    self.model.module.train()
    self.model.module.get_submodule("drop").eval()
    try:
        outputs: Tensor = self.model.module(*inputs)
    finally:
        for inner, mode in modes.items():
            inner.training = mode
    return outputs


def shifted_layer(self: Any, *inputs: Any) -> Tensor:
    return RightRest.layer(self, *inputs).roll(1, 1)


# ---- the backend --------------------------------------------------------------------------------


def open_and_stay_in_evaluation_mode(self: Any, model: Any, options: Any) -> Any:
    opened = RightBackend.open(self, model, options)
    opened.module.eval()
    return opened


def open_without_gradients(self: Any, model: Any, options: Any) -> Any:
    torch.set_grad_enabled(False)
    return RightBackend.open(self, model, options)


def open_with_a_seed(self: Any, model: Any, options: Any) -> Any:
    torch.manual_seed(0)
    return RightBackend.open(self, model, options)


def open_nothing(self: Any, model: Any, options: Any) -> Any:
    return None


def no_check(self: Any, subject: Any) -> None:
    pass


def torch_error(self: Any, device: str) -> None:
    torch.zeros(1, device="cpu" if device == "auto" else device)


def file_error(self: Any, text: SpecText) -> None:
    if text.argument != "net":
        raise FileNotFoundError(text.argument)
    RightBackend.check_text(self, text)


def only_the_name(self: Any, text: SpecText) -> None:
    RightBackend.check_text(self, SpecText(text.name, text.argument, {}))


def other_weights_each_time(self: Any, width: int) -> nn.Module:
    network = Tiny(width)
    for parameter in network.parameters():
        noise = torch.randn(parameter.shape, generator=FRESH)
        parameter.data += 0.1 * noise
    return network


FRESH = torch.Generator().manual_seed(3)


def text() -> str:
    return TEXT


WRONG_BACKENDS = (
    WrongBackend(
        "no-model",
        "open() returns nothing",
        "opens",
        backend(open=open_nothing),
    ),
    WrongBackend(
        "no-preprocess",
        "the model has no preprocess",
        "opens",
        backend(WithoutPreprocess),
    ),
    WrongBackend(
        "new-identity",
        "the fingerprint is another one each time a model is opened",
        "identity",
        model(identity=cached_property(identity_of_now)),
    ),
    WrongBackend(
        "preprocess-as-dictionary",
        "preprocess is a dictionary",
        "members",
        model(preprocess={"mean": 0.5}),
    ),
    WrongBackend(
        "device-as-text",
        "device is the text 'cpu'",
        "members",
        model(device="cpu"),
    ),
    WrongBackend(
        "note-as-text", "notes is one text", "notes", model(notes="a note")
    ),
    WrongBackend(
        "notes-as-generator",
        "notes can be read once",
        "notes",
        model(notes=property(lambda self: (text for text in ("a", "b")))),
    ),
    WrongBackend(
        "notes-grow",
        "a note more each time notes are asked for",
        "notes",
        model(notes=property(one_note_more)),
    ),
    WrongBackend(
        "shapes-as-lists",
        "shapes of layers are lists",
        "layers-listed",
        model(layers=layers_with_shapes_as_lists),
    ),
    WrongBackend(
        "layer-listed-twice",
        "a module that is used twice is listed twice under one name",
        "layers-listed",
        model(layers=layers_twice),
    ),
    WrongBackend(
        "names-numbered-on",
        "names of layers carry a counter that goes on",
        "layers-repeat",
        model(layers=layers_numbered_on),
    ),
    WrongBackend(
        "shapes-of-another-size",
        "layers() lists the shapes of the model's own size",
        "shapes",
        model(layers=layers_of_the_models_size),
    ),
    WrongBackend(
        "maps-as-arrays",
        "maps are NumPy arrays",
        "maps-form",
        probe(given=lambda self, output: np.asarray(output)),
    ),
    WrongBackend(
        "pooled-maps",
        "maps are (image, unit)",
        "maps-form",
        probe(given=lambda self, output: output.mean((2, 3))),
    ),
    WrongBackend(
        "one-image",
        "maps of the first image only",
        "maps-form",
        probe(__call__=only_first),
    ),
    WrongBackend(
        "model-order",
        "layers come in the model's order, not in the requested one",
        "probe-layers",
        model(resolve=in_model_order),
    ),
    WrongBackend(
        "half-precision",
        "maps are float16, which the model does not say",
        "maps-dtype",
        probe(given=lambda self, output: output.half()),
    ),
    WrongBackend(
        "quantised-maps",
        "maps are int8",
        "maps-dtype",
        probe(given=lambda self, output: (output * 16).to(torch.int8)),
    ),
    WrongBackend(
        "with-gradients",
        "passes are recorded by autograd",
        "maps-without-gradients",
        probe(run=run_with_gradients),
    ),
    WrongBackend(
        "other-device",
        "maps are on another device than the images (a tensor that says so, in place of a GPU)",
        "maps-device",
        probe(given=lambda self, output: output.clone().as_subclass(OnGPU)),
    ),
    WrongBackend(
        "dropout",
        "dropout is active",
        "repeats",
        probe(run=run_with_dropout),
        follows=("model-as-found-after-errors", "process-as-found"),
    ),
    WrongBackend(
        "batch-statistics",
        "batch normalisation is in training mode",
        "batches",
        probe(run=run_in_training_mode),
        follows=("model-as-found", "model-as-found-after-errors"),
    ),
    WrongBackend(
        "squeezed",
        "a batch of one image loses its axis",
        "batches",
        probe(given=squeezed),
    ),
    WrongBackend(
        "cache-by-shape",
        "maps of an earlier batch of the same shape are given",
        "image-order",
        probe(__call__=run_once_for_a_shape),
        follows=("batches",),
    ),
    WrongBackend(
        "layers-by-position",
        "a layer that is probed alone gives the maps of the first",
        "layers-apart",
        probe(__call__=first_layers),
    ),
    WrongBackend(
        "other-weights",
        "weights are drawn anew each time a text is opened",
        "second-opening",
        backend(RightModel, network=other_weights_each_time),
        follows=("identity",),
        model=text,
    ),
    WrongBackend(
        "reused-buffer",
        "maps lie in a buffer that the next call overwrites",
        "own-maps",
        probe(__call__=into_a_buffer),
    ),
    WrongBackend(
        "images-normalised-in-place",
        "images are normalised in place",
        "images-unchanged",
        probe(run=run_on_normalised),
    ),
    WrongBackend(
        "noise-run-of-others",
        "noise_run has maps of a layer that was not asked for",
        "noise-run",
        probe(noise_run=NoiseRun(torch.zeros(1), {"fc": torch.zeros(1)})),
    ),
    WrongBackend(
        "no-geometries",
        "geometries are texts",
        "geometries",
        probe(
            geometries=property(
                lambda self: dict.fromkeys(self.layers, "4 pixels a cell")
            )
        ),
    ),
    WrongBackend(
        "units-last",
        "maps are (image, row, column, unit)",
        "rows-before-columns",
        probe(given=lambda self, output: output.permute(0, 2, 3, 1).clone()),
    ),
    WrongBackend(
        "transposed",
        "maps are (image, unit, column, row)",
        "rows-before-columns",
        probe(given=lambda self, output: output.mT.clone()),
    ),
    WrongBackend(
        "geometry-transposed",
        "the geometry has rows and columns exchanged",
        "places",
        probe(geometries=property(rows_and_columns_exchanged)),
    ),
    WrongBackend(
        "geometry-without-padding",
        "the geometry forgets the padding: a cell away",
        "places",
        probe(geometries=property(without_padding)),
    ),
    WrongBackend(
        "evaluation-mode-at-opening",
        "opening leaves the caller's module in evaluation mode",
        "opening-changes-nothing",
        backend(open=open_and_stay_in_evaluation_mode),
    ),
    WrongBackend(
        "evaluation-mode",
        "a pass leaves the module in evaluation mode",
        "model-as-found",
        probe(run=run_and_stay_in_evaluation_mode),
    ),
    WrongBackend(
        "hooks-remain",
        "hooks are never removed",
        "model-as-found",
        model(probe=hooks_for_ever),
        follows=("model-as-found-after-errors",),
    ),
    WrongBackend(
        "hooks-before-names",
        "hooks are set before all names are known to exist",
        "model-as-found-after-errors",
        model(probe=hooks_before_names),
    ),
    WrongBackend(
        "no-finally",
        "hooks remain after an exception in the probe",
        "model-as-found-after-errors",
        model(probe=hooks_without_finally),
    ),
    WrongBackend(
        "broken-by-errors",
        "after an error all maps are 0",
        "usable-after-errors",
        model(
            probe=broken_by_errors,
            probe_class=type("Broken", (RightProbe,), {"given": broken_zeros}),
        ),
    ),
    WrongBackend(
        "gradients-off",
        "opening turns gradients off for the whole process",
        "process-as-found",
        backend(open=open_without_gradients),
    ),
    WrongBackend(
        "seed",
        "opening seeds the random numbers of torch",
        "process-as-found",
        backend(open=open_with_a_seed),
    ),
    WrongBackend(
        "key-error",
        "a layer that does not exist is a KeyError",
        "unknown-layer",
        model(resolve=key_error),
    ),
    WrongBackend(
        "another-layer",
        "a layer that does not exist is replaced by the first",
        "unknown-layer",
        model(resolve=another_layer),
    ),
    WrongBackend(
        "unnamed-layer",
        "the error names neither the layer nor the nearest",
        "unknown-layer",
        model(resolve=unnamed_layer),
    ),
    WrongBackend(
        "file-error",
        "a model that does not exist is a FileNotFoundError",
        "unknown-model",
        backend(RightModel, check_text=file_error),
        model=text,
    ),
    WrongBackend(
        "any-text",
        "options of the text that do not exist are ignored",
        "unknown-option",
        backend(RightModel, check_text=only_the_name),
        model=text,
    ),
    WrongBackend(
        "silent-cpu",
        "a device that is not there is ignored",
        "unknown-device",
        backend(RightModel, check_device=no_check),
    ),
    WrongBackend(
        "device-error-of-torch",
        "a device that is not there is a RuntimeError of torch",
        "unknown-device",
        backend(RightModel, check_device=torch_error),
    ),
    WrongBackend(
        "options-ignored",
        "--weights, --input, --feed and libraries are ignored",
        "options-refused",
        backend(RightModel, check_options=no_check),
    ),
    WrongBackend(
        "rest-of-other-units",
        "a split model has its units in another order than the probe",
        "rest-layer",
        rest(layer=shifted_layer),
        follows=("rest-output",),
    ),
    WrongBackend(
        "rest-in-training-mode",
        "a split model runs in training mode",
        "rest-output",
        rest(run=rest_in_training_mode),
        follows=(
            "rest-layer",
            "linear-head",
        ),
    ),
    WrongBackend(
        "rest-ignores-output",
        "the hook does not return what is to be put in the layer's place",
        "rest-replaces",
        rest(hook=lambda self, output: lambda module, inputs, own: None),
    ),
    WrongBackend(
        "head-without-bias",
        "the linear head has no bias",
        "linear-head",
        model(SplittableModel, bias=lambda self, fc: fc.bias * 0),
    ),
    WrongBackend(
        "trace-detached",
        "the traced values are not those that the pass goes on with",
        "trace",
        model(SplittableModel, passed_on=lambda self, leaf: leaf.detach()),
    ),
    WrongBackend(
        "trace-hook-remains",
        "the hook of a trace is never removed",
        "trace",
        model(SplittableModel, after_trace=lambda self, handle: None),
    ),
)
