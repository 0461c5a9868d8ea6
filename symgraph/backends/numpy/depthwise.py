"""Depthwise convolution as a sum of shifted products: for each tap, data times one weight of the channel.

Its steps are element-wise, so compiled they are one nest of loops that reads the data once, where unfolding writes and
reads each element as often as the kernel has taps. NumPy alone is faster with products of unfolded data; hence this is
for those who ask for it (see the pass ``convolution``): BLAS may add in another order.

What does not belong here: other convolutions, and the gradients of this one (`convolution`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from symgraph.backends.numpy.kernel_plan import Array, Carve, KernelPlan, Planewise, Step, chain
from symgraph.backends.numpy.threads import parallel, ranges, worker_count
from symgraph.backends.numpy.unfolding import Geometry, trailing

__all__ = ["ShiftedProducts", "applies"]

#: Bytes of padded data in a block of channels.
BLOCK_BYTES = 1 << 18


def applies(g: Geometry) -> bool:
    """Return whether a convolution has one filter for each channel, which sees this channel alone."""
    return g.groups == g.channels == g.filters > 1 and g.taps > 1 and g.images > 0


class ShiftedProducts(KernelPlan):
    """The result from data and weight.

    Scratch of each lane: ``padded`` data, and the ``product`` of one tap, with the sums if they are not made in place.
    """

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(operands, result, dtype)
        self.g = g
        self.padded = tuple(n + low + high for n, low, high in zip(g.size, g.pad, g.high, strict=True))
        self.most = max(1, min(g.channels, BLOCK_BYTES // (math.prod(self.padded) * self.compute.itemsize)))
        self.blocks = ranges(g.channels, -(-g.channels // self.most))
        self.lanes = min(worker_count(), len(self.blocks))
        #: Whether the padded image is gone through as one row. Then there are results where a window would reach over
        #: the end of a row, too, which nobody reads; but rows of an image are too short to be fast.
        self.flat = set(g.stride) == {1}
        #: Results of that row, up to the last window's.
        self.length = 1 + int(np.ravel_multi_index([n - 1 for n in g.windows], self.padded))
        for lane in range(self.lanes):
            self.scratch.reserve(f"padded {lane}", (self.most, *self.padded), self.compute)
            shape = (2, self.length) if self.flat else (1, *g.windows)
            self.scratch.reserve(f"product {lane}", (self.most, *shape), self.compute)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return the calls: for each image, all blocks of channels."""
        g = self.g
        x, weight = operands
        x, y = x.reshape(g.images, g.channels, *g.size), out.reshape(g.images, g.channels, *g.windows)
        factors = weight.reshape(g.channels, g.taps)

        def make(lane: int, x: Array, factors: Array, y: Array) -> list[Step]:
            return self._channels(x, factors, y, carve(f"padded {lane}")[: len(x)], carve(f"product {lane}")[: len(x)])

        steps: list[Step] = []
        for image in range(g.images):
            arrays = (x[image], factors, y[image])
            lanes = [
                chain([s for begin, end in self.blocks[a:b] for s in make(lane, *(v[begin:end] for v in arrays))])
                for lane, (a, b) in enumerate(ranges(len(self.blocks), self.lanes))
            ]
            steps.append((Planewise(parallel(lanes), arrays, make, lanes=self.lanes, most=self.most), ()))
        return steps

    def _channels(self, x: Array, factors: Array, y: Array, padded: Array, product: Array) -> list[Step]:
        g = self.g
        inside = tuple(slice(low, low + n) for n, low in zip(g.size, g.pad, strict=True))
        steps: list[Step] = [(np.copyto, (padded[trailing(*inside)], x))]
        if g.padded:
            steps.insert(0, (padded.fill, (0,)))
        flat = padded.reshape(len(padded), -1)
        sums = product[:, 1] if self.flat else y
        for k, tap in enumerate(itertools.product(*map(range, g.kernel))):
            first = [t * d for t, d in zip(tap, g.dilate, strict=True)]
            if self.flat:
                begin = int(np.ravel_multi_index(first, self.padded))
                source, factor = flat[:, begin : begin + self.length], factors[:, k, np.newaxis]
            else:
                there = [slice(f, f + (n - 1) * s + 1, s) for f, n, s in zip(first, g.windows, g.stride, strict=True)]
                source = padded[trailing(*there)]
                factor = factors[(slice(None), k, *[np.newaxis] * len(g.size))]
            if k == 0:
                steps.append((np.multiply, (source, factor, sums)))
            else:
                steps.append((np.multiply, (source, factor, product[:, 0])))
                steps.append((np.add, (sums, product[:, 0], sums)))
        if self.flat:
            strides = (product.strides[0], *padded.strides[1:])
            steps.append((np.copyto, (y, as_strided(sums, y.shape, strides))))
        return steps
