"""Concept sets of Pascal VOC's images: ``voc``, ``pascal_context`` and ``pascal_part``."""

from nd_plugin import ConceptSetSpec, hookimpl


@hookimpl
def nd_concept_sets() -> list[ConceptSetSpec]:
    """Offer the three annotations of the same images."""
    return [
        ConceptSetSpec(
            name="voc",
            summary="Pascal VOC segmentation: JPEGImages/, SegmentationClass/, ImageSets/",
            factory="nd_pascal.segmentation:Segmentation",
            accepts=(
                "voc:ROOT",
                "voc:ROOT?year=2012",
                "voc:ROOT?masks=SegmentationClass",
            ),
            example="nd_pascal.example:voc",
        ),
        ConceptSetSpec(
            name="pascal_context",
            summary="Pascal-Context: trainval/*.mat, labels.txt, and the images of VOC2010",
            factory="nd_pascal.context:Context",
            accepts=(
                "pascal_context:ROOT",
                "pascal_context:ROOT?voc=VOCdevkit/VOC2010",
                "pascal_context:ROOT?labels=59",
            ),
            example="nd_pascal.example:pascal_context",
        ),
        ConceptSetSpec(
            name="pascal_part",
            summary="Pascal-Part: Annotations_Part/*.mat, and the images of VOC2010",
            factory="nd_pascal.parts:Parts",
            accepts=("pascal_part:ROOT", "pascal_part:ROOT?voc=VOCdevkit/VOC2010"),
        ),
    ]
