"""Fused groups run block by block: how their arrays are cut, and the NumPy calls for each block.

A group's equations run over one shape; see `symgraph.program.fusion`. Blocks are small enough that all arrays of one
fit a core's cache. The workers divide the blocks among them. Where axes before the kept ones are reduced, a worker
goes through all of them for its share of the kept ones, so that sums are added up in one order whoever does it.

What does not belong here: which equations form a group (`schedule`), and where their values lie (`memory`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import call as invoke
from typing import Any

import numpy as np

from symgraph.backends.numpy import threads
from symgraph.backends.numpy.kernels import KERNELS, Call, KeywordOut
from symgraph.program.fusion import REDUCTIONS, Cut, cut, extent
from symgraph.program.memory import ALIGNMENT, Step
from symgraph.program.values import Equation, Value

__all__ = ["Block", "Blocks", "Lane", "scratch_bytes"]

Array = np.ndarray[Any, Any]
Index = tuple[slice, ...]

#: Bytes of one operand in one block. Measured: smaller ones lose more to starting calls, and to threads that wait for
#: each other's interpreter lock, than they gain by fitting a nearer cache.
BLOCK_BYTES = 1 << 18
#: So many blocks or fewer are one: neither blocks nor threads pay.
FEW_BLOCKS = 4

#: Equations, counted anew for each block, whose calls a worker prepares; they take memory, some 500 bytes each.
PREPARED_EQUATIONS = 2000

#: For each reduction, what combines the results of two blocks. (Only sums go over several blocks.)
_COMBINE: dict[str, np.ufunc] = {"sum": np.add, "max": np.maximum, "min": np.minimum}


@dataclass(frozen=True)
class Block:
    """One block of a group: its place in the group's shape.

    Attributes
    ----------
    index
        Slices of all axes.
    shape
        Their lengths.
    first
        Whether no block before it has the same kept elements.
    """

    index: Index
    shape: tuple[int, ...]
    first: bool


def _itemsize(step: Step) -> int:
    """Return the widest element of a group, in bytes."""
    return max(v.dtype.itemsize for e in step.equations for v in (*e.inputs, *e.outputs))


def _parts(step: Step) -> Cut:
    """Return how the axes of a group divide; without reductions all are kept."""
    shape = extent(step.equations[0])
    found = cut(shape, step.axes) if step.axes else Cut((), tuple(range(len(shape))), ())
    assert found is not None
    return found


def _elements(step: Step) -> int:
    """Return the most elements of one block."""
    shape, few = extent(step.equations[0]), BLOCK_BYTES // _itemsize(step)
    if _is_one(step):
        return math.prod(shape)
    return max(few, math.prod(shape[k] for k in _parts(step).after))


def _is_one(step: Step) -> bool:
    """Return whether the group is one block."""
    return math.prod(extent(step.equations[0])) * _itemsize(step) <= FEW_BLOCKS * BLOCK_BYTES


def _sums_up(step: Step) -> bool:
    """Return whether results of several blocks are added, so that a block's own needs a place."""
    shape = extent(step.equations[0])
    return not _is_one(step) and math.prod(shape[k] for k in _parts(step).before) > 1


def _slot_bytes(step: Step) -> int:
    return -(-_elements(step) * _itemsize(step) // ALIGNMENT) * ALIGNMENT


def scratch_bytes(step: Step) -> int:
    """Return the bytes of scratch that a group needs, for all workers."""
    workers = 1 if _is_one(step) else threads.worker_count()
    return workers * (step.slots + _sums_up(step)) * _slot_bytes(step)


class Blocks:
    """A fused group cut into blocks.

    Parameters
    ----------
    step
        The group.
    array
        Returns the array of a value that is not local to the group.
    scratch
        The group's scratch, of `scratch_bytes`.

    Attributes
    ----------
    shape
        The group's shape; axes that all arrays run through evenly are merged.
    arrays
        Of each value that is not local, by ``id``, its array in that shape. The result of a reduction has length 1
        along the axes that are not kept.
    lanes
        The blocks of each worker.
    """

    def __init__(self, step: Step, array: Callable[[Value], Array], scratch: Array | None) -> None:
        self.step, self._scratch = step, scratch
        self._slot_bytes, self._slots = _slot_bytes(step), step.slots + _sums_up(step)
        shape, parts = extent(step.equations[0]), _parts(step)
        self._reduced = {id(e.outputs[0]) for e in step.equations if e.primitive.name in REDUCTIONS}
        spread: dict[int, Array] = {}
        for equation in step.equations:
            for v in (*equation.inputs, *equation.outputs):
                if id(v) not in step.local and id(v) not in spread:
                    x = _with_axes(array(v), shape, step.axes) if id(v) in self._reduced else array(v)
                    spread[id(v)] = x if x.shape == shape else np.broadcast_to(x, shape)
        kinds = ["before" if k in parts.before else "after" if k in parts.after else "kept" for k in range(len(shape))]
        self.shape, kinds, views = merge_axes(shape, list(spread.values()), kinds)
        self.arrays = dict(zip(spread, views, strict=True))
        self._axes = tuple(k for k, kind in enumerate(kinds) if kind != "kept")
        for i in self.arrays.keys() & self._reduced:
            self.arrays[i] = self.arrays[i][self._kept(tuple(slice(0, n) for n in self.shape))]
        self.lanes = self._cut(kinds)
        #: Arrays in scratch by key: the ``id`` of a local value, or ``-id`` for one block's part of a reduction.
        #: For each the slot, the dtype, and whether it is the result of a reduction.
        self.local: dict[int, tuple[int, np.dtype[Any], bool]] = {}
        for equation in step.equations:
            v = equation.outputs[0]
            if id(v) in step.local:
                self.local[id(v)] = step.local[id(v)], v.dtype, id(v) in self._reduced
            if id(v) in self._reduced and _sums_up(step):
                self.local[-id(v)] = step.slots, v.dtype, True

    def _cut(self, kinds: Sequence[str]) -> list[list[Block]]:
        if _is_one(self.step):
            return [[Block(tuple(slice(0, n) for n in self.shape), self.shape, True)]]
        lengths = {kind: [n for n, k in zip(self.shape, kinds, strict=True) if k == kind] for kind in set(kinds)}
        before, kept, after = (lengths.get(kind, []) for kind in ("before", "kept", "after"))
        elements = max(1, _elements(self.step) // math.prod(after))
        workers = threads.worker_count()
        if after:  # rows or planes may be few: let every worker have some
            elements = min(elements, -(-math.prod(kept) // workers))
        pieces = cut_shape(kept, elements)
        rounds = [tuple(slice(i, i + 1) for i in index) for index in np.ndindex(*before)]
        tail = tuple(slice(0, n) for n in after)
        lanes = []
        for begin, end in threads.ranges(len(pieces), workers):
            indices = [((*head, *piece, *tail), k == 0) for piece in pieces[begin:end] for k, head in enumerate(rounds)]
            lanes.append([Block(i, tuple(s.stop - s.start for s in i), first) for i, first in indices])
        return lanes

    def run(self) -> Callable[[], object]:
        """Return the call that runs the group by NumPy, on all workers."""
        return threads.parallel([Lane(self, worker, lane) for worker, lane in enumerate(self.lanes)])

    def bound(self, worker: int, block: Block) -> dict[int, Array]:
        """Return the arrays of one block as a worker sees them, by ``id`` of the value."""
        found = {i: self.part(i, x, block) for i, x in self.arrays.items()}
        found.update((key, self.scratch(worker, *what, block.shape)) for key, what in self.local.items())
        return found

    def part(self, value_id: int, x: Array, block: Block) -> Array:
        """Return a block of an array of the group."""
        part: Array = x[self._kept(block.index) if value_id in self._reduced else block.index]
        return part

    def _kept(self, index: Index) -> Index:
        """Return an index for results of reductions, which have length 1 along other axes than the kept ones."""
        return tuple(slice(0, 1) if k in self._axes else s for k, s in enumerate(index))

    def scratch(self, worker: int, slot: int, dtype: np.dtype[Any], reduced: bool, shape: tuple[int, ...]) -> Array:
        """Return the array in a worker's slot for a block of that shape."""
        assert self._scratch is not None
        if reduced:
            shape = tuple(1 if k in self._axes else n for k, n in enumerate(shape))
        start = (worker * self._slots + slot) * self._slot_bytes
        return self._scratch[start : start + math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def calls(self, equation: Equation, arrays: Mapping[int, Array], first: bool) -> list[Call]:
        """Return the calls of an equation on the arrays of a block."""
        out = arrays[id(equation.outputs[0])]
        operands = [arrays[id(v)] for v in equation.inputs]
        name = equation.primitive.name
        if name not in REDUCTIONS:
            calls = KERNELS[name](operands, out, None, **equation.params)
            return [c[0].bound(*c[1:]) if isinstance(c[0], KeywordOut) else c for c in calls]
        ufunc = _COMBINE[name]
        if first:
            return [(ufunc.reduce, operands[0], self._axes, None, out, True)]
        part = arrays[-id(equation.outputs[0])]
        return [(ufunc.reduce, operands[0], self._axes, None, part, True), (ufunc, out, part, out)]


class Lane:
    """A worker's share of a fused group.

    Attributes
    ----------
    prepared
        The calls of all blocks, or None: if they are many, they are made when they are needed.
    """

    def __init__(self, blocks: Blocks, worker: int, lane: Sequence[Block]) -> None:
        self._blocks, self._worker, self._lane = blocks, worker, lane
        few = len(lane) * len(blocks.step.equations) <= PREPARED_EQUATIONS
        self.prepared = list(self._each()) if few else None

    def _each(self) -> Iterator[Callable[[], object]]:
        """Yield all calls, block by block."""
        blocks = self._blocks
        for block in self._lane:
            arrays = blocks.bound(self._worker, block)
            for equation in blocks.step.equations:
                for function, *arguments in blocks.calls(equation, arrays, block.first):
                    yield partial(function, *arguments)

    def __call__(self) -> None:
        """Make the calls."""
        with np.errstate(all="ignore"):
            deque(map(invoke, self._each() if self.prepared is None else self.prepared), 0)


def _with_axes(x: Array, shape: Sequence[int], axes: Sequence[int]) -> Array:
    """Return the result of a reduction with all axes, those that were reduced by a stride of 0."""
    strides = iter(s for k, s in enumerate(x.strides) if k not in axes) if x.ndim == len(shape) else iter(x.strides)
    spread = [0 if k in axes else next(strides) for k in range(len(shape))]
    return np.lib.stride_tricks.as_strided(x, shape, spread, writeable=True)


def merge_axes(
    shape: tuple[int, ...], arrays: Sequence[Array], kinds: Sequence[str]
) -> tuple[tuple[int, ...], list[str], list[Array]]:
    """Merge neighbouring axes of one kind that every array runs through evenly.

    Returns
    -------
    The new shape, the kind of each of its axes, and views of the arrays.
    """
    axes: list[tuple[int, str, list[int]]] = []
    for k, n in enumerate(shape):
        if n == 1:
            continue
        strides = [x.strides[k] for x in arrays]
        evenly = axes and all(before == n * now for before, now in zip(axes[-1][2], strides, strict=True))
        if evenly and axes[-1][1] == kinds[k]:
            axes[-1] = (axes[-1][0] * n, kinds[k], strides)
        else:
            axes.append((n, kinds[k], strides))
    if not axes:
        axes = [(1, "kept", [0] * len(arrays))]
    merged = tuple(n for n, _, _ in axes)
    views = [
        np.lib.stride_tricks.as_strided(x, merged, [s[j] for _, _, s in axes], writeable=x.flags.writeable)
        for j, x in enumerate(arrays)
    ]
    return merged, [kind for _, kind, _ in axes], views


def cut_shape(shape: Sequence[int], elements: int) -> list[Index]:
    """Cut a shape into blocks of at most `elements`, as even as may be; returns the index of each.

    >>> cut_shape((2, 5), 3)[:2]
    [(slice(0, 1, None), slice(0, 3, None)), (slice(0, 1, None), slice(3, 5, None))]
    """
    inner, axis = 1, len(shape)
    while axis > 0 and inner * shape[axis - 1] <= elements:
        axis -= 1
        inner *= shape[axis]
    whole = tuple(slice(0, n) for n in shape[axis:])
    if axis == 0:
        return [whole]
    length = shape[axis - 1]
    run = -(-length // -(-length // max(1, elements // inner)))
    pieces = [slice(a, min(a + run, length)) for a in range(0, length, run)]
    outer = np.ndindex(*shape[: axis - 1])
    return [(*(slice(i, i + 1) for i in index), piece, *whole) for index in outer for piece in pieces]
