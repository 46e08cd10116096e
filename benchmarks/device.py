"""Dissections on a GPU against the bare loop: python benchmarks/device.py DATA [--cases NAME …].

DATA is the folder that contains broden_camvid, whose 468 images are listed ten times. Dissection
and bare loop run in turn in one process, after a round of each that warms up; one line of JSON is
printed for each case, with medians of the rounds:

- ``ratio`` of the dissection to the bare loop (the fastest batch size and memory format of some),
  and ``aim``, the ratio that is wanted;
- ``parts`` of one more dissection, in which the host waits for the GPU at the end of each part:
  opening (of the model, and the first images), activations (feed, forward passes, candidates),
  thresholds, masks, results;
- ``forward``, seconds of forward passes alone, and ``feed``, of decoding alone;
- ``device_bytes``, the most that torch's tensors took on the GPU, of the dissection and of the
  bare loop.

The case ``feed`` decodes images and annotations with more and more worker processes, and nothing
else: images a second, and the seconds until the first batch. A case ``stream-UNITSxCELLS`` puts
generated maps at Broden's scale in the place of a network (device_stream.py). ``--onnx`` dissects
each network's export by ONNX Runtime, too. Models of torchvision have random weights; nothing is
downloaded.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bare
import torch
from bare import synchronise
from device_cases import CASES, Case, Repeated
from device_stream import STREAMS, Stream
from stopwatch import Stopwatch
from torch import nn

from nd_plugin import (
    ConceptSet,
    Model,
    ModelOptions,
    Preprocess,
    Settings,
    open_concepts,
)
from nd_plugin import open_model as open_any_model
from nd_plugin.engine.run import run
from nd_plugin.probe_data.batches import Feed
from nd_plugin.probe_data.workers import cores

FORMATS = {
    "channels last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
FEED = "feed"
ONNX = " onnx"  # behind the name of a case
# of the bare loop, by kind of device
BATCH_SIZES = {"cpu": (16, 24), "cuda": (64, 128, 256)}
# images of the forward passes that choose batch size and format, and the best of them that compete
TRIAL_IMAGES = {"cpu": 48, "cuda": 1024}
TRIALS = 2
# of the case `feed`: numbers of workers, and images for each of them
WORKERS = (1, 2, 4, 8, 12, 16, 24)
FEED_IMAGES = 500


@dataclass
class Bench:
    """What all cases share: data, device, precision, number of rounds, time that is left."""

    concepts: ConceptSet
    device: torch.device
    precision: str
    rounds: int
    workers: int | None  # None: as a dissection chooses
    settings: Settings
    deadline: float  # of `time.perf_counter`
    feed_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def is_late(self) -> bool:
        """Whether no further case or round may start."""
        return time.perf_counter() > self.deadline

    def open_model(self, model: nn.Module | str) -> Model:
        """Open a network, or an ONNX file, on the device and in the precision."""
        opened = open_any_model(model, ModelOptions(device=str(self.device)))
        if self.precision == "float32":
            return opened
        in_precision: Callable[[str], Model] = opened.in_precision  # type: ignore[attr-defined]
        return in_precision(self.precision)

    def feed(self, preprocess: Preprocess) -> Feed:
        """Return the images as a dissection reads them."""
        return Feed.of(
            self.concepts,
            preprocess,
            self.settings,
            self.device,
            workers=self.workers,
        )

    def measure_feed(self, preprocess: Preprocess) -> float:
        """Return the seconds of decoding alone, images and annotations together."""
        key = repr(preprocess)
        if key not in self.feed_seconds:
            batches = self.feed(preprocess).batches(annotated=True, as_tensors=True)
            with Stopwatch() as stopwatch:
                for _ in batches:
                    pass
            self.feed_seconds[key] = stopwatch.seconds
        return self.feed_seconds[key]


class Parts:
    """Progress of a run that takes the time of each part, and waits for the device at its end."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.marks: dict[str, list[float]] = {}  # first and last call of each stage
        self.start = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take the time at the beginning and at the end of a stage."""
        if stage in self.marks and done < total:
            return
        synchronise(self.device)
        now = time.perf_counter()
        self.marks.setdefault(stage, [now, now])[1] = now

    def seconds(self) -> dict[str, float]:
        """Return the time of each stage, and of what lies between."""
        end = time.perf_counter()
        observing = self.marks["activations"]
        counting = self.marks["masks"]
        parts = {
            "opening": observing[0] - self.start,
            "activations": observing[1] - observing[0],
            "thresholds": counting[0] - observing[1],
            "masks": counting[1] - counting[0],
            "results": end - counting[1],
        }
        again = self.marks.get("activations, second pass")
        if again:
            parts["second pass"] = again[1] - again[0]
            parts["thresholds"] -= parts["second pass"]
        return {name: round(seconds, 3) for name, seconds in parts.items()}


@contextmanager
def peak_memory(
    device: torch.device, peaks: dict[str, int], name: str
) -> Iterator[None]:
    """Put the most bytes that tensors take on a GPU into ``peaks``."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    try:
        yield
    finally:
        peak = torch.cuda.max_memory_allocated(device)
        peaks[name] = max(peaks.get(name, 0), peak)


@dataclass
class Dissector:
    """Dissections of one network, timed."""

    bench: Bench
    model: Model
    layers: Sequence[str]
    preprocess: Preprocess
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    notes: tuple[str, ...] = ()

    def dissect(self) -> None:
        """Dissect once, and take the time of the whole."""
        with self.stopwatch:
            dissections = run(self.model, self.layers, self.feed())
            synchronise(self.bench.device)
        self.notes = dissections[0].provenance.notes

    def feed(self) -> Feed:
        """Return the feed of one dissection."""
        return self.bench.feed(self.preprocess)

    def parts(self) -> dict[str, float]:
        """Dissect once more, and return the seconds of its parts."""
        parts = Parts(self.bench.device)
        run(self.model, self.layers, self.feed(), parts)
        return parts.seconds()

    def summary(self) -> dict[str, Any]:
        """Return the seconds of the rounds after the first, which warms up."""
        return rounds_summary(self.stopwatch.laps)


def rounds_summary(laps: Sequence[float]) -> dict[str, Any]:
    """Return the median and the seconds of each round; the first, which warms up, apart."""
    first, *rounds = laps
    summary: dict[str, Any] = {"first": round(first, 3)}
    summary["rounds"] = [round(lap, 3) for lap in rounds]
    summary["seconds"] = round(statistics.median(rounds or laps), 3)
    return summary


@dataclass
class BareLoop:
    """Bare loops over the same images with the same network, timed."""

    bench: Bench
    model: nn.Module
    layers: Sequence[str]
    preprocess: Preprocess
    workers: int
    forward_seconds: float = 0.0  # an image
    setups: list[tuple[int, str]] = field(default_factory=list)
    laps: dict[tuple[int, str], list[float]] = field(default_factory=dict)

    def choose(self) -> None:
        """Choose the fastest batch sizes and formats, by forward passes alone."""
        kind = self.bench.device.type
        times: dict[tuple[int, str], float] = {}
        for name, memory_format in FORMATS.items():
            self.model.to(memory_format=memory_format)  # type: ignore[call-overload]
            for batch_size in BATCH_SIZES[kind]:
                images = torch.rand(
                    batch_size,
                    self.preprocess.channels,
                    *self.preprocess.size,
                    device=self.bench.device,
                )
                passes = max(TRIAL_IMAGES[kind] // batch_size, 1)
                times[batch_size, name] = bare.forward_seconds(
                    self.model, self.layers, images, passes, memory_format
                )
        self.setups = sorted(times, key=times.__getitem__)[:TRIALS]
        self.forward_seconds = min(times.values())
        self.laps = {setup: [] for setup in self.setups}

    def run(self) -> None:
        """Run a loop for each setup; after the first round the best one goes on alone."""
        for batch_size, format_name in self.setups:
            memory_format = FORMATS[format_name]
            self.model.to(memory_format=memory_format)  # type: ignore[call-overload]
            seconds = bare.measure_seconds(
                self.model,
                self.layers,
                self.bench.concepts,
                self.preprocess,
                batch_size=batch_size,
                workers=self.workers,
                device=self.bench.device,
                memory_format=memory_format,
            )
            self.laps[batch_size, format_name].append(seconds)
        self.setups = [min(self.laps, key=lambda setup: self.laps[setup][0])]

    def summary(self) -> dict[str, Any]:
        """Return the seconds of the best setup's rounds, and what it is."""
        batch_size, format_name = self.setups[0]
        summary = rounds_summary(self.laps[batch_size, format_name])
        return {**summary, "batch_size": batch_size, "memory_format": format_name}


def measure_case(bench: Bench, case: Case) -> dict[str, Any]:
    """Return the figures of a network."""
    network = case.network(bench.concepts).to(bench.device)
    model = bench.open_model(network)
    ours = Dissector(bench, model, case.layers, model.preprocess)
    loop = BareLoop(
        bench,
        copy.deepcopy(network),
        case.layers,
        ours.preprocess,
        ours.feed().workers,
    )
    loop.choose()
    peaks: dict[str, int] = {}
    for _ in range(1 + bench.rounds):
        if len(ours.stopwatch.laps) > 1 and bench.is_late:
            break
        with peak_memory(bench.device, peaks, "dissection"):
            ours.dissect()
        with peak_memory(bench.device, peaks, "bare"):
            loop.run()
    dissection = ours.summary()
    bare_loop = loop.summary()
    images = len(bench.concepts)
    return {
        "ratio": round(dissection["seconds"] / bare_loop["seconds"], 3),
        "aim": case.aim,
        "dissection": dissection,
        "bare": bare_loop,
        "parts": ours.parts(),
        "forward": round(loop.forward_seconds * images, 3),
        "feed": round(bench.measure_feed(ours.preprocess), 3),
        "device_bytes": peaks,
        "layers": list(case.layers),
        "batch_size": ours.feed().batch_size,
        "workers": loop.workers,
        "notes": list(ours.notes),
    }


def measure_onnx(bench: Bench, case: Case) -> dict[str, Any]:
    """Return the figures of a network and of its export, dissected in turn."""
    network = case.network(bench.concepts)
    # which is not in the file
    preprocess = open_any_model(network).preprocess
    layers = case.exported_layers or case.layers
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{case.name}.onnx"
        export(network, path, preprocess)
        model = bench.open_model(str(path))
        exported = Dissector(bench, model, layers, preprocess)
        model = bench.open_model(network.to(bench.device))
        original = Dissector(bench, model, case.layers, preprocess)
        peaks: dict[str, int] = {}
        for _ in range(1 + bench.rounds):
            if len(exported.stopwatch.laps) > 1 and bench.is_late:
                break
            with peak_memory(bench.device, peaks, "onnx"):
                exported.dissect()
            with peak_memory(bench.device, peaks, "torch"):
                original.dissect()
        parts = exported.parts()
    seconds = exported.summary()
    torch_seconds = original.summary()
    return {
        "ratio_to_torch": round(seconds["seconds"] / torch_seconds["seconds"], 3),
        "aim": 1.2,
        "onnx": seconds,
        "torch": torch_seconds,
        "parts": parts,
        "torch_parts": original.parts(),
        "device": str(exported.model.device),
        "device_bytes": peaks,
        "layers": list(layers),
        "notes": list(exported.notes),
    }


def export(network: nn.Module, path: Path, preprocess: Preprocess) -> None:
    """Write a network as an ONNX file with a free batch size."""
    images = torch.rand(2, preprocess.channels, *preprocess.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this exporter is the older one
        torch.onnx.export(
            network,
            (images,),
            str(path),
            dynamo=False,
            input_names=["images"],
            dynamic_axes={"images": {0: "batch"}},
        )


def measure_stream(bench: Bench, stream: Stream) -> dict[str, Any]:
    """Return the figures of generated maps, from one run."""
    peaks: dict[str, int] = {}
    with peak_memory(bench.device, peaks, "dissection"):
        feed = stream.feed(bench.device, bench.workers)
        parts = Parts(bench.device)
        dissection = run(stream.model(bench.device), ["maps"], feed, parts)[0]
        seconds = parts.seconds()
    return {
        "parts": seconds,
        "seconds": round(sum(seconds.values()), 3),
        **stream.bounds(bench.device, feed),
        "device_bytes": peaks,
        "images": stream.images,
        "activation_bytes": stream.nbytes,
        "units": stream.units,
        "concepts": len(dissection.concepts),
        "batch_size": feed.batch_size,
        "workers": feed.workers,
        "lit_pixels": int(dissection.unit_area.sum()),
        "notes": list(dissection.provenance.notes),
    }


def measure_feed(bench: Bench) -> dict[str, Any]:
    """Return images a second for numbers of workers; the default is that of a dissection."""
    default = bench.feed(Preprocess()).workers
    images_per_second = {}
    first_batch = {}
    for workers in sorted({1, *WORKERS, default}):
        if workers > 2 * cores():
            continue
        images = min(len(bench.concepts), FEED_IMAGES * workers)
        feed = Feed.of(
            bench.concepts,
            Preprocess(),
            Settings(limit=images),
            bench.device,
            workers=workers,
        )
        with Stopwatch() as stopwatch:
            batches = feed.batches(annotated=True, as_tensors=True)
            next(batches)
            first_batch[workers] = round(time.perf_counter() - stopwatch.start, 3)
            for _ in batches:
                pass
        images_per_second[workers] = round(images / stopwatch.seconds)
    return {
        "default": default,
        "cores": cores(),
        "images_per_second": images_per_second,
        "first_batch": first_batch,
    }


def set_precision(precision: str) -> None:
    """Let torch compute float32 as it is, or in TF32, as dissections of that precision do."""
    use_tf32 = precision == "tf32"
    if hasattr(torch.backends, "fp32_precision"):
        form = "tf32" if use_tf32 else "ieee"
        torch.backends.fp32_precision = form
        torch.backends.cudnn.conv.fp32_precision = form
        torch.backends.cuda.matmul.fp32_precision = form
    else:
        torch.backends.cudnn.allow_tf32 = use_tf32
        torch.backends.cuda.matmul.allow_tf32 = use_tf32


def describe_machine(bench: Bench) -> dict[str, Any]:
    """Return what the figures are of."""
    is_cuda = bench.device.type == "cuda"
    name = (
        torch.cuda.get_device_name(bench.device) if is_cuda else platform.machine()
    )
    return {
        "device": name,
        "cores": cores(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "images": len(bench.concepts),
        "precision": bench.precision,
        "rounds": bench.rounds,
    }


def print_line(
    bench: Bench, name: str, measure: Callable[[], dict[str, Any]]
) -> None:
    """Print the figures of a case; an error ends the case only."""
    if bench.is_late:
        print(json.dumps({"case": name, "skipped": "--seconds-limit"}), flush=True)
        return
    started = time.perf_counter()
    try:
        figures = measure()
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        figures = {"error": f"{type(error).__name__}: {error}"}
    took = round(time.perf_counter() - started, 1)
    print(json.dumps({"case": name, **figures, "case_seconds": took}), flush=True)
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    names = [FEED, *(case.name for case in CASES)]
    names += [stream.name for stream in STREAMS]
    default_device = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    parser.add_argument("--images", type=int, default=4680)
    parser.add_argument("--stream-images", type=int, default=63305)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default=default_device)
    parser.add_argument(
        "--precision", choices=["float32", "tf32"], default="float32"
    )
    parser.add_argument("--workers", type=int)
    parser.add_argument(
        "--no-pictures", action="store_true", help="take no pictures for reports"
    )
    parser.add_argument(
        "--onnx", action="store_true", help="dissect exports by ONNX Runtime, too"
    )
    parser.add_argument(
        "--seconds-limit",
        type=float,
        default=float("inf"),
        help="start no case or round after so many",
    )
    return parser.parse_args()


def main() -> None:
    """Print all lines."""
    arguments = parse_arguments()
    started = time.perf_counter()
    set_precision(arguments.precision)
    original = open_concepts(f"broden:{arguments.data}/broden_camvid")
    bench = Bench(
        Repeated(original, arguments.images),
        torch.device(arguments.device),
        arguments.precision,
        arguments.rounds,
        arguments.workers,
        Settings(pictures=not arguments.no_pictures),
        started + arguments.seconds_limit,
    )
    print(json.dumps({"case": "machine", **describe_machine(bench)}), flush=True)
    for name, measure in measurements(bench, arguments):
        if name.removesuffix(ONNX) in arguments.cases:
            print_line(bench, name, measure)


def measurements(
    bench: Bench, arguments: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Yield each case's name, and the function that measures it."""
    yield FEED, partial(measure_feed, bench)
    for case in CASES:
        yield case.name, partial(measure_case, bench, case)
    for stream in STREAMS:
        sized = stream.of_images(arguments.stream_images)
        yield stream.name, partial(measure_stream, bench, sized)
    for case in CASES if arguments.onnx else []:
        yield case.name + ONNX, partial(measure_onnx, bench, case)


if __name__ == "__main__":
    main()
