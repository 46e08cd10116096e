"""Readers of Broden's sources, in their true layouts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import made_sources_a as made
from fuzz.cases import Numbers, Reader, Sample, read_files
from fuzz.mutators.json_values import JSON
from fuzz.mutators.pictures import PNG
from fuzz.mutators.tables import TABLES
from fuzz.readers.concept_sets import read_set

WRITERS = {
    "ade20k 2016": made.write_ade20k_2016,
    "ade20k 2021": made.write_ade20k_2021,
    "ade20k parsing": made.write_scene_parsing,
    "dtd": made.write_dtd,
    "opensurfaces": made.write_opensurfaces,
    "pascal_context": made.write_pascal_context,
    "pascal_part": made.write_pascal_part,
    "voc": made.write_voc,
}


def source_samples(folder: Path) -> Sequence[Sample]:
    """Return a sample of each source, below a folder of its scheme's name."""
    samples = []
    for name, write in WRITERS.items():
        scheme = name.partition(" ")[0]
        root = folder / name.replace(" ", "_")
        write(root)
        files = read_files(root)
        below = {f"{scheme}/{path}": content for path, content in files.items()}
        samples.append(Sample(name, below))
    return samples


def read_source(folder: Path, random: Random) -> Numbers:
    """Open the source in the current folder, and decode its first images."""
    schemes = {name.partition(" ")[0] for name in WRITERS}
    (scheme,) = [name for name in sorted(schemes) if (folder / name).is_dir()]
    return read_set(f"{scheme}:{scheme}")


# MATLAB files, and lists and tables without an ending of their own, change byte by byte
SOURCES = Reader(
    "sources",
    source_samples,
    read_source,
    {".csv": TABLES, ".json": JSON, ".png": PNG},
    fixed=(".jpg",),
)
