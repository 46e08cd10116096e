"""HTML pages from Jinja2 templates, with every value escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


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
