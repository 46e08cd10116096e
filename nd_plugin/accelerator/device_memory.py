"""Memory of an accelerator: a budget for what a run stores there, and a remedy when it runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch

T = TypeVar("T")

# of the device's free memory, the default budget; the rest is the model's
FREE_SHARE = 0.4
# bytes, by default, where the device does not tell its free memory
HOST_BUDGET = 2**30

# of the budget
CANDIDATE_SHARE = 0.5
PENDING_SHARE = 0.2
ANNOTATION_SHARE = 0.15
WORK_SHARE = 0.15

MAX_PENDING = 2**31  # bytes; more would be sifted too late, after the last image
MIN_WORK = 2**22  # bytes, of one step

# by which the budget falls when the device has run out of memory
REDUCTION = 4


@dataclass
class DeviceMemory:
    """Budget in bytes of what a run stores on a device, beside the model and its batch."""

    budget: int
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, device: torch.device, budget: int | None) -> DeviceMemory:
        """Return the budget given, or else a share of the memory that is free now."""
        if budget is not None:
            return cls(budget)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            return cls(int(FREE_SHARE * free))
        return cls(HOST_BUDGET)

    @property
    def candidates(self) -> int:
        """Bytes for candidate maps."""
        return int(CANDIDATE_SHARE * self.budget)

    @property
    def pending(self) -> int:
        """Bytes for maps that wait to be sifted."""
        return min(int(PENDING_SHARE * self.budget), MAX_PENDING)

    @property
    def annotations(self) -> int:
        """Bytes for annotations that wait to be counted against."""
        return int(ANNOTATION_SHARE * self.budget)

    @property
    def work(self) -> int:
        """Bytes for the dense maps of one step, and for what is computed from them."""
        return max(int(WORK_SHARE * self.budget), MIN_WORK)

    def survive(
        self,
        attempt: Callable[[], T],
        release: Callable[[], None],
        second_attempt: Callable[[], T] | None = None,
    ) -> T:
        """Return what ``attempt`` does; where memory runs out, once more with a smaller budget.

        ``release`` frees what it can before the second attempt, which must not build on the first,
        and may be another one.
        """
        try:
            return attempt()
        except torch.OutOfMemoryError:
            self.reduce()
        # outside of the handler, which holds the frames of the first attempt
        release()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return (second_attempt or attempt)()

    def reduce(self) -> None:
        """Reduce the budget after the device has run out of memory, and note it."""
        self.budget //= REDUCTION
        self.note(
            "the device ran out of memory: less was stored on it, and steps were smaller; this "
            "takes time and changes no number"
        )

    def note(self, text: str | None) -> None:
        """Add a note to be shown with results, once."""
        if text and text not in self.notes:
            self.notes.append(text)
