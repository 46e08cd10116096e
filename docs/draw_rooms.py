"""Draw the rooms of nd_plugin and their imports as an SVG: ``python docs/draw_rooms.py``.

One box is a package (or a module of the root) with its modules. A box stands above all that it
imports, and a line leads down to each package imported, unless a longer way leads there.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1] / "nd_plugin"
PICTURE = Path(__file__).parent / "rooms.svg"
WIDTH = 176
GAP = 26
FLOOR_GAP = 58
LINE = 15
MARGIN = 24


@dataclass(frozen=True)
class Room:
    """A package, or a module of the root."""

    name: str
    modules: tuple[str, ...]
    imports: frozenset[str]

    @property
    def height(self) -> int:
        """Height of its box in pixels."""
        return 30 + LINE * len(self.modules)


def rooms(root: Path = ROOT) -> dict[str, Room]:
    """Return the packages of ``root`` with their modules and imports at load time."""
    found = {}
    for path in sorted(root.iterdir()):
        is_package = (path / "__init__.py").exists()
        if not is_package and (path.suffix != ".py" or path.stem.startswith("__")):
            continue
        files = sorted(path.glob("*.py")) if is_package else [path]
        modules = (
            tuple(file.stem for file in files if file.stem != "__init__")
            if is_package
            else ()
        )
        imported = frozenset(
            name for file in files for name in imported_rooms(file, root)
        )
        found[path.stem] = Room(path.stem, modules, imported - {path.stem})
    return found


def imported_rooms(file: Path, root: Path) -> set[str]:
    """Return the packages that a file imports when it is loaded."""
    names = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            f"{root.name}."
        ):
            names.add((node.module or "").split(".")[1])
    return names


def floors(house: dict[str, Room]) -> list[list[str]]:
    """Return the rooms by floor, the lowest first: a room stands above all it imports."""
    level: dict[str, int] = {}

    def level_of(name: str) -> int:
        if name not in level:
            below = [level_of(target) for target in house[name].imports]
            level[name] = 1 + max(below, default=-1)
        return level[name]

    for name in house:
        level_of(name)
    height = 1 + max(level.values())
    return [
        sorted(name for name in house if level[name] == floor)
        for floor in range(height)
    ]


def direct_imports(house: dict[str, Room]) -> set[tuple[str, str]]:
    """Return the imports that no longer way already implies, as (importer, imported)."""

    def reachable(name: str) -> set[str]:
        below = set(house[name].imports)
        for target in house[name].imports:
            below |= reachable(target)
        return below

    pairs = set()
    for name, room in house.items():
        implied: set[str] = set()
        for target in room.imports:
            implied |= reachable(target)
        pairs.update((name, target) for target in room.imports - implied)
    return pairs


def svg(house: dict[str, Room]) -> str:
    """Return the drawing."""
    storeys = floors(house)
    widest = max(len(names) for names in storeys)
    width = 2 * MARGIN + (widest + 1) * (WIDTH + GAP)
    corners: dict[str, tuple[float, float]] = {}
    top = float(MARGIN)
    for floor, names in enumerate(reversed(storeys)):
        # so that lines pass beside boxes
        shift = (WIDTH + GAP) / 2 * (floor % 3 - 1)
        left = (width - len(names) * (WIDTH + GAP) + GAP) / 2 + shift
        for column, name in enumerate(names):
            corners[name] = (left + column * (WIDTH + GAP), top)
        top += max(house[name].height for name in names) + FLOOR_GAP
    height = top - FLOOR_GAP + MARGIN
    pairs = sorted(direct_imports(house))
    lines = [arrow(corners, house, pairs, pair) for pair in pairs]
    boxes = [box(house[name], *corners[name]) for name in sorted(house)]
    style = (
        "text{font:12px Menlo,Consolas,monospace;fill:#1f2328}"
        ".n{font-weight:bold;font-size:13px}"
        "rect{fill:#fff;stroke:#57606a;rx:6}path{fill:none;stroke:#8c959f;stroke-width:1.2}"
    )
    body = "\n".join([*lines, *boxes])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n'
        "<title>The packages of nd_plugin; lines lead down to what one imports</title>\n"
        f"<style>{style}</style>\n"
        '<rect width="100%" height="100%" style="fill:#fff;stroke:none"/>\n'
        f"{body}\n</svg>\n"
    )


def box(room: Room, left: float, top: float) -> str:
    """Return the box of a room at its upper left corner."""
    texts = [
        f'<text class="n" x="{left + 10:.0f}" y="{top + 19:.0f}">{escape(room.name)}</text>'
    ]
    for row, module in enumerate(room.modules):
        y = top + 36 + LINE * row
        texts.append(
            f'<text x="{left + 10:.0f}" y="{y:.0f}">{escape(module)}</text>'
        )
    rect = f'<rect x="{left:.0f}" y="{top:.0f}" width="{WIDTH}" height="{room.height}"/>'
    return rect + "".join(texts)


def arrow(
    corners: dict[str, tuple[float, float]],
    house: dict[str, Room],
    pairs: list[tuple[str, str]],
    pair: tuple[str, str],
) -> str:
    """Return the line from a room down to one that it imports.

    Lines of one room begin (and end) side by side, in the order of their other ends.
    """
    importer, imported = pair

    def left_edge(name: str) -> float:
        return corners[name][0]

    targets = sorted((b for a, b in pairs if a == importer), key=left_edge)
    sources = sorted((a for a, b in pairs if b == imported), key=left_edge)
    x1 = left_edge(importer) + share(targets.index(imported), len(targets))
    y1 = corners[importer][1] + house[importer].height
    x2 = left_edge(imported) + share(sources.index(importer), len(sources))
    y2 = corners[imported][1]
    middle = (y1 + y2) / 2
    curve = f"C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="M{x1:.0f} {y1:.0f}{curve}"/>'


def share(index: int, count: int) -> float:
    """Return the place of one of ``count`` lines along the edge of a box."""
    return WIDTH * (index + 1) / (count + 1)


if __name__ == "__main__":
    PICTURE.write_text(svg(rooms()), encoding="utf-8")
