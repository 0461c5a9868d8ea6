"""A fused group as one call: NumPy's blocks, and the compiled loop once that is ready."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.backends.numba.compiler import Compiled, Function, available, compiled
from symgraph.backends.numba.forms import Unsupported, describe
from symgraph.backends.numpy import threads
from symgraph.program.memory import Step

__all__ = ["Group", "group"]

Array = np.ndarray[Any, Any]

#: Elements of one task at least.
_TASK_ELEMENTS = 1 << 15
#: Tasks for each worker, so that one which is held up holds up nobody else.
_TASKS_PER_WORKER = 4


class Group:
    """A fused group of a plan; calling it runs it.

    Parameters
    ----------
    plain
        Runs it by NumPy.
    loop
        What is being compiled, or None.
    reason
        Why nothing is compiled.
    arrays, shape
        What the loop runs on.
    """

    def __init__(
        self,
        plain: Callable[[], object],
        loop: Compiled | None,
        reason: str,
        arrays: Sequence[Array] = (),
        shape: Sequence[int] = (),
    ) -> None:
        self._plain, self._loop, self._reason = plain, loop, reason
        self._arrays, self._shape = arrays, shape
        self._fast: Callable[[], object] | None = None

    def __call__(self) -> None:
        """Run the group, compiled from the first call on that finds the loop ready."""
        if self._fast is not None:
            self._fast()
        elif self._loop is None:
            self._plain()
        elif self._loop.function is not None:
            self._fast = _bind(self._loop.function, self._arrays, self._shape)
            self._fast()
        else:
            self._plain()
            # Asked for only now: loading the compiler takes turns with this thread, and the first step must not wait.
            self._loop.ask()

    @property
    def state(self) -> str:
        """How the next call runs, as a phrase."""
        if self._loop is None:
            return f"NumPy: {self._reason}" if self._reason else "NumPy"
        if self._loop.failure is not None:
            return f"NumPy: {self._loop.failure}"
        return "compiled" if self._loop.function is not None else "NumPy until compiled"


def group(
    plain: Callable[[], object], step: Step, arrays: Mapping[int, Array], shape: Sequence[int], mode: str
) -> Group:
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
    if mode == "off":
        return Group(plain, None, "")
    if not available():
        return Group(plain, None, "the jit extra is not installed")
    try:
        form, found = describe(step, arrays, shape)
    except Unsupported as reason:
        return Group(plain, None, str(reason))
    loop = compiled(form)
    if mode == "now":
        loop.make()
    return Group(plain, loop, "", found, shape)


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
