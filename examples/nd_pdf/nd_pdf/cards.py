"""Card of a unit: its label and scores, and its top images beside each other."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from nd_pdf.characters import name_of
from nd_pdf.paper import (
    MARGIN,
    SECONDARY,
    STRONG,
    WIDTH,
    Paper,
)
from nd_plugin import LayerReport, UnitScore

TOP_IMAGES = 6
GAP = 2.0
BOX = (WIDTH - (TOP_IMAGES - 1) * GAP) / TOP_IMAGES  # side of the room of a picture
SCORES_WIDTH = 92.0
LABEL_LINES = 3  # of a long name
BELOW = 4.0
MOST_PIXELS = (256, 256)  # of an embedded picture
QUALITY = 88


class Picture:
    """Top image of a unit, dimmed outside of its mask, as a JPEG file."""

    def __init__(self, image: Image.Image, text: str) -> None:
        image.thumbnail(MOST_PIXELS)
        content = BytesIO()
        image.save(content, "JPEG", quality=QUALITY)
        self.jpeg = content.getvalue()
        self.text = text
        longest = max(image.size)
        self.width = BOX * image.width / longest
        self.height = BOX * image.height / longest


def draw_card(
    paper: Paper, report: LayerReport, score: UnitScore, units: int
) -> None:
    """Draw the card of a unit, which ``units`` units of the layer share the label of."""
    pictures = top_pictures(report, score.unit)
    picture_height = max((picture.height for picture in pictures), default=0.0)
    label = name_of(score.concept, paper.covered)
    lines = paper.lines(label, STRONG, WIDTH - SCORES_WIDTH)
    if len(lines) > LABEL_LINES:
        lines[LABEL_LINES - 1 :] = [f"{lines[LABEL_LINES - 1][:-1]}…"]
    label_height = len(lines) * STRONG.line + 1
    paper.make_room(label_height + picture_height + BELOW)
    top = paper.position
    for number, line in enumerate(lines):
        place = top + number * STRONG.line
        paper.put(line, STRONG, MARGIN, place, WIDTH - SCORES_WIDTH)
    scores = score_text(report, score, units)
    left = MARGIN + WIDTH - SCORES_WIDTH
    paper.put(scores, SECONDARY, left, top, SCORES_WIDTH, align="R")
    left = MARGIN
    for picture in pictures:
        size = (picture.width, picture.height)
        paper.picture(picture.jpeg, left, top + label_height, size, picture.text)
        left += picture.width + GAP
    height = label_height + picture_height + (BELOW if pictures else 0.0)
    paper.skip(top + height - paper.position)


def top_pictures(report: LayerReport, unit: int) -> list[Picture]:
    """Return a unit's top images that the run has pictures of, most active first."""
    return [
        Picture(
            Image.fromarray(top.picture),
            f"{top.name}, activation {top.activation:.4g}",
        )
        for top in report.top_images(unit, TOP_IMAGES)
        if top.picture is not None
    ]


def score_text(report: LayerReport, score: UnitScore, units: int) -> str:
    """Return scores, number and threshold of a unit on a line."""
    parts = [f"unit {score.unit}"]
    if report.first_unit_in_source:
        parts[0] += f" ({score.unit + report.first_unit_in_source} in the file)"
    if report.label_score != "iou":
        parts.append(f"{report.score_name} {score.value(report.label_score):.3f}")
    parts.append(f"IoU {score.iou:.3f}")
    intervals = report.intervals
    if intervals is not None:
        interval = intervals.iou(score.unit)
        parts[-1] += f" ({interval.low:.3f}–{interval.high:.3f})"
    if score.threshold is not None:
        parts.append(f"T_k {score.threshold:.4g}")
    if units > 1:
        parts.append(f"best of {units} units")
    return " · ".join(parts)
