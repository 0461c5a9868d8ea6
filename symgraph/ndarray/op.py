"""Operators by their own names."""

from symgraph.ndarray.functions import submodule

__getattr__, __dir__ = submodule(__name__, "")
