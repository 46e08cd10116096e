"""Checks that type checkers know the type of every public symbol of nd_plugin, by pyright.

Types that come from other packages do not count: torch, NumPy and Matplotlib leave some open.
pyright looks at the packages of the ``python`` that is first on the PATH, which is tox's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = (
    "pyright",
    "--verifytypes",
    "nd_plugin",
    "--ignoreexternal",
    "--outputjson",
)


def main() -> int:
    """Print the symbols whose type is not known, and the score; return the exit code."""
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    completeness = json.loads(done.stdout)["typeCompleteness"]
    exported = [
        symbol for symbol in completeness["symbols"] if symbol["isExported"]
    ]
    incomplete = [symbol for symbol in exported if not is_complete(symbol)]
    for symbol in incomplete:
        for diagnostic in symbol["diagnostics"]:
            print(f"{symbol['name']}: {diagnostic['message']}")  # noqa: T201
    score = completeness["completenessScore"]
    print(f"{len(exported)} public symbols, {score:.2%} of known type")  # noqa: T201
    return int(bool(incomplete) or score < 1)


def is_complete(symbol: dict[str, Any]) -> bool:
    """Return whether the type of a symbol is known and not a matter of inference."""
    return symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"]


if __name__ == "__main__":
    sys.exit(main())
