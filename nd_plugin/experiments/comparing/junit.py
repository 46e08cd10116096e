"""Gates as JUnit's XML, which CI servers show: a test case for each layer."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

from nd_plugin.experiments.comparing.gate import Gate, GateCase

SUITE = "nd compare"
REPLACEMENT = "\ufffd"
# characters that XML 1.0 has no way to write
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(gate: Gate) -> bytes:
    """Return a document with a suite for each new result, and a case for each layer of the base."""
    root = ElementTree.Element("testsuites", _totals(SUITE, gate.cases))
    for new in dict.fromkeys(case.new for case in gate.cases):
        cases = tuple(case for case in gate.cases if case.new == new)
        suite = ElementTree.SubElement(root, "testsuite", _totals(new, cases))
        for case in cases:
            _add_case(suite, case)
    ElementTree.indent(root)
    document = io.BytesIO()
    tree = ElementTree.ElementTree(root)
    tree.write(document, encoding="utf-8", xml_declaration=True)
    return document.getvalue() + b"\n"


def _totals(name: str, cases: tuple[GateCase, ...]) -> dict[str, str]:
    failures = sum(bool(case.failure) for case in cases)
    return {
        "name": _clean(name),
        "tests": str(len(cases)),
        "failures": str(failures),
        "errors": "0",
        "skipped": "0",
    }


def _add_case(suite: ElementTree.Element, case: GateCase) -> None:
    names = {"classname": _clean(case.new), "name": _clean(case.layer)}
    element = ElementTree.SubElement(suite, "testcase", names)
    counts = f"base {case.base_count}, new {case.new_count} {case.counted}"
    if case.failure:
        attributes = {"message": _clean(case.failure), "type": "fail-under"}
        failure = ElementTree.SubElement(element, "failure", attributes)
        failure.text = _clean(f"{case.failure}\n{counts}")
    output = ElementTree.SubElement(element, "system-out")
    output.text = _clean("\n".join(filter(None, (counts, case.remark))))


def _clean(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return FORBIDDEN.sub(REPLACEMENT, text)
