"""Reader of COCO: tables in JSON, panoptic masks, run lengths and polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from fuzz.cases import Files, Reader, Sample
from fuzz.mutators.json_values import JSON
from fuzz.mutators.pictures import PNG
from fuzz.readers.concept_sets import reader_of
from made_sources_b import write_coco_instances, write_coco_panoptic


def make_samples(folder: Path) -> Sequence[Sample]:
    """Return panoptic masks, and instances where the library is installed that decodes them."""
    samples = [
        Sample("panoptic", files_of(write_coco_panoptic, folder / "panoptic"))
    ]
    if find_spec("pycocotools") is not None:
        files = files_of(write_coco_instances, folder / "instances")
        samples.append(Sample("instances", files))
    return samples


def files_of(write: Callable[[Path], str], root: Path) -> Files:
    """Return the files of a set that a function writes."""
    write(root)
    return {
        f"set/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


COCO = Reader(
    "coco",
    make_samples,
    reader_of("coco:set"),
    {".json": JSON, ".png": PNG},
    fixed=(".jpg",),
)
