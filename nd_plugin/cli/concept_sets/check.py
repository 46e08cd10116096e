"""Command ``nd concepts check``: the faults of a concept set, each with its file and remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from nd_plugin.cli import console
from nd_plugin.cli.concept_sets.listing import ConceptsText
from nd_plugin.cli.console import new_table, print_json, print_notes
from nd_plugin.cli.options.shared import Json, Limit, MaxPixels
from nd_plugin.contracts.plugin_specs import SetFinding, TableRule

FINDINGS_SHOWN = 5  # of each rule
COLOURS = {True: "red", False: "yellow"}  # of errors and warnings

Tables = Annotated[
    bool,
    typer.Option(
        "--tables",
        help="Check the tables alone, without images: whether the figures in them agree.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")
]
All = Annotated[
    bool,
    typer.Option(
        "--all",
        help=f"Print all findings of a rule, not only the first {FINDINGS_SHOWN}.",
    ),
]
CheckWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Processes that read images, where there are thousands. [default: cores, at most 4]",
    ),
]


def check(
    concepts: ConceptsText,
    tables: Tables = False,
    strict: Strict = False,
    show_all: All = False,
    limit: Limit = None,
    max_pixels: MaxPixels = None,
    workers: CheckWorkers = None,
    json: Json = False,
) -> None:
    """Check a concept set: every fault at once, each with its file and what to do.

    Exits with 1 if there are errors.
    """
    from nd_plugin.plugins.checks.concept_sets import check_concepts, check_tables

    rules: list[TableRule] = []
    findings: list[SetFinding] = []
    notes: list[str] = []
    with _checking(limit, max_pixels, workers):
        if tables:
            rules += check_tables(concepts)
            for rule in rules:
                findings += rule.findings
        else:
            findings += check_concepts(concepts, notes)
    if json:
        _print_as_json(concepts, rules, findings, notes)
    else:
        _print_rules(rules)
        _print_findings(findings, None if show_all else FINDINGS_SHOWN)
        print_notes(notes)
        _print_summary(concepts, findings, limit)
    has_errors = any(finding.is_error for finding in findings)
    if has_errors or (strict and findings):
        raise typer.Exit(1)


@contextmanager
def _checking(
    limit: int | None, max_pixels: int | None, workers: int | None
) -> Iterator[None]:
    """Bound the checks inside, and show their progress on stderr."""
    from nd_plugin.concepts.check.runs import CheckRun, check_run, default_workers
    from nd_plugin.pictures.pixel_limit import pixel_limit_around

    processes = default_workers() if workers is None else workers
    with (
        console.results_only(),
        console.progress() as progress,
        pixel_limit_around(max_pixels),
        check_run(CheckRun(limit, processes, max_pixels, progress)),
    ):
        yield


def _print_as_json(
    concepts: str,
    rules: Sequence[TableRule],
    findings: Sequence[SetFinding],
    notes: Sequence[str],
) -> None:
    errors = [finding for finding in findings if finding.is_error]
    document: dict[str, object] = {
        "concepts": concepts,
        "errors": len(errors),
        "warnings": len(findings) - len(errors),
        "findings": [asdict(finding) for finding in findings],
        "notes": list(notes),
    }
    if rules:
        document["tables"] = [
            {
                "rule": rule.rule,
                "statement": rule.statement,
                "compared": rule.compared,
                "failed": len(rule.findings),
                "reason": rule.reason,
            }
            for rule in rules
        ]
    print_json(document)


def _print_rules(rules: Sequence[TableRule]) -> None:
    """Print each identity of tables, how often it was compared, and how often it fails."""
    if not rules:
        return
    table = new_table("rule", "what holds", "compared", "fails")
    for rule in rules:
        fails = Text(str(len(rule.findings)) if rule.findings else "", style="red")
        statement = Text(rule.statement)
        compared = str(rule.compared)
        if rule.reason:
            statement.append(f" ({rule.reason})", style="dim")
            compared = "-"
        table.add_row(Text(rule.rule), statement, compared, fails)
    console.show(table)


def _print_findings(findings: Sequence[SetFinding], shown: int | None) -> None:
    """Print the findings of each rule below its remedy, errors first; at most so many."""
    by_rule: dict[tuple[bool, str], list[SetFinding]] = {}
    for finding in findings:
        by_rule.setdefault((not finding.is_error, finding.rule), []).append(finding)
    for (is_warning, rule), rule_findings in sorted(
        by_rule.items(), key=lambda item: item[0][0]
    ):
        kind = "warning" if is_warning else "error"
        heading = f"{rule}: {_counted(len(rule_findings), kind)}"
        console.write("")
        console.show(Text(heading, style=COLOURS[not is_warning]))
        _print_remedies(rule_findings)
        table = new_table("file", "problem")
        for finding in rule_findings[:shown]:
            table.add_row(Text(finding.file), Text(finding.problem))
        console.show(table)
        beyond = len(rule_findings) - len(rule_findings[:shown])
        if beyond:
            console.show(
                Text(f"… and {beyond} more; --all prints them", style="dim")
            )


def _print_remedies(findings: Sequence[SetFinding]) -> None:
    for remedy in dict.fromkeys(finding.remedy for finding in findings):
        console.show(Text(f"what to do: {remedy}"), wrap_words=False)


def _print_summary(
    concepts: str, findings: Sequence[SetFinding], limit: int | None
) -> None:
    errors = sum(finding.is_error for finding in findings)
    warnings = len(findings) - errors
    summary = "no faults found"
    if findings:
        summary = f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}"
        console.write("")
    looked_at = f", of the files of the first {limit} images" if limit else ""
    colour = COLOURS[errors > 0] if findings else "green"
    console.show(Text(f"{concepts}: {summary}{looked_at}", style=colour))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
