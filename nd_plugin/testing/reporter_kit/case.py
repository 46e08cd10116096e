"""A reporter under check: what it gives for each sample, and what else it does meanwhile."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nd_plugin.contracts.plugin_specs import ReportContent
from nd_plugin.errors import NDError
from nd_plugin.report.content.checked_content import (
    CONTENT_WORDS,
    find_fault,
    is_report_content,
    plain_content,
)
from nd_plugin.report.layer_report import LayerReport
from nd_plugin.testing.conformance import require
from nd_plugin.testing.outcomes import Once
from nd_plugin.testing.reporter_kit.made_layers import SAMPLES, Reports
from nd_plugin.testing.reporter_kit.other_process import (
    OtherProcess,
    run_in_other_process,
)

Reporter = Callable[[Sequence[LayerReport]], ReportContent]
TEXT_ENDINGS = (".html", ".htm", ".svg", ".xml", ".json", ".csv", ".txt", ".md")


class ReporterCase:
    """A reporter, with the content of each sample, made when a check first asks for it."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        # by check: what was seen while content was made
        self.side_effects: dict[str, list[str]] = {}
        self.made_at: float = (
            0.0  # seconds, when content was last made for the first time
        )
        self._content: dict[str, Once[ReportContent | None]] = {}
        for sample, make in SAMPLES.items():
            words = make.__name__.replace("_", " ")
            self._content[sample] = Once(words, self._maker(make, words))
        self.other_process: Once[OtherProcess] = Once(
            "another process", partial(run_in_other_process, reporter)
        )

    def content(self, sample: str) -> ReportContent | None:
        """Return what the reporter gives for a sample; None where it refuses it.

        Raises AssertionError for anything but content and an error of nd_plugin.
        """
        return self._content[sample].get()

    def texts(self, sample: str) -> dict[str, str]:
        """Return the texts of a sample's content, by path; the path of a single text is empty."""
        content = self.content(sample)
        if isinstance(content, str):
            return {"": content}
        texts: dict[str, str] = {}
        if not isinstance(content, Mapping):
            return texts
        for path, part in content.items():
            if isinstance(part, str):
                texts[path] = part
            elif path.lower().endswith(TEXT_ENDINGS):
                texts[path] = part.decode(errors="replace")
        return texts

    def make_all(self) -> None:
        """Make the content of every sample; failures are for the checks that ask for it."""
        for sample in SAMPLES:
            with contextlib.suppress(AssertionError):
                self.content(sample)

    def make(self, reports: Reports) -> ReportContent | None:
        """Call the reporter; None where it refuses. Raises AssertionError for wrong content."""
        try:
            content = plain_content(self.reporter(reports))
        except NDError as error:
            require(str(error), f"raised {type(error).__name__} without a message")
            return None
        require(
            is_report_content(content),
            f"gave a {type(content).__name__}, not {CONTENT_WORDS}",
        )
        fault = find_fault(content)
        require(not fault, f"gave a folder with {fault}")
        checked: ReportContent = content
        return checked

    def _maker(
        self, make: Callable[[], Reports], words: str
    ) -> Callable[[], ReportContent | None]:
        def make_content() -> ReportContent | None:
            reports = make()
            state = state_of(reports)
            try:
                with self._observed(words):
                    return self.make(reports)
            finally:
                self.made_at = time.time()
                if state_of(reports) != state:
                    self._note(
                        "reports-unchanged", f"changed the report of {words}"
                    )

        return make_content

    @contextlib.contextmanager
    def _observed(self, words: str) -> Any:
        """Take note of what is printed, written to the working folder, and left open."""
        printed = io.StringIO()
        figures = _open_figures()
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.chdir(folder),
            contextlib.redirect_stdout(printed),
        ):
            yield
            written = sorted(path.name for path in Path(folder).iterdir())
        if written:
            names = ", ".join(written)
            self._note("writes-nothing", f"wrote {names} in the working folder")
        if printed.getvalue():
            text = printed.getvalue()[:60]
            self._note("prints-nothing", f"printed {text!r} for {words}")
        opened = set(_open_figures()) - set(figures)
        if opened:
            self._note("figures-closed", f"left {len(opened)} open for {words}")

    def _note(self, check: str, problem: str) -> None:
        self.side_effects.setdefault(check, []).append(problem)


def _open_figures() -> list[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return [] if pyplot is None else list(pyplot.get_fignums())


def state_of(value: Any) -> Any:
    """Return a value as plain tuples that can be compared: arrays by their bytes."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value) and not isinstance(value, type):
        members = [getattr(value, field.name) for field in fields(value)]
        return type(value).__name__, *map(state_of, members)
    if isinstance(value, Mapping):
        return tuple((key, state_of(member)) for key, member in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(state_of, value))
    return value if isinstance(value, str | bytes | Path) else repr(value)
