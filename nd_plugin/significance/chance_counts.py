"""Best matches of units with permuted annotations: what chance alone gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ChanceCounts:
    """Best match of each unit where the images' annotations are permuted.

    They are permuted among the images of one mask size that have the same set of categories, so
    that |M_k| and |L_c| of equation 1 stay what they are.
    """

    iou: npt.NDArray[np.float64]  # (permutation, unit) best IoU over all concepts
    # (permutation, unit) that concept, ties to the lower index
    labels: npt.NDArray[np.int64]
    fixed_images: int  # images that nothing could be exchanged with

    @property
    def permutations(self) -> int:
        """Number of permutations."""
        return len(self.iou)
