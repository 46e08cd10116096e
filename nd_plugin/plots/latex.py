r"""LaTeX: a table of results by category, a row for each, in the style of booktabs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from nd_plugin.plots.named_results import Results, named_reports
from nd_plugin.report.categories import all_categories
from nd_plugin.report.error_bars.texts import (
    count_intervals,
    count_text,
    detectors_interval,
    mean_count_text,
    unique_interval,
)
from nd_plugin.report.layer_report import LayerReport

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # behind the end of a row these would be options of it
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # two of them would become another sign
    "-": "-{}",
    "'": "'{}",
    '"': r"\char34{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "·": r"\textperiodcentered{}",
    "×": r"\ensuremath{\times}",
    "−": r"\ensuremath{-}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "→": r"\ensuremath{\rightarrow}",
    "°": r"\textdegree{}",
}
ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0328": "k",
}
GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (FINAL SIGMA|\w+)")
# capitals that look like Latin letters have no command
COMMANDS_OF_CAPITALS = set(
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
# Greek in Unicode and in LaTeX differ here
GREEK_NAMES = {"lamda": "lambda", "final sigma": "varsigma"}
NOT_IN_CONCEPT_SET = "--"
NOT_KNOWN = "--"
TO = "--"  # between the ends of an interval


def latex_table(results: Results) -> str:
    r"""Return a ``tabular`` of booktabs: a row for each result, unique detectors by category.

    Columns: units, detectors, unique detectors, and of these each category, with a dash where the
    concept set of a result has no such category. Intervals stand behind the counts of runs that
    have folds; where any run has permutations, a column has the detectors to expect by chance. The
    document needs
    ``\usepackage{booktabs}``. Names are escaped for any LaTeX; characters that pdfLaTeX has not
    are named in a comment. Raises BadInput for no result, and for what is none.
    """
    reports = named_reports(results)
    categories = all_categories(list(reports.values()))
    has_chance = any(report.chance_level for report in reports.values())
    rows = [
        _row(name, report, categories, has_chance=has_chance)
        for name, report in reports.items()
    ]
    chance_head = ["by chance"] if has_chance else []
    head = ["", "units", "detectors", *chance_head, "unique"]
    head += map(escape, categories)
    lines = [
        *_comments([*reports, *categories]),
        rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"\toprule",
        " & ".join(head).strip() + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def to_latex(reports: Sequence[LayerReport]) -> str:
    """Return `latex_table` of reports: the format ``latex``."""
    return latex_table(reports)


def _row(
    name: str, report: LayerReport, categories: Sequence[str], *, has_chance: bool
) -> str:
    summary = report.summary
    cells = [escape(name), str(summary.units)]
    cells.append(count_text(summary.detectors, detectors_interval(report), TO))
    if has_chance:
        cells.append(_chance(report))
    cells.append(count_text(summary.unique_detectors, unique_interval(report), TO))
    cells += [_count(report, category) for category in categories]
    return " & ".join(cells) + r" \\"


def _chance(report: LayerReport) -> str:
    level = report.chance_level
    return NOT_KNOWN if level is None else mean_count_text(level.detectors.mean)


def _count(report: LayerReport, category: str) -> str:
    """Return unique detectors of a category; a dash where the concept set has none such."""
    if category not in report.categories:
        return NOT_IN_CONCEPT_SET
    count = report.summary.unique_detectors_by_category.get(category, 0)
    intervals = count_intervals(report)
    interval = (
        intervals.unique_detectors_by_category.get(category) if intervals else None
    )
    return count_text(count, interval, TO)


def _comments(texts: Sequence[str]) -> list[str]:
    """Return what the table needs, and characters that need another LaTeX."""
    comments = [r"% needs \usepackage{booktabs}"]
    characters = unicodedata.normalize("NFC", "".join(texts))
    foreign = [
        character
        for character in dict.fromkeys(characters)
        if _is_foreign(character)
    ]
    if foreign:
        listed = " ".join(f"{sign} (U+{ord(sign):04X})" for sign in foreign)
        comments.append(
            f"% needs XeLaTeX or LuaLaTeX and a font that has these: {listed}"
        )
    return comments


def escape(text: str) -> str:
    r"""Return a text as LaTeX shows it: signs escaped, accents as commands, one line.

    What pdfLaTeX has no command for is left as it is, for XeLaTeX and LuaLaTeX.
    """
    one_line = " ".join(text.split())
    composed = unicodedata.normalize("NFC", one_line)
    escaped = "".join(_escaped(character) for character in composed)
    # a hyphen or an apostrophe alone needs nothing behind it
    return re.sub(r"([-'])\{\}(?!\1)", r"\1", escaped)


def _escaped(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if not character.isprintable():
        return ""
    if character.isascii():
        return character
    return _accented(character) or _greek(character) or character


def _is_foreign(character: str) -> bool:
    """Return whether pdfLaTeX has no command for a character."""
    return not character.isspace() and not _escaped(character).isascii()


def _accented(character: str) -> str:
    """Return a Latin letter with an accent as a command; "" for others."""
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) != 1 or not letter.isascii() or marks[0] not in ACCENTS:
        return ""
    base = r"\i" if letter == "i" else letter
    return rf"\{ACCENTS[marks[0]]}{{{base}}}"


def _greek(character: str) -> str:
    """Return a Greek letter as a command of mathematics; "" for others."""
    match = GREEK.fullmatch(unicodedata.name(character, ""))
    if match is None:
        return ""
    case, letter = match.groups()
    name = GREEK_NAMES.get(letter.lower(), letter.lower())
    if case == "CAPITAL":
        name = name.capitalize()
    if name == "omicron":
        return "o"
    if case == "CAPITAL" and name not in COMMANDS_OF_CAPITALS:
        return ""
    return rf"\ensuremath{{\{name}}}"
