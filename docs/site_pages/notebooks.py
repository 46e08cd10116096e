"""Pages of the notebooks in examples/: their texts, code and kept outputs in Markdown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINE_MAGIC = "%%"
SHELL = "%%sh"
SOURCE_LINK = "The notebook itself is [examples/{name}](../../../examples/{name})."


def notebook_pages(folder: Path) -> dict[str, str | bytes]:
    """Return the pages of a folder's notebooks and their pictures, by file name."""
    files: dict[str, str | bytes] = {}
    for path in sorted(folder.glob("*.ipynb")):
        content = json.loads(path.read_text(encoding="utf-8"))
        lines: list[str] = []
        for number, cell in enumerate(content["cells"]):
            text = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                lines += [_with_links_of_page(text), ""]
                continue
            lines += [*_code_lines(text), ""]
            for place, output in enumerate(cell["outputs"]):
                picture = f"{path.stem}-{number}-{place}.png"
                lines += [*_output_lines(output, picture, files), ""]
        lines += [SOURCE_LINK.format(name=path.name), ""]
        files[f"{path.stem}.md"] = "\n".join(lines)
    return files


def _with_links_of_page(text: str) -> str:
    """Return a text whose links start at a page in docs/generated/notebooks, not in examples."""
    return (
        text.replace("](", "](../../../examples/")
        .replace("](../../../examples/http", "](http")
        .replace("](../../../examples/../docs/", "](../../")
    )


def _code_lines(text: str) -> list[str]:
    """Return a cell as a block: of the shell, of a file that it writes, or of Python."""
    first, _, rest = text.partition("\n")
    if first == SHELL:
        return ["```sh", rest, "```"]
    if first.startswith(LINE_MAGIC):
        return ["```python", f"# {first}", rest, "```"]
    return ["```python", text, "```"]


def _output_lines(
    output: dict[str, Any], picture: str, files: dict[str, str | bytes]
) -> Iterator[str]:
    """Yield the best form of an output; a picture goes to ``files``."""
    data = output.get("data", {})
    if "image/png" in data:
        files[picture] = base64.b64decode("".join(data["image/png"]))
        yield f"![Figure that the cell above draws]({picture})"
    elif "text/html" in data:
        yield from ("```{raw} html", "".join(data["text/html"]), "```")
    else:
        text = output.get("text") or data["text/plain"]
        yield from ("```text", "".join(text).rstrip("\n"), "```")
