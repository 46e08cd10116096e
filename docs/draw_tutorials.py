"""Run the tutorials and store their pictures: ``python docs/draw_tutorials.py [PAGE …]``.

Needs the extra ``demo`` and pytest. Each page runs from top to bottom in an empty folder, and what
its blocks print is shown. A page's picture ``../images/PAGE-NAME.png`` (or ``.jpg``) is the file
``NAME.png`` of that folder.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
TUTORIALS = HERE / "tutorials"
PICTURES = HERE / "images"
PAGES = ("captum", "onnx", "paper", "concepts")
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"\(\.\./images/((\w+)-([\w-]+)\.(?:png|jpg))\)")
# width and height of a picture
LARGEST = {"png": (1000, 2000), "jpg": (1000, 1200)}
COLOURS = 256


def main() -> None:
    """Run the pages that are named, or all."""
    for name in sys.argv[1:] or PAGES:
        page = TUTORIALS / f"{name}.md"
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for line, output in run_page(page):
                print(f"--- {page.name}:{line}\n{output}", flush=True)
            store_pictures(page, Path(folder))


def run_page(page: Path) -> Iterator[tuple[int, str]]:
    """Run the blocks of a page in the current folder; yield the line and output of each."""
    namespace = {"__name__": "__main__"}
    sys.path.insert(0, str(Path.cwd()))  # modules that the page writes
    content = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(content):
        line = content.count("\n", 0, block.start()) + 2
        language, text = block.groups()
        if language == "sh":
            yield line, run_commands(text)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (line - 1) + text, page, "exec"), namespace)
        yield line, printed.getvalue()


def run_commands(text: str) -> str:
    """Run commands of ``nd`` in this process; return what they print, errors included."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from command_here import run_nd

    output = []
    for command in text.replace("\\\n", " ").splitlines():
        words = shlex.split(command, comments=True)
        if not words:
            continue
        if words[0] != "nd":
            raise ValueError(f"{command!r} is no command of nd")
        finished = run_nd(*words[1:], ND_CACHE=str(Path("cache").resolve()))
        messages = finished.stderr if finished.returncode else ""
        output.append(finished.stdout + messages)
    return "".join(output)


def store_pictures(page: Path, folder: Path) -> None:
    """Store the pictures that a page shows, small: line art as PNG, scenes as JPEG."""
    for file_name, page_name, name in PICTURE.findall(page.read_text("utf-8")):
        if page_name != page.stem:
            continue
        picture = Image.open(folder / f"{name}.png").convert("RGB")
        ending = file_name.rpartition(".")[2]
        picture.thumbnail(LARGEST[ending], Image.Resampling.LANCZOS)
        if ending == "png":
            picture = picture.quantize(COLOURS)
        picture.save(PICTURES / file_name, optimize=True, quality=80)


if __name__ == "__main__":
    main()
