"""Tables in LaTeX: columns, rows, escaped names; compiled where LaTeX is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nd_plugin import BadInput, Concept, Dissection
from nd_plugin.plots import latex_table
from nd_plugin.plots.latex import escape

NASTY = r"a_b&c%d$e#f{g}h~i^j\k<l>|m`n[o]*--''" + '"ü é č Å ł ß – “q” τ Ω × … \n\t'


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.endswith(r"\\")]
    return [line.removesuffix(r" \\").split(" & ") for line in lines]


def test_one_result(dissection: Dissection) -> None:
    assert latex_table(dissection) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{tabular}{lrrrrr}\n"
        "\\toprule\n"
        "& units & detectors & unique & object & part \\\\\n"
        "\\midrule\n"
        "block.1/relu & 5 & 3 & 2 & 1 & 1 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_several_results_are_rows(
    dissection: Dissection, later: Dissection
) -> None:
    _, first, second = rows(latex_table({"A_1": dissection, "B": later}))
    assert first == ["A\\_1", "5", "3", "2", "1", "1"]
    assert second == ["B", "5", "3", "2", "1", "1"]


def test_results_of_other_categories(
    dissection: Dissection, later: Dissection
) -> None:
    concepts = tuple(replace(item, category="a&b") for item in later.concepts)
    other = replace(
        later,
        categories=("a&b",),
        concepts=concepts,
        unit_area=later.unit_area[:, :1],
        category_images=later.category_images[:1],
        category_pixels=np.array([768]),
    )
    head, first, second = rows(latex_table([dissection, other]))
    assert head[-3:] == ["object", "part", r"a\&b"]
    assert first[-3:] == ["1", "1", "--"] and second[-3:-1] == ["--", "--"]


def test_it_is_a_method_too(dissection: Dissection, tmp_path: Path) -> None:
    path = tmp_path / "table.tex"
    assert dissection.to_latex(path) == latex_table(dissection)
    assert path.read_text() == latex_table(dissection)


def test_no_result() -> None:
    with pytest.raises(BadInput, match="no result to show"):
        latex_table([])


class TestEscape:
    @pytest.mark.parametrize(
        ("text", "escaped"),
        [
            ("layer4", "layer4"),
            ("a_b & 5% of $x #1", r"a\_b \& 5\% of \$x \#1"),
            ("{x}", r"\{x\}"),
            ("~^", r"\textasciitilde{}\textasciicircum{}"),
            ("\\input{x}", r"\textbackslash{}input\{x\}"),
            ("[x]*", "{[}x{]}{*}"),
            ("a-b", "a-b"),
            ("a--b---c", "a-{}-b-{}-{}-c"),
            ("it's ''", "it's '{}'"),
            ("<a>|`", r"\textless{}a\textgreater{}\textbar{}\textasciigrave{}"),
            ("Tür", r'T\"{u}r'),
            ("ï ě", r'\"{\i} \v{e}'),
            ("u\u0308", r'\"{u}'),
            ("τ Ω φ ς", r"\ensuremath{\tau} \ensuremath{\Omega} \ensuremath{\phi} "
             r"\ensuremath{\varsigma}"),
            ("a\nb\tc", "a b c"),
            ("a\x00b\u202ec", "abc"),
            ("犬", "犬"),
        ],
    )  # fmt: skip
    def test_signs(self, text: str, escaped: str) -> None:
        assert escape(text) == escaped

    def test_nothing_special_is_left(self) -> None:
        text = escape(NASTY)
        assert text.isascii() and "\n" not in text
        commands = re.sub(r"\\([a-zA-Z]+|.)", "", text)
        assert not set(commands) & set("_&%$#~^\\<>|`")
        assert commands.count("{") == commands.count("}")

    def test_what_pdflatex_has_not_is_said(self, dissection: Dissection) -> None:
        concept = Concept("cat", "動物")
        table = latex_table({"犬\nrow": replace(
            dissection,
            categories=("動物", "part"),
            concepts=(concept, *dissection.concepts[2:], dissection.concepts[3]),
        )})  # fmt: skip
        _, comment, *_ = table.splitlines()
        assert comment == (
            "% needs XeLaTeX or LuaLaTeX and a font that has these: 犬 (U+72AC) "
            "動 (U+52D5) 物 (U+7269)"
        )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_it_compiles(
    dissection: Dissection, later: Dissection, tmp_path: Path
) -> None:
    table = latex_table({NASTY: dissection, "[b]": later, "*c": dissection})
    (tmp_path / "x.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        f"{table}\\end{{document}}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "x.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
