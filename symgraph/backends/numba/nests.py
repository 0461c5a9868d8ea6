"""Loop nests that are made one after the other, for a few planes at a time, in LLVM's language.

A *nest* computes some equations for every element of a box, as a fused group does. A *program* of nests is a table of
entries: which nest, on which addresses, with which strides and lengths. The function of a module goes through the
table once for every chunk of planes, and each entry says by how many bytes its addresses move from chunk to chunk. So
one function serves all sizes, and the nests' arrays are in cache when the next entry comes to them.

What does not belong here: what NumPy steps mean (`kernels`), the operations themselves (`forms`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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

__all__ = ["HEAD", "OPERATIONS", "TRUTHS", "Equation", "Memory", "Nest", "Operand", "module"]

#: Numbers at the beginning of an entry: the nest, and how long the entry is.
HEAD = 2


@dataclass(frozen=True)
class Memory:
    """An array of a nest.

    Attributes
    ----------
    dtype
        Type of its elements.
    axes
        For each axis a letter: ``0`` the same element again and again, ``s`` by a stride; of the innermost also ``c``
        next to each other, and ``2`` to ``4`` so many elements apart.
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


def _nest(name: str, nest: Nest) -> tuple[set[str], list[str]]:
    """Return what the function of a nest declares, and its lines."""
    code, rank, arrays, inner = _Code(), nest.rank, nest.arrays, nest.rank - 1
    count = len(arrays)

    def entry(position: int) -> str:
        return code.let(f"load i64, ptr {code.let(f'getelementptr i64, ptr %entry, i64 {HEAD + position}')}")

    pointers: list[str] = []
    strides: dict[tuple[int, int], str] = {}
    for k in range(count):
        moved = [code.let(f"mul i64 {n}, {entry((1 + j) * count + k)}") for j, n in enumerate(("%image", "%chunk"))]
        address = code.let(f"add i64 {entry(k)}, {code.let(f'add i64 {moved[0]}, {moved[1]}')}")
        pointers.append(code.let(f"inttoptr i64 {address} to ptr"))
        for axis in range(rank):
            strides[k, axis] = entry(3 * count + k * rank + axis)
    lengths = [entry((3 + rank) * count + axis) for axis in range(rank)]

    written = {e.target for e in nest.equations if e.target >= 0}
    read = {x.source for e in nest.equations for x in e.operands if x.source >= 0}
    loaded: dict[int, str] = {}

    def load(k: int, address: str, mark: str = "") -> None:
        dtype = arrays[k].dtype
        x = code.let(f"load {_TYPES[dtype]}, ptr {address}, align {np.dtype(dtype).itemsize}{mark}")
        loaded[k] = code.let(f"icmp ne i8 {x}, 0") if dtype == "bool" else x

    # What is the same for all elements, or along the inner axis, is read before the loop.
    for k in sorted(read - written):
        if set(arrays[k].axes) == {"0"}:
            load(k, pointers[k])
    before = "start"
    for axis in range(inner):
        code.put(f"br label %axis{axis}")
        code.lines.append(f"axis{axis}:")
        code.put(f"%i{axis} = phi i64 [ 0, %{before} ], [ %next{axis}, %latch{axis} ]")
        for k, pointer in enumerate(pointers):
            code.put(f"%p{axis}_{k} = phi ptr [ {pointer}, %{before} ], [ %q{axis}_{k}, %latch{axis} ]")
        pointers, before = [f"%p{axis}_{k}" for k in range(count)], f"axis{axis}"
    for k in sorted(read - written):
        if k not in loaded and arrays[k].axes[-1] == "0":
            load(k, pointers[k])
    code.put("br label %inner")
    code.lines.append("inner:")
    code.put(f"%i = phi i64 [ 0, %{before} ], [ %next, %inner ]")

    def place(k: int) -> str:
        x, step = arrays[k], arrays[k].axes[-1]
        pointer = pointers[k if x.base < 0 else x.base]
        if step == "s":
            return code.let(
                f"getelementptr inbounds i8, ptr {pointer}, i64 {code.let(f'mul i64 %i, {strides[k, inner]}')}"
            )
        index = "%i" if step == "c" else code.let(f"mul nuw nsw i64 %i, {step}")
        if x.offset:
            index = code.let(f"add nsw i64 {index}, {x.offset}")
        return code.let(f"getelementptr inbounds {_TYPES[x.dtype]}, ptr {pointer}, i64 {index}")

    places = {k: place(k) for k in sorted(read | written) if k not in loaded}
    for k in sorted(read):
        if k not in loaded:
            load(k, places[k], ", !llvm.access.group !0")
    results: list[str] = []
    for e in nest.equations:
        given = []
        for x in e.operands:
            value = loaded[x.source] if x.source >= 0 else results[-1 - x.source]
            dtype = arrays[x.source].dtype if x.source >= 0 else nest.equations[-1 - x.source].dtype
            given.append(_convert(code, x.seen, x.used, _see(code, dtype, x.seen, value)))
        results.append(OPERATIONS[e.name](code, e.operands[0].used, given))
    for result, e in zip(results, nest.equations, strict=True):
        if e.target >= 0:
            stored = code.let(f"zext i1 {result} to i8") if e.dtype == "bool" else result
            size = np.dtype(e.dtype).itemsize
            code.put(f"store {_TYPES[e.dtype]} {stored}, ptr {places[e.target]}, align {size}, !llvm.access.group !0")
    code.put("%next = add nuw nsw i64 %i, 1")
    code.put(f"%done = icmp eq i64 %next, {lengths[inner]}")
    after = [*("end" if axis == 0 else f"latch{axis - 1}" for axis in range(rank))]
    code.put(f"br i1 %done, label %{after[inner]}, label %inner, !llvm.loop !1")
    for axis in range(inner - 1, -1, -1):
        code.lines.append(f"latch{axis}:")
        for k in range(count):
            code.put(f"%q{axis}_{k} = getelementptr i8, ptr %p{axis}_{k}, i64 {strides[k, axis]}")
        code.put(f"%next{axis} = add nuw nsw i64 %i{axis}, 1")
        code.put(f"%done{axis} = icmp eq i64 %next{axis}, {lengths[axis]}")
        code.put(f"br i1 %done{axis}, label %{after[axis]}, label %axis{axis}")
    return code.intrinsics, [
        # Copies stay loops: rows are too short for a call of the C library.
        f'define internal void @{name}(ptr %entry, i64 %image, i64 %chunk) nounwind "no-builtins" {{',
        "start:",
        *code.lines,
        "end:",
        "  ret void",
        "}",
    ]


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


def module(nests: tuple[Nest, ...]) -> str:
    """Return the module of some nests in LLVM's language.

    It has one function, ``void loop(ptr table, ptr counts, ptr unused)``; all numbers are 64 bits wide. `counts` are
    the numbers of entries, of images, and of chunks of each image, each at least 1. An entry of the table: the number
    of its nest; how many numbers the entry has; of each array the address in the first chunk, then by how many bytes
    it moves from image to image, then from chunk to chunk, then its strides; the lengths of the axes, at least 1.
    """
    declared: set[str] = set()
    lines: list[str] = []
    for k, nest in enumerate(nests):
        more, function = _nest(f"nest{k}", nest)
        declared |= more
        lines += function
    cases = " ".join(f"i64 {k}, label %call{k}" for k in range(len(nests)))
    calls = "\n".join(
        f"call{k}:\n  call void @nest{k}(ptr %entry, i64 %image, i64 %chunk)\n  br label %made"
        for k in range(len(nests))
    )
    # No element depends on another (`kernels` sees to it), which lets LLVM use vectors.
    facts = ["!0 = distinct !{}", "!1 = distinct !{!1, !2}", '!2 = !{!"llvm.loop.parallel_accesses", !0}', ""]
    return "\n".join([*sorted(declared), *lines, _DRIVER.replace("CASES", cases).replace("CALLS", calls), *facts])
