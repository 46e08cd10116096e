"""Pages of HTML in one dress: templates with every text escaped, a style sheet, a strict policy.

A page is a template that extends ``base.html``. Its style and script stand in the page itself, and
its Content-Security-Policy names them by their hashes: nothing else runs, and nothing is fetched.
Attributes ``style`` and ``on…`` are refused by that policy; classes do their work, and
``category-N`` is the class of a page's N-th category (see `category_styles`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nd_plugin.borders.printable import utf8
from nd_plugin.report.colours import category_colours

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["block"] = data_block
    return environment


def rendered(template: str, **values: Any) -> str:
    """Return a template of ``templates/`` filled with values; texts are escaped, Markup is not."""
    return _environment().get_template(template).render(**values)


def page(
    template: str,
    title: str,
    *,
    script: str = "",
    categories: Sequence[str] = (),
    loads_files: bool = False,
    **values: Any,
) -> str:
    """Return a page from a template that extends ``base.html``.

    Args:
        template: Name of a file in ``templates/``.
        title: Title of the page, foreign text or not.
        script: JavaScript of this package, never foreign text.
        categories: Categories that the classes ``category-0``, ``category-1`` … stand for.
        loads_files: Whether the page loads scripts and pictures from files of its folder.
        **values: Values for the template.
    """
    style = stylesheet() + category_styles(categories)
    return rendered(
        template,
        title=title,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script, loads_files=loads_files),
        generator=f"nd_plugin {metadata.version('nd_plugin')}",
        **values,
    )


@cache
def stylesheet() -> str:
    """Return the style sheet of all pages; every rule stands below the class ``nd``."""
    return (HERE / "style.css").read_text(encoding="utf-8")


@cache
def script(*names: str) -> str:
    """Return scripts of ``scripts/`` one after the other, as one function that is called."""
    parts = [
        (HERE / "scripts" / name).read_text(encoding="utf-8") for name in names
    ]
    body = "\n".join(parts)
    return f'(() => {{\n"use strict";\n{body}}})();\n'


def category_styles(categories: Sequence[str]) -> str:
    """Return rules that give the class ``category-N`` the colour of the N-th category."""
    rules = []
    for number, colour in enumerate(category_colours(categories).values()):
        rules.append(f".nd .category-{number} {{ --category: {colour}; }}\n")
    return "".join(rules)


def json_text(content: Any) -> str:
    """Return JSON that is safe inside a script element: ASCII, and without ``<``, ``>``, ``&``."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def data_block(text: str, name: str) -> Markup:
    """Return a script element that holds data and never runs; ``text`` is safe JSON or base64."""
    element = '<script type="application/json" id="{}">{}</script>'
    return Markup(element).format(name, Markup(text))


def _policy(style: str, code: str, *, loads_files: bool) -> str:
    """Return the Content-Security-Policy of a page: its own style and script, and pictures."""
    # browsers differ in whether 'self' includes the files beside a page that is opened from disk
    files = "'self' file:" if loads_files else ""
    scripts = f"{source_hash(code) if code else ''} {files}".strip()
    directives = [
        "default-src 'none'",
        f"script-src {scripts or chr(39) + 'none' + chr(39)}",
        f"style-src {source_hash(style)}",
        f"img-src data: {files}".strip(),
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(directives)


def source_hash(content: str) -> str:
    """Return the hash of a style or script, as a Content-Security-Policy names it."""
    digest = hashlib.sha256(utf8(content)).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
