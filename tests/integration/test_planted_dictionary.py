"""A planted dictionary of 16,384 latents is recovered, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LATENTS, IMAGES = 16384, 160
# The maps of all images take 2.5 GiB. Python and its libraries take 0.4, a run 0.6 beside them.
MOST_BYTES = 2 * 2**30


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_planted_dictionary_is_recovered() -> None:
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [
            sys.executable,
            str(TESTS / "planted_dictionary.py"),
            str(LATENTS),
            str(IMAGES),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["latents"] == LATENTS
    # each planted latent is a detector of its concept, and hardly any other latent is one
    assert result["planted"] > 100
    assert result["found"] == result["planted"]
    assert result["named"] >= 0.98 * result["planted"]
    assert result["others"] <= 0.02 * result["planted"]
    # the mixture itself has none of them
    assert result["own"] <= 0.02 * result["planted"]
    assert result["maps"] > MOST_BYTES
    assert result["peak"] < MOST_BYTES
