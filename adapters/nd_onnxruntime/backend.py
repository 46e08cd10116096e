"""Opens ONNX models."""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import onnxruntime as ort
import torch
from onnx import NodeProto, ValueInfoProto

from nd_onnxruntime.document import Document, read
from nd_onnxruntime.feeding import Feed, ImageInput, find_feeds, find_image, needed
from nd_onnxruntime.graph import Graph, part_of
from nd_onnxruntime.naming import Layer, Names
from nd_onnxruntime.probe import OnnxProbe, Taken, treats_images_apart
from nd_onnxruntime.quantised import exposed
from nd_onnxruntime.rest import Splittable
from nd_onnxruntime.sessions import CPU, Place, Runner, choose_place, on_cpu_though_cuda, open_session
from nd_onnxruntime.survey import survey
from nd_plugin import BadInput, Identity, LayerDescription, Model, ModelOptions, NDError, Preprocess

Size = tuple[int, int]
DOMAINS = (
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
)  # known ones
IMAGENET = "ImageNet's (the file names none)"


class OnnxBackend:
    """The backend ``onnxruntime``."""

    def open(self, model: Any, options: ModelOptions) -> Model:
        """Open a file or an ``onnx.ModelProto``. Raises ModelNotFound, BadInput, Unavailable."""
        if options.weights is not None:
            raise BadInput("an ONNX file holds its weights; --weights is for models named by a text")
        place = choose_place(options.device)
        document = read(model)
        graph = Graph(document.model)
        image = find_image(graph, options.input)
        feeds = find_feeds(graph, image, options.feeds)
        how = preprocess_of(document, image)
        version = f"onnxruntime {ort.__version__}, {place.provider}"
        identity = Identity(_name(document), document.source, version, _fingerprint(document, image, feeds))
        fed = ", ".join(f"{name}={text}" for name, text in options.feeds.items())
        notes = (f"fed beside the image {image.name!r}: {fed}",) if fed else ()
        return OnnxModel(identity, how, document, image, feeds, place, tuple(options.custom_ops), notes=notes)


def _name(document: Document) -> str:
    return document.source.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx")


def _fingerprint(document: Document, image: ImageInput, feeds: Mapping[str, Feed]) -> str:
    """Of the file, and of what it is fed beside the images: that decides the numbers, too."""
    if not feeds:
        return document.fingerprint
    digest = hashlib.sha256(f"{document.fingerprint} {image.name}".encode())
    for name, feed in sorted(feeds.items()):
        digest.update(f"{name} {feed.array.shape} {feed.array.dtype}".encode() + feed.array.tobytes())
    return digest.hexdigest()[:16]


def preprocess_of(document: Document, image: ImageInput) -> Preprocess:
    """Size and type from the input; Ultralytics' files say more in their metadata; else ImageNet's mean and std."""
    told = {entry.key: entry.value for entry in document.model.metadata_props}
    size = tuple(side if isinstance(side, int) else 224 for side in image.size)
    if image.dtype == torch.uint8:
        return Preprocess(size, (0, 0, 0), (1, 1, 1), 1.0, source="a uint8 input: pixels as they are")  # type: ignore[arg-type]
    if told.get("author") == "Ultralytics":
        declared = _pair(told.get("imgsz"))
        chosen = tuple(own if isinstance(own, int) else d for own, d in zip(image.size, declared or size, strict=True))
        return Preprocess(chosen, (0, 0, 0), (1, 1, 1), source="the file's Ultralytics metadata")  # type: ignore[arg-type]
    return Preprocess(size, source=IMAGENET, assumed=True)  # type: ignore[arg-type]


def _pair(text: str | None) -> Size | None:
    try:
        found = ast.literal_eval(text or "")
        return int(found[0]), int(found[1])
    except (ValueError, SyntaxError, TypeError, IndexError, KeyError):
        return None


@dataclass(frozen=True)
class OnnxModel(Splittable):
    """An ONNX model, opened: sessions are made for what is asked of it."""

    identity: Identity
    preprocess: Preprocess
    document: Document
    image: ImageInput
    feeds: Mapping[str, Feed]
    place: Place
    custom_ops: tuple[str, ...] = ()
    backend: str = "onnxruntime"
    notes: tuple[str, ...] = ()
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)  # sessions, see `Splittable`

    @property
    def device(self) -> torch.device:
        """Where images are put and maps come out."""
        return self.place.maps

    @cached_property
    def graph(self) -> Graph:
        """Of the model."""
        return Graph(self.document.model)

    @cached_property
    def names(self) -> Names:
        """Of its layers."""
        return Names(self.graph, self.image.name)

    def layers(self, size: Size) -> Sequence[LayerDescription]:
        """Every value that may have units and depends on the image, in order, by the names of modules and values."""
        rows = [row for row in self.names.shown() if row[2] not in self._unknown]
        seen = survey(
            self.document,
            [value for _, value, _ in rows],
            self.image,
            self.image.checked(size),
            self.feeds,
            self.custom_ops,
        )
        found = []
        for name, value, number in rows:
            kind = self.graph.nodes[number].op_type
            try:
                taken = Taken.of(Layer(name, value), exposed(self.graph, value), seen, size)
            except NDError:
                continue  # a shape, an index, a sequence: nothing to dissect
            maps = taken.layout.maps(torch.empty(seen.shapes[value], device="meta")).shape
            found.append(LayerDescription(name, kind, (1, *maps[1:]), taken.geometry))
        return list({layer.name: layer for layer in found}.values())

    @cached_property
    def _unknown(self) -> set[int]:
        """The nodes of operators that need a library which was not given, and all behind them."""
        strange = [node for node in self.graph.nodes if node.domain not in DOMAINS and not self.custom_ops]
        if strange:
            names = ", ".join(sorted({f"{node.domain}:{node.op_type}" for node in strange}))
            warnings.warn(
                f"{self.document.source}: {names} may need --custom-op-library FILE; layers from there on are left out",
                UserWarning,
                stacklevel=4,
            )
        outputs = [value for node in strange for value in node.output if value]
        behind = {number for value in outputs for number in self.graph.descendants(value)}
        return behind | {self.graph.makers[value] for value in outputs}

    @contextmanager
    def probe(self, layers: Sequence[Any], size: Size) -> Iterator[OnnxProbe]:
        """Open a probe on layers given by name."""
        yield self._probe(layers, self.image.checked(size))

    def _layer(self, layer: Any) -> Layer:
        if not isinstance(layer, str):
            raise BadInput(f"a layer of an ONNX model is given by its name, not as {type(layer).__name__}")
        return self.names.layer(layer)

    def taken_at(self, layers: Sequence[Any], size: Size) -> tuple[list[Taken], int]:
        """How layers are taken, and how many images the survey that found it has seen together."""
        wanted = [self._layer(layer) for layer in layers]
        seen = survey(self.document, [layer.value for layer in wanted], self.image, size, self.feeds, self.custom_ops)
        return [Taken.of(layer, exposed(self.graph, layer.value), seen, size) for layer in wanted], seen.images

    def _probe(self, layers: Sequence[Any], size: Size) -> OnnxProbe:
        taken, images = self.taken_at(layers, size)
        values = [one.exposed.value for one in taken]
        extra = list({node.name: node for one in taken for node in one.exposed.extra}.values())
        runner = self.runner(values, size, images, extra=extra)
        left = on_cpu_though_cuda(runner.session)
        more = [f"heavy nodes that ran on the CPU: {', '.join(left)}"] if left else []
        if self.place.provider != CPU and self.place.kind == "cpu":
            more.append("torch has no CUDA here: activations are brought to the CPU")
        probe = OnnxProbe(runner, taken, False, tuple(more))
        if images > 1 and treats_images_apart(probe, size):
            return probe
        return replace(probe, singly=True, runner=self.runner(values, size, 1, extra=extra))

    def runner(
        self,
        values: Sequence[str],
        size: Size,
        images: int,
        *,
        given: Sequence[ValueInfoProto] = (),
        extra: Sequence[NodeProto] = (),
        lead: Sequence[NodeProto] = (),
    ) -> Runner:
        """Runs the part of the model that makes ``values``, from images of a size and the values ``given``.

        For batches of any size, or, ``images`` being 1, of one.
        """
        batch = 1 if images == 1 else self.image.batch if isinstance(self.image.batch, str) else "N"
        inputs = [self.image.declared(batch, size) if v.name == self.image.name else v for v in self.graph.inputs]
        part = part_of(self.graph, values, [*inputs, *given], extra, lead)
        session = open_session(self.document.of_part(part), self.place, self.custom_ops)
        others = [value for value in part.graph.input if value.name not in {one.name for one in given}]
        return Runner(session, self.place, self.image, needed(others, self.image, self.feeds))
