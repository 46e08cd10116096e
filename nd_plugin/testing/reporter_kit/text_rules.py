"""Rules of texts: what pages and tables have to say, and that names do not break them."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from html.parser import HTMLParser
from typing import NoReturn
from xml.etree import ElementTree

from nd_plugin.testing.conformance import Rule, require
from nd_plugin.testing.reporter_kit.case import ReporterCase
from nd_plugin.testing.reporter_kit.made_dissections import NOTE
from nd_plugin.testing.reporter_kit.made_layers import (
    HANDLER,
    LARGE_UNIT,
    LAYER,
    OTHER_LAYER,
    TAG,
)

HTML_START = re.compile(r"\s*(<!doctype html|<html)", re.IGNORECASE)
XML_START = re.compile(r"\s*<(\?xml|svg)", re.IGNORECASE)
MISSING = re.compile(r"\b(NaN|nan|None|inf)\b(?! of)")
# whose units are numbered from 1, by whomever it is written
NETDISSECT_CSV = "unit,category,label,score,"
UNSEEN = ("script", "style")


class Page(HTMLParser):
    """Text that a reader of a page sees, and the elements and attributes that are none of ours."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.injected: list[str] = []
        self._element = ""
        self.feed(text)
        self.close()

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        """Take note of an element that a name has made."""
        self._element = tag
        if tag == TAG:
            self.injected.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") and value == HANDLER:
                self.injected.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        """Take note of the end of a script."""
        self._element = ""

    def handle_data(self, data: str) -> None:
        """Take note of a text."""
        if self._element not in UNSEEN:
            self.seen.append(data)


def layers_named(case: ReporterCase) -> None:
    """Require the name of each layer in the texts of several, unless they say nothing of any."""
    texts = case.texts("several-layers")
    if texts == case.texts("no-layers"):
        return
    for layer in (LAYER, OTHER_LAYER):
        is_named = any(layer in text for text in texts.values())
        require(is_named or not texts, f"{layer!r}, one of several, is not named")


def notes_shown(case: ReporterCase) -> None:
    """Require the notes of a layer on its page."""
    for sample in ("without-pictures", "without-dissection"):
        pages = [text for text in case.texts(sample).values() if _is_html(text)]
        is_shown = any(NOTE in html.unescape(page) for page in pages)
        require(is_shown or not pages, f"the note {NOTE!r} is not on the page")


def units_from_0(case: ReporterCase) -> None:
    """Require numbers of units as they are, and not one more."""
    for text in case.texts("units-from-0").values():
        if text.startswith(NETDISSECT_CSV):
            continue
        numbers = set(re.findall(r"\d+", text))
        is_counted_from_1 = str(LARGE_UNIT + 1) in numbers
        require(
            not is_counted_from_1, f"unit {LARGE_UNIT} is called {LARGE_UNIT + 1}"
        )


def missing_values(case: ReporterCase) -> None:
    """Require that a value that a source lacks is left out, and not printed as None or nan."""
    for text in case.texts("without-dissection").values():
        seen = "\n".join(Page(text).seen) if _is_html(text) else text
        missing = MISSING.search(seen)
        require(not missing, f"a value that there is not is given as {missing}")


def markup_escaped(case: ReporterCase) -> None:
    """Require that no name makes an element or attribute of a page or picture."""
    for text in case.texts("hostile-names").values():
        if _is_html(text) or XML_START.match(text):
            injected = Page(text).injected
            require(
                not injected,
                f"a name made {', '.join(injected[:3])}: escape what is no markup of yours",
            )


def format_kept(case: ReporterCase) -> None:
    """Require XML, JSON and CSV of hostile names that can be read as that of plain ones."""
    plain = case.texts("without-pictures")
    hostile = case.texts("hostile-names")
    for path, text in hostile.items():
        plain_text = plain.get(path, "")
        if XML_START.match(plain_text):
            _require_xml(text)
        elif _is_json(plain_text):
            _require_json(text)
        elif _columns(plain_text) > 2:
            require(
                _columns(text) > 2,
                "names with commas, quotes and line breaks broke the lines of CSV; write it with "
                "the module csv",
            )


def _is_html(text: str) -> bool:
    return HTML_START.match(text) is not None


def _require_xml(text: str) -> None:
    try:
        ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise AssertionError(
            f"names made the XML unreadable ({error}): escape them, and leave out characters that "
            "XML has not"
        ) from error


def _is_json(text: str) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict | list)


def _require_json(text: str) -> None:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise AssertionError(f"names made the JSON unreadable: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _columns(text: str) -> int:
    """Return the number of columns of CSV; 0 for anything else."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return 0
    counts = {len(row) for row in rows}
    return counts.pop() if len(rows) > 1 and len(counts) == 1 else 0


RULES = (
    Rule(
        "layers-named", "a text on several layers names each of them", layers_named
    ),
    Rule(
        "notes-shown", "a page in HTML shows the notes of its layers", notes_shown
    ),
    Rule(
        "units-from-0",
        "units have the numbers that they have in the report",
        units_from_0,
    ),
    Rule(
        "missing-values",
        "what a CSV file does not tell (None) is left out of a text",
        missing_values,
    ),
    Rule(
        "markup-escaped",
        "no name makes an element or an attribute of HTML or SVG",
        markup_escaped,
    ),
    Rule(
        "format-kept",
        "XML, JSON and CSV can be read whatever the names are",
        format_kept,
    ),
)
