"""Small set of masks on which the reader is checked (``nd plugins --check masks``)."""

from pathlib import Path

from nd_plugin import ExportOptions, export_concepts, open_concepts


def example(folder: Path) -> str:
    """Export three drawn scenes in the layout, and return the text that opens them."""
    scenes = open_concepts("shapes?images=3&size=32x48")
    root = folder / "masks"
    export_concepts(scenes, root, ExportOptions("masks"), workers=0)
    return f"masks:{root}"
