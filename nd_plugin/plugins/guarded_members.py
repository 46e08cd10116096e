"""Members of plugins' objects, and what each has to give: for the guard at the host's border."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nd_plugin.contracts.concept_sets import Annotation, Concept
from nd_plugin.contracts.models import LayerDescription
from nd_plugin.contracts.plugin_specs import Finding
from nd_plugin.contracts.provenance import Identity
from nd_plugin.contracts.split_models import LinearHead, Trace
from nd_plugin.receptive_fields.geometry import Geometry
from nd_plugin.report.content.checked_content import (
    CONTENT_WORDS,
    is_report_content,
)

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Expected:
    """What an attribute is, or a method returns."""

    words: str  # for messages
    is_valid: Check
    # of the object that is returned, or that its context gives; see `KINDS`
    kind: str = ""
    is_context: bool = False  # returns a context manager
    # what the host does with an exception: False for those that make it skip an image
    translates: bool = True
    # runs the model for a caller who may have given it as an object, and knows its exceptions
    runs_model: bool = False


@dataclass(frozen=True)
class Kind:
    """Kind of a plugin's objects."""

    words: str
    required: Mapping[str, Expected]
    optional: Mapping[str, Expected] = field(default_factory=dict)

    def expected(self, name: str) -> Expected:
        """Return what a member has to give; anything, where the contract does not name it."""
        return self.required.get(name) or self.optional.get(name, ANYTHING)

    def missing(self, candidate: Any) -> list[str]:
        """Return the required members that an object lacks.

        None where the object makes its members when they are asked for.
        """
        if hasattr(type(candidate), "__getattr__"):
            return []
        return [name for name in self.required if name not in dir(candidate)]


def _is(kind: type) -> Check:
    return lambda value: isinstance(value, kind)


def _are(kind: type) -> Check:
    def is_valid(value: Any) -> bool:
        is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
        return is_sequence and all(isinstance(item, kind) for item in value)

    return is_valid


def _is_picture(value: Any) -> bool:
    from PIL import Image

    return isinstance(value, Image.Image)


def _is_preprocess(value: Any) -> bool:
    from nd_plugin.preprocess import Preprocess

    return isinstance(value, Preprocess)


def _is_device(value: Any) -> bool:
    import torch

    return isinstance(value, torch.device)


def _is_annotation(value: Any) -> bool:
    """Return whether a value is an annotation; single planes are checked as they are read."""
    if not isinstance(value, Annotation):
        return False
    is_sequence = isinstance(value.planes, Sequence) and isinstance(
        value.labels, Sequence
    )
    return is_sequence and not isinstance(value.labels, str)


def _are_maps(value: Any) -> bool:
    from torch import Tensor

    return isinstance(value, Mapping) and all(
        isinstance(maps, Tensor) for maps in value.values()
    )


def _are_geometries(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(geometry, Geometry) for geometry in value.values()
    )


def _are_paths(value: Any) -> bool:
    is_sequence = isinstance(value, Sequence) and not isinstance(value, str)
    return is_sequence and all(isinstance(path, str | Path) for path in value)


def _is_noise_run(value: Any) -> bool:
    from nd_plugin.contracts.noise_run import NoiseRun

    return value is None or isinstance(value, NoiseRun)


def _is_head(value: Any) -> bool:
    return value is None or isinstance(value, LinearHead)


ANYTHING = Expected("anything", lambda _: True)
MODEL_OUTPUT = Expected(ANYTHING.words, ANYTHING.is_valid, runs_model=True)
TEXT = Expected("a text", _is(str))
TEXTS = Expected("a sequence of texts", _are(str))
IDENTITY = Expected("an Identity", _is(Identity))
REPORT_CONTENT = Expected(CONTENT_WORDS, is_report_content)
FINDINGS = Expected("a sequence of Findings", _are(Finding))
CONTEXT = Expected("a context manager", lambda value: hasattr(value, "__exit__"))
LENGTH = Expected("a number", _is(int))

CONCEPT_SET = Kind(
    "concept set",
    {
        "identity": IDENTITY,
        "categories": TEXTS,
        "concepts": Expected("a sequence of Concepts", _are(Concept)),
        "native_masks": Expected("True or False", _is(bool)),
        "__len__": LENGTH,
        "name": TEXT,
        "image": Expected("a picture of Pillow", _is_picture, translates=False),
        "annotation": Expected(
            "an Annotation with sequences of planes and labels",
            _is_annotation,
            translates=False,
        ),
    },
    {
        "notes": TEXTS,
        "files": Expected("a sequence of paths", _are_paths),
        "split": TEXT,
    },
)
MODEL = Kind(
    "model",
    {
        "backend": TEXT,
        "identity": IDENTITY,
        "preprocess": Expected("a Preprocess", _is_preprocess),
        "device": Expected("a torch.device", _is_device),
        "notes": TEXTS,
        "layers": Expected(
            "a sequence of LayerDescriptions", _are(LayerDescription)
        ),
        "probe": Expected(
            CONTEXT.words, CONTEXT.is_valid, "probe", is_context=True
        ),
    },
    {
        "precision": TEXT,
        "spec": TEXT,
        "structure": TEXT,
        "compute_precision": TEXT,
        "in_precision": Expected("a model", _is(object), "model"),
        "computing": Expected(CONTEXT.words, CONTEXT.is_valid, is_context=True),
        "rest": Expected(
            CONTEXT.words,
            CONTEXT.is_valid,
            "rest",
            is_context=True,
            runs_model=True,
        ),
        "linear_head": Expected("a LinearHead or None", _is_head, runs_model=True),
        "trace": Expected("a Trace", _is(Trace), runs_model=True),
        "outputs": MODEL_OUTPUT,
    },
)
PROBE = Kind(
    "probe",
    {
        "layers": TEXTS,
        "geometries": Expected("a mapping of Geometries", _are_geometries),
        "__call__": Expected("a mapping of tensors", _are_maps),
    },
    {
        "notes": TEXTS,
        "unreliable": TEXTS,
        "noise_run": Expected("a NoiseRun or None", _is_noise_run),
    },
)
REST = Kind(
    "split model",
    {
        "name": TEXT,
        "layout": ANYTHING,
        "geometry": ANYTHING,
        "layer": MODEL_OUTPUT,
        "__call__": MODEL_OUTPUT,
    },
)
BACKEND = Kind("backend", {"open": Expected("a model", _is(object), "model")})
KINDS = {
    "concept set": CONCEPT_SET,
    "model": MODEL,
    "probe": PROBE,
    "rest": REST,
    "backend": BACKEND,
}
