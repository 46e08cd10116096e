"""Pages of a document: texts and pictures that flow from the top of a page to its end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from io import BytesIO
from itertools import chain
from pathlib import Path

import matplotlib
from fpdf import FPDF
from fpdf.fonts import TTFFont

from nd_pdf.characters import name_of, one_line

# A4, in millimetres
MARGIN = 16.0
WIDTH = 210.0 - 2 * MARGIN
BOTTOM = 297.0 - MARGIN
FIRST_LINE = 22.0  # below the running title
RUNNING_TITLE = 10.0
PAGE_NUMBER = 285.0
LINE_HEIGHT = 1.3  # of a font's size
POINT = 25.4 / 72  # millimetres
LONGEST_LINE = 400  # characters: no line of the smallest font holds more
FONT = "DejaVu"
FONT_FILES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
# fpdf2 needs a date; the time of writing would make equal reports differ
CREATED = datetime(1970, 1, 1, tzinfo=UTC)

Colour = tuple[int, int, int]
BLACK: Colour = (20, 20, 20)
GREY: Colour = (105, 105, 105)
ORANGE: Colour = (160, 80, 0)


@dataclass(frozen=True)
class Style:
    """Look of a text."""

    size: float  # points
    bold: bool = False
    colour: Colour = BLACK

    @property
    def line(self) -> float:
        """Height of a line in millimetres."""
        return self.size * POINT * LINE_HEIGHT


TITLE = Style(22, bold=True)
HEADING = Style(15, bold=True)
CATEGORY = Style(11, bold=True)
BODY = Style(9)
STRONG = Style(9, bold=True)
SECONDARY = Style(9, colour=GREY)
NOTE = Style(8, colour=ORANGE)
SMALL = Style(7, colour=GREY)


class Paper:
    """Document of A4 pages; lengths are in millimetres. A context, which closes the font files."""

    def __init__(self, title: str) -> None:
        self._pdf = FPDF(format="A4")
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(MARGIN)
        self._pdf.c_margin = 0  # texts begin where pictures do
        self._pdf.set_creation_date(CREATED)
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        for weight, file in FONT_FILES.items():
            self._pdf.add_font(FONT, weight, fonts / file)
        self._pdf.set_text_shaping(True)
        self._pdf.set_lang("en")
        self._pdf.set_title(title)
        self._running_title = ""  # of the title page

    def __enter__(self) -> Paper:
        return self

    def __exit__(self, *_: object) -> None:
        for font in self._embedded_fonts():
            font.close()

    def _embedded_fonts(self) -> list[TTFFont]:
        fonts = self._pdf.fonts.values()
        return [font for font in fonts if isinstance(font, TTFFont)]

    @cached_property
    def covered(self) -> frozenset[int]:
        """Characters that both weights of the font have."""
        maps = [set(font.cmap) for font in self._embedded_fonts()]
        return frozenset(set.intersection(*maps))

    @property
    def number(self) -> int:
        """Number of the page that is written, from 1 on."""
        return int(self._pdf.page)

    @property
    def position(self) -> float:
        """Distance of the next line from the top of the page."""
        return float(self._pdf.y)

    def begin_chapter(self, name: str) -> None:
        """Begin a page that bookmarks lead to; its name runs on at the top."""
        self._running_title = name_of(name, self.covered)
        self.begin_page()
        self._pdf.start_section(self._running_title)

    def begin_page(self) -> None:
        """Begin a page, with the running title and the page's number."""
        self._pdf.add_page()
        self.put(self._running_title, SMALL, MARGIN, RUNNING_TITLE, WIDTH)
        number = str(self.number)
        self.put(number, SMALL, MARGIN, PAGE_NUMBER, WIDTH, align="R")
        self._pdf.set_xy(MARGIN, FIRST_LINE)

    def make_room(self, height: float) -> None:
        """Begin a page if what comes next does not fit on this one."""
        if self.position + height > BOTTOM:
            self.begin_page()

    def skip(self, height: float) -> None:
        """Leave a gap."""
        self._pdf.set_xy(MARGIN, self.position + height)

    def write(self, text: str, style: Style = BODY, indent: float = 0.0) -> None:
        """Write a text of any length: in lines, over as many pages as it takes."""
        for line in self.lines(text, style, WIDTH - indent):
            self.make_room(style.line)
            top = self.position
            self._place(line, style, MARGIN + indent, top, WIDTH - indent)
            self.skip(top + style.line - self.position)

    def lines(self, text: str, style: Style, width: float) -> list[str]:
        """Break a text into lines of a width: between words, and within longer ones.

        fpdf2's own `multi_cell` takes minutes for a text of several pages: it shapes the rest of
        the text again for each character.
        """
        self._set(style)
        space = float(self._pdf.get_string_width(" "))
        lines: list[str] = []
        used = math.inf  # of the last line; no line has room for the first word
        words = one_line(text, self.covered).split(" ")
        pieces = chain.from_iterable(self._pieces(word, width) for word in words)
        for piece in pieces:
            length = float(self._pdf.get_string_width(piece))
            if used + space + length <= width:
                lines[-1] += f" {piece}"
                used += space + length
            else:
                lines.append(piece)
                used = length
        return lines

    def _pieces(self, word: str, width: float) -> Iterator[str]:
        """Yield a word, one that is longer than a line in pieces."""
        rest = word
        while rest:
            piece = self._fitting(rest[:LONGEST_LINE], width, end="")
            piece = piece or rest[0]
            yield piece
            rest = rest[len(piece) :]

    def put(
        self,
        text: str,
        style: Style,
        left: float,
        top: float,
        width: float,
        align: str = "L",
    ) -> None:
        """Put a text at a place, on one line; what is too long for it is cut, with "…"."""
        self._set(style)
        fitting = self._fitting(one_line(text, self.covered), width)
        self._place(fitting, style, left, top, width, align)

    def _place(
        self,
        line: str,
        style: Style,
        left: float,
        top: float,
        width: float,
        align: str = "L",
    ) -> None:
        self._set(style)
        self._pdf.set_xy(left, top)
        self._pdf.cell(width, style.line, line, align=align)

    def facts(self, facts: Mapping[str, str]) -> None:
        """Write pairs of a subject and what is known of it."""
        for subject, fact in facts.items():
            lines = self.lines(fact, BODY, WIDTH - 24)
            self.make_room(BODY.line)
            self.put(subject, SECONDARY, MARGIN, self.position, 24)
            self._pdf.set_xy(MARGIN, self.position)
            for line in lines:
                self.write(line, BODY, indent=24)

    def picture(
        self,
        jpeg: bytes,
        left: float,
        top: float,
        size: tuple[float, float],
        text: str,
    ) -> None:
        """Put a picture at a place; ``size`` is (width, height), ``text`` is for screen readers."""
        width, height = size
        alternative = one_line(text, self.covered)
        self._pdf.image(
            BytesIO(jpeg), left, top, width, height, alt_text=alternative
        )

    def bar(self, left: float, top: float, width: float, colour: Colour) -> None:
        """Draw a bar beside a line of the body."""
        self._pdf.set_fill_color(*colour)
        self._pdf.rect(left, top + 0.6, width, BODY.line - 1.2, style="F")

    def link(self, top: float, target: int) -> None:
        """Make a line lead to the page of a number."""
        link = self._pdf.add_link(page=target)
        self._pdf.link(MARGIN, top, WIDTH, BODY.line, link)

    def turn_to(self, number: int) -> None:
        """Go on with a page that was written before."""
        self._pdf.page = number

    def content(self) -> bytes:
        """Return the file."""
        return bytes(self._pdf.output())

    def _set(self, style: Style) -> None:
        """Choose font and colour; again on each page, which begins without."""
        self._pdf.set_font(FONT, "B" if style.bold else "", style.size)
        self._pdf.set_text_color(*style.colour)

    def _fitting(self, text: str, width: float, end: str = "…") -> str:
        """Return a text, cut so that it fits a width, with ``end`` behind what is left."""
        start = text[:LONGEST_LINE]
        if start == text and float(self._pdf.get_string_width(text)) <= width:
            return text
        fitting, longest = 0, len(start)
        while fitting < longest:
            middle = (fitting + longest + 1) // 2
            if float(self._pdf.get_string_width(start[:middle] + end)) <= width:
                fitting = middle
            else:
                longest = middle - 1
        return start[:fitting] + end
