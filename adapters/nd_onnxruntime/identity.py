"""Identity of an opened ONNX model: name, version and fingerprint, for provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from nd_onnxruntime.document import Document
from nd_onnxruntime.feeding import Feed
from nd_onnxruntime.image_input import ImageInput
from nd_plugin import Identity, fingerprint


def identify(
    document: Document,
    content: bytes,
    image: ImageInput,
    feeds: Mapping[str, Feed],
    provider: str,
) -> Identity:
    """Return the identity of a model whose file has the bytes ``content``."""
    return Identity(
        name=_model_name(document.source),
        source=document.source,
        version=f"onnxruntime {ort.__version__}, {provider}",
        fingerprint=_content_fingerprint(
            content, document.external, image.name, feeds
        ),
    )


def _content_fingerprint(
    content: bytes,
    external: Mapping[str, Path],
    image_name: str,
    feeds: Mapping[str, Feed],
) -> str:
    """Hash all that decides a model's outputs: the file, its external data, and its feeds.

    The fingerprint is the beginning of a SHA-256 over ``content`` and the digests of the external
    files, sorted by location; with feeds, of a second one over the first, the name of the image
    input, and name, shape, type and values of each feed.
    """
    chunks = [content]
    for _, path in sorted(external.items()):
        with path.open("rb") as file:
            chunks.append(hashlib.file_digest(file, "sha256").digest())
    file_fingerprint = fingerprint(chunks)
    if not feeds:
        return file_fingerprint
    chunks = [f"{file_fingerprint} {image_name}".encode()]
    for name, feed in sorted(feeds.items()):
        chunks.append(f"{name} {feed.array.shape} {feed.array.dtype}".encode())
        chunks.append(feed.array.tobytes())
    return fingerprint(chunks)


def _model_name(source: str) -> str:
    """Return the file name without folder and ``.onnx``."""
    return source.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx")
