"""Explanations for the terminal, for notebooks and as a page: formats purely.

Readable at 60 columns; nothing is cut. Names come from data sets and users: in HTML they are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nd_plugin.explain.explanation import Explanation
from nd_plugin.report.mask_overlays import data_uri, overlay
from nd_plugin.report.terminal import COLOURS, EIGHTHS, page

CELLS = 8  # of the longest bar


KINDS = {
    "linear": "w_n * x_n: exact, by the linear head",
    "gradient": "activation times gradient: of first order",
    "ablation": "what the output loses without the unit",
}


MASKS = {"image": "the top of the image's own map", "dissection": "above the unit's threshold T_k"}


STYLE = (
    "font-family:system-ui,sans-serif;font-size:14px;line-height:1.4",
    "display:flex;flex-wrap:wrap;gap:12px",
    "margin:0;width:160px",
    "width:160px;display:block;border-radius:4px",
    "opacity:.7",
)


def render_all(explanations: Sequence[Explanation]) -> RenderableType:
    """One explanation after the other."""
    return Group(*(Padding(render(one), (0, 0, 1, 0)) for one in explanations))


def render(explanation: Explanation) -> RenderableType:
    """What was explained, the units that it rests on, and whether that is so."""
    return Group(*_blocks(explanation))


def _blocks(one: Explanation) -> Iterator[RenderableType]:
    title = Text(one.name, style="bold")
    title.append(f"  {one.output:.4g}", style="bold green")
    yield Rule(title, align="left")
    yield _facts(one)
    yield Padding(_units(one), (1, 0, 0, 0))
    lines = [*_sums(one), *(f"! {note}" for note in one.notes)]
    yield Padding(Text("\n".join(lines)), (1, 0, 0, 0))


def _facts(one: Explanation) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts(one).items():
        table.add_row(name, Text(value))
    return table


def facts(one: Explanation) -> dict[str, str]:
    """What was asked and how it was answered, in words."""
    told = {"layer": one.layer, "contributions": KINDS[one.contribution], "masks": MASKS[one.mask]}
    return {**told, "predicted": one.predicted} if one.predicted not in ("", one.name) else told


def _units(one: Explanation) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("unit", justify="right")
    table.add_column("concept", overflow="fold")
    table.add_column("category", overflow="fold")
    table.add_column("IoU", justify="right")
    table.add_column("adds", justify="right")
    table.add_column("share", justify="right")
    table.add_column("", no_wrap=True)
    most = max((abs(unit.contribution) for unit in one.units), default=0.0)
    for unit in one.units:
        colour = COLOURS.get(unit.category, "white")
        table.add_row(
            str(unit.unit),
            Text(unit.label, style="bold" if unit.detector else "dim"),
            Text(unit.category, style=colour),
            f"{unit.iou:.3f}",
            f"{unit.contribution:+.3g}",
            f"{unit.share:.1%}",
            Text(_bar(unit.contribution, most), style=colour),
        )
    return table


def _bar(value: float, most: float) -> str:
    eighths = round(8 * CELLS * max(value, 0.0) / most) if most else 0
    return EIGHTHS[8] * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


def _sums(one: Explanation) -> Iterator[str]:
    """In words: what the units make up, and what happens without them."""
    said = sum(unit.contribution for unit in one.units)
    of = f" of {one.output:.4g}" + (
        f" (the head's bias is {one.bias:+.3g})" if one.bias is not None else ""
    )
    yield f"Together they contribute {said:+.4g}{of}."
    if one.check is not None:
        change = -one.check.found
        yield f"Checked: with them at 0 it changes by {change:+.4g}; said was {-one.check.said:+.4g}."
    if any(not unit.detector for unit in one.units):
        yield "In parentheses: the best concept of a unit that is no detector of it."


def to_html(explanations: Sequence[Explanation]) -> str:
    """A page of its own."""
    return page("Why this answer", to_html_fragment(explanations))


def to_html_fragment(explanations: Sequence[Explanation]) -> str:
    """A piece of HTML, for notebooks: pictures are inside, nothing is fetched."""
    return f'<div style="{STYLE[0]}">' + "".join(_section(one) for one in explanations) + "</div>"


def _section(one: Explanation) -> str:
    told = "; ".join(f"{escape(name)}: {escape(value)}" for name, value in facts(one).items())
    figures = [_figure(data_uri(one.image), f"<b>{escape(one.name)}</b><br>{one.output:.4g}")]
    figures += [
        _figure(
            data_uri(overlay(one.image, unit.mask)),
            f"<b>{escape(unit.label)}</b> <span style='{STYLE[4]}'>{escape(unit.category)}, IoU {unit.iou:.3f}</span>"
            f"<br>unit {unit.unit}: {unit.contribution:+.3g} ({unit.share:.1%})",
        )
        for unit in one.units
    ]
    lines = "<br>".join(escape(line) for line in [*_sums(one), *one.notes])
    return (
        f"<section><h3>{escape(one.name)}: {one.output:.4g}</h3><p style='{STYLE[4]}'>{told}</p>"
        f'<div style="{STYLE[1]}">{"".join(figures)}</div><p>{lines}</p></section>'
    )


def _figure(picture: str, caption: str) -> str:
    return (
        f'<figure style="{STYLE[2]}"><img style="{STYLE[3]}" src="{picture}" alt="">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
