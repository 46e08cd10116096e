"""What tests hand to spawned processes: these import it by name, from the folder of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nd_plugin import BadInput, ConceptSet
from nd_plugin.storage import lock_file


class Annotations:
    """Planes of a concept set, as a data set for DataLoader."""

    def __init__(self, concepts: ConceptSet) -> None:
        self.concepts = concepts

    def __len__(self) -> int:
        return len(self.concepts)

    def __getitem__(self, index: int) -> list[npt.NDArray[Any]]:
        annotation = self.concepts.annotation(index)
        return [np.asarray(plane) for plane in annotation.planes]


def tell_of_lock(path: Path, messages: Any) -> None:
    """Put into a queue what `lock_file.alone` says of a lock file."""
    try:
        with lock_file.alone(path):
            messages.put("nothing")
    except BadInput as error:
        messages.put(str(error))
