"""Process that tries an ONNX file out: ONNX Runtime may crash on a damaged one.

Run by `trial.try_out` as a script of its own, which imports nothing of ours: it opens the file that
is its argument without and with optimisation. Errors do not matter here, only crashes.
"""

from __future__ import annotations

import contextlib
import io
import sys

import onnxruntime as ort

FATAL = 4  # log level


def main(path: str) -> None:
    """Open a session on a file twice."""
    ort.set_default_logger_severity(FATAL)
    levels = (
        ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    )
    for level in levels:
        options = ort.SessionOptions()
        options.log_severity_level = FATAL
        options.graph_optimization_level = level
        options.intra_op_num_threads = 1
        with (
            contextlib.suppress(Exception),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main(sys.argv[1])
