"""Prepared steps of NumPy kernels, compiled: all steps for a few planes, while those are in cache, then for the next.

What a kernel computes plane by plane (`Planewise`: pooling, unfolding, folding, ...) NumPy does in some ten or hundred
steps, each over arrays that no near cache holds. Here the same steps are read as equations; neighbours over the same
elements become one nest of loops, in which intermediate results stay in registers; and the nests run one after the
other for each chunk of planes. The operations are NumPy's, on the same elements, in the same order for each of them.
So the bits are, too, without this knowing what a window or a tap is.

What does not belong here: what the steps are (the kernels in `symgraph.backends.numpy`), LLVM's language (`nests`).
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from symgraph.backends.numba.compiler import Compiled, Function, compiled
from symgraph.backends.numba.forms import _TYPES, Unsupported
from symgraph.backends.numba.nests import HEAD, OPERATIONS, TRUTHS, Equation, Memory, Nest, Operand, module
from symgraph.backends.numba.tiered import Bind, Tiered, tiered
from symgraph.backends.numpy.kernel_plan import Array, Planewise, Step, planewise
from symgraph.backends.numpy.threads import parallel, ranges

__all__ = ["Kernel"]

#: Bytes of a chunk's pieces of the arrays, at most if it is more than one plane: they shall stay in a second-level
#: cache, together with scratch memory of the same order.
CHUNK_BYTES = 1 << 16
#: Arrays of one nest at most: each needs an address in a register or on the stack.
_MOST_ARRAYS = 24
#: Innermost steps, in elements, that are known to the compiler.
_STEPS = range(2, 5)
#: How hard to look whether two arrays share an element.
_LOOK: Any = 1000


class Kernel:
    """What of a prepared call is compiled.

    Parameters
    ----------
    call
        What `KernelPlan.bind` has returned. What it does plane by plane runs compiled from when that is ready.
    mode
        ``"background"``, ``"now"`` or ``"off"``; see `Options`.

    Attributes
    ----------
    parts
        What it does plane by plane, as that will run.
    """

    def __init__(self, call: object, mode: str) -> None:
        self._whole = isinstance(call, Planewise)
        self.parts: list[Tiered] = []
        for work in planewise(call):
            work.run = part = tiered(work.plain, _Described(work).offer, mode)
            self.parts.append(part)

    @property
    def state(self) -> str:
        """How the next call runs, as a phrase."""
        states = list(dict.fromkeys(part.state for part in self.parts))
        if self._whole or states == ["NumPy"]:
            return states[0]
        return f"NumPy, its copies: {'; '.join(states)}" if states else "NumPy"


class _Described(Compiled):
    """The nests of the steps. These are looked at when it is made: in the background that keeps nobody waiting."""

    __slots__ = ("_tables", "_work")

    def __init__(self, work: Planewise) -> None:
        super().__init__(str)
        self._work = work
        self._tables: list[_Table] = []

    def offer(self) -> tuple[Compiled, Bind]:
        """Return what is to be compiled, and what makes a call of it."""
        return self, self.bind

    def make(self) -> None:
        """Describe and compile it, if that has not been done."""
        if self.function is not None or self.failure is not None:
            return
        try:
            shares = enumerate(_shares(self._work))
            self._tables = [table for lane, share in shares for table in _tables(self._work, lane, share)]
            if not self._tables:
                raise Unsupported("there is nothing to do")
            loop = compiled(self._nests(), module)
            loop.make()
            self.function, self.failure = loop.function, loop.failure
        except Unsupported as reason:
            self.failure = str(reason)
        # As when compiling fails: NumPy does the work, explain() says why, and the thread that compiles goes on.
        except Exception as error:  # noqa: BLE001
            self.failure = f"describing failed: {error!r}"

    def _nests(self) -> tuple[Nest, ...]:
        return tuple(dict.fromkeys(entry.nest for table in self._tables for entry in table.entries))

    def bind(self, function: Function) -> Callable[[], object]:
        """Return a call of the compiled nests."""
        numbers = {nest: k for k, nest in enumerate(self._nests())}
        lanes: dict[int, list[_Task]] = {}
        for table in self._tables:
            lanes.setdefault(table.lane, []).append(_Task(function, table, numbers))
        return parallel([tasks[0] if len(tasks) == 1 else _Row(tasks) for tasks in lanes.values()])


class _Row:
    """Tasks one after the other."""

    __slots__ = ("_tasks",)

    def __init__(self, tasks: Sequence[_Task]) -> None:
        self._tasks = tasks

    def __call__(self) -> None:
        for task in self._tasks:
            task()


class _Task:
    """A table that is gone through; keeps its arrays alive."""

    __slots__ = ("_arguments", "_function", "_kept")

    def __init__(self, function: Function, table: _Table, numbers: dict[Nest, int]) -> None:
        rows: list[int] = []
        for entry in table.entries:
            rows += [numbers[entry.nest], HEAD + len(entry.numbers), *entry.numbers]
        memory = np.array(rows, np.int64)
        counts = np.array([len(table.entries), table.images, table.chunks], np.int64)
        self._function = function
        self._arguments = (memory.ctypes.data, counts.ctypes.data, None)
        self._kept = (memory, counts, table)

    def __call__(self) -> None:
        self._function(*self._arguments)


# -- planes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """A nest, and the numbers that tell it where its arrays are; see `nests.module`."""

    nest: Nest
    numbers: list[int]


@dataclass(frozen=True)
class _Table:
    """The entries that a lane makes for each chunk of each image."""

    lane: int
    entries: list[_Entry]
    images: int
    chunks: int
    arrays: list[Array]


def _shares(work: Planewise) -> list[tuple[Array, ...]]:
    """Cut the arrays for the lanes: along the images, or if there are too few of these, along their planes."""
    axis = 0 if work.axes == 1 or work.arrays[0].shape[0] >= work.lanes else 1
    cuts = ranges(work.arrays[0].shape[axis], work.lanes)
    return [tuple(x[(slice(None),) * axis + (slice(*cut),)] for x in work.arrays) for cut in cuts]


def _tables(work: Planewise, lane: int, arrays: Sequence[Array]) -> Iterator[_Table]:
    """Yield a lane's tables: one for all chunks of equal size, one for what is left over."""
    images, planes = (1, *arrays[0].shape)[:2] if work.axes == 1 else arrays[0].shape[:2]
    if not images or not planes:
        return
    plane_bytes = sum(x.nbytes for x in arrays) // (images * planes)
    most = max(1, min(work.most, planes, CHUNK_BYTES // max(plane_bytes, 1)))
    # Chunks of equal size, if that does not make them much smaller.
    size = next((n for n in range(most, most // 2, -1) if planes % n == 0), most)
    constants: dict[tuple[str, bytes], Array] = {}

    def read(image: int, begin: int, size: int) -> list[_Line]:
        cut = (slice(begin, begin + size),) if work.axes == 1 else (slice(image, image + 1), slice(begin, begin + size))
        return [line for step in work.make(lane, *(x[cut] for x in arrays)) for line in _lines(step, constants)]

    chunks, left = divmod(planes, size)
    for begin, count, length in ((0, chunks, size), (planes - left, 1, left)):
        if length:
            lines = read(0, begin, length)
            by_image = _moved(lines, read(1, begin, length)) if images > 1 else {}
            by_chunk = _moved(lines, read(0, begin + length, length)) if count > 1 else {}
            groups = _fused(lines)
            entries = [group.entry(by_image, by_chunk) for group in groups]
            if entries:
                yield _Table(lane, entries, images, count, [x for group in groups for x in group.arrays])


def _address(x: Array) -> int:
    address: int = x.__array_interface__["data"][0]
    return address


def _moved(lines: Sequence[_Line], later: Sequence[_Line]) -> dict[int, int]:
    """Return by how many bytes each array, by its ``id``, is elsewhere in the same steps for other planes."""
    moved = {}
    for one, other in zip(lines, later, strict=True):
        for x, y in zip((*one.operands, one.out), (*other.operands, other.out), strict=True):
            moved[id(x)] = _address(y) - _address(x)
    return moved


# -- steps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Line:
    """A step as an equation: `operands` are converted to `dtype`, then the operation is done for all of `out`."""

    name: str
    operands: tuple[Array, ...]
    dtype: np.dtype[Any]
    out: Array


def _lines(step: Step, constants: dict[tuple[str, bytes], Array]) -> Iterator[_Line]:
    """Yield what a step does, nothing if it is about no element."""
    function, arguments = step
    given: tuple[Any, ...]
    if isinstance(function, types.BuiltinMethodType) and function.__name__ == "fill":
        name, out, given = "copy", function.__self__, arguments
    elif function is np.copyto and len(arguments) == 2:
        name, out, given = "copy", arguments[0], arguments[1:]
    elif isinstance(function, np.ufunc) and len(arguments) == function.nargs and function.nout == 1:
        name, out, given = function.__name__, arguments[-1], arguments[:-1]
    else:
        raise Unsupported(f"{getattr(function, '__name__', function)} is left to NumPy")
    assert isinstance(out, np.ndarray)
    dtype = out.dtype if name == "copy" else np.result_type(*given)
    if name not in OPERATIONS:
        raise Unsupported(f"{name} is left to NumPy")
    operands = []
    for x in given:
        if not isinstance(x, np.ndarray):
            number = np.asarray(x, dtype)
            x = constants.setdefault((dtype.str, number.tobytes()), number)
        operands.append(x)
    for x in (*operands, out):
        if _name(x.dtype) not in _TYPES or not x.dtype.isnative:
            raise Unsupported(f"{x.dtype} is left to NumPy")
        if not x.flags.aligned:
            raise Unsupported("an array is not aligned")
    if any(x.dtype.kind == "f" and dtype.kind in "iu" for x in operands):
        raise Unsupported(f"astype from {operands[0].dtype} to {dtype} is left to NumPy")
    if out.size:
        spread = (x if x.shape == out.shape else np.broadcast_to(x, out.shape) for x in operands)
        yield _Line(name, tuple(spread), dtype, out)


#: The name of a dtype, which NumPy puts together anew each time.
_name = functools.cache(operator.attrgetter("name"))


def _overlap(x: Array, y: Array) -> bool:
    """Return whether two arrays share an element, or it is hard to say."""
    return np.may_share_memory(x, y, max_work=_LOOK)


def _fused(lines: Sequence[_Line]) -> list[_Group]:
    """Return the lines as groups, to be made in that order."""
    groups: list[_Group] = []
    for line in lines:
        if not groups or not groups[-1].admits(line):
            groups.append(_Group(line.out.shape))
        groups[-1].add(line)
    return groups


class _Group:
    """Lines over the same elements, none of which depends on another element's.

    Arrays in the same place are one; what a line has written there, a later one finds in a register.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.arrays: list[Array] = []
        self._slots: dict[tuple[Any, ...], int] = {}
        self._bounds: list[tuple[int, int]] = []
        self._equations: list[Equation] = []
        #: The equation that has last written an array.
        self._writer: dict[int, int] = {}

    def _place(self, x: Array) -> tuple[Any, ...]:
        return (_address(x), x.itemsize, *(s if n > 1 else 0 for n, s in zip(x.shape, x.strides, strict=True)))

    def admits(self, line: _Line) -> bool:
        """Return whether a line may join: its elements are the group's, and it is about the same memory."""
        if line.out.shape != self.shape or len(self.arrays) + len(line.operands) + 1 > _MOST_ARRAYS:
            return False
        near = False
        for x, written in (*((x, False) for x in line.operands), (line.out, True)):
            own = self._slots.get(self._place(x))
            low, high = byte_bounds(x)
            for k, (begin, end) in enumerate(self._bounds):
                if k == own:
                    near = True
                elif low < end and begin < high:
                    near = True
                    if (written or k in self._writer) and _overlap(x, self.arrays[k]):
                        return False
        return near

    def add(self, line: _Line) -> None:
        """Append a line that the group admits, or its first."""
        if any(s == 0 and n > 1 for s, n in zip(line.out.strides, line.out.shape, strict=True)):
            raise Unsupported("a result overlaps itself")
        place = self._place(line.out)
        if any(self._place(x) != place and _overlap(x, line.out) for x in line.operands):
            raise Unsupported("a result overlaps an operand")
        used = _name(line.dtype)
        sources = [self._slot(x) for x in line.operands]
        operands = tuple(
            Operand(-1 - self._writer[k] if k in self._writer else k, _name(x.dtype), used)
            for k, x in zip(sources, line.operands, strict=True)
        )
        target = self._slot(line.out)
        result = _name(line.out.dtype)
        if result != ("bool" if line.name in TRUTHS else used):
            raise Unsupported(f"{line.name} of {used} into {line.out.dtype} is left to NumPy")
        self._writer[target] = len(self._equations)
        self._equations.append(Equation(line.name, operands, result, target))

    def _slot(self, x: Array) -> int:
        place = self._place(x)
        if place not in self._slots:
            self._slots[place] = len(self.arrays)
            self.arrays.append(x)
            self._bounds.append(byte_bounds(x))
        return self._slots[place]

    def entry(self, by_image: dict[int, int], by_chunk: dict[int, int]) -> _Entry:
        """Return the group as a nest, and where its arrays are."""
        # Axes that every array runs through evenly become one, so that the inner loop is long.
        axes: list[tuple[int, list[int]]] = []
        for k, n in enumerate(self.shape):
            strides = [x.strides[k] for x in self.arrays]
            if n > 1 and axes and all(s == n * t for s, t in zip(axes[-1][1], strides, strict=True)):
                axes[-1] = (axes[-1][0] * n, strides)
            elif n > 1:
                axes.append((n, strides))
        axes = axes or [(1, [x.itemsize for x in self.arrays])]
        spread = [[strides[k] for _, strides in axes] for k in range(len(self.arrays))]
        memory: list[Memory] = []
        for k in range(len(self.arrays)):
            memory.append(self._memory(k, memory, spread))
        numbers = [_address(x) for x in self.arrays]
        numbers += [moved.get(id(x), 0) for moved in (by_image, by_chunk) for x in self.arrays]
        numbers += [s for strides in spread for s in strides]
        numbers += [n for n, _ in axes]
        equations = tuple(
            # What a later equation overwrites is not stored.
            e if self._writer[e.target] == k else replace(e, target=-1)
            for k, e in enumerate(self._equations)
        )
        return _Entry(Nest(len(axes), tuple(memory), equations), numbers)

    def _memory(self, k: int, before: Sequence[Memory], strides: Sequence[Sequence[int]]) -> Memory:
        """Return how array `k` lies in memory, given those before it and the strides of all."""
        x, (*outer, inner) = self.arrays[k], strides[k]
        dtype = _name(x.dtype)
        step, rest = divmod(inner, x.itemsize)
        last = "0" if not inner else "s" if rest else "c" if step == 1 else str(step) if step in _STEPS else "s"
        axes = "".join("0" if s == 0 else "s" for s in outer) + last
        if last in map(str, _STEPS):
            for j, other in enumerate(before):
                offset, rest = divmod(_address(x) - _address(self.arrays[j]), x.itemsize)
                alike = strides[j] == strides[k] and other.dtype == dtype and other.base == -1
                if alike and not rest and abs(offset) < step:
                    return Memory(dtype, axes, j, offset)
        return Memory(dtype, axes)
