"""Arrays. Under construction."""

from symgraph.ndarray.ndarray import NDArray

__all__ = ["NDArray"]
