"""Probes: run the subgraph that some layers need and return their activation maps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from onnx import NodeProto
from torch import Tensor

from nd_onnxruntime.device_stream import FURTHER_OPTIONS, further_options
from nd_onnxruntime.exposed_layer import check_map_count
from nd_onnxruntime.image_input import Size
from nd_onnxruntime.loaded_model import LoadedModel
from nd_onnxruntime.naming import Layer
from nd_onnxruntime.probed_layer import ProbedLayer, describe_layers
from nd_onnxruntime.runner import Runner
from nd_onnxruntime.sessions import CPU, heavy_nodes_on_cpu
from nd_plugin import (
    ONE_AT_A_TIME,
    Geometry,
    ModelFailed,
    NoiseRun,
    Reproducibility,
    UnitsNotFound,
    examine_reproducibility,
)


@dataclass(frozen=True)
class OnnxProbe:
    """Runner of a subgraph that returns its outputs as activation maps."""

    runner: Runner
    probed: Sequence[ProbedLayer]
    singly: bool  # images are run one at a time
    session_notes: tuple[str, ...] = ()
    # reasons why the same image may give other maps
    unreliable: tuple[str, ...] = ()
    # noise that was run to find these, and its maps; None where it failed
    noise_run: NoiseRun | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Canonical names of the probed layers, in the order of the request."""
        return tuple(probed.name for probed in self.probed)

    @property
    def geometries(self) -> Mapping[str, Geometry]:
        """Receptive-field geometry of each layer."""
        return {probed.name: probed.geometry for probed in self.probed}

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader of the results, each once."""
        layer_notes: list[str] = []
        for probed in self.probed:
            layer_notes += probed.notes
        batch_notes = (ONE_AT_A_TIME,) if self.singly else ()
        return (*dict.fromkeys(layer_notes), *batch_notes, *self.session_notes)

    def __call__(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the maps (image, unit, row, column) of each layer.

        Raises ModelFailed, and UnitsNotFound for a layer whose maps are not one per image.
        """
        if not self.singly or len(images) == 1:
            return self._maps(images)
        singles = images.split(1)  # type: ignore[no-untyped-call]
        maps_of_images = [self._maps(image) for image in singles]
        joined: dict[str, Tensor] = {}
        for name in self.layers:
            joined[name] = torch.cat([maps[name] for maps in maps_of_images])
        return joined

    def _maps(self, images: Tensor) -> dict[str, Tensor]:
        names = [output.name for output in self.runner.session.get_outputs()]
        values = dict(zip(names, self.runner(images), strict=True))
        maps_by_layer = {}
        for probed in self.probed:
            maps = probed.layout.maps(values[probed.exposed.name])
            check_map_count(probed.name, len(maps), len(images))
            maps_by_layer[probed.name] = maps.contiguous()
        return maps_by_layer


def open_probe(
    model: LoadedModel, layers: Sequence[Layer], size: Size
) -> OnnxProbe:
    """Open a probe on some layers, for images of a size.

    Images are run in batches if that is verified to give what single images give.
    """
    probed, singly = describe_layers(model, layers, size)
    runner = _open_runner(model, probed, size, singly=singly)
    probe = OnnxProbe(runner, probed, singly, _session_notes(runner))
    examined = _examine(probe, size)
    if not singly and (examined is None or examined.needs_single_images):
        runner = _open_runner(model, probed, size, singly=True)
        probe = replace(probe, runner=runner, singly=True)
        examined = _examine(probe, size)
    if examined is None:
        return probe
    return replace(
        probe, unreliable=examined.unreliable, noise_run=examined.noise_run
    )


def _open_runner(
    model: LoadedModel, probed: Sequence[ProbedLayer], size: Size, *, singly: bool
) -> Runner:
    values = [layer.exposed.name for layer in probed]
    # each once: a layer may be probed under two names
    appended: dict[str, NodeProto] = {}
    for layer in probed:
        appended |= {node.name: node for node in layer.exposed.appended}
    return model.runner(
        values, size, singly=singly, appended=list(appended.values())
    )


def _session_notes(runner: Runner) -> tuple[str, ...]:
    """Return notes on work and data that are not on the GPU although ONNX Runtime uses it."""
    notes = []
    heavy_nodes = heavy_nodes_on_cpu(runner.session)
    if heavy_nodes:
        notes.append(f"heavy nodes that ran on the CPU: {', '.join(heavy_nodes)}")
    if runner.device.provider != CPU and runner.device.tensors.type == "cpu":
        notes.append("torch has no CUDA here: activations are copied to the CPU")
    options = further_options(os.environ)
    if runner.device.provider != CPU and options:
        listing = ", ".join(f"{name}={value}" for name, value in options.items())
        notes.append(f"options of the CUDA provider ({FURTHER_OPTIONS}): {listing}")
    return tuple(notes)


def _examine(probe: OnnxProbe, size: Size) -> Reproducibility | None:
    """Compare batches of noise with single images and a second run; None where a run fails."""
    device = probe.runner.device
    images = probe.runner.image.noise(2, size).to(device.tensors)
    # TF32 has a mantissa of ten bits, as float16
    computed_in = torch.float16 if device.use_tf32 else None
    try:
        return examine_reproducibility(probe, images, computed_in)
    except (ModelFailed, UnitsNotFound, RuntimeError):
        return None
