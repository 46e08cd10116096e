"""Stderr that nobody reads any more."""

from __future__ import annotations

import os
import subprocess
import sys

from nd_plugin.shell import lost_streams
from nd_plugin.shell.lost_streams import ForgivingFile

SCRIPT = """
import sys
from nd_plugin.shell.lost_streams import forgive_stderr

forgive_stderr()
stream = sys.stderr
forgive_stderr()
assert sys.stderr is stream
sys.stdin.readline()
for _ in range(3):
    print("to nobody", file=sys.stderr, flush=True)
print("to somebody")
"""


def test_a_closed_pipe_takes_what_is_written() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with ForgivingFile(writer, "w") as file:
        assert file.write(b"to nobody") == 9


def test_a_program_goes_on_without_its_stderr() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr and process.stdin and process.stdout
        process.stderr.close()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stdout.read() == "to somebody\n"
    assert process.returncode == 0


def test_the_streams_of_tests_are_left_alone() -> None:
    stream = sys.stderr
    lost_streams.forgive_stderr()
    assert sys.stderr is stream
