"""Sphinx configuration of the site: ``tox -e docs``, or ``sphinx-build docs build/site``.

Three sets of pages are generated when a build begins, into ``docs/generated``: the command
reference and the API from the code, the notebooks from examples/. Links to files outside of
``docs`` go to the repository, whose address is ``Repository`` in ``[project.urls]`` of
pyproject.toml.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
for folder in (DOCS, ROOT, ROOT / "adapters", ROOT / "concept_sets"):
    sys.path.insert(0, str(folder))

from site_pages import events  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

project = PROJECT["name"]
release = PROJECT["version"]
version = release
html_title = f"{project} {release}"
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
exclude_patterns = ["site_pages", "images"]
nitpicky = True

# Markdown, as the code host shows it
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
smartquotes = False  # options begin with two hyphens
highlight_language = "none"

# API
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 72
add_module_names = False
default_role = "py:obj"
toc_object_entries = False
nitpick_ignore_regex = [
    # in annotations, which mypy has checked: classes that are not public, and names that only a
    # type checker imports; references in the text of docstrings have to resolve
    ("py:class", r"nd_plugin\..*|[A-Z]\w*(\.[A-Z]\w*)?|npt\.NDArray"),
    # words of Captum's notation "layer (str, optional)"
    ("py:class", r"a list|callable|either|optional|tuple\[str"),
    ("py:obj", "Attribution"),  # of Captum, in a docstring of Captum's
    # libraries of others: their inventories would have to be fetched
    ("py:.*", r"(collections|contextlib|pathlib|os|types)\..*"),
    ("py:.*", r"(captum|jinja2|matplotlib|np|numpy|pandas|PIL|pluggy|torch)\..*"),
]

# pages
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
html_theme_options = {
    "top_of_page_buttons": []
}  # generated pages have no source to show
html_context = {"repository": PROJECT["urls"]["Repository"]}
copybutton_exclude = ".linenos, .gp, .go"


setup = events.setup
