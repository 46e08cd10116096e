"""Records of a run: identities, settings, skipped images, provenance."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nd_plugin.errors import BadInput

DEFAULT_QUANTILE = 0.005  # the paper's
DEFAULT_TOP_IMAGES = 50
# of a unit, with pictures: raters are shown as many (paper, section 3.1)
DEFAULT_PICTURES = 15
PICTURE_BUDGET = 2**25  # bytes of a layer's pictures, 32 MiB


@dataclass(frozen=True)
class Identity:
    """Identity of a concept set or model, for provenance."""

    name: str  # "broden"
    source: str  # origin: a folder, a spec, a class
    version: str  # of the data if they have one, else of the reader
    fingerprint: str  # of the names and descriptions of the content; "" for none


def fingerprint(chunks: Iterable[bytes | memoryview]) -> str:
    """Return 16 hexadecimal digits that identify content: the beginning of its SHA-256.

    ``chunks`` are hashed one after the other, as if they were joined.
    """
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Skipped:
    """Image or annotation that could not be read, and the reason."""

    image: str
    part: str  # "image" | "annotation"
    reason: str


@dataclass(frozen=True)
class Settings:
    """Settings that determine the results of a dissection.

    A run may take several quantiles τ: ``quantiles`` has them, and ``quantile`` is the first. The
    settings of a result have one ``quantile``. Raises BadInput for values that are no numbers or
    out of range.
    """

    quantile: float = DEFAULT_QUANTILE  # τ
    min_iou: float = 0.04
    # "rf": receptive-field centres | "cell": cells spread evenly
    anchor: str = "rf"
    mask_size: str = "auto"  # "auto" | "native" | "N" | "HxW"
    limit: int | None = None  # number of images, from the first on; None for all
    # stop at the first unreadable image; refuse a layer whose activations vary from run to run
    strict: bool = False
    top_images: int = DEFAULT_TOP_IMAGES
    # of a run that takes several; () for ``quantile`` alone
    quantiles: tuple[float, ...] = ()
    # of an image or mask; None: the environment's ND_MAX_PIXELS, else Pillow's limit
    max_pixels: int | None = None
    # of a unit's top images, the first so many have pictures; True: 15, False: none
    pictures: int = DEFAULT_PICTURES
    # bytes of a layer's pictures, annotations and maps: fewer images have pictures beyond
    picture_budget: int = PICTURE_BUDGET
    # parts of the images with counts of their own, for intervals; 0 for none
    folds: int = 0
    # of the images' annotations, for the level of chance; 0 for none
    permutations: int = 0
    seed: int = 0  # of the folds and the permutations
    # hash the contents of images and masks before the run; changes no number
    verify_data: bool = False

    def __post_init__(self) -> None:
        """Convert numbers of any type (NumPy, Decimal) to plain Python numbers, and check them."""
        self._set("quantile", _to_float("quantile", self.quantile))
        quantiles = [_to_float("quantile", value) for value in self.quantiles]
        self._set("quantiles", ())
        if quantiles:
            self._set_quantiles(quantiles)
        self._set("min_iou", _to_float("min_iou", self.min_iou))
        self._set("top_images", _to_int("top_images", self.top_images))
        if self.limit is not None:
            self._set("limit", _to_int("limit", self.limit))
        if self.max_pixels is not None:
            self._set("max_pixels", _to_int("max_pixels", self.max_pixels))
        self._set_pictures()
        for name in ("folds", "permutations", "seed"):
            self._set(name, _to_int(name, getattr(self, name)))
        self._check_ranges()
        self._check_significance()

    def _set_quantiles(self, quantiles: list[float]) -> None:
        if self.quantile not in (DEFAULT_QUANTILE, quantiles[0]):
            raise BadInput(
                f"quantile {self.quantile} beside quantiles {quantiles}: give one of the two"
            )
        distinct = tuple(dict.fromkeys(quantiles))
        self._set("quantile", distinct[0])
        if len(distinct) > 1:
            self._set("quantiles", distinct)

    def _set_pictures(self) -> None:
        if isinstance(self.pictures, bool):
            self._set("pictures", DEFAULT_PICTURES if self.pictures else 0)
        self._set("pictures", _to_int("pictures", self.pictures))
        self._set("picture_budget", _to_int("picture_budget", self.picture_budget))

    @property
    def all_quantiles(self) -> tuple[float, ...]:
        """All quantiles of the run, one or several."""
        return self.quantiles or (self.quantile,)

    @property
    def is_by_image(self) -> bool:
        """Whether counts of single images are needed: for folds, or for permutations."""
        return bool(self.folds or self.permutations)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_ranges(self) -> None:
        for quantile in self.all_quantiles:
            if not 0 < quantile < 1:
                raise BadInput(
                    f"quantile {quantile} is not between 0 and 1 (the paper's is 0.005)"
                )
        if not 0 <= self.min_iou < 1:
            raise BadInput(
                f"min_iou {self.min_iou} is not between 0 and 1 (the paper's is 0.04)"
            )
        if self.anchor not in ("rf", "cell"):
            raise BadInput(
                f"anchor {self.anchor!r} is neither 'rf' (receptive fields) nor 'cell' "
                "(spread evenly)"
            )
        if self.top_images < 1:
            raise BadInput(f"top_images {self.top_images} is not a positive number")
        if self.limit is not None and self.limit < 1:
            raise BadInput(f"limit {self.limit} leaves no image")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise BadInput(f"max_pixels {self.max_pixels} is not a positive number")
        if self.pictures < 0:
            raise BadInput(
                f"pictures {self.pictures} is a number of images, 0 for none"
            )
        if self.picture_budget < 1:
            raise BadInput(
                f"picture_budget {self.picture_budget} is not a positive number of bytes"
            )

    def _check_significance(self) -> None:
        if self.folds < 0 or self.folds == 1:
            raise BadInput(
                f"folds {self.folds} leaves nothing to compare: give at least 2, or 0 for none"
            )
        if self.permutations < 0:
            raise BadInput(
                f"permutations {self.permutations} is a number of permutations, 0 for none"
            )
        if self.seed < 0:
            raise BadInput(f"seed {self.seed} is negative: give 0 or more")

    def at(self, quantile: float) -> Settings:
        """Return the settings of the results at one of the run's quantiles."""
        return replace(self, quantile=quantile, quantiles=())


def _to_float(name: str, value: Any) -> float:
    """Convert by way of the decimal text, so that float32's 0.005 becomes float64's 0.005."""
    try:
        return float(str(value))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} {value!r} is no number") from error


def _to_int(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} {value!r} is no whole number") from error


@dataclass(frozen=True)
class ModelTraits:
    """Traits of a model beside its weights; an empty one is unknown, and is not compared.

    See ``contracts.model_traits``.
    """

    spec: str = ""  # text that names the model, with the values of all its options
    structure: str = ""  # fingerprint of the modules
    noise: str = ""  # fingerprint of images of noise
    # of the maps of these, by layer; none of a layer whose maps vary from run to run
    sums: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def of_layer(self, layer: str) -> ModelTraits:
        """Return the same traits, with the sums of one layer alone."""
        sums = {name: self.sums[name] for name in self.sums if name == layer}
        return replace(self, sums=sums)


@dataclass(frozen=True)
class Provenance:
    """Provenance of a run; all fields are written to run.json."""

    model: Identity
    concept_set: Identity
    backend: str
    device: str
    preprocess: Mapping[str, Any]
    geometry: Mapping[str, Any]
    versions: Mapping[str, str]
    started: str  # ISO 8601, UTC
    seconds: float
    notes: tuple[str, ...] = ()  # all fallbacks that were used
    extra: Mapping[str, Any] = field(default_factory=dict)
    # of the model's arithmetic: "float32", "tf32" …; "" in results of earlier versions
    precision: str = ""
    # empty in results of earlier versions
    traits: ModelTraits = field(default_factory=ModelTraits)
    # fingerprint of the contents of images and masks; "" where they were not hashed
    contents: str = ""
