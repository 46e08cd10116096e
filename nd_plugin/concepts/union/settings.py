"""Settings of a union, and their description: what an interrupted build is known again by."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

from nd_plugin.concepts.export.options import check_mask_size
from nd_plugin.concepts.union.labels.merge_rules import MergeRules
from nd_plugin.concepts.union.labels.numbering import MIN_SAMPLES
from nd_plugin.concepts.union.sources import Sources
from nd_plugin.concepts.union.splits import Splits
from nd_plugin.receptive_fields.geometry import Size

if TYPE_CHECKING:
    from nd_plugin.concepts.colours.colour_table import ColourTable

SIZE = 224  # Broden's smallest


@dataclass(frozen=True)
class BuildSettings:
    """Settings of a union that its content depends on."""

    size: Size = (SIZE, SIZE)  # of images
    mask_size: Size = (SIZE // 2, SIZE // 2)
    min_samples: int = MIN_SAMPLES
    min_coverage: float = 0.0  # images' worth of pixels
    splits: Splits = field(default_factory=Splits.parse)
    rules: MergeRules = field(default_factory=MergeRules)

    def __post_init__(self) -> None:
        """Check the sizes: readers refuse masks of another aspect. Raises BadInput."""
        check_mask_size(self.mask_size, self.size)


@dataclass(frozen=True)
class BuildRun:
    """How a union is built; no file depends on it."""

    workers: int = 0
    strict: bool = False
    resume: bool = False
    overwrite: bool = False


def describe(
    sources: Sources, colors: ColourTable | None, settings: BuildSettings
) -> dict[str, Any]:
    """Return the sources and settings of a build, which a continuation has to share."""
    values = asdict(settings)
    values["rules"] = settings.rules.description()
    # the bytes of JPEG and PNG files are those of Pillow's version
    versions = {name: metadata.version(name) for name in ("nd_plugin", "pillow")}
    return {
        "sources": _describe_sources(sources),
        **values,
        "colors": "none" if colors is None else colors.fingerprint,
        "versions": versions,
    }


def _describe_sources(sources: Sources) -> list[dict[str, Any]]:
    descriptions = []
    for source in sources.sources:
        identity = source.concepts.identity
        description = {
            "name": source.name,
            "concept_set": identity.source,
            "version": identity.version,
            "fingerprint": identity.fingerprint,
            "images": len(source.image_names),
        }
        descriptions.append(description)
    return descriptions
