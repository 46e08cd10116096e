"""Kinds of figures of rotation studies; checked before a run, and before matplotlib is imported."""

from __future__ import annotations

from nd_plugin.errors import BadInput

ROTATION = "rotation"  # unique detectors over α: figure 6 of the paper
CONCEPTS = "concepts"  # best unit against best direction, in numbers: figure 7
PICTURES = "pictures"  # the same in pictures
COMPLETE = (
    "complete"  # own basis and full rotation, of one study or several: figure 8
)
KINDS = (ROTATION, CONCEPTS, PICTURES, COMPLETE)


def check_kind(kind: str, studies: int) -> None:
    """Raise BadInput for another kind, and for several studies in a figure of one."""
    if kind not in KINDS:
        raise BadInput(
            f"no kind of plot {kind!r} of a rotation; known are {', '.join(KINDS)}"
        )
    if studies > 1 and kind != COMPLETE:
        raise BadInput(
            f"the plot {kind!r} shows one study, and these are {studies}; "
            f"{COMPLETE!r} shows several"
        )
