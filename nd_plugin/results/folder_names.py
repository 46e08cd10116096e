"""Names of folders."""

from __future__ import annotations


def folder_of(layer: str) -> str:
    """A layer's name as a folder's name: readable, one level, and never outside the run."""
    kept = "".join(c if c.isalnum() or c in "._-#[]+" else "_" for c in layer)
    return f"_{kept}" if not kept.strip(".") else kept
