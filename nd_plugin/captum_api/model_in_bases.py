"""Models whose layers can be dissected in other bases: `in_bases`."""

from __future__ import annotations

from nd_plugin.bases.opening import AnyBasis, open_basis
from nd_plugin.bases.virtual_layers import ModelInBases
from nd_plugin.captum_api.opened_model import ForwardFunction, OpenedModel


def in_bases(forward_func: ForwardFunction, **bases: AnyBasis) -> ModelInBases:
    """Return a model whose layers can be seen in other bases, under names of their own.

    Layers keep their names, and ``"layer4@pca"`` is layer4 in the basis ``pca``: all of them cost
    one forward pass of the model, which is opened once::

        model = in_bases(resnet18, pca=components, sae="sae.safetensors", pooled=my_function)
        LayerDissection(model, ["layer4", "layer4@pca", "layer4@sae"]).dissect("shapes")

    Args:
        forward_func: What `LayerDissection` takes: a module, forward function, spec or Model.
        bases: By name: a matrix (direction, unit), whose rows are the directions; a file with one,
            or with the encoder of a sparse autoencoder (.npz, .safetensors); or any function of
            maps (image, unit, row, column) that leaves images, rows and columns as they are.

    Raises:
        BadInput: What is no basis, or a file that holds none.
    """
    opened = [open_basis(source, name) for name, source in bases.items()]
    return ModelInBases(OpenedModel(forward_func).model, opened)
