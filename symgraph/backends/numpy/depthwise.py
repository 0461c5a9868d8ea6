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

#: Bytes of phases in a block of channels.
BLOCK_BYTES = 1 << 18


def applies(g: Geometry) -> bool:
    """Return whether a convolution has one filter for each channel, which sees this channel alone."""
    return g.groups == g.channels == g.filters > 1 and g.taps > 1 and g.images > 0


class ShiftedProducts(KernelPlan):
    """The result from data and weight.

    A padded image is cut into its *phases*, the elements whose indices are the same modulo the stride: windows next to
    each other then read elements next to each other, whatever the stride. Each phase is gone through as one row, since
    rows of an image are too short to be fast; so there are sums, too, where a window would reach over the end of a row,
    and these nobody reads. Scratch of each lane: ``phases``, and for each channel ``sums`` and the product of a tap.
    """

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(operands, result, dtype)
        self.g = g
        padded = [n + low + high for n, low, high in zip(g.size, g.pad, g.high, strict=True)]
        #: Shape of a phase, and its elements from the first window's to the last one's.
        self.phase = tuple(-(-n // s) for n, s in zip(padded, g.stride, strict=True))
        self.length = 1 + int(np.ravel_multi_index([n - 1 for n in g.windows], self.phase))
        phases = math.prod(g.stride) * math.prod(self.phase)
        self.most = max(1, min(g.channels, BLOCK_BYTES // (phases * self.compute.itemsize)))
        self.lanes = min(worker_count(), g.images * -(-g.channels // self.most))
        for lane in range(self.lanes):
            self.scratch.reserve(f"phases {lane}", (self.most, *g.stride, *self.phase), self.compute)
            self.scratch.reserve(f"sums {lane}", (2, self.most, self.length), self.compute)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return one call: of all images, all blocks of channels."""
        g = self.g
        x, weight = operands
        x, y = x.reshape(g.images, g.channels, *g.size), out.reshape(g.images, g.channels, *g.windows)
        factors = np.broadcast_to(weight.reshape(g.channels, g.taps), (g.images, g.channels, g.taps))

        def make(lane: int, x: Array, factors: Array, y: Array) -> list[Step]:
            count = x.shape[1]
            phases, (sums, product) = carve(f"phases {lane}")[:count], carve(f"sums {lane}")[:, :count]
            return [
                step for one in zip(x, factors, y, strict=True) for step in self._channels(*one, phases, sums, product)
            ]

        cells = list(itertools.product(range(g.images), ranges(g.channels, -(-g.channels // self.most))))
        lanes = [
            [
                step
                for image, (first, last) in cells[begin:end]
                for step in make(lane, *(v[image : image + 1, first:last] for v in (x, factors, y)))
            ]
            for lane, (begin, end) in enumerate(ranges(len(cells), self.lanes))
        ]
        plain = parallel([chain(steps) for steps in lanes])
        return [(Planewise(plain, (x, factors, y), make, axes=2, lanes=self.lanes, most=self.most), ())]

    def _channels(self, x: Array, factors: Array, y: Array, phases: Array, sums: Array, product: Array) -> list[Step]:
        """Return the calls for some channels of an image."""
        g = self.g
        steps: list[Step] = [(phases.fill, (0,))] if g.padded else []
        for phase in itertools.product(*map(range, g.stride)):
            first = [max(0, -((r - p) // s)) for r, p, s in zip(phase, g.pad, g.stride, strict=True)]
            begin = [r + s * k - p for r, p, s, k in zip(phase, g.pad, g.stride, first, strict=True)]
            source = x[trailing(*(slice(b, None, s) for b, s in zip(begin, g.stride, strict=True)))]
            there = tuple(slice(k, k + n) for k, n in zip(first, source.shape[1:], strict=True))
            if source.size:
                steps.append((np.copyto, (phases[trailing(*phase, *there)], source)))
        rows = phases.reshape(*phases.shape[: 1 + len(g.stride)], -1)
        for k, tap in enumerate(itertools.product(*map(range, g.kernel))):
            at = [divmod(t * d, s) for t, d, s in zip(tap, g.dilate, g.stride, strict=True)]
            begin_at = int(np.ravel_multi_index([n for n, _ in at], self.phase))
            source = rows[trailing(*(r for _, r in at), slice(begin_at, begin_at + self.length))]
            steps.append((np.multiply, (source, factors[:, k, np.newaxis], product if k else sums)))
            if k:
                steps.append((np.add, (sums, product, sums)))
        strides = sums.strides[1] * np.array([math.prod(self.phase[k + 1 :]) for k in range(len(self.phase))])
        steps.append((np.copyto, (y, as_strided(sums, y.shape, (sums.strides[0], *map(int, strides))))))
        return steps
