"""Concept set ``gratings``: drawn sinusoidal gratings with exact annotations.

Imported whenever plugins are listed, so it imports nothing heavy.
"""

from pathlib import Path

from nd_plugin import ConceptSetSpec, hookimpl


def example(folder: Path) -> str:
    """Return the text of a small set for ``nd plugins --check``; nothing is written."""
    return "gratings?images=4&size=64"


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Announce the concept set ``gratings``."""
    return [
        ConceptSetSpec(
            name="gratings",
            summary="drawn gratings: orientation, frequency, position; no file, no download",
            factory="nd_gratings.drawing:Gratings",
            accepts=(
                "gratings",
                "gratings?images=96&orientations=8&size=224&seed=0",
            ),
            example="nd_gratings:example",
        )
    ]
