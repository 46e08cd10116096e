"""Texts that would do harm where they are not escaped, in every field of a dissection."""

from __future__ import annotations

from dataclasses import replace

from nd_plugin import Concept, Dissection

EVIL = "<script>alert(1)</script>"
QUOTES = "\"><img src=x onerror=alert(1)>'.jpg"


def with_foreign_texts(dissection: Dissection) -> Dissection:
    """Return a dissection of four concepts and images with foreign names, layer and notes.

    Categories are foreign, too; the structure is that of the ``dissection`` fixture.
    """
    category = f'part"{EVIL}'
    concepts = (
        Concept(EVIL, "object"),
        Concept("</script><b>", "object"),
        Concept(QUOTES, category),
        Concept("لא‮", category),
    )
    model = replace(dissection.provenance.model, source=f"net:{EVIL}")
    provenance = replace(dissection.provenance, model=model, notes=(f'{EVIL} "&',))
    return replace(
        dissection,
        layer=f"../{EVIL}",
        categories=("object", category),
        concepts=concepts,
        image_names=(QUOTES, "../b", EVIL, "‮ü.jpg"),
        provenance=provenance,
    )
