"""A fused group as one call: NumPy's blocks, and the compiled loop once that is ready; see `tiered`."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.backends.numba.compiler import Compiled, Function, compiled
from symgraph.backends.numba.forms import describe, loop
from symgraph.backends.numba.tiered import Bind, Tiered, tiered
from symgraph.backends.numpy import threads
from symgraph.program.memory import Step

__all__ = ["group"]

Array = np.ndarray[Any, Any]

#: Elements of one task at least.
_TASK_ELEMENTS = 1 << 15
#: Tasks for each worker, so that one which is held up holds up nobody else.
_TASKS_PER_WORKER = 4


def group(
    plain: Callable[[], object], step: Step, arrays: Mapping[int, Array], shape: Sequence[int], mode: str
) -> Tiered:
    """Return the call of a fused group.

    Parameters
    ----------
    plain
        Runs it by NumPy.
    step
        The group.
    arrays
        By ``id`` of each value that is not local its array, broadcast to `shape`.
    shape
        The common shape.
    mode
        ``"background"``, ``"now"`` or ``"off"``; see `Options`.
    """

    def described() -> tuple[Compiled, Bind]:
        form, found = describe(step, arrays, shape)
        return compiled(form, loop), lambda function: _bind(function, found, shape)

    return tiered(plain, described, mode)


def _bind(function: Function, arrays: Sequence[Array], shape: Sequence[int]) -> Callable[[], object]:
    """Return a call that runs a loop over arrays on all workers."""
    workers = threads.worker_count()
    parts = min(workers * _TASKS_PER_WORKER, math.prod(shape) // _TASK_ELEMENTS) if workers > 1 else 1
    # The outermost axis that is long enough keeps the pieces in one run of memory each.
    axis = next((k for k, n in enumerate(shape) if n >= parts), max(range(len(shape)), key=shape.__getitem__))
    tasks = []
    for begin, end in threads.ranges(shape[axis], parts):
        pieces = [x[(*[slice(None)] * axis, slice(begin, end))] for x in arrays]
        tasks.append(_Task(function, pieces, (*shape[:axis], end - begin, *shape[axis + 1 :])))
    return threads.parallel(tasks)


class _Task:
    """A loop over some arrays; keeps them alive."""

    __slots__ = ("_arguments", "_arrays", "_function")

    def __init__(self, function: Function, arrays: Sequence[Array], shape: Sequence[int]) -> None:
        self._arrays, self._function = arrays, function
        strides = [s for x in arrays for s in x.strides]
        addresses = [x.__array_interface__["data"][0] for x in arrays]
        self._arguments = (
            (ctypes.c_void_p * len(addresses))(*addresses),
            (ctypes.c_int64 * len(strides))(*strides),
            (ctypes.c_int64 * len(shape))(*shape),
        )

    def __call__(self) -> None:
        self._function(*self._arguments)
