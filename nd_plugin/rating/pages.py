"""Rating page: questions for the script, in the dress of all pages, and what it may load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nd_plugin.rating.study import Question
from nd_plugin.rating.vote_import import FORMAT
from nd_plugin.site.pages import TEMPLATES as SITE_TEMPLATES
from nd_plugin.site.pages import data_block, json_text, source_hash, stylesheet

HERE = Path(__file__).parent
TITLE = "What do these patches show?"


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=ChoiceLoader(
            [FileSystemLoader(HERE / "templates"), FileSystemLoader(SITE_TEMPLATES)]
        ),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment


def rating_page(
    study_name: str,
    questions: Sequence[Question],
    picture_urls: Mapping[str, Sequence[str]],
    *,
    is_served: bool,
) -> str:
    """Return the rating page; it holds phrases and pictures, and nothing of where they are from.

    Args:
        study_name: Public name of the study.
        questions: Questions, in an order that tells nothing.
        picture_urls: Addresses of the pictures, by `Question.pictures`.
        is_served: Whether votes go to a server; else the page saves them to a file.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "study": study_name,
        "served": is_served,
        "questions": [
            {
                "id": question.identifier,
                "phrase": question.phrase,
                "pictures": list(picture_urls[question.pictures]),
            }
            for question in questions
        ],
    }
    template = _environment().get_template("rate.html")
    return template.render(
        title=TITLE,
        style=Markup(_style()),
        script=Markup(_script()),
        policy=page_policy(is_served=is_served),
        generator=f"nd_plugin {metadata.version('nd_plugin')}",
        is_served=is_served,
        content=data_block(text=json_text(content), name="study"),
    )


def page_policy(*, is_served: bool) -> str:
    """Return the Content-Security-Policy: the page's own style and script, pictures, votes."""
    pictures = "'self'" if is_served else "'self' file: data:"
    directives = [
        "default-src 'none'",
        f"script-src {source_hash(_script())}",
        f"style-src {source_hash(_style())}",
        f"img-src data: {pictures}",
        "connect-src 'self'" if is_served else "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(directives)


@cache
def _style() -> str:
    return stylesheet() + (HERE / "rate.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    code = (HERE / "rate.js").read_text(encoding="utf-8")
    return f'(() => {{\n"use strict";\n{code}}})();\n'
