"""The threads of BLAS, the library by which NumPy multiplies matrices.

BLAS splits a large product over threads of its own, and how it splits decides the last bits of the sums. NumPy has no
function for the number of these threads; threadpoolctl has (extra `threads`). It is imported when it is asked for.

What does not belong here: our own threads, and when the number is changed (`symgraph.engine`).
"""

from __future__ import annotations

import functools
from typing import Any

from symgraph.errors import UnsupportedError

__all__ = ["set_thread_count", "thread_count"]


@functools.cache
def _libraries() -> Any:
    """Return threadpoolctl's handle of the loaded BLAS libraries.

    Raises
    ------
    UnsupportedError
        If there is none, or a library keeps a number for each thread that calls it: the engine calls from several.
    """
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        raise UnsupportedError("threadpoolctl is not installed") from None
    libraries = ThreadpoolController().select(user_api="blas")
    if not libraries.info():
        raise UnsupportedError("threadpoolctl does not know NumPy's BLAS")
    if any(each.get("threading_layer") == "openmp" for each in libraries.info()):
        raise UnsupportedError("NumPy's BLAS is built on OpenMP")
    return libraries


def thread_count() -> int | None:
    """Return the most threads that a product is split over, or None if that is not known."""
    try:
        return max(each["num_threads"] for each in _libraries().info())
    except UnsupportedError:
        return None


def set_thread_count(count: int) -> None:
    """Set the most threads that a product is split over, in the whole process.

    Raises
    ------
    UnsupportedError
        If that cannot be done.
    """
    _libraries().limit(limits=count)
    found = thread_count()
    # A library has a highest number; and threadpoolctl lets one thread set the number and overhears the others.
    if found != count:
        raise UnsupportedError(f"it keeps to {found}; only the thread that has set the number first can set it")
