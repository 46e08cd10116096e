"""README.txt of a set in Broden's layout: what its files hold."""

from __future__ import annotations

from collections.abc import Sequence

FILES = """\
This directory contains the following data and metadata files:

    images/...
         images, and beside them the masks of their labels: jpeg and png files

    index.csv
        contains a list of all the images in the dataset, together with
        available labeled data, in the form:

        image,split,ih,iw,sh,sw,{categories}

        The first column is the image's filename relative to the images/
        subdirectory; then image height and width and segmentation height
        and width are followed by a column for each category. Labels are
        per-pixel or per-image (assumed to apply to every pixel), 0 or more
        in each category, separated by semicolons. Per-image labels are
        decimal numbers; per-pixel labels are filenames of images that
        encode label numbers in the (red + 256 * green) channels.

    category.csv
        name,first,last,count,frequency

        the categories: the lowest and highest number of their labels, the
        number of labels, and the sum of the labels' frequencies

    label.csv
        number,name,category,frequency,coverage,syns

        the labels, with the number of images for which the label appears
        in each category, the total number of images, the portions of
        images that the label covers, and synonyms

    c_[category].csv
        code,number,name,frequency,coverage

        the labels of one category, the most frequent first
"""


def readme_text(categories: Sequence[str], description: Sequence[str]) -> str:
    """Return the text of README.txt; ``description`` are lines for its head."""
    head = "".join(f"{line}\n" for line in description)
    separator = "\n" if head else ""
    return head + separator + FILES.format(categories=",".join(categories))
