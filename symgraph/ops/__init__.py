"""The operators: one file a family. Importing the package registers them all.

An operator belongs in the file of its family; a new family is a new file, named in the one list below.
"""

from symgraph.ops import (
    activation,
    conv,
    create,
    elementwise,
    indexing,
    linear,
    loss,
    nn,
    norm,
    optimizer_multi,
    optimizer_update,
    pool,
    reduce,
    shape,
)

__all__ = [
    "activation",
    "conv",
    "create",
    "elementwise",
    "indexing",
    "linear",
    "loss",
    "nn",
    "norm",
    "optimizer_multi",
    "optimizer_update",
    "pool",
    "reduce",
    "shape",
]
