"""Matrix products without BLAS: the right matrix packed into panels, tiles of the result in registers.

For compiled loops alone, as `direct` is, and for the same reason: NumPy has no call that does it. BLAS packs both
matrices and divides a product of few rows badly among cores; here each lane has columns of its own and packs what it
reads of them, a panel at a time, which stays in a second-level cache while it meets all rows.

What does not belong here: products of more than two axes, and machine code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy.contraction import contract
from symgraph.backends.numpy.kernel_plan import Array, Carve, KernelPlan, StagedPlan, Step
from symgraph.backends.numpy.threads import ranges, worker_count

__all__ = ["BlasProduct", "PackedProduct", "pays"]

#: Columns of a panel, and what the number of columns must be a multiple of.
WIDTH, PART = 32, 16
#: Bytes of rows of the left matrix that meet a panel: half of a second-level cache.
ROWS_BYTES = 1 << 19
#: Multiplications from which on, rows from which on, and sums and chunks of rows up to which a product is faster like
#: this (by `benchmarks/ways.py`): with more chunks a panel would be packed too often.
PRODUCTS, ROWS, DEPTH, CHUNKS = 1 << 20, 16, 1 << 12, 2
#: Elements between rows that a cache would keep in the same place: copies of rows lie a little farther apart.
APART = 16


def pays(left: Sequence[int], right: Sequence[int], dtype: npt.DTypeLike) -> bool:
    """Return whether a product of matrices of these shapes is computed faster like this."""
    if len(left) != 2 or len(right) != 2 or np.dtype(dtype).char not in "fd":
        return False
    (m, k), n = left, right[1]
    few = _chunks(m, k, np.dtype(dtype).itemsize) <= CHUNKS
    return n % PART == 0 and m >= ROWS and 0 < k <= DEPTH and m * n * k >= PRODUCTS and few


def _chunks(m: int, k: int, itemsize: int) -> int:
    return -(-m * k * itemsize // ROWS_BYTES)


class BlasProduct(KernelPlan):
    """A product by BLAS."""

    def usable(self, position: int, x: Array) -> bool:
        """Any layout of an operand: `matmul` copies what BLAS cannot read."""
        return position < 2 or bool(x.flags.c_contiguous)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return the call."""
        return [(np.matmul, (*operands, out))]


class PackedProduct(StagedPlan):
    """``(M, K)`` times ``(K, N)``. Scratch of each lane: ``rows`` of the left matrix, and a ``panel`` of the right."""

    def __init__(self, left: Sequence[int], right: Sequence[int], dtype: npt.DTypeLike) -> None:
        (m, k), n = left, right[1]
        super().__init__(dtype, BlasProduct((left, right), (m, n), dtype))
        self.chunks = ranges(m, _chunks(m, k, self.compute.itemsize))
        self.lanes = ranges(n // PART, min(worker_count(), -(-n // WIDTH)))
        longest = max(end - begin for begin, end in self.chunks)
        for lane in range(len(self.lanes)):
            self.own.reserve(f"rows {lane}", (max(longest * (k + APART), k * (longest + APART)),), self.compute)
            self.own.reserve(f"panel {lane}", (k * WIDTH,), self.compute)
        self.reserved()

    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps of the lanes."""
        left, right = operands
        return [[list(self._lane(lane, left, right, out, own)) for lane in range(len(self.lanes))]]

    def _lane(self, lane: int, left: Array, right: Array, out: Array, carve: Carve) -> Iterator[Step]:
        first, last = (PART * n for n in self.lanes[lane])
        depth = left.shape[1]
        for begin, end in self.chunks:
            source = left[begin:end]
            # Rows of the copy lie along the axis along which the matrix lies.
            along = 1 if abs(source.strides[1]) <= abs(source.strides[0]) else 0
            lying = source if along else source.T
            flat = carve(f"rows {lane}")[: lying.shape[0] * (lying.shape[1] + APART)]
            rows = flat.reshape(lying.shape[0], -1)[:, : lying.shape[1]]
            yield np.copyto, (rows, lying)
            rows = rows if along else rows.T
            for start in range(first, last, WIDTH):
                columns = slice(start, min(start + WIDTH, last))
                width = columns.stop - columns.start
                panel = carve(f"panel {lane}")[: depth * width].reshape(depth, width)
                yield np.copyto, (panel, right[:, columns])
                yield contract, (rows[np.newaxis], panel, out[np.newaxis, begin:end, columns], False)
