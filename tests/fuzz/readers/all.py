"""All readers, by name."""

from __future__ import annotations

from fuzz.readers.checkpoints import CHECKPOINTS
from fuzz.readers.coco import COCO
from fuzz.readers.command_texts import COMMAND_TEXTS
from fuzz.readers.concept_sets import (
    BRODEN,
    MASK_PICTURES,
    MASKS,
    PICTURES,
    STRICT_MASKS,
)
from fuzz.readers.experiment_files import EXPERIMENTS
from fuzz.readers.foreign_tables import FOREIGN_TABLES
from fuzz.readers.onnx_models import ONNX
from fuzz.readers.rating_files import RATINGS
from fuzz.readers.runs import RUNS
from fuzz.readers.sources import SOURCES
from fuzz.readers.weights import BASES, WEIGHTS

READERS = {
    reader.name: reader
    for reader in (
        BRODEN,
        MASKS,
        MASK_PICTURES,
        STRICT_MASKS,
        PICTURES,
        SOURCES,
        ONNX,
        RUNS,
        CHECKPOINTS,
        FOREIGN_TABLES,
        WEIGHTS,
        BASES,
        COMMAND_TEXTS,
        RATINGS,
        EXPERIMENTS,
        COCO,
    )
}
