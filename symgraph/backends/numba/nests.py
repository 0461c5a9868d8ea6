"""Loop nests that are made one after the other, for a few planes at a time, in LLVM's language.

A *nest* computes some equations for every element of a box, as a fused group does. A *program* of nests is a table of
entries: which nest, on which addresses, with which strides and lengths. The function of a module goes through the
table once for every chunk of planes, and each entry says by how many bytes its addresses move from chunk to chunk. So
one function serves all sizes, and the nests' arrays are in cache when the next entry comes to them.

What does not belong here: what NumPy steps mean (`kernels`), the operations themselves (`forms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symgraph.backends.numba.contraction import Tile
from symgraph.backends.numba.forms import (
    _OPERATIONS,
    _TYPES,
    _Code,
    _compare,
    _convert,
    _is_float,
    _register,
    _select,
)

__all__ = ["HEAD", "OPERATIONS", "TILE", "TRUTHS", "Equation", "Memory", "Nest", "Operand", "module"]

#: Numbers at the beginning of an entry: the nest, and how long the entry is.
HEAD = 2


#: Elements along both sides of the squares in which a transposing copy goes.
TILE = 8


@dataclass(frozen=True)
class Memory:
    """An array of a nest.

    Attributes
    ----------
    dtype
        Type of its elements.
    axes
        For each axis a letter: ``0`` the same element again and again, ``s`` by a stride; of the innermost also ``c``
        next to each other, and ``2`` to ``4`` so many elements apart. In a *transposing copy* the last two axes have
        such letters: ``c`` for one in the result, ``c`` or ``2`` for the other in the source. Both are at least `TILE`
        long, and elements have 4 or 8 bytes.
    base, offset
        Unless `base` is -1: this is `offset` elements after array number `base`, which has the same strides. LLVM
        reads and writes such arrays together.
    """

    dtype: str
    axes: str
    base: int = -1
    offset: int = 0


@dataclass(frozen=True)
class Operand:
    """What an equation reads: array `source`, or if that is negative the result of equation ``-1 - source``.

    Its bits are seen as of type `seen`, then converted to the type `used`.
    """

    source: int
    seen: str
    used: str


@dataclass(frozen=True)
class Equation:
    """One operation; array `target` receives its result, none if that is -1."""

    name: str
    operands: tuple[Operand, ...]
    dtype: str
    target: int


@dataclass(frozen=True)
class Nest:
    """`rank` loops, one in the other, around equations."""

    rank: int
    arrays: tuple[Memory, ...]
    equations: tuple[Equation, ...]


def _fmax(code: _Code, dtype: str, x: Sequence[str]) -> str:
    """Return the greater one; a NaN loses. Which of two zeros is open, as it is in NumPy's."""
    greater = _select(code, dtype, _compare(code, dtype, "gt", x[0], x[1]), x[0], x[1])
    if not _is_float(dtype):
        return greater
    nan = code.let(f"fcmp uno {_register(dtype)} {x[1]}, {x[1]}")
    return _select(code, dtype, nan, x[0], greater)


#: By the names of NumPy's functions; ``copy`` is ``copyto``.
OPERATIONS = {
    **{name: _OPERATIONS[name] for name in ("add", "subtract", "multiply", "negative", "equal", "not_equal")},
    **{name: _OPERATIONS[name] for name in ("logical_and", "logical_or", "logical_not")},
    "bitwise_or": lambda code, dtype, x: code.let(f"or {_register(dtype)} {x[0]}, {x[1]}"),
    "copy": lambda code, dtype, x: x[0],
    "fmax": _fmax,
}
#: Those of `OPERATIONS` whose result is a truth value.
TRUTHS = frozenset({"equal", "not_equal", "logical_and", "logical_or", "logical_not"})


def _see(code: _Code, old: str, new: str, x: str) -> str:
    """Return the bits of `x` as of another type of the same size."""
    if _TYPES[old] == _TYPES[new]:
        if (old == "bool") == (new == "bool"):
            return x
        return code.let(f"zext i1 {x} to i8" if old == "bool" else f"icmp ne i8 {x}, 0")
    return code.let(f"bitcast {_register(old)} {x} to {_register(new)}")


class _Function:
    """The function of a nest, under way."""

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.code = _Code()
        self.transposing = nest.rank > 1 and any(x.axes[-2] in "c2" for x in nest.arrays)
        #: The loops around the innermost code.
        self.outer = nest.rank - (2 if self.transposing else 1)
        self.written = {e.target for e in nest.equations if e.target >= 0}
        self.read = {x.source for e in nest.equations for x in e.operands if x.source >= 0}
        #: What has been read, in registers, by the number of the array.
        self.loaded: dict[int, str] = {}

    def lines(self, name: str) -> list[str]:
        """Return the function."""
        code, rank, count = self.code, self.nest.rank, len(self.nest.arrays)

        def number(position: int) -> str:
            return code.let(f"load i64, ptr {code.let(f'getelementptr i64, ptr %entry, i64 {HEAD + position}')}")

        self.pointers: list[str] = []
        for k in range(count):
            moved = [
                code.let(f"mul i64 {n}, {number((1 + j) * count + k)}") for j, n in enumerate(("%image", "%chunk"))
            ]
            address = code.let(f"add i64 {number(k)}, {code.let(f'add i64 {moved[0]}, {moved[1]}')}")
            self.pointers.append(code.let(f"inttoptr i64 {address} to ptr"))
        self.strides = [[number(3 * count + k * rank + axis) for axis in range(rank)] for k in range(count)]
        self.lengths = [number((3 + rank) * count + axis) for axis in range(rank)]
        # What is the same for all elements, or for a whole innermost loop, is read before.
        self._load(k for k, x in enumerate(self.nest.arrays) if set(x.axes) == {"0"})
        before, after = "start", "end"
        for axis in range(self.outer):
            code.put(f"br label %axis{axis}")
            code.lines.append(f"axis{axis}:")
            code.put(f"%i{axis} = phi i64 [ 0, %{before} ], [ %next{axis}, %latch{axis} ]")
            for k, pointer in enumerate(self.pointers):
                code.put(f"%p{axis}_{k} = phi ptr [ {pointer}, %{before} ], [ %q{axis}_{k}, %latch{axis} ]")
            self.pointers = [f"%p{axis}_{k}" for k in range(count)]
            before, after = f"axis{axis}", f"latch{axis}"
        if self.transposing:
            self._squares(before, after)
        else:
            self._load(k for k, x in enumerate(self.nest.arrays) if x.axes[-1] == "0")
            self._row(before, after)
        for axis in range(self.outer - 1, -1, -1):
            code.lines.append(f"latch{axis}:")
            for k in range(count):
                code.put(f"%q{axis}_{k} = getelementptr i8, ptr %p{axis}_{k}, i64 {self.strides[k][axis]}")
            code.put(f"%next{axis} = add nuw nsw i64 %i{axis}, 1")
            code.put(f"%done{axis} = icmp eq i64 %next{axis}, {self.lengths[axis]}")
            code.put(f"br i1 %done{axis}, label %{f'latch{axis - 1}' if axis else 'end'}, label %axis{axis}")
        return [
            # Copies stay loops: rows are too short for a call of the C library.
            f'define internal void @{name}(ptr %entry, i64 %image, i64 %chunk) nounwind "no-builtins" {{',
            "start:",
            *code.lines,
            "end:",
            "  ret void",
            "}",
        ]

    def _load(self, numbers: Iterable[int], places: Mapping[int, str] | None = None) -> None:
        """Read elements; with `places`, in the innermost loop, else only what the nest does not write."""
        for k in numbers:
            if k in self.loaded or k not in self.read or (places is None and k in self.written):
                continue
            dtype = self.nest.arrays[k].dtype
            pointer, mark = (self.pointers[k], "") if places is None else (places[k], ", !llvm.access.group !0")
            x = self.code.let(f"load {_TYPES[dtype]}, ptr {pointer}, align {np.dtype(dtype).itemsize}{mark}")
            self.loaded[k] = self.code.let(f"icmp ne i8 {x}, 0") if dtype == "bool" else x

    def _place(self, k: int) -> str:
        """Return the address of an array's element in the innermost loop."""
        code, x, step = self.code, self.nest.arrays[k], self.nest.arrays[k].axes[-1]
        pointer = self.pointers[k if x.base < 0 else x.base]
        if step == "s":
            offset = code.let(f"mul i64 %i, {self.strides[k][-1]}")
            return code.let(f"getelementptr inbounds i8, ptr {pointer}, i64 {offset}")
        index = "%i" if step == "c" else code.let(f"mul nuw nsw i64 %i, {step}")
        if x.offset:
            index = code.let(f"add nsw i64 {index}, {x.offset}")
        return code.let(f"getelementptr inbounds {_TYPES[x.dtype]}, ptr {pointer}, i64 {index}")

    def _row(self, before: str, after: str) -> None:
        """Write the innermost loop: one element of each array after the other."""
        code, equations = self.code, self.nest.equations
        code.put("br label %inner")
        code.lines.append("inner:")
        code.put(f"%i = phi i64 [ 0, %{before} ], [ %next, %inner ]")
        places = {k: self._place(k) for k in sorted(self.read | self.written) if k not in self.loaded}
        self._load(sorted(places), places)
        results: list[str] = []
        for e in equations:
            given = []
            for x in e.operands:
                value = self.loaded[x.source] if x.source >= 0 else results[-1 - x.source]
                dtype = self.nest.arrays[x.source].dtype if x.source >= 0 else equations[-1 - x.source].dtype
                given.append(_convert(code, x.seen, x.used, _see(code, dtype, x.seen, value)))
            results.append(OPERATIONS[e.name](code, e.operands[0].used, given))
        for result, e in zip(results, equations, strict=True):
            if e.target >= 0:
                stored = code.let(f"zext i1 {result} to i8") if e.dtype == "bool" else result
                mark = f"align {np.dtype(e.dtype).itemsize}, !llvm.access.group !0"
                code.put(f"store {_TYPES[e.dtype]} {stored}, ptr {places[e.target]}, {mark}")
        code.put("%next = add nuw nsw i64 %i, 1")
        code.put(f"%done = icmp eq i64 %next, {self.lengths[-1]}")
        code.put(f"br i1 %done, label %{after}, label %inner, !llvm.loop !1")

    def _squares(self, before: str, after: str) -> None:
        """Write a transposing copy: squares are read along one axis, turned in registers, written along the other.

        The last square along an axis reaches back over the one before it: there the same is copied twice.
        """
        code, source = self.code, self.nest.arrays[0]
        reading = 0 if source.axes[-2] in "c2" else 1
        size, step = np.dtype(source.dtype).itemsize, 1 if source.axes[reading - 2] == "c" else 2
        vector = f"<{TILE} x i{8 * size}>"
        lengths = self.lengths[-2:]
        last = [code.let(f"sub i64 {n}, {TILE}") for n in lengths]
        for axis in (0, 1):
            code.put(f"br label %square{axis}")
            code.lines.append(f"square{axis}:")
            outside = "square0" if axis else before
            code.put(f"%s{axis} = phi i64 [ 0, %{outside} ], [ %next_s{axis}, %next_square{axis} ]")
        for axis in (0, 1):
            code.put(f"%late{axis} = icmp sgt i64 %s{axis}, {last[axis]}")
            code.put(f"%at{axis} = select i1 %late{axis}, i64 {last[axis]}, i64 %s{axis}")

        def address(pointer: str, *moves: str) -> str:
            for move in moves:
                pointer = code.let(f"getelementptr inbounds i8, ptr {pointer}, i64 {move}")
            return pointer

        def corner(k: int, along: int, together: int) -> tuple[str, str]:
            """Return where a square of an array begins, whose elements lie together along an axis; and its stride."""
            stride = self.strides[k][-1 - along]
            moves = (f"%at{along}, {together}", f"%at{1 - along}, {stride}")
            return address(self.pointers[k], *(code.let(f"mul i64 {move}") for move in moves)), stride

        def shuffle(x: str, y: str, picked: Iterable[int]) -> str:
            mask = ", ".join(f"i32 {k}" for k in picked)
            return code.let(f"shufflevector {vector} {x}, {vector} {y}, <{TILE} x i32> <{mask}>")

        pointer, stride = corner(0, reading, step * size)
        rows = []
        for k in range(TILE):
            row = address(pointer, stride) if k else pointer
            x = code.let(f"load {vector}, ptr {row}, align {size}")
            if step == 2:
                # The second half is read so that nothing after the last element is.
                rest = code.let(f"load {vector}, ptr {address(row, str((TILE - 1) * size))}, align {size}")
                x = shuffle(x, rest, (2 * c if 2 * c < TILE else 2 * c + 1 for c in range(TILE)))
            rows.append(x)
            pointer = row
        distance = TILE // 2
        while distance:
            for k in range(TILE):
                if not k & distance:
                    x, y = rows[k], rows[k + distance]
                    low = [c if not c & distance else TILE + c - distance for c in range(TILE)]
                    rows[k] = shuffle(x, y, low)
                    rows[k + distance] = shuffle(x, y, (c + distance for c in low))
            distance //= 2
        pointer, stride = corner(1, 1 - reading, size)
        for k, x in enumerate(rows):
            pointer = address(pointer, stride) if k else pointer
            code.put(f"store {vector} {x}, ptr {pointer}, align {size}")
        code.put("br label %next_square1")
        for axis in (1, 0):
            code.lines.append(f"next_square{axis}:")
            code.put(f"%next_s{axis} = add nuw nsw i64 %s{axis}, {TILE}")
            code.put(f"%done_s{axis} = icmp sge i64 %next_s{axis}, {lengths[axis]}")
            code.put(f"br i1 %done_s{axis}, label %{'next_square0' if axis else after}, label %square{axis}")


#: Goes through the table for each image and each of its chunks; ``counts`` are entries, images, chunks.
_DRIVER = """
define void @loop(ptr %table, ptr %counts, ptr %unused) nounwind {
start:
  %entries = load i64, ptr %counts
  %second = getelementptr i64, ptr %counts, i64 1
  %images = load i64, ptr %second
  %third = getelementptr i64, ptr %counts, i64 2
  %chunks = load i64, ptr %third
  br label %each_image
each_image:
  %image = phi i64 [ 0, %start ], [ %next_image, %chunks_done ]
  br label %each_chunk
each_chunk:
  %chunk = phi i64 [ 0, %each_image ], [ %next_chunk, %entries_done ]
  br label %each_entry
each_entry:
  %number = phi i64 [ 0, %each_chunk ], [ %next_number, %made ]
  %entry = phi ptr [ %table, %each_chunk ], [ %next_entry, %made ]
  %nest = load i64, ptr %entry
  %place = getelementptr i64, ptr %entry, i64 1
  %size = load i64, ptr %place
  switch i64 %nest, label %made [ CASES ]
CALLS
made:
  %next_entry = getelementptr i64, ptr %entry, i64 %size
  %next_number = add nuw nsw i64 %number, 1
  %all_entries = icmp eq i64 %next_number, %entries
  br i1 %all_entries, label %entries_done, label %each_entry
entries_done:
  %next_chunk = add nuw nsw i64 %chunk, 1
  %all_chunks = icmp eq i64 %next_chunk, %chunks
  br i1 %all_chunks, label %chunks_done, label %each_chunk
chunks_done:
  %next_image = add nuw nsw i64 %image, 1
  %all_images = icmp eq i64 %next_image, %images
  br i1 %all_images, label %end, label %each_image
end:
  ret void
}
"""


def module(nests: tuple[Nest | Tile, ...]) -> str:
    """Return the module of some nests, and tiles, in LLVM's language.

    It has one function, ``void loop(ptr table, ptr counts, ptr unused)``; all numbers are 64 bits wide. `counts` are
    the numbers of entries, of images, and of chunks of each image, each at least 1. An entry of the table: the number
    of its nest; how many numbers the entry has; of each array the address in the first chunk, then by how many bytes
    it moves from image to image, then from chunk to chunk, then its strides; the lengths of the axes, at least 1. Those
    of a tile are said there.
    """
    declared: set[str] = set()
    lines: list[str] = []
    for k, nest in enumerate(nests):
        if isinstance(nest, Tile):
            lines += nest.lines(f"nest{k}")
            declared |= nest.declarations
            continue
        function = _Function(nest)
        lines += function.lines(f"nest{k}")
        declared |= function.code.intrinsics
    cases = " ".join(f"i64 {k}, label %call{k}" for k in range(len(nests)))
    calls = "\n".join(
        f"call{k}:\n  call void @nest{k}(ptr %entry, i64 %image, i64 %chunk)\n  br label %made"
        for k in range(len(nests))
    )
    # No element depends on another (`kernels` sees to it), which lets LLVM use vectors.
    facts = ["!0 = distinct !{}", "!1 = distinct !{!1, !2}", '!2 = !{!"llvm.loop.parallel_accesses", !0}', ""]
    return "\n".join([*sorted(declared), *lines, _DRIVER.replace("CASES", cases).replace("CALLS", calls), *facts])
