"""HTML: pages from Jinja2 templates, with every value escaped, and colours of terminal text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from rich.terminal_theme import TerminalTheme

TEMPLATES = Path(__file__).parent / "templates"

# The eight colours of a terminal where the background is the reader's: each has a contrast of at
# least 3.5 to white and to the grey #1e1e1e of dark notebooks, which is a relative luminance
# between 0.171 and 0.25. Rich mixes dim text half and half from the two below: luminance 0.21.
_COLOURS_OF_ANY_BACKGROUND = [
    (117, 117, 117),  # black
    (217, 67, 62),  # red
    (29, 133, 65),  # green
    (156, 111, 0),  # yellow
    (58, 118, 219),  # blue
    (176, 78, 196),  # magenta
    (0, 129, 143),  # cyan
    (117, 117, 117),  # white
]
THEME_OF_ANY_BACKGROUND = TerminalTheme(
    background=(255, 255, 255),
    foreground=(0, 0, 0),
    normal=_COLOURS_OF_ANY_BACKGROUND,
)


@cache
def _environment() -> Environment:
    return Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def rendered(template: str, **values: Any) -> str:
    """Return a template of ``templates/`` filled with values; texts are escaped, Markup is not."""
    return _environment().get_template(template).render(**values)


def page(title: str, body: str) -> str:
    """Return a page; ``body`` is HTML already, the title a text."""
    return rendered("page.html.jinja", title=title, body=Markup(body))
