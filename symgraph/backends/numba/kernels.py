"""Prepared steps of NumPy kernels, compiled.

A kernel is some ten or hundred steps, each a call of a NumPy function. Here steps are read as equations; neighbours
over the same elements become one nest of loops, in which intermediate results stay in registers. The operations are
NumPy's, on the same elements, in the same order for each of them. So the bits are, too, without this knowing what a
window or a tap is. What is compiled:

* What a kernel does plane by plane (`Planewise`: pooling, unfolding, folding, ...): all nests for a chunk of planes,
  while those are in a near cache, then for the next.
* In a chain of other calls, such as matrix products, each run of steps between them.

What does not belong here: what the steps are (the kernels in `symgraph.backends.numpy`), LLVM's language (`nests`).
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from symgraph.backends.numba.compiler import Compiled, Function, compiled
from symgraph.backends.numba.contraction import Tile, tiles
from symgraph.backends.numba.forms import _TYPES, Unsupported
from symgraph.backends.numba.nests import HEAD, OPERATIONS, TILE, TRUTHS, Equation, Memory, Nest, Operand, module
from symgraph.backends.numba.team import Native, spread
from symgraph.backends.numba.tiered import Bind, Tiered, tiered
from symgraph.backends.numpy.contraction import contract
from symgraph.backends.numpy.kernel_plan import Array, Call, Chain, Kept, Planewise, Staged, Step, chain, inside
from symgraph.backends.numpy.threads import ranges

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
        What `KernelPlan.bind` has returned. Its parts run compiled from when they are ready.
    mode
        ``"background"``, ``"now"`` or ``"off"``; see `Options`.

    Attributes
    ----------
    parts
        Those parts.
    """

    def __init__(self, call: object, mode: str) -> None:
        self._whole = isinstance(call.call if isinstance(call, Kept) else call, Planewise | Staged)
        self.parts: list[Tiered] = []
        for part in [] if mode == "off" else list(inside(call)):
            if isinstance(part, Planewise):
                # Described is a copy: nothing refers to itself, so memory is free as soon as the call is.
                part.run = self._part(part.plain, functools.partial(_by_planes, copy.copy(part)), mode)
            elif isinstance(part, Staged):
                # At once: it rounds otherwise, and results must not depend on when it is ready.
                part.run = self._part(part.plain, functools.partial(_by_stages, part.stages), "now")
            elif any(_known(f) and _known(g) for (f, _), (g, _) in itertools.pairwise(part.steps)):
                plain = Chain(part.steps)
                part.steps = ((self._part(plain, functools.partial(_by_runs, plain), mode), ()),)

    def _part(self, plain: Call, describe: Callable[[], _Described], mode: str) -> Tiered:
        self.parts.append(tiered(plain, _Later(describe).offer, mode))
        return self.parts[-1]

    @property
    def state(self) -> str:
        """How the next call runs, as a phrase."""
        states = list(dict.fromkeys(part.state for part in self.parts))
        if not states:
            return "NumPy"
        return states[0] if self._whole else f"in part {'; '.join(states)}"


#: Tables, and what makes one call of those that go through them.
_Described = tuple[list["_Table"], Callable[[Sequence[Native]], Call]]


class _Later(Compiled):
    """Nests that are described when they are made: in the background, where that keeps nobody waiting."""

    __slots__ = ("_assemble", "_describe", "_tables")

    def __init__(self, describe: Callable[[], _Described]) -> None:
        super().__init__(str)
        self._describe: Callable[[], _Described] | None = describe

    def offer(self) -> tuple[Compiled, Bind]:
        """Return what is to be compiled, and what makes a call of it."""
        return self, self._bind

    def make(self) -> None:
        """Describe and compile it, if that has not been done."""
        describe, self._describe = self._describe, None
        if describe is None:
            return
        try:
            self._tables, self._assemble = describe()
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

    def _nests(self) -> tuple[Nest | Tile, ...]:
        return tuple(dict.fromkeys(entry.nest for table in self._tables for entry in table.entries))

    def _bind(self, function: Function) -> Call:
        numbers = {nest: k for k, nest in enumerate(self._nests())}
        return self._assemble([_native(function, table, numbers) for table in self._tables])


def _native(function: Function, table: _Table, numbers: dict[Nest | Tile, int]) -> Native:
    """Return the call that goes through a table."""
    rows: list[int] = []
    for entry in table.entries:
        rows += [numbers[entry.nest], HEAD + len(entry.numbers), *entry.numbers]
    memory = np.array(rows, np.int64)
    counts = np.array([len(table.entries), table.images, table.chunks], np.int64)
    return Native(function, (memory.ctypes.data, counts.ctypes.data, 0), (memory, counts, table))


# -- planes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """A nest, and the numbers that tell it where its arrays are; see `nests.module`."""

    nest: Nest | Tile
    numbers: list[int]

    @property
    def elements(self) -> int:
        """How many elements of arrays or of products it goes through."""
        nest = self.nest
        if isinstance(nest, Nest):
            return math.prod(self.numbers[-nest.rank :]) * len(nest.arrays)
        tile = nest.lanes * nest.vectors * nest.rows * nest.columns
        return self.numbers[3] * tile * math.prod(self.numbers[len(self.numbers) - 4 * nest.loops :: 4])

    def moved(self, by_address: dict[int, int]) -> _Entry:
        """Return the same for arrays that are elsewhere by so many bytes."""
        assert isinstance(self.nest, Nest)
        count = len(self.nest.arrays)
        addresses = [n + by_address.get(n, 0) for n in self.numbers[:count]]
        return _Entry(self.nest, [*addresses, *self.numbers[count:]])


@dataclass(frozen=True)
class _Table:
    """Entries that are made for each chunk of each image, and the arrays they are about."""

    entries: list[_Entry]
    arrays: list[Array]
    images: int = 1
    chunks: int = 1

    @property
    def elements(self) -> int:
        """How many elements all entries go through."""
        return self.images * self.chunks * sum(entry.elements for entry in self.entries)


def _by_planes(work: Planewise) -> _Described:
    """Describe what is done plane by plane."""
    lanes = [list(_tables(work, lane, share)) for lane, share in enumerate(_shares(work))]

    def assemble(calls: Sequence[Native]) -> Call:
        left = iter(calls)
        tasks = [[next(left) for _ in tables] for tables in lanes]
        return spread(tasks, sum(table.elements for tables in lanes for table in tables))

    return [table for tables in lanes for table in tables], assemble


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
        steps = work.make(lane, *(x[cut] for x in arrays))
        return [line for step in steps if (line := _line(step, constants)) is not None]

    chunks, left = divmod(planes, size)
    for begin, count, length in ((0, chunks, size), (planes - left, 1, left)):
        if length:
            lines = read(0, begin, length)
            by_image = _moved(lines, read(1, begin, length)) if images > 1 else {}
            by_chunk = _moved(lines, read(0, begin + length, length)) if count > 1 else {}
            groups = _fused(lines)
            entries = [group.entry(by_image, by_chunk) for group in groups]
            if entries:
                yield _Table(entries, [x for group in groups for x in group.arrays], images, count)


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


# -- runs -------------------------------------------------------------------------------------------------------------


def _by_runs(plain: Chain) -> _Described:
    """Describe the runs of steps in a chain; what else it calls stays where it is."""
    runs = _Runs()
    #: Steps of the new chain; None is the place of the next table.
    steps: list[Step | None] = []
    tables: list[_Table] = []
    for known, group in itertools.groupby(plain.steps, lambda step: _known(step[0])):
        for run in runs.cut(list(group)) if known else [list(group)]:
            if not known or len(run) < 2:
                steps += run
            elif (table := runs.table(run)).entries:  # there is none if all is about no element
                steps.append(None)
                tables.append(table)

    def assemble(calls: Sequence[Native]) -> Call:
        left = iter(calls)
        return Chain([(next(left), ()) if step is None else step for step in steps])

    return tables, assemble


# -- stages -----------------------------------------------------------------------------------------------------------


def _by_stages(stages: Callable[[], list[list[list[Step]]]]) -> _Described:
    """Describe what is done in another way: a table for each lane of each stage."""
    runs = _Runs()
    made = [[_lane(steps, runs) for steps in stage if steps] for stage in stages()]

    def assemble(calls: Sequence[Native]) -> Call:
        left = iter(calls)
        steps = [([[next(left)] for _ in stage], sum(table.elements for table in stage)) for stage in made if stage]
        return chain([(spread(*step), ()) for step in steps])

    return [table for stage in made for table in stage], assemble


def _lane(steps: Sequence[Step], runs: _Runs) -> _Table:
    """Return the table of a lane, all of whose steps can be compiled."""
    entries: list[_Entry] = []
    arrays: list[Array] = []
    for sums, group in itertools.groupby(steps, lambda step: step[0] is contract):
        run = list(group)
        if not sums:
            table = runs.table(run)
            entries += table.entries
            arrays += table.arrays
            continue
        for _, arguments in run:
            for tile, numbers, about in tiles(*arguments):
                entries.append(_Entry(tile, numbers))
                arrays += about
    return _Table(entries, arrays)


class _Runs:
    """Tables of runs of steps. Runs alike, as those of cells of equal size, are looked into once."""

    def __init__(self) -> None:
        self._constants: dict[tuple[str, bytes], Array] = {}
        self._seen: dict[tuple[Any, ...], list[_Pattern]] = {}

    def cut(self, run: list[Step]) -> list[list[Step]]:
        """Cut a run of known steps before and after each that is left to NumPy for another reason."""
        if tuple(map(_signature, run)) in self._seen:
            return [run]
        pieces: list[list[Step]] = [[]]
        for step in run:
            try:
                _line(step, self._constants)
                pieces[-1].append(step)
            except Unsupported:
                pieces += [[step], []]
        return [piece for piece in pieces if piece]

    def table(self, run: Sequence[Step]) -> _Table:
        """Return the table of a run, which is gone through once."""
        arrays = [x for step in run for x in _arguments(step) if isinstance(x, np.ndarray)]
        seen = self._seen.setdefault(tuple(map(_signature, run)), [])
        for pattern in seen:
            entries = pattern.elsewhere(arrays)
            if entries is not None:
                return _Table(entries, arrays)
        groups = _fused([line for step in run if (line := _line(step, self._constants)) is not None])
        entries = [group.entry({}, {}) for group in groups]
        seen.append(_Pattern(arrays, entries))
        return _Table(entries, [*arrays, *(x for group in groups for x in group.arrays)])


def _signature(step: Step) -> tuple[Any, ...]:
    """Return what a step has in common with those that do the same elsewhere."""
    arguments = _arguments(step)
    alike = (
        (x.shape, x.strides, x.dtype, x.flags.aligned) if isinstance(x, np.ndarray) else (type(x), repr(x))
        for x in arguments
    )
    return (step[0].__name__, *alike)


class _Pattern:
    """The entries of a run, and how its arrays lie to each other.

    Arrays whose bounds overlap are in one *region*. If those of an equal run lie alike in each region, and its regions
    do not overlap either, then no two of its arrays share other elements than here.
    """

    def __init__(self, arrays: Sequence[Array], entries: Sequence[_Entry]) -> None:
        self._entries = entries
        self._addresses = [_address(x) for x in arrays]
        #: For each region its bounds and the numbers of its arrays.
        self._regions: list[tuple[int, int, list[int]]] = []
        for (low, high), k in sorted((byte_bounds(x), k) for k, x in enumerate(arrays)):
            if self._regions and low < self._regions[-1][1]:
                begin, end, members = self._regions[-1]
                self._regions[-1] = (begin, max(end, high), [*members, k])
            else:
                self._regions.append((low, high, [k]))

    def elsewhere(self, arrays: Sequence[Array]) -> list[_Entry] | None:
        """Return the entries for other arrays of an equal run, or None if these lie otherwise."""
        moved = [_address(x) - before for x, before in zip(arrays, self._addresses, strict=True)]
        if any(len({moved[k] for k in members}) > 1 for _, _, members in self._regions):
            return None
        bounds = sorted((low + moved[members[0]], high + moved[members[0]]) for low, high, members in self._regions)
        if any(low < end for (_, end), (low, _) in itertools.pairwise(bounds)):
            return None
        by_address = dict(zip(self._addresses, moved, strict=True))
        return [entry.moved(by_address) for entry in self._entries]


# -- steps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Line:
    """A step as an equation: `operands` are converted to `dtype`, then the operation is done for all of `out`."""

    name: str
    operands: tuple[Array, ...]
    dtype: np.dtype[Any]
    out: Array


def _known(function: object) -> bool:
    """Return whether steps that call a function may be readable."""
    if isinstance(function, np.ufunc):
        return function.__name__ in OPERATIONS
    return function is np.copyto or (isinstance(function, types.BuiltinMethodType) and function.__name__ == "fill")


def _arguments(step: Step) -> tuple[Any, ...]:
    """Return the arguments of a known step; of ``fill`` the array comes first."""
    function, arguments = step
    return (function.__self__, *arguments) if isinstance(function, types.BuiltinMethodType) else arguments


def _line(step: Step, constants: dict[tuple[str, bytes], Array]) -> _Line | None:
    """Return what a step does, None if it is about no element.

    Raises
    ------
    Unsupported
        If it is left to NumPy, saying why.
    """
    function, arguments = step
    if not _known(function):
        raise Unsupported(f"{getattr(function, '__name__', function)} is left to NumPy")
    given: tuple[Any, ...]
    if isinstance(function, np.ufunc):
        name, given, out = function.__name__, tuple(arguments[: function.nin]), arguments[-1]
        if len(arguments) != function.nargs:
            raise Unsupported(f"{name} with more arguments is left to NumPy")
        dtype = np.result_type(*given)
    else:
        out, given = _arguments(step)[0], _arguments(step)[1:]
        name, dtype = "copy", out.dtype
        if len(given) != 1:
            raise Unsupported("copyto with more arguments is left to NumPy")
    operands = []
    for x in given:
        if not isinstance(x, np.ndarray):
            number = np.asarray(x, dtype)
            x = constants.setdefault((dtype.str, number.tobytes()), number)
        operands.append(x if x.shape == out.shape else np.broadcast_to(x, out.shape))
    for kind in (*(x.dtype for x in operands), dtype, out.dtype):
        if _name(kind) not in _TYPES or not kind.isnative:
            raise Unsupported(f"{kind} is left to NumPy")
    if not all(x.flags.aligned for x in (*operands, out)):
        raise Unsupported("an array is not aligned")
    if any(x.dtype.kind == "f" and dtype.kind in "iu" for x in operands):
        raise Unsupported(f"astype from {operands[0].dtype} to {dtype} is left to NumPy")
    if out.dtype != (np.bool_ if name in TRUTHS else dtype):
        raise Unsupported(f"{name} of {dtype} into {out.dtype} is left to NumPy")
    if any(s == 0 and n > 1 for s, n in zip(out.strides, out.shape, strict=True)):
        raise Unsupported("a result overlaps itself")
    if any(_overlap(x, out) and _place(x) != _place(out) for x in operands):
        raise Unsupported("a result overlaps an operand")
    return _Line(name, tuple(operands), dtype, out) if out.size else None


def _place(x: Array) -> tuple[Any, ...]:
    """Return what arrays of one shape with the same elements have in common."""
    return (_address(x), x.itemsize, *(s if n > 1 else 0 for n, s in zip(x.shape, x.strides, strict=True)))


#: The name of a dtype, which NumPy puts together anew each time.
_name = functools.cache(operator.attrgetter("name"))


def _overlap(x: Array, y: Array) -> bool:
    """Return whether two arrays share an element, or it is hard to say."""
    return np.may_share_memory(x, y, max_work=_LOOK)


def _turns(line: _Line) -> bool:
    """Return whether a line is a transposing copy, see `Memory`, if axes that can be merged do not prevent it."""
    x, out = line.operands[0], line.out
    size, lengths = out.itemsize, out.shape
    if line.name != "copy" or x.dtype != out.dtype or size not in (4, 8) or out.ndim < 2:
        return False
    if out.strides[-1] != size or x.strides[-1] <= 4 * size or lengths[-1] < TILE:
        return False
    return any(s in (size, 2 * size) and n >= TILE for n, s in zip(lengths[:-1], x.strides, strict=False))


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
        #: Whether this is a copy that goes by squares, and so stays alone.
        self._turns = False

    def admits(self, line: _Line) -> bool:
        """Return whether a line may join: its elements are the group's, and it is about the same memory."""
        if self._turns or line.out.shape != self.shape or len(self.arrays) + len(line.operands) + 1 > _MOST_ARRAYS:
            return False
        near = False
        for x, written in (*((x, False) for x in line.operands), (line.out, True)):
            own = self._slots.get(_place(x))
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
        used = _name(line.dtype)
        sources = [self._slot(x) for x in line.operands]
        operands = tuple(
            Operand(-1 - self._writer[k] if k in self._writer else k, _name(x.dtype), used)
            for k, x in zip(sources, line.operands, strict=True)
        )
        self._turns = not self._equations and _turns(line)
        target = self._slot(line.out)
        self._writer[target] = len(self._equations)
        self._equations.append(Equation(line.name, operands, _name(line.out.dtype), target))

    def _slot(self, x: Array) -> int:
        place = _place(x)
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
        # Around the innermost, which results lie along, the shortest way is gone first: what it reads is in cache.
        axes[:-1] = sorted(axes[:-1], key=lambda axis: min(abs(s) for s in axis[1] if s), reverse=True)
        spread = [[strides[k] for _, strides in axes] for k in range(len(self.arrays))]
        memory: list[Memory] = []
        for k in range(len(self.arrays)):
            memory.append(self._memory(k, memory, spread))
        if self._turns and len(axes) > 1 and axes[-2][1][0] <= 2 * self.arrays[0].itemsize and axes[-2][0] >= TILE:
            step = axes[-2][1][0] // self.arrays[0].itemsize
            letters = [("c" if step == 1 else "2", "s"), ("s", "c")]
            # Along the inner loop that array lies together which is spread wider otherwise.
            if axes[-1][1][0] > axes[-2][1][1]:
                axes[-2:] = axes[:-3:-1]
                letters = [pair[::-1] for pair in letters]
            spread = [[strides[k] for _, strides in axes] for k in range(2)]
            memory = [replace(x, axes=x.axes[:-2] + "".join(y)) for x, y in zip(memory, letters, strict=True)]
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
