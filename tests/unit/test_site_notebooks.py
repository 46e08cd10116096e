"""Pages of notebooks: texts, code and kept outputs, with links that start where the pages are."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from site_pages.notebooks import notebook_pages

ROOT = Path(__file__).parents[2]
PNG = b"\x89PNG picture"


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": [source], "outputs": outputs}


def shown(**data: str) -> dict[str, Any]:
    formats = {name.replace("_", "/"): [text] for name, text in data.items()}
    return {"output_type": "execute_result", "data": formats}


def page_of(
    folder: Path, *cells: dict[str, Any]
) -> tuple[str, dict[str, str | bytes]]:
    (folder / "first.ipynb").write_text(json.dumps({"cells": cells}))
    files = notebook_pages(folder)
    page = files["first.md"]
    assert isinstance(page, str)
    return page, files


def test_code_is_shown_with_what_it_gives(tmp_path: Path) -> None:
    printed = {
        "output_type": "stream",
        "name": "stdout",
        "text": ["two\n", "lines\n"],
    }
    picture = base64.b64encode(PNG).decode()
    page, files = page_of(
        tmp_path,
        code("a = 1", printed),
        code("plot()", shown(image_png=picture, text_plain="<Figure>")),
        code("report", shown(text_html="<b>report</b>", text_plain="Report()")),
        code("value", shown(text_plain="3")),
        code("%%sh\nnd doctor"),
        code("%%writefile net.py\nimport torch"),
    )
    assert "```python\na = 1\n```\n\n```text\ntwo\nlines\n```" in page
    (name,) = re.findall(r"!\[[^]]+\]\((\S+\.png)\)", page)
    assert files[name] == PNG
    assert "```{raw} html\n<b>report</b>\n```" in page and "Report()" not in page
    assert "```text\n3\n```" in page
    assert "```sh\nnd doctor\n```" in page
    assert "```python\n# %%writefile net.py\nimport torch\n```" in page


def test_links_lead_to_pages_files_and_other_sites(tmp_path: Path) -> None:
    text = "[a](../docs/onnx.md#x) [b](reproduce) [c](https://captum.ai)"
    page, _ = page_of(tmp_path, {"cell_type": "markdown", "source": [text]})
    linked = "[a](../../onnx.md#x) [b](../../../examples/reproduce) [c](https://captum.ai)"
    assert linked in page


def test_links_of_the_notebooks_lead_to_files() -> None:
    folder = ROOT / "docs" / "generated" / "notebooks"
    pages = notebook_pages(ROOT / "examples")
    texts = [page for page in pages.values() if isinstance(page, str)]
    links = re.findall(r"\]\((\.\./[^)#\s]+)", "\n".join(texts))
    assert len(links) > len(texts)
    for link in links:
        assert (folder / link).resolve().exists(), link
