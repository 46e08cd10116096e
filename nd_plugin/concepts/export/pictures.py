"""Pictures of an export: files of the set as they are, or PNG files with the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from nd_plugin.concepts.export.options import ExportOptions
from nd_plugin.contracts.concept_sets import ConceptSet
from nd_plugin.contracts.set_checks import read_image
from nd_plugin.pictures.conversion import convert_picture
from nd_plugin.pictures.files import read_picture
from nd_plugin.pictures.grey_values import wide_grey
from nd_plugin.pictures.pixel_limit import pixel_limit
from nd_plugin.preprocess import Preprocess
from nd_plugin.probe_data.grey_sample import GreySample

EXACT_ENDING = ".png"
# whether a format holds a picture in the file that it comes from
MayCopy = Callable[[Image.Image, str], bool]  # decoded picture, ending


@dataclass(frozen=True)
class ExportPicture:
    """Picture of an image."""

    rgb: Image.Image  # upright
    ending: str
    content: bytes | None = None  # of the file that is copied; None: it is encoded
    # on what was done to a picture that is encoded
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class PictureSource:
    """Pictures of a concept set."""

    concepts: ConceptSet
    options: ExportOptions
    grey_sample: GreySample

    def read(self, index: int, may_copy: MayCopy) -> ExportPicture:
        """Decode an image, upright and RGB; resized where the options say so.

        Raises what the concept set raises, and ValueError for values that fit no range.
        """
        with pixel_limit(None):
            image = read_image(self.concepts, index)
            picture = convert_picture(image, self.grey_sample.choose_range)
            if self.options.size is not None:
                resized = self._resize(picture.rgb)
                return ExportPicture(resized, EXACT_ENDING, None, picture.remarks)
            # the range of wide grey values follows from the whole set
            if wide_grey(image) is None:
                path = self._file_of(index, image)
                if path is not None and may_copy(image, path.suffix):
                    content = path.read_bytes()
                    return ExportPicture(picture.rgb, path.suffix, content)
            return ExportPicture(picture.rgb, EXACT_ENDING, None, picture.remarks)

    def _resize(self, rgb: Image.Image) -> Image.Image:
        size = self.options.size or (rgb.height, rgb.width)
        preprocess = Preprocess(size, interpolation=self.options.interpolation)
        return Image.fromarray(preprocess.resize(rgb).permute(1, 2, 0).numpy())

    def _file_of(self, index: int, image: Image.Image) -> Path | None:
        """Return the file that an image is decoded from; None where that is not certain.

        A set may crop or turn what is in its files: only a file with the same pixels counts.
        """
        files_of: Any = getattr(self.concepts, "files", None)
        if files_of is None:
            return None
        paths = [Path(path) for path in files_of(index)]
        file_name = PurePosixPath(self.concepts.name(index)).name
        named = [path for path in paths if path.name == file_name]
        for path in (named or paths)[:1]:
            if _holds(path, image):
                return path
        return None


def _holds(path: Path, image: Image.Image) -> bool:
    """Return whether a file is a picture with the pixels of an image."""
    try:
        picture = read_picture(path)
    except Exception:  # no picture; a decoder may raise anything
        return False
    if (picture.mode, picture.size) != (image.mode, image.size):
        return False
    if picture.tobytes() != image.tobytes():
        return False
    upright = convert_picture(picture).rgb
    return upright.tobytes() == convert_picture(image).rgb.tobytes()
