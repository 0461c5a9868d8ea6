"""How the machine is used: ``mx.engine``.

    mx.engine.set_num_threads(4)
    mx.engine.set_reproducible()

One number of threads holds for symgraph's own work and for BLAS, the library by which NumPy multiplies matrices. The
environment variables ``SYMGRAPH_NUM_THREADS`` and ``SYMGRAPH_REPRODUCIBLE`` say the same before the program starts.

What does not belong here: how work is divided (`symgraph.backends`).
"""

from __future__ import annotations

import operator
import os
import warnings
from typing import NamedTuple, SupportsIndex

from symgraph.backends.numpy import blas, threads
from symgraph.errors import ArgumentError, UnsupportedError

__all__ = ["Threads", "is_reproducible", "num_threads", "set_num_threads", "set_reproducible"]

#: Where one of these is set, the environment says of BLAS what is meant, and only `set_num_threads` overrules it.
_BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
_CURE = "install threadpoolctl (pip install 'symgraph[threads]'), or set OPENBLAS_NUM_THREADS before Python starts"


class Threads(NamedTuple):
    """How many threads work at once.

    Attributes
    ----------
    own
        On what symgraph divides itself: element-wise work, copies, pooling.
    blas
        On matrix products; None if nobody here knows, because threadpoolctl is not installed or does not know the BLAS.
    """

    own: int
    blas: int | None


class _State:
    #: What `set_num_threads` was last told, and what BLAS had before anybody here changed it.
    count: int | None = None
    blas: int | None = None
    reproducible = False


def num_threads() -> Threads:
    """Return how many threads work at once; as many as there are cores, unless someone said otherwise."""
    return Threads(threads.worker_count(), blas.thread_count())


def set_num_threads(count: SupportsIndex) -> Threads:
    """Set how many threads work at once, symgraph's own and those of BLAS.

    Executors bound before divide their own work as they did, among at most `count` threads. BLAS is one for the whole
    process: other packages that multiply matrices with NumPy are affected.

    Parameters
    ----------
    count
        At least 1.

    Returns
    -------
    Threads
        What holds now.

    Warns
    -----
    RuntimeWarning
        If BLAS cannot be told: threadpoolctl is not installed, or does not know this BLAS.

    Raises
    ------
    ArgumentError
        If `count` is no positive whole number.
    """
    if isinstance(count, bool) or not isinstance(count, SupportsIndex) or operator.index(count) < 1:
        raise ArgumentError(f"the number of threads is {count!r}, expected a positive integer")
    count = operator.index(count)
    threads.set_worker_count(count)
    _State.count = count
    if not _State.reproducible:
        try:
            _set_blas(count)
        except UnsupportedError as error:
            text = f"BLAS is not told to use {count} threads: {error.what}; {_CURE}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)
    return num_threads()


def _set_blas(count: int) -> None:
    if _State.blas is None:
        _State.blas = blas.thread_count()
    blas.set_thread_count(count)


def is_reproducible() -> bool:
    """Return whether results are the same whatever the number of cores."""
    return _State.reproducible


def set_reproducible(on: bool = True) -> None:
    """Make results the same on machines with other numbers of cores, or stop doing so.

    BLAS splits a product over its threads, and the last bits of the sums depend on how. In this mode BLAS has one
    thread; all other work is divided as ever, for that changes no bit. Large products take longer.

    What it promises: the same program gives the same bits whatever the number of cores and threads. What it does not:
    for other kinds of processors BLAS and NumPy have other routines, and so have other versions of them; these may
    round differently.

    Parameters
    ----------
    on
        False: BLAS gets the threads back that it had, or that `set_num_threads` was told.

    Raises
    ------
    UnsupportedError
        If BLAS cannot be told: threadpoolctl is not installed, or does not know this BLAS.
    """
    if on == _State.reproducible:
        return
    try:
        _set_blas(1 if on else _State.count or _State.blas or threads.worker_count())
    except UnsupportedError as error:
        raise UnsupportedError(
            f"BLAS cannot be kept to one thread: {error.what}; install threadpoolctl (pip install 'symgraph[threads]')",
            where="set_reproducible()",
        ) from None
    _State.reproducible = on


def _read_environment() -> None:
    """Do what the environment says; called once, when the package is imported."""
    count = os.environ.get("SYMGRAPH_NUM_THREADS", "").strip()
    if count:
        if not count.isdecimal() or int(count) < 1:
            raise ArgumentError(f"SYMGRAPH_NUM_THREADS is {count!r}, expected a positive integer")
        if any(os.environ.get(name) for name in _BLAS_VARIABLES):
            _State.count = int(count)
            threads.set_worker_count(int(count))
        else:
            set_num_threads(int(count))
    reproducible = os.environ.get("SYMGRAPH_REPRODUCIBLE", "").strip()
    if reproducible not in ("", "0", "1"):
        raise ArgumentError(f"SYMGRAPH_REPRODUCIBLE is {reproducible!r}, expected 0 or 1")
    if reproducible == "1":
        set_reproducible()


_read_environment()
