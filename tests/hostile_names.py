"""Names that steer terminals, break lines, tables and documents, in every field of a dissection."""

from __future__ import annotations

from dataclasses import replace

from nd_plugin import Concept, Dissection

ESCAPES = "\x1b[2J\x1b]8;;http://evil.example/\x07link\x1b]8;;\x07\x1b[8m"
C1 = "\x9b31mred\x9d0;title\x9c\x85"
BREAKS = "two\nlines\r\n\tand\va\fpage\u2028\u2029\x1e"
TURNED = "\u202eabc\u202c\u2066def\u2069\u200f\u061c"
HALVES = "half \udcff\ud800 \ufffe\uffff \x00\x7f\x08"
MARKUP = "[bold red]x[/] [link=http://evil.example/]y[/link] :warning: ]]> <b>&amp; <!-- --> "
MATHS = "$\\frac{1}{$ $x^{$ \\input{/etc/passwd} 100 % # _ ^ ~ {"
FORMULA = '=HYPERLINK("http://evil.example/";"x")'
SCRIPT = "</script><script src=http://evil.example/x.js></script><img src=//evil.example/x>"
STYLE = "</style><style>@import url(http://evil.example/x.css);</style>"
NAMES = (
    ESCAPES, C1, BREAKS, TURNED, HALVES, MARKUP, MATHS, FORMULA, SCRIPT, STYLE,
)  # fmt: skip
# what no terminal may get beside the styles of rich
STEERING = (
    "\x07\x08\x0b\x0c\r\x1b\x7f\x9b\x9c\x9d\x85\u202e\u202c\u2066\u2069\u2028"
)


def with_hostile_names(dissection: Dissection) -> Dissection:
    """Return a dissection with hostile names of everything that has one.

    The structure is that of the ``dissection`` fixture: four concepts, four images.
    """
    first, second = ESCAPES + BREAKS + HALVES, MARKUP + TURNED + FORMULA
    concepts = (
        Concept(ESCAPES + HALVES + MATHS, first, (C1,)),
        Concept(BREAKS + SCRIPT, first),
        Concept(FORMULA + C1, second),
        Concept(STYLE + TURNED + MARKUP, second),
    )
    names = "".join(NAMES)
    provenance = dissection.provenance
    identity = replace(provenance.model, name=names, source=names, version=C1)
    provenance = replace(
        provenance,
        model=identity,
        concept_set=identity,
        backend=names,
        device=names,
        notes=NAMES,
        versions={names: names},
        extra={names: names},
    )
    return replace(
        dissection,
        layer=names,
        categories=(first, second),
        concepts=concepts,
        image_names=NAMES[:4],
        provenance=provenance,
    )
