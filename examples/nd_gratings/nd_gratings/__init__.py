"""The concept set ``gratings``: drawn sinusoidal gratings, the truth of every pixel known.

This module is imported whenever plugins are listed, so it imports nothing heavy.
"""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """This concept set."""
    return [
        ConceptSetSpec(
            name="gratings",
            summary="drawn gratings: orientation, frequency, position; no file, no download",
            factory="nd_gratings.drawing:Gratings",
            accepts=("gratings", "gratings?images=96&orientations=8&size=224&seed=0"),
        )
    ]
