"""CUDA streams of sessions: kernels of ONNX Runtime and torch in order, while the host goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import onnxruntime as ort
import torch

from nd_plugin import BadInput

# environment variable for measurements: NAME=VALUE,NAME=VALUE
FURTHER_OPTIONS = "ND_ONNX_CUDA_OPTIONS"
# an exhaustive search takes seconds for each size of a batch, and chooses otherwise in each run
CONVOLUTION_SEARCH = {"cudnn_conv_algo_search": "HEURISTIC"}
# memory of a GPU is shared with torch
MEMORY = {"arena_extend_strategy": "kSameAsRequested"}


@dataclass(frozen=True)
class DeviceStream:
    """Stream of torch that a session computes on; None: the session waits for its own results."""

    stream: torch.cuda.Stream | None = None

    @classmethod
    def on(cls, device: torch.device) -> DeviceStream:
        """Return a stream of a GPU; none on the CPU."""
        if device.type != "cuda":
            return cls()
        return cls(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]

    @property
    def session_options(self) -> dict[str, str]:
        """Options of the CUDA provider that let a session compute on this stream."""
        if self.stream is None:
            return {}
        return {"user_compute_stream": str(self.stream.cuda_stream)}

    @property
    def run_options(self) -> ort.RunOptions | None:
        """Options of a run; the host does not wait for its end where there is a stream."""
        if self.stream is None:
            return None
        options = ort.RunOptions()
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        return options

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let a run wait for what torch has been told so far, and torch for the run.

        The GPU waits, not the host. After a failure, too: memory of the inputs is torch's again.
        """
        if self.stream is None:
            yield
            return
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        try:
            yield
        finally:
            current.wait_stream(self.stream)


def cuda_options(index: int, *, use_tf32: bool) -> dict[str, str]:
    """Return the options of the CUDA provider, those of the environment last. Raises BadInput."""
    return {
        "device_id": str(index),
        "use_tf32": str(int(use_tf32)),
        **CONVOLUTION_SEARCH,
        **MEMORY,
        **further_options(os.environ),
    }


def further_options(environment: Mapping[str, str]) -> dict[str, str]:
    """Read options of the CUDA provider from the environment. Raises BadInput."""
    options: dict[str, str] = {}
    for text in filter(None, environment.get(FURTHER_OPTIONS, "").split(",")):
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise BadInput(
                f"{FURTHER_OPTIONS}: {text!r} is not NAME=VALUE, such as prefer_nhwc=1"
            )
        options[name.strip()] = value.strip()
    return options
