"""Backend ``openvino``: layers of OpenVINO IR files, and of all other files that OpenVINO reads.

Imported whenever plugins are listed, so it imports nothing heavy.
"""

import os
import re
from typing import Any

from nd_plugin import BackendSpec, expanded_home, hookimpl

PREFIX = "openvino:"
CERTAIN = 100  # strength of a claim
HEAD_BYTES = 4096  # of an XML file, in which its first element begins
NET_ELEMENT = re.compile(rb"<net[\s>]")


def match(model: Any) -> int:
    """Claim texts such as ``openvino:model.xml``, and paths of IR files.

    An XML file of any other kind is not claimed. One that does not exist is, to be missed by name.
    """
    if not isinstance(model, str | os.PathLike):
        return 0
    text = os.fspath(model)
    if text.startswith(PREFIX):
        return CERTAIN
    return CERTAIN if text.lower().endswith(".xml") and may_be_ir(text) else 0


def may_be_ir(path: str) -> bool:
    """Return whether an XML file is an OpenVINO IR, or does not exist."""
    try:
        with expanded_home(path).open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return NET_ELEMENT.search(head) is not None


@hookimpl
def nd_backends() -> list[BackendSpec]:
    """Announce the backend ``openvino``."""
    return [
        BackendSpec(
            name="openvino",
            summary="OpenVINO IR files (.xml with .bin) on OpenVINO, CPU",
            factory="nd_openvino.backend:OpenVinoBackend",
            match=match,
            accepts=("FILE.xml", "openvino:FILE"),
            doctor="nd_openvino.doctor:examine",
            example="nd_openvino.example:write_example",
        )
    ]
