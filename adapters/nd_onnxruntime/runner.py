"""Runner of a session: binds torch tensors to inputs and outputs without copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from nd_onnxruntime.device_stream import DeviceStream
from nd_onnxruntime.feeding import Feed
from nd_onnxruntime.image_input import ImageInput
from nd_onnxruntime.runtime_errors import one_line
from nd_onnxruntime.sessions import SessionDevice
from nd_onnxruntime.time_limit import ended_after_limit, new_run_options
from nd_plugin import ModelFailed, NDError

NUMPY_TYPES: dict[torch.dtype, type[np.generic]] = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.float64: np.float64,
    torch.uint8: np.uint8,
    torch.int8: np.int8,
    torch.int32: np.int32,
    torch.int64: np.int64,
}


@dataclass(frozen=True)
class Runner:
    """Session that runs batches of images; each call allocates its outputs anew."""

    session: ort.InferenceSession
    device: SessionDevice
    image: ImageInput
    feeds: Mapping[str, Feed]
    stream: DeviceStream = field(default_factory=DeviceStream)

    def __call__(
        self, images: Tensor, values: Mapping[str, Tensor] | None = None
    ) -> list[Tensor]:
        """Return the session's outputs, in order, for images (image, channel, row, column).

        ``values`` are tensors for further inputs, by name. Raises ModelFailed.
        """
        binding = self.session.io_binding()
        # alive until the run is over
        tensors = self._input_tensors(images, values or {})
        for name, tensor in tensors.items():
            _bind_input(binding, name, tensor)
        for name, feed in self.feeds.items():
            binding.bind_cpu_input(name, feed.for_batch(len(images)))
        self._bind_outputs(binding)
        if self.stream.stream is None:
            self._run_and_wait(binding, images)
            return [from_dlpack(value) for value in binding.get_outputs()]
        with self.stream.in_turn():
            self._run(binding, images)
        # Copies, whose memory is torch's: ONNX Runtime would write over its own in the next run,
        # while kernels of torch still read it.
        return [from_dlpack(value).clone() for value in binding.get_outputs()]

    def _run_and_wait(self, binding: ort.IOBinding, images: Tensor) -> None:
        if images.device.type == "cuda":
            torch.cuda.current_stream(images.device).synchronize()
        self._run(binding, images)
        binding.synchronize_outputs()

    def _run(self, binding: ort.IOBinding, images: Tensor) -> None:
        """Run the session. Raises ModelFailed."""
        options = self.stream.run_options or new_run_options()
        count = len(images)
        try:
            if self.feeds:
                # they are on the CPU, and are copied
                binding.synchronize_inputs()
            with ended_after_limit(
                options, count, f"the model's run on {count} images"
            ):
                self.session.run_with_iobinding(binding, options)
        except NDError:
            raise
        except Exception as error:
            # ONNX Runtime's errors have no common base class
            shape = tuple(images.shape)
            raise ModelFailed(
                f"the model failed on images of shape {shape}: {one_line(error)}"
            ) from error

    def _input_tensors(
        self, images: Tensor, values: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return contiguous tensors for the inputs that the session has."""
        names = {value.name for value in self.session.get_inputs()}
        tensors: dict[str, Tensor] = {}
        for name, value in values.items():
            if name in names:
                tensors[name] = value.contiguous()
        if self.image.name in names:
            tensors[self.image.name] = self.image.prepare(images)
        return tensors

    def _bind_outputs(self, binding: ort.IOBinding) -> None:
        device_type = self.device.tensors.type
        index = self.device.index if device_type == "cuda" else 0
        for output in self.session.get_outputs():
            binding.bind_output(output.name, device_type, index)


def _bind_input(binding: ort.IOBinding, name: str, tensor: Tensor) -> None:
    binding.bind_input(
        name,
        tensor.device.type,
        tensor.device.index or 0,
        NUMPY_TYPES[tensor.dtype],
        tuple(tensor.shape),
        tensor.data_ptr(),
    )
