"""A reporter in another process: what it gives there, and what it imports."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nd_plugin.contracts.plugin_specs import ReportContent
from nd_plugin.testing.reporter_kit.made_layers import layers_of_two_runs

SECONDS = 120.0
SEED = "PYTHONHASHSEED"  # decides the order of sets of texts
# gets a module, a name and reports by pickle; prints whether torch was imported, then the content
CHILD = """
import importlib, json, pickle, sys
from nd_plugin.errors import NDError
module, name, reports = pickle.load(sys.stdin.buffer)
reporter = getattr(importlib.import_module(module), name)
stdout, sys.stdout = sys.stdout, sys.stderr
try:
    content = reporter(reports)
except NDError:
    content = None
content = dict(content) if hasattr(content, "items") else content
stdout.buffer.write(pickle.dumps(("torch" in sys.modules, content)))
"""


@dataclass(frozen=True)
class OtherProcess:
    """What a reporter gives in another process for layers without pictures."""

    imports_torch: bool
    digest: str  # of its content


def is_importable(reporter: Any) -> bool:
    """Return whether another process can import a reporter by its name."""
    module = getattr(reporter, "__module__", None)
    name = getattr(reporter, "__qualname__", "")
    if module in (None, "__main__") or not name.isidentifier():
        return False
    return getattr(importlib.import_module(module), name, None) is reporter


def run_in_other_process(reporter: Any) -> OtherProcess:
    """Call a reporter that can be imported in a new process. Raises AssertionError."""
    order = "2" if os.environ.get(SEED) == "1" else "1"
    environment = {
        **os.environ,
        SEED: order,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    call = (reporter.__module__, reporter.__qualname__, layers_of_two_runs())
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickle.dumps(call),
        capture_output=True,
        env=environment,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        last_line = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AssertionError(f"in another process: {last_line}")
    imports_torch, content = pickle.loads(done.stdout)
    return OtherProcess(imports_torch, digest_of(content))


def digest_of(content: ReportContent | None) -> str:
    """Return a checksum of content, with paths and types; empty for none."""
    if content is None:
        return ""
    files = dict(content) if isinstance(content, Mapping) else {"": content}
    digest = sha256()
    for path, part in files.items():
        is_text = isinstance(part, str)
        encoded = _encoded(part)
        digest.update(f"{path!r} {is_text} {len(encoded)}\n".encode())
        digest.update(encoded)
    return digest.hexdigest()


def _encoded(part: str | bytes) -> bytes:
    # half characters of names are no reason to fail
    return part.encode(errors="surrogatepass") if isinstance(part, str) else part
