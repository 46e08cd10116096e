"""JSON of every command: one document on stdout, with a schema version, errors included."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nd_plugin import RunFailed
from nd_plugin.cli import listings
from nd_plugin.report.json_text import SCHEMA

MODEL = "networks:ResNet18"
SMALL = ("--input-size", "64", "--quantile", "0.2", "--workers", "0")


def document_of(text: str) -> dict[str, Any]:
    content = json.loads(text)
    assert content["schema"] == SCHEMA
    assert next(iter(content)) == "schema", "what it is, before what it says"
    assert isinstance(content, dict)
    return content


class TestResults:
    @pytest.mark.parametrize(
        ("command", "key"),
        [
            (("layers", MODEL, "--input-size", "64"), "layers"),
            (("plugins",), "plugins"),
            (("doctor",), "findings"),
            (("concepts", "shapes?images=4"), "categories"),
        ],
    )
    def test_listings(self, command: tuple[str, ...], key: str, nd: Any) -> None:
        done = nd(*command, "--json")
        assert done.returncode == 0 and "error" not in document_of(done.stdout)
        assert document_of(done.stdout)[key]

    def test_dissect_and_report(self, run: Path, nd: Any) -> None:
        reported = nd("report", run, "--json").stdout
        layers = document_of(reported)["layers"]
        assert [layer["layer"] for layer in layers] == ["layer1", "layer2.0"]
        assert nd("report", run, "--format", "json").stdout == reported

    def test_merge(self, probe_set: Path, tmp_path: Path, nd: Any) -> None:
        done = nd("dissect", MODEL, "-l", "layer1", "-c", f"masks:{probe_set}", *SMALL,
                  "--shard", "1/1", "-o", tmp_path / "shard", "--json")  # fmt: skip
        assert (done.returncode, done.stdout) == (0, ""), "a shard has no report"
        done = nd("merge", tmp_path / "shard", "-o", tmp_path / "run", "--json")
        assert done.returncode == 0, done.stderr
        (layer,) = document_of(done.stdout)["layers"]
        assert layer["layer"] == "layer1" and len(layer["unit_scores"]) == 4

    def test_explain(self, run: Path, probe_set: Path, nd: Any) -> None:
        image = probe_set / "images" / "0.png"
        done = nd("explain", run, MODEL, image, "--json")
        assert done.returncode == 0, done.stderr
        (explanation,) = document_of(done.stdout)["explanations"]
        units = explanation["units"]
        lines = done.stdout.splitlines()
        counts = [line for line in lines if line.strip().startswith('"counts": [')]
        assert len(counts) == len(units) > 0
        assert not any(re.fullmatch(r"[\s\d]+,?", line) for line in lines)

    def test_parity_and_a_check_that_missed(self, probe_set: Path, nd: Any) -> None:
        done = nd("parity", MODEL, MODEL, "-l", "layer1", "-c", f"masks:{probe_set}",
                  *SMALL, "--tolerance", "0", "--json")  # fmt: skip
        content = document_of(done.stdout)
        (layer,) = content["layers"]
        # Each opening of the model draws its weights anew.
        assert layer["layers"] == ["layer1", "layer1"] and layer["difference"] > 0
        assert done.returncode == content["error"]["exit_code"] == 1
        assert content["error"]["type"] == "RunFailed"
        assert "activations differ by more than 0" in content["error"]["message"]


class TestErrors:
    """Each is one document on stdout, a line on stderr, and the exit code of text."""

    @pytest.mark.parametrize(
        ("command", "kind", "message", "code"),
        [
            (("layers", "model.xyz"), "ModelNotFound", "no backend opens", 2),
            (("layers", MODEL, "--device", "cuda:99"), "Unavailable", "cuda", 3),
            (
                ("concepts", "masks:/none"),
                "ConceptSetInvalid",
                "no folder '/none'",
                2,
            ),
            (("report", "/none"), "RunInvalid", "no run '/none'", 2),
            (("report", "/none", "--format", "csv"), "BadInput", "exclude each", 2),
            (
                (
                    "dissect",
                    MODEL,
                    "-l",
                    "x",
                    "-c",
                    "shapes?images=4",
                    "-o",
                    "/tmp/a",
                ),
                "LayerNotFound",
                "no layer 'x'",
                2,
            ),
            (("merge", "/none", "-o", "/tmp/a"), "RunInvalid", "/none", 2),
            (
                ("explain", "/none", MODEL, "x.png"),
                "RunInvalid",
                "no run '/none'",
                2,
            ),
            (
                ("parity", MODEL, "model.xyz", "-l", "x", "-c", "shapes?images=4"),
                "ModelNotFound",
                "no backend opens 'model.xyz'",
                2,
            ),
            (("layers",), "UsageError", "Missing argument 'MODEL'", 2),
            (("doctor", "--no-such"), "UsageError", "No such option: --no-such", 2),
            (("plugins", "one"), "BadInput", "no plugin 'one'", 2),
            (("nonsense",), "UsageError", "No such command 'nonsense'", 2),
            (
                ("dissect", MODEL, "--limit", "none", "-l", "x", "-c", "shapes"),
                "UsageError",
                "Invalid value for '--limit'",
                2,
            ),
        ],
    )
    def test_every_command(
        self, command: tuple[str, ...], kind: str, message: str, code: int, nd: Any
    ) -> None:
        done = nd(*command, "--json", COLUMNS="400")
        assert done.returncode == code, done.stderr
        content = document_of(done.stdout)
        assert list(content) == ["schema", "error"]
        error = content["error"]
        assert list(error) == ["type", "message", "exit_code"]
        assert (error["type"], error["exit_code"]) == (kind, code)
        assert message in error["message"]
        assert f"nd: {error['message']}".split("\n")[0] in done.stderr
        assert "Traceback" not in done.stderr
        as_text = nd(*command, COLUMNS="400")
        exclude_each_other = "exclude" in message
        assert exclude_each_other or as_text.returncode == code
        assert as_text.stdout == ""

    def test_an_error_joins_the_result(
        self, nd: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        print_findings: Callable[..., None] = listings.print_findings

        def failing(*findings: Any, as_json: bool) -> None:
            print_findings(*findings, as_json=as_json)
            raise RunFailed("too late")

        monkeypatch.setattr(listings, "print_findings", failing)
        done = nd("doctor", "--json")
        content = document_of(done.stdout)
        assert done.returncode == 1 and content["findings"]
        assert content["error"] == {
            "type": "RunFailed",
            "message": "too late",
            "exit_code": 1,
        }

    def test_ctrl_c(self, nd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(listings, "examine_installation", interrupted)
        done = nd("doctor", "--json")
        assert done.returncode == 130 and "nd: interrupted" in done.stderr
        error = document_of(done.stdout)["error"]
        assert (error["type"], error["exit_code"]) == ("Interrupted", 130)

    def test_a_mistake_of_ours_is_shown_with_its_traceback(
        self, nd_process: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(
            "from nd_plugin.cli import listings\n"
            "def broken():\n"
            "    raise ZeroDivisionError('by zero')\n"
            "listings.examine_installation = broken\n"
        )
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        done = nd_process("doctor", "--json", PYTHONPATH=path)
        assert done.returncode == 1 and "Traceback" in done.stderr
        error = document_of(done.stdout)["error"]
        assert (error["type"], error["message"]) == ("ZeroDivisionError", "by zero")

    def test_help_is_no_error(self, nd: Any) -> None:
        done = nd("layers", "--json", "--help")
        assert done.returncode == 0 and "Usage: " in done.stdout

    def test_a_value_that_looks_like_the_option(self, nd: Any) -> None:
        done = nd("layers", "--", "--json")
        assert done.returncode == 2 and done.stdout == ""
