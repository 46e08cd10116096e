"""The contract suite: what every backend and every concept set has to keep, for the tests of plugin authors.

Each function raises AssertionError with the promise that was not kept::

    from nd_plugin.testing import check_concept_set
    def test_contract():
        check_concept_set(MyConcepts("…"))
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nd_plugin.errors import LayerNotFound
from nd_plugin.geometry import Geometry, Size
from nd_plugin.preprocess import Preprocess
from nd_plugin.rest import SplitModel
from nd_plugin.types import Annotation, ConceptSet, Identity, Model, Probe


def check_concept_set(concepts: ConceptSet, images: int = 3) -> None:
    """Check the vocabulary, and the first ``images`` images and annotations."""
    assert isinstance(concepts, ConceptSet), f"{type(concepts).__name__} lacks members of the ConceptSet protocol"
    _check_identity(concepts.identity)
    _check_vocabulary(concepts)
    assert len(concepts) > 0, "a concept set has images"
    names = [concepts.name(index) for index in range(len(concepts))]
    assert len(set(names)) == len(names), "image names are unique"
    copy = pickle.loads(pickle.dumps(concepts))
    for index in range(min(images, len(concepts))):
        image, annotation = concepts.image(index), concepts.annotation(index)
        _check_annotation(annotation, len(concepts.concepts), image)
        _check_same(image, annotation, concepts.image(index), concepts.annotation(index), "when asked twice")
        _check_same(image, annotation, copy.image(index), copy.annotation(index), "in another process")


def _check_identity(identity: Identity) -> None:
    assert isinstance(identity, Identity), "identity is an Identity"
    for field in ("name", "source", "version"):
        assert isinstance(getattr(identity, field), str) and getattr(identity, field), f"identity.{field} is a text"


def _check_vocabulary(concepts: ConceptSet) -> None:
    pairs = [(concept.name, concept.category) for concept in concepts.concepts]
    assert pairs, "a concept set has concepts"
    assert len(set(pairs)) == len(pairs), "a concept is in the vocabulary once"
    assert len(set(concepts.categories)) == len(concepts.categories), "categories are unique"
    assert {category for _, category in pairs} == set(concepts.categories), "each category has concepts, and no other"


def _check_annotation(annotation: Annotation, concepts: int, image: Image.Image) -> None:
    values: list[Any] = [np.asarray(annotation.labels, dtype=np.int64)]
    for plane in annotation.planes:
        assert plane.ndim == 2 and np.issubdtype(plane.dtype, np.integer), "a plane is (row, column), integers"
        slack = abs(plane.shape[1] * image.height - plane.shape[0] * image.width)
        assert slack <= max(image.size), f"a plane {plane.shape} covers its image {image.size}"
        values.append(plane.ravel())
    used = np.concatenate(values)
    assert used.size == 0 or (used.min() >= 0 and used.max() <= concepts), "values are 0 or 1 + a concept's index"
    assert all(label > 0 for label in annotation.labels), "a whole-image label is a concept"


def _check_same(
    image: Image.Image, annotation: Annotation, image2: Image.Image, annotation2: Annotation, when: str
) -> None:
    assert np.array_equal(np.asarray(image), np.asarray(image2)), f"an image is the same {when}"
    assert annotation.labels == annotation2.labels, f"labels are the same {when}"
    pairs = zip(annotation.planes, annotation2.planes, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs), f"planes are the same {when}"


def check_model(model: Model, layers: Sequence[Any], size: Size) -> None:
    """Check an opened model, and probes on some of its layers, for inputs of ``size``."""
    _check_identity(model.identity)
    assert model.backend and isinstance(model.preprocess, Preprocess), "a model names its backend and preprocessing"
    listed = model.layers(size)
    assert listed and len({layer.name for layer in listed}) == len(listed), "layers are listed, each once"
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(1)).to(model.device)
    with model.probe(layers, size) as probe:
        first = _checked_maps(probe, images, len(layers))
        kept = {layer: maps.clone() for layer, maps in first.items()}
        _check_batches(probe, images, kept)
        assert all(torch.equal(first[layer], kept[layer]) for layer in kept), "maps are the caller's own"
    _check_reopened(model, layers, size, images, kept)
    if isinstance(model, SplitModel):
        for asked, (layer, maps) in zip(layers, kept.items(), strict=True):
            _check_rest(model, asked, layer, images, maps)
    _check_unknown_layer(model, size)


def _checked_maps(probe: Probe, images: Tensor, layers: int) -> dict[str, Tensor]:
    found = dict(probe(images))
    assert tuple(found) == probe.layers and len(found) == layers, "a probe gives its layers, in order"
    for layer, maps in found.items():
        assert maps.dim() == 4 and maps.shape[0] == len(images), f"maps of {layer} are (image, unit, row, column)"
        assert maps.is_floating_point() and not maps.requires_grad, f"maps of {layer} are numbers without gradients"
        assert isinstance(probe.geometries[layer], Geometry), f"{layer} has a geometry"
    return found


def _check_batches(probe: Probe, images: Tensor, together: dict[str, Tensor]) -> None:
    for place in range(len(images)):
        for layer, maps in probe(images[place : place + 1]).items():
            expected = together[layer][place : place + 1].to(maps.dtype)
            torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-4, msg=f"{layer}: a batch is its images")


def _check_reopened(model: Model, layers: Sequence[Any], size: Size, images: Tensor, kept: dict[str, Tensor]) -> None:
    try:
        with model.probe(layers, size):
            raise _Interruption
    except _Interruption:
        pass
    with model.probe(layers, size) as probe:
        for layer, maps in probe(images).items():
            assert torch.equal(maps, kept[layer]), f"{layer}: after a failure a new probe gives the same"


def _check_rest(model: SplitModel, asked: Any, layer: str, images: Tensor, maps: Tensor) -> None:
    with torch.no_grad(), model.rest(asked, (images,)) as rest:
        assert rest.name == layer, f"{layer}: a cut has the name that a probe gives"
        value, outputs = rest.layer(images), model.outputs(images)
        found = rest.layout.maps(value).to(maps.dtype)
        torch.testing.assert_close(found, maps, rtol=1e-4, atol=1e-4, msg=f"{layer}: its maps are a probe's")
        again = rest(value.clone(), images)
        if isinstance(outputs, Tensor):
            message = f"{layer}: with its own output put back, the model gives what it gives"
            torch.testing.assert_close(again, outputs, rtol=1e-4, atol=1e-4, msg=message)


def _check_unknown_layer(model: Model, size: Size) -> None:
    try:
        with model.probe(["no such layer"], size):
            pass
    except LayerNotFound as error:
        assert "no such layer" in str(error), "the error names the layer"
    else:
        raise AssertionError("a layer that does not exist is a LayerNotFound")


class _Interruption(Exception):
    """Raised inside a probe."""
