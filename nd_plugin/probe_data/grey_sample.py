"""Range of grey values of a probe data set, so that its dark pictures stay dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.pictures.grey_values import (
    GreyRange,
    WideGrey,
    choose_range,
    guess_remark,
    range_of_picture,
    smallest_range,
    wide_grey,
)
from nd_plugin.pictures.pixel_limit import is_out_of_memory

# or up to twice as many, spread evenly over the probe data set
SAMPLED_IMAGES = 256
OF_THE_SET = "the largest value of the probe data set"
BRIGHTER = (
    "its own largest value, which is beyond those of the images sampled: other images may be "
    "scaled from a smaller range"
)


@dataclass
class GreySample:
    """Largest grey values of a probe data set, by kind of values.

    The sample is the same in every process and for every part of the set. It is read when the first
    picture needs it: sets of ordinary pictures never pay for it.
    """

    concepts: ConceptSet
    _largest: dict[str, float] | None = field(default=None, init=False)

    def choose_range(self, grey: WideGrey) -> GreyRange:
        """Choose the range of a picture of the set. Raises ValueError for values that fit none."""
        if grey.known_white is not None:
            return choose_range(grey, grey.largest, "")
        largest_of_set = self._largest_of_set(grey.kind)
        largest = max(grey.largest, largest_of_set)
        grey_range = choose_range(grey, largest, OF_THE_SET)
        if self._exceeds_set(grey, grey_range.white):
            remark = guess_remark(grey.kind, grey_range.white, BRIGHTER)
            return replace(grey_range, remark=remark)
        return grey_range

    def _exceeds_set(self, grey: WideGrey, white: int) -> bool:
        """Return whether a picture has a larger range than those of the sample."""
        largest_of_set = self._largest_of_set(grey.kind)
        if largest_of_set >= grey.largest:
            return False
        return smallest_range(grey.kind, largest_of_set) < white

    def _largest_of_set(self, kind: str) -> float:
        if self._largest is None:
            self._largest = self._measure()
        return self._largest.get(kind, 0)

    def _measure(self) -> dict[str, float]:
        largest: dict[str, float] = {}
        for grey in self._sampled_pictures():
            if grey.known_white is None:
                largest[grey.kind] = max(largest.get(grey.kind, 0), grey.largest)
        return largest

    def _sampled_pictures(self) -> Iterator[WideGrey]:
        """Yield the pictures of the sample whose grey values are wider than 8 bits."""
        step = max(len(self.concepts) // SAMPLED_IMAGES, 1)
        for index in range(0, len(self.concepts), step):
            # A concept set may raise anything, and so may values that fit no range; the image is
            # reported when its turn comes.
            grey = None
            try:
                grey = wide_grey(self.concepts.image(index))
                if grey is not None:
                    range_of_picture(grey)
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                continue
            if grey is not None:
                yield grey
