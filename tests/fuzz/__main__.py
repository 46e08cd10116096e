"""Fuzzers of all readers: ``python tests/fuzz --help``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

# one thread: workers are forked
os.environ.setdefault("OMP_NUM_THREADS", "1")
# modules of the tests, as pytest imports them
sys.path[0] = str(TESTS)

from fuzz.command import main, prepare  # noqa: E402

if __name__ == "__main__":
    prepare()
    sys.exit(main())
