"""Dispatch modes that observe a forward pass, one ATen operation at a time."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class ObservingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode under which nothing compiled runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: torch's own method loads the compiler, which takes seconds."""
        return False
