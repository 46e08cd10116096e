"""First operations of a forward pass on the images, observed as they run, up to the first layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from nd_plugin import FirstOperations
from nd_torch.first_operation_rules import FollowedTensor, follow
from nd_torch.forward import Stop, at_rest
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
    failed: bool = False  # before the first layer


def observe_first_pass(
    call: Callable[[Tensor], Any],
    root: nn.Module | None,
    size: Size,
    device: torch.device,
    dtype: torch.dtype,
) -> FirstPass:
    """Run a model on noise up to its first layer, and observe what is done to the images before.

    A model whose first layer takes one channel, or that fails on colours, is run on grey images.
    """
    first_pass = _observe(call, root, probe_input(size, device, dtype))
    if first_pass.layer_channels != 1 and not first_pass.failed:
        return first_pass
    grey_images = probe_input(size, device, dtype, channels=1)
    grey_pass = _observe(call, root, grey_images)
    takes_grey = first_pass.layer_channels == 1 or grey_pass.layer_channels == 1
    return grey_pass if takes_grey else first_pass


def _observe(
    call: Callable[[Tensor], Any], root: nn.Module | None, images: Tensor
) -> FirstPass:
    following = Following(images)
    failed = False
    try:
        with (
            at_rest(root),
            torch.inference_mode(False),
            torch.no_grad(),
            following,
        ):
            call(images)
    except Stop:
        pass
    except Exception:
        # of any kind: the model says so when it is used
        failed = not following.ended
    return FirstPass(following.operations, following.layer_channels, failed)


class Following(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that follows images through element-wise operations with constants.

    The first operation of another kind that uses them ends the pass.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = FirstOperations.none(images.shape[CHANNEL_AXIS])
        self.layer_channels: int | None = None
        self.ended = False  # at the first layer
        # None: measured on the images
        self._followed: Any = WeakTensorKeyDictionary()
        self._followed[images] = FollowedTensor(CHANNEL_AXIS, self.operations)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: nothing compiled runs here, and torch's own method loads the compiler."""
        return False

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
        images = [leaf for leaf in leaves if self._is_followed(leaf)]
        if not images or name in NEW_TENSORS:
            return func(*args, **kwargs)
        if name in MEASUREMENTS:
            result = func(*args, **kwargs)
            self._record(result, None)
            return result
        followed = self._follow(name, args, kwargs, images)
        if followed is None:
            self._end(name, args, images)
            raise Stop
        result = func(*args, **kwargs)
        self._record(result, followed)
        return result

    def _is_followed(self, leaf: Any) -> bool:
        return isinstance(leaf, Tensor) and leaf in self._followed

    def _follow(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        images: Sequence[Tensor],
    ) -> FollowedTensor | None:
        """Return what an operation makes of the images; None where they are images no more."""
        followed = self._followed[images[0]]
        if len(images) != 1 or followed is None:
            return None
        return follow(name, args, kwargs, images[0], followed)

    def _record(self, result: Any, followed: FollowedTensor | None) -> None:
        """Record the results of an operation."""
        if followed is not None:
            self.operations = followed.operations
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._followed[leaf] = followed

    def _end(
        self, name: str, args: Sequence[Any], images: Sequence[Tensor]
    ) -> None:
        """Record what the first layer gets, and how many channels it takes, where it tells."""
        self.ended = True
        followed = [self._followed[tensor] for tensor in images]
        if followed[0] is None or followed != followed[:1] * len(followed):
            # several versions of the images: none is the model's input
            channels = self.operations.channels
            self.operations = FirstOperations.none(channels)
            return
        self.operations = followed[0].operations
        if followed[0].channel_axis != CHANNEL_AXIS:
            return
        self.layer_channels = _channels_of_layer(name, args)
        if name in BATCH_NORMS and isinstance(args[3], Tensor):
            self.layer_channels = len(args[3])
            self._add_batch_norm(means=args[3], variances=args[4])

    def _add_batch_norm(self, means: Tensor, variances: Tensor) -> None:
        if len(means) == self.operations.channels:
            self.operations = self.operations.batch_normalised(
                means.tolist(), variances.tolist()
            )


def _channels_of_layer(name: str, args: Sequence[Any]) -> int | None:
    """Return how many channels the images of a first layer have; None where it does not tell."""
    if name == "convolution" and args[1].dim() == BATCH_AXES:
        is_transposed, groups = args[6], args[8]
        return None if is_transposed else int(args[1].shape[1] * groups)
    if name == "repeat" and list(args[1][:2]) == [1, 3]:
        return 1
    if name == "cat" and len(args[0]) == 3 and args[1:] == (CHANNEL_AXIS,):
        return 1
    return None
