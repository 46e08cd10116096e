"""Events of a Sphinx build: pages are generated before it, and names are resolved during it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.pycode import ModuleAnalyzer

from site_pages.api import api_pages, described_classes
from site_pages.commands import command_pages
from site_pages.comments import field_comments
from site_pages.links import with_repository_links
from site_pages.notebooks import notebook_pages

MODULES = ("nd_plugin", "nd_plugin.reading", "nd_plugin.testing")
DOCSTRINGS = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)


def setup(app: Any) -> dict[str, bool]:
    """Connect the events."""
    app.connect("builder-inited", generate_pages)
    app.connect("builder-inited", describe_fields)
    app.connect("source-read", link_repository)
    app.connect("missing-reference", resolve_public_name)
    app.connect("autodoc-process-docstring", read_docstring)
    app.connect("autodoc-process-signature", hide_signature)
    return {"parallel_read_safe": True}


def generate_pages(app: Any) -> None:
    """Write the command reference, the API and the notebooks, where they differ."""
    folder = Path(app.srcdir) / "generated"
    pages: dict[str, str | bytes] = {}
    pages |= {f"api/{name}.rst": text for name, text in api_pages().items()}
    pages |= {f"commands/{name}.md": text for name, text in command_pages().items()}
    notebooks = notebook_pages(Path(app.srcdir).parent / "examples")
    pages |= {f"notebooks/{name}": content for name, content in notebooks.items()}
    for path in folder.glob("*/*"):
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        content = text.encode() if isinstance(text, str) else text
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)


def describe_fields(app: Any) -> None:
    """Take plain comments on fields for their descriptions, as autodoc takes those with ``#:``."""
    for owner in described_classes():
        analyzer = ModuleAnalyzer.for_module(owner.__module__)
        analyzer.analyze()
        for field, comment in field_comments(owner).items():
            analyzer.attr_docs.setdefault(
                (owner.__qualname__, field), [comment, ""]
            )


def hide_signature(
    app: Any,
    what: str,
    name: str,
    value: Any,
    options: Any,
    signature: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Hide the signature of a protocol, which nobody calls."""
    if what == "class" and getattr(value, "_is_protocol", False):
        return "", None
    return None


def link_repository(app: Any, name: str, source: list[str]) -> None:
    """Send links that leave ``docs`` to the repository."""
    page = Path(app.env.doc2path(name))
    address = app.config.html_context["repository"]
    root = Path(app.srcdir).parent
    source[0] = with_repository_links(source[0], page, root, address)


def resolve_public_name(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Resolve the home of a public name, as annotations have it, to the name."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    python = env.get_domain("py")
    for name in (target, target.rpartition(".")[2]):
        for path in (f"{module}.{name}" for module in MODULES):
            if path in python.objects:
                page = node["refdoc"]
                return python.resolve_xref(
                    env, page, app.builder, "obj", path, node, content
                )
    return None


def read_docstring(
    app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Read the sections of a docstring in Google's style.

    napoleon's own handler takes the words before a property's first colon for its type.
    """
    kind = "method" if what in ("attribute", "property") else what
    docstring = GoogleDocstring(lines, DOCSTRINGS, app, kind, name, value, options)
    lines[:] = docstring.lines()
