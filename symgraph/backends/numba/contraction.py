"""Sums of products in LLVM's language: tiles of results in registers; see `symgraph.backends.numpy.contraction`.

A tile has so many vectors along `f`, and for each of some rows and columns one accumulator for each vector. For every
`k` it loads the vectors once, each element of the source once, and multiplies all pairs: with 28 accumulators of 16
elements that is 28 instructions that compute for 16 that load: what counts is how many products the machine can make.

Where the elements of the source are, relative to the first, is a table of offsets, the same for all tiles. So windows
may have any strides and kernels any number of axes.

What does not belong here: how memory is laid out so that this is fast (`symgraph.backends.numpy.direct`).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from symgraph.backends.numba.compiler import registers
from symgraph.backends.numba.forms import _TYPES, Unsupported
from symgraph.backends.numpy.kernel_plan import Array

__all__ = ["Tile", "tiles"]

#: Vectors of a tile at most. Two, each with many rows, is best where loads of single elements are for free.
_VECTORS = 2
#: Bytes from which on vectors lie far apart.
_FAR = 1 << 10


@dataclass(frozen=True)
class Tile:
    """Loops around a tile.

    An entry of the table has these numbers, in bytes where they are distances: addresses of source, vectors and result;
    how many `k` there are; the address of the table of offsets; how far apart the vectors of one `k` and the next are;
    how far apart in the source are rows; in the result rows, and columns; then for each loop, the outermost first, how
    often it runs, and how far source, vectors and result then move.

    Attributes
    ----------
    dtype
        Type of all elements.
    lanes
        Elements of a vector.
    vectors, rows, columns
        What a tile has.
    step
        Bytes between neighbouring columns in the source.
    more
        Whether sums are added to what the result holds.
    fused
        Whether product and sum are one instruction, which rounds once.
    ahead
        Whether to fetch the vectors of the next tile: those of one tile lie so far apart that the machine does not see
        what comes next.
    loops
        Number of loops.
    """

    dtype: str
    lanes: int
    vectors: int
    rows: int
    columns: int
    step: int
    more: bool
    fused: bool
    ahead: bool
    loops: int

    def lines(self, name: str) -> list[str]:
        """Return the function."""
        lines: list[str] = [f"define internal void @{name}(ptr %entry, i64 %image, i64 %chunk) nounwind {{", "start:"]
        put = lines.append
        t, vector = _TYPES[self.dtype], self.vector
        size = np.dtype(self.dtype).itemsize
        names = ["source", "vectors", "out", "count", "table", "hop", "row", "out_row", "out_column"]
        names += [f"{what}{axis}" for axis in range(self.loops) for what in ("length", "ds", "dv", "do")]
        for place, what in enumerate(names):
            put(f"  %{what}_at = getelementptr i64, ptr %entry, i64 {2 + place}")
            kind = "ptr" if what in ("source", "vectors", "out", "table") else "i64"
            put(f"  %{what} = load {kind}, ptr %{what}_at")
        pointers = {"source": "%source", "vectors": "%vectors", "out": "%out"}
        before = "start"
        for axis in range(self.loops):
            put(f"  br label %axis{axis}")
            put(f"axis{axis}:")
            put(f"  %i{axis} = phi i64 [ 0, %{before} ], [ %next{axis}, %latch{axis} ]")
            for what, pointer in pointers.items():
                put(f"  %{what}_{axis} = phi ptr [ {pointer}, %{before} ], [ %{what}_next{axis}, %latch{axis} ]")
            pointers = {what: f"%{what}_{axis}" for what in pointers}
            before = f"axis{axis}"
        places = list(itertools.product(range(self.rows), range(self.columns)))
        # -- results that are there already
        for number, (r, c) in enumerate(places):
            put(f"  %or{number} = mul i64 %out_row, {r}")
            put(f"  %oc{number} = mul i64 %out_column, {c}")
            put(f"  %oo{number} = add i64 %or{number}, %oc{number}")
            put(f"  %op{number}_0 = getelementptr i8, ptr {pointers['out']}, i64 %oo{number}")
            for v in range(1, self.vectors):
                put(f"  %op{number}_{v} = getelementptr {vector}, ptr %op{number}_0, i64 {v}")
            if self.more:
                for v in range(self.vectors):
                    put(f"  %first{number}_{v} = load {vector}, ptr %op{number}_{v}, align {size}")
        rows = [pointers["source"]]
        for r in range(1, self.rows):
            put(f"  %row{r} = getelementptr i8, ptr {rows[-1]}, i64 %row")
            rows.append(f"%row{r}")
        put("  br label %sum")
        put("sum:")
        put(f"  %k = phi i64 [ 0, %{before} ], [ %next_k, %sum ]")
        put(f"  %v = phi ptr [ {pointers['vectors']}, %{before} ], [ %next_v, %sum ]")
        for number, v in itertools.product(range(len(places)), range(self.vectors)):
            first = f"%first{number}_{v}" if self.more else "zeroinitializer"
            put(f"  %a{number}_{v} = phi {vector} [ {first}, %{before} ], [ %b{number}_{v}, %sum ]")
        put("  %offset_at = getelementptr i32, ptr %table, i64 %k")
        put("  %offset32 = load i32, ptr %offset_at")
        put("  %offset = sext i32 %offset32 to i64")
        for v in range(self.vectors):
            put(f"  %v{v}_at = getelementptr {vector}, ptr %v, i64 {v}")
            put(f"  %v{v} = load {vector}, ptr %v{v}_at, align {size}")
            if self.ahead:
                put(f"  %ahead{v} = getelementptr {vector}, ptr %v, i64 {self.vectors + v}")
                put(f"  call void @llvm.prefetch.p0(ptr %ahead{v}, i32 0, i32 3, i32 1)")
        for r, row in enumerate(rows):
            put(f"  %at{r} = getelementptr i8, ptr {row}, i64 %offset")
        for number, (r, c) in enumerate(places):
            put(f"  %x{number}_at = getelementptr i8, ptr %at{r}, i64 {c * self.step}")
            put(f"  %x{number}_one = load {t}, ptr %x{number}_at, align {size}")
            put(f"  %x{number}_first = insertelement {vector} poison, {t} %x{number}_one, i32 0")
            put(
                f"  %x{number} = shufflevector {vector} %x{number}_first, {vector} poison, "
                f"<{self.lanes} x i32> zeroinitializer"
            )
            for v in range(self.vectors):
                if self.fused:
                    operands = f"{vector} %x{number}, {vector} %v{v}, {vector} %a{number}_{v}"
                    put(f"  %b{number}_{v} = call {vector} @{self._fma}({operands})")
                else:
                    put(f"  %p{number}_{v} = fmul {vector} %x{number}, %v{v}")
                    put(f"  %b{number}_{v} = fadd {vector} %a{number}_{v}, %p{number}_{v}")
        put("  %next_k = add nuw nsw i64 %k, 1")
        put("  %next_v = getelementptr i8, ptr %v, i64 %hop")
        put("  %done_k = icmp eq i64 %next_k, %count")
        put("  br i1 %done_k, label %store, label %sum")
        put("store:")
        for number, v in itertools.product(range(len(places)), range(self.vectors)):
            put(f"  store {vector} %b{number}_{v}, ptr %op{number}_{v}, align {size}")
        put(f"  br label %{f'latch{self.loops - 1}' if self.loops else 'end'}")
        for axis in range(self.loops - 1, -1, -1):
            put(f"latch{axis}:")
            for what, move in (("source", "ds"), ("vectors", "dv"), ("out", "do")):
                put(f"  %{what}_next{axis} = getelementptr i8, ptr %{what}_{axis}, i64 %{move}{axis}")
            put(f"  %next{axis} = add nuw nsw i64 %i{axis}, 1")
            put(f"  %done{axis} = icmp eq i64 %next{axis}, %length{axis}")
            put(f"  br i1 %done{axis}, label %{f'latch{axis - 1}' if axis else 'end'}, label %axis{axis}")
        return [*lines, "end:", "  ret void", "}"]

    @property
    def vector(self) -> str:
        """LLVM's type of a vector."""
        return f"<{self.lanes} x {_TYPES[self.dtype]}>"

    @property
    def _fma(self) -> str:
        return f"llvm.fma.v{self.lanes}f{8 * np.dtype(self.dtype).itemsize}"

    @property
    def declarations(self) -> set[str]:
        """What the function calls."""
        found: set[str] = set()
        if self.fused:
            found.add(f"declare {self.vector} @{self._fma}({', '.join([self.vector] * 3)})")
        if self.ahead:
            found.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        return found


@functools.lru_cache(maxsize=256)
def _offsets(lengths: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """Return where the elements of an array are, in bytes from the first, in the order of its axes."""
    offsets = np.zeros(1, np.int64)
    for n, s in zip(lengths, strides, strict=True):
        offsets = np.add.outer(offsets, np.arange(n) * s).reshape(-1)
    if abs(offsets).max(initial=0) >= 1 << 31:
        raise Unsupported("an array of more than 2 GiB is left to NumPy")
    return offsets.astype(np.int32)


def _even(lengths: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return how far apart neighbouring elements are, in the order of the axes."""
    axes = [(n, s) for n, s in zip(lengths, strides, strict=True) if n > 1]
    for (_, outer), (n, inner) in itertools.pairwise(axes):
        if outer != n * inner:
            raise Unsupported("vectors that lie unevenly are left to NumPy")
    return axes[-1][1] if axes else 0


def _cut(length: int, most: int) -> Iterator[tuple[int, int, int]]:
    """Cut a length in pieces of nearly equal size: yield of each size where it begins, how often it comes, and it."""
    pieces = -(-length // most)
    size, larger = divmod(length, pieces)
    if larger:
        yield 0, larger, size + 1
    if larger < pieces:
        yield larger * (size + 1), pieces - larger, size


def tiles(source: Array, vectors: Array, out: Array, more: bool) -> Iterator[tuple[Tile, list[int], list[Array]]]:
    """Yield what a call of `contract` is made of: a tile with its loops, its entry's numbers, what they refer to.

    Raises
    ------
    Unsupported
        If the call cannot be made like this, saying why.
    """
    dtype, size = out.dtype, out.itemsize
    if {source.dtype, vectors.dtype, dtype} not in ({np.dtype(np.float32)}, {np.dtype(np.float64)}):
        raise Unsupported(f"products of {dtype} are left to NumPy")
    if not all(x.flags.aligned for x in (source, vectors, out)):
        raise Unsupported("an array is not aligned")
    batch = out.ndim - 3
    width, count, fused = registers()
    lanes = width // size
    if vectors.strides[-1] != size or out.strides[-1] != size or out.shape[-1] % lanes:
        raise Unsupported("vectors that are not whole are left to NumPy")
    reduced, hops = source.shape[batch + 2 :], source.strides[batch + 2 :]
    offsets = _offsets(reduced, hops)
    hop = _even(vectors.shape[batch:-1], vectors.strides[batch:-1])
    rows, columns, elements = out.shape[batch:]
    row, column = source.strides[batch : batch + 2]
    out_row, out_column = out.strides[batch : batch + 2]
    outer = [
        (n, s, v, o)
        for n, s, v, o in zip(out.shape, source.strides, vectors.strides[:batch], out.strides, strict=False)
        if n > 1
    ]
    base = [x.__array_interface__["data"][0] for x in (source, vectors, out)]
    for first_f, count_f, vectors_f in _cut(elements // lanes, _VECTORS):
        # Two registers hold elements of the source on their way.
        places = max(1, (count - vectors_f - 2) // vectors_f)
        for first_c, count_c, c in _cut(columns, places):
            for first_r, count_r, r in _cut(rows, max(1, places // c)):
                loops = [
                    *outer,
                    (count_f, 0, vectors_f * width, vectors_f * width),
                    (count_r, r * row, 0, r * out_row),
                    (count_c, c * column, 0, c * out_column),
                ]
                loops = [loop for loop in loops if loop[0] > 1]
                numbers = [
                    base[0] + first_r * row + first_c * column,
                    base[1] + first_f * width,
                    base[2] + first_f * width + first_r * out_row + first_c * out_column,
                    math.prod(reduced),
                    offsets.__array_interface__["data"][0],
                    hop,
                    row,
                    out_row,
                    out_column,
                    *itertools.chain.from_iterable(loops),
                ]
                ahead = abs(hop) >= _FAR
                tile = Tile(dtype.name, lanes, vectors_f, r, c, column, more, fused, ahead, len(loops))
                yield tile, numbers, [source, vectors, out, offsets]
