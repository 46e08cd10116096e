"""Original pictures of a result's images, for whoever shows more than the small ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.errors import BadInput, NDError, Unreadable
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.pixel_limit import pixel_limit, reason_of
from nd_plugin.probe_data.grey_sample import GreySample


@dataclass(frozen=True)
class Originals:
    """Pictures of the images of a result, decoded anew from the concept set of its run.

    ::

        concepts = open_concepts("masks:/data/camvid")
        originals = Originals(concepts, dissection.image_names)
        originals.picture(int(dissection.top_images[17, 0]))
    """

    concepts: ConceptSet
    image_names: Sequence[str]  # of the result
    max_pixels: int | None = None
    _grey_sample: GreySample = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check that this is the concept set of the result, as far as the number of images shows.

        Raises BadInput.
        """
        if len(self.concepts) < len(self.image_names):
            raise BadInput(
                f"the concept set has {len(self.concepts)} images, and the result is of "
                f"{len(self.image_names)}: give the concept set that the run was made with"
            )
        object.__setattr__(self, "_grey_sample", GreySample(self.concepts))

    def picture(self, image: int) -> Image.Image:
        """Decode an image as the run has seen it, RGB, upright and in its own size.

        Raises BadInput where the concept set has another image at this place, and Unreadable.
        """
        name = self.concepts.name(image)
        expected = self.image_names[image]
        if name != expected:
            raise BadInput(
                f"image {image} of the concept set is {name!r}, and that of the result "
                f"{expected!r}: give the concept set that the run was made with"
            )
        try:
            with pixel_limit(self.max_pixels):
                original = self.concepts.image(image)
                return convert_picture(original, self._grey_sample.choose_range).rgb
        except NDError:  # too little memory
            raise
        except Exception as error:  # a concept set may raise anything
            raise Unreadable(
                f"the image {name} cannot be read: {reason_of(error)}"
            ) from error
