"""Linear algebra: the operators whose names begin with ``_linalg_``."""

from symgraph.ndarray.functions import submodule

__getattr__, __dir__ = submodule(__name__, "_linalg_")
