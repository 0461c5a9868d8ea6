"""The operators: one file a family. Importing the package registers them all.

An operator belongs in the file of its family; a new family is a new file, named in the one list below.
"""

from symgraph.ops import (
    create,
    elementwise,
    indexing,
    linear,
    optimizer_multi,
    optimizer_update,
    reduce,
    shape,
)

__all__ = ["create", "elementwise", "indexing", "linear", "optimizer_multi", "optimizer_update", "reduce", "shape"]
