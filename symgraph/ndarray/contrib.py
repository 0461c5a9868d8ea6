"""Operators that MXNet kept apart: those whose names begin with ``_contrib_``."""

from symgraph.ndarray.functions import submodule

__getattr__, __dir__ = submodule(__name__, "_contrib_")
