"""First operations of a forward pass on the images, observed as they run, up to the first layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from nd_plugin import FirstOperations, is_failure
from nd_torch.dispatch_mode import ObservingMode
from nd_torch.first_operation_rules import ImageState, copy_grey, follow
from nd_torch.forward import Stop, at_rest, private_random_numbers
from nd_torch.tracking import probe_input

Size = tuple[int, int]

CHANNELS = (3, 1)  # of images: RGB and grey
BATCH_AXES = 4
CHANNEL_AXIS = 1  # of a batch of images
MEASUREMENTS = (  # of images, such as a check of their range
    "_local_scalar_dense",
    "amax",
    "amin",
    "any",
    "eq",
    "ge",
    "gt",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "logical_and",
    "logical_or",
    "lt",
    "max",
    "mean",
    "min",
    "ne",
    "std",
    "sum",
    "var",
)
NEW_TENSORS = (  # of the shape of images, but with values of their own
    "empty_like",
    "full_like",
    "new_empty",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones_like",
    "rand_like",
    "randn_like",
    "zeros_like",
)
BATCH_NORMS = (
    "native_batch_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "_batch_norm_no_update",
    "cudnn_batch_norm",
    "miopen_batch_norm",
)


@dataclass(frozen=True)
class FirstPass:
    """Beginning of a forward pass: operations on the images, and what the first layer takes."""

    operations: FirstOperations
    # None where the first layer does not tell, or was not reached
    layer_channels: int | None
    has_failed: bool = False  # before the first layer


def observe_first_pass(
    call: Callable[[Tensor], Any],
    root: nn.Module | None,
    size: Size,
    device: torch.device,
    dtype: torch.dtype,
    image_count: int = 2,
) -> FirstPass:
    """Run a model on noise up to its first layer, and observe what is done to the images before.

    A model whose first layer takes one channel, or that fails on colours, is run on grey images.
    """
    images = probe_input(size, device, dtype, image_count=image_count)
    first_pass = _observe(call, root, images)
    if first_pass.layer_channels != 1 and not first_pass.has_failed:
        return first_pass
    grey_images = probe_input(
        size, device, dtype, image_count=image_count, channels=1
    )
    grey_pass = _observe(call, root, grey_images)
    if grey_pass.layer_channels == 1:
        return grey_pass
    if grey_pass.layer_channels is None and first_pass.layer_channels == 1:
        return replace(grey_pass, layer_channels=1)
    return replace(first_pass, layer_channels=grey_pass.layer_channels)


def _observe(
    call: Callable[[Tensor], Any], root: nn.Module | None, images: Tensor
) -> FirstPass:
    mode = Following(images)
    has_failed = False
    try:
        with (
            at_rest(root),
            private_random_numbers(images.device),
            torch.inference_mode(False),
            torch.no_grad(),
            mode,
        ):
            call(images)
    except Stop:
        pass
    except BaseException as error:
        # of any kind: the model says so when it is used
        if not is_failure(error):
            raise
        has_failed = not mode.reached_layer
    return FirstPass(mode.operations, mode.layer_channels, has_failed)


class Following(ObservingMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that follows images through element-wise operations with constants.

    The first operation of another kind that uses them ends the pass.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.operations = FirstOperations.none(images.shape[CHANNEL_AXIS])
        self.layer_channels: int | None = None
        self.reached_layer = False  # at the first layer
        # None: measured on the images
        self._states: Any = WeakTensorKeyDictionary()
        self._states[images] = ImageState(CHANNEL_AXIS, self.operations)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation, and follow the images through it. Raises Stop at the first layer."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        leaves = tree_leaves((args, kwargs))
        images = [leaf for leaf in leaves if self._has_state(leaf)]
        if not images or name in NEW_TENSORS:
            return func(*args, **kwargs)
        if name in MEASUREMENTS:
            result = func(*args, **kwargs)
            self._record(result, None)
            return result
        state = self._follow(name, args, kwargs, images)
        if state is None:
            self._end(name, args, images)
            raise Stop
        result = func(*args, **kwargs)
        self._record(result, state)
        return result

    def _has_state(self, leaf: Any) -> bool:
        return isinstance(leaf, Tensor) and leaf in self._states

    def _follow(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        images: Sequence[Tensor],
    ) -> ImageState | None:
        """Return what an operation makes of the images; None where they are images no more."""
        state = self._states[images[0]]
        if name == "cat" and state is not None and _are_copies(args, images):
            return copy_grey(images[0], state, len(images))
        if len(images) != 1 or state is None:
            return None
        return follow(name, args, kwargs, images[0], state)

    def _record(self, result: Any, state: ImageState | None) -> None:
        """Record the results of an operation."""
        if state is not None:
            self.operations = state.operations
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._states[leaf] = state

    def _end(
        self, name: str, args: Sequence[Any], images: Sequence[Tensor]
    ) -> None:
        """Record what the first layer gets, and how many channels it takes, where it tells."""
        self.reached_layer = True
        states = [self._states[tensor] for tensor in images]
        if states[0] is None or states != states[:1] * len(states):
            # several versions of the images: none is the model's input
            channels = self.operations.channels
            self.operations = FirstOperations.none(channels)
            return
        self.operations = states[0].operations
        if states[0].channel_axis != CHANNEL_AXIS:
            return
        self.layer_channels = _channels_of_layer(name, args, images, states[0])
        if name in BATCH_NORMS and isinstance(args[3], Tensor):
            self.layer_channels = len(args[3]) // states[0].copies
            self._add_batch_norm(means=args[3], variances=args[4])

    def _add_batch_norm(self, means: Tensor, variances: Tensor) -> None:
        if len(means) == self.operations.channels:
            self.operations = self.operations.batch_normalised(
                means.tolist(), variances.tolist()
            )


def _are_copies(args: Sequence[Any], images: Sequence[Tensor]) -> bool:
    """Return whether three equal tensors are concatenated along the channels."""
    is_repeated = len(images) == 3 and all(image is images[0] for image in images)
    return is_repeated and args[1:] == (CHANNEL_AXIS,)


def _channels_of_layer(
    name: str, args: Sequence[Any], images: Sequence[Tensor], state: ImageState
) -> int | None:
    """Return how many channels the images of a first layer have; None where it does not tell.

    Three copies of images are a sign that these are grey.
    """
    if name == "convolution" and args[1].dim() == BATCH_AXES:
        weight, is_transposed, groups = args[1], args[6], args[8]
        # (input, output / groups, …) if transposed, else (output, input / groups, …)
        channels = weight.shape[0] if is_transposed else weight.shape[1] * groups
        return int(channels) // state.copies
    is_repeated = name == "repeat" and list(args[1][:2]) == [1, 3]
    is_joined = name == "cat" and _are_copies(args, images)
    return 1 if is_repeated or is_joined else None
