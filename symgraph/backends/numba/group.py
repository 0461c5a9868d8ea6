"""A fused group as one call: NumPy's blocks, and compiled loops once they are ready; see `tiered`.

If all of a group's equations can be compiled, it becomes one loop over everything. Else each run of equations that can
becomes a loop over a block, and NumPy does the others between them, while the block is in cache.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from operator import call as invoke
from typing import TYPE_CHECKING, Any

import numpy as np

from symgraph.backends.numba.compiler import Compiled, Function, compiled
from symgraph.backends.numba.forms import Unsupported, describe, loop, refusal
from symgraph.backends.numba.team import Native, spread
from symgraph.backends.numba.tiered import Bind, Tiered, Together, tiered
from symgraph.backends.numpy import threads

if TYPE_CHECKING:
    from symgraph.backends.numpy.blocks import Blocks

__all__ = ["group"]

Array = np.ndarray[Any, Any]

#: Elements of one task at least.
_TASK_ELEMENTS = 1 << 13
#: Tasks for each worker, so that one which is held up holds up nobody else.
_TASKS_PER_WORKER = 4


def group(blocks: Blocks, mode: str) -> Tiered:
    """Return the call of a fused group.

    Parameters
    ----------
    blocks
        The group.
    mode
        ``"background"``, ``"now"`` or ``"off"``; see `Options`.
    """

    def described() -> tuple[Compiled | Together, Bind]:
        equations, shape = blocks.step.equations, blocks.shape
        if any(refusal(e) is not None for e in equations):
            return _in_pieces(blocks)
        form, keys = describe(equations, blocks.arrays, shape)
        found = [blocks.arrays[key] for key in keys]
        return compiled(form, loop), lambda function: _bind(function, found, shape)

    return tiered(blocks.run(), described, mode)


def _bind(function: Function, arrays: Sequence[Array], shape: Sequence[int]) -> Callable[[], object]:
    """Return a call that runs a loop over arrays on all workers."""
    workers = threads.worker_count()
    parts = min(workers * _TASKS_PER_WORKER, math.prod(shape) // _TASK_ELEMENTS) if workers > 1 else 1
    # The outermost axis that is long enough keeps the pieces in one run of memory each.
    axis = next((k for k, n in enumerate(shape) if n >= parts), max(range(len(shape)), key=shape.__getitem__))
    tasks = []
    for begin, end in threads.ranges(shape[axis], parts):
        pieces = [x[(*[slice(None)] * axis, slice(begin, end))] for x in arrays]
        tasks.append([_native(function, pieces, (*shape[:axis], end - begin, *shape[axis + 1 :]))])
    return spread(tasks, math.prod(shape) * len(arrays))


def _in_pieces(blocks: Blocks) -> tuple[Together, Bind]:
    """Return the loops of a group that NumPy does in part, and what binds them."""
    equations = blocks.step.equations
    reasons = ", ".join(dict.fromkeys(reason for e in equations if (reason := refusal(e)) is not None))
    runs = [(list(run), plain) for plain, run in itertools.groupby(equations, lambda e: refusal(e) is not None)]
    if all(plain for _, plain in runs):
        raise Unsupported(reasons)
    sample = blocks.lanes[0][0]
    arrays = blocks.bound(0, sample)
    readers: dict[int, set[int]] = {}
    for number, (run, _) in enumerate(runs):
        for v in (v for e in run for v in e.inputs):
            readers.setdefault(id(v), set()).add(number)
    loops: list[Compiled] = []
    #: For each run of equations the number of its loop, and the keys of the loop's arrays; None if it is NumPy's.
    made: list[tuple[int, list[int]] | None] = []
    for number, (run, plain) in enumerate(runs):
        if plain:
            made.append(None)
            continue
        # What nobody else reads is kept in registers.
        own = {id(e.outputs[0]) for e in run}
        own = {i for i in own if i in blocks.local and readers.get(i) == {number}}
        form, keys = describe(run, {i: x for i, x in arrays.items() if i not in own}, sample.shape)
        made.append((len(loops), keys))
        loops.append(compiled(form, loop))

    def bind(functions: Sequence[Function]) -> Callable[[], object]:
        lanes: list[list[Callable[[], object]]] = []
        for worker, lane in enumerate(blocks.lanes):
            calls: list[Callable[[], object]] = []
            for block in lane:
                arrays = blocks.bound(worker, block)
                for (run, _), piece in zip(runs, made, strict=True):
                    if piece is None:
                        prepared = (c for e in run for c in blocks.calls(e, arrays, block.first))
                        calls += [functools.partial(c[0], *c[1:]) for c in prepared]
                    else:
                        calls.append(_native(functions[piece[0]], [arrays[key] for key in piece[1]], block.shape))
            lanes.append(calls)
        return threads.parallel([functools.partial(_run, calls) for calls in lanes])

    return Together(loops, reasons), bind


def _run(calls: Sequence[Callable[[], object]]) -> None:
    with np.errstate(all="ignore"):
        deque(map(invoke, calls), 0)


def _native(function: Function, arrays: Sequence[Array], shape: Sequence[int]) -> Native:
    """Return a call of a loop over some arrays. Where one has length 1, its element is read again and again."""
    addresses = [x.__array_interface__["data"][0] for x in arrays]
    strides = [s if n > 1 else 0 for x in arrays for n, s in zip(x.shape, x.strides, strict=True)]
    numbers = np.array([*addresses, *strides, *shape], np.int64)
    first: int = numbers.ctypes.data
    second = first + 8 * len(addresses)
    return Native(function, (first, second, second + 8 * len(strides)), (numbers, *arrays))
