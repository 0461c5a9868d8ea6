"""Pooling in NumPy: the greatest element or the sum of each window, and the transposes of both.

Layouts: data ``(N, C, *spatial)``, result ``(N, C, *windows)``, with one to three spatial axes. Padding is given for
both ends of each axis, ``(low, high)``, so that a last, incomplete window is some more padding after the data. It adds
nothing to a sum and never wins: a window wholly in the padding has sum 0 and, as in MXNet, the lowest finite number
as its greatest element. NaN loses against every number, as in MXNet; a zero that wins becomes positive. Averages and
norms are sums with arithmetic before and after, and so are made of the same parts.

Plans are made from shapes alone; see `symgraph.backends.numpy.kernel_plan` for what a plan is. How they compute:

* Maximum and sum are separable: one pass for each axis, each a few calls that combine shifted views of whole planes.
  The first pass goes along rows of windows, so that its calls run over whole rows, and shrinks what strided calls see.
* The gradient of the maximum goes to the *first* greatest element of a window, in the order of the window's elements,
  as in MXNet. Taps are compared with the result one after the other; a mask remembers which windows are still open.
  Data and results are laid out so that each of these calls is one run over whole planes (see `_ArgMax`).
* Large arrays are cut into blocks of planes that fit a cache, spread over the workers.

What does not belong here: pooling conventions, divisors, shape rules: the operator's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy.kernel_plan import Array, Carve, KernelPlan, Planewise, Step, chain
from symgraph.backends.numpy.threads import parallel, ranges, worker_count
from symgraph.backends.numpy.unfolding import Geometry, trailing

__all__ = ["plan_forward", "plan_gather", "plan_gradient"]

#: Bytes of data in a block of planes.
BLOCK_BYTES = 1 << 20

Pads = Sequence[tuple[int, int]]


def _lowest(dtype: np.dtype[Any]) -> int | float:
    return float(np.finfo(dtype).min) if dtype.kind == "f" else int(np.iinfo(dtype).min)


class _PoolingPlan(KernelPlan):
    """What the plans share: planes of all images and channels in one axis, cut into blocks for the workers."""

    #: Blocks that must be there for each worker, else there are fewer workers.
    blocks_a_lane = 2

    def __init__(
        self,
        data: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        pad: Pads,
        dtype: npt.DTypeLike,
        operands: Callable[[tuple[int, ...], tuple[int, ...]], Sequence[tuple[int, ...]]],
    ) -> None:
        """`operands` gives the shapes of the arrays to bind from those of the data and of the pooled result."""
        size, kernel, stride = tuple(data[2:]), tuple(kernel), tuple(stride)
        low, high = tuple(before for before, _ in pad), tuple(after for _, after in pad)
        if len(size) == 1:
            size, kernel, stride, low, high = (1, *size), (1, *kernel), (1, *stride), (0, *low), (0, *high)
        self.g = Geometry(data[0], data[1], data[1], data[1], size, kernel, stride, (1,) * len(size), low, high)
        self.rank = len(size)
        shapes = operands(tuple(data), (*data[:2], *self.g.windows[len(size) - len(data) + 2 :]))
        super().__init__(shapes[:-1], shapes[-1], dtype)
        self.planes = data[0] * data[1]
        plane = math.prod(size) * self.compute.itemsize
        self.blocks = ranges(self.planes, -(-self.planes * plane // BLOCK_BYTES)) if self.planes else []
        self.lanes = min(worker_count(), len(self.blocks) // self.blocks_a_lane) or 1

    def reserve(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike | None = None) -> None:
        """Set scratch aside for each lane: an array of that shape for each plane of a block."""
        planes = max((end - begin for begin, end in self.blocks), default=0)
        for lane in range(self.lanes):
            self.scratch.reserve(f"{name} {lane}", (planes, *shape), dtype or self.compute)

    def data(self, x: Array) -> Array:
        """View data as (planes, *size)."""
        return x.reshape(self.planes, *self.g.size)

    def result(self, y: Array) -> Array:
        """View a result as (planes, *windows)."""
        return y.reshape(self.planes, *self.g.windows)

    def by_blocks(self, block_steps: Callable[..., list[Step]], arrays: Sequence[Array], carve: Carve) -> list[Step]:
        """Return the steps that ``block_steps(own, *arrays)`` returns for each block of planes, spread over lanes."""
        if not self.blocks:
            return []

        def make(lane: int, *pieces: Array) -> list[Step]:
            def own(name: str) -> Array:
                return carve(f"{name} {lane}")[: len(pieces[0])]

            return block_steps(own, *pieces)

        lanes = [
            chain(
                [step for begin, end in self.blocks[first:last] for step in make(lane, *(x[begin:end] for x in arrays))]
            )
            for lane, (first, last) in enumerate(ranges(len(self.blocks), self.lanes))
        ]
        most = max(end - begin for begin, end in self.blocks)
        return [(Planewise(parallel(lanes), arrays, make, lanes=self.lanes, most=most), ())]

    def axis_taps(self, axis: int) -> list[tuple[slice, slice]]:
        """Return, for each tap along `axis`, the elements it reads and the windows for which it reads them.

        Taps that read for all windows come first.
        """
        g = self.g
        taps = []
        for tap in range(g.kernel[axis]):
            low, high = g.valid(axis, tap)
            if low < high:
                first, step = tap - g.pad[axis], g.stride[axis]
                taps.append((slice(low * step + first, (high - 1) * step + first + 1, step), slice(low, high)))
        return sorted(taps, key=lambda tap: tap[1].stop - tap[1].start < g.windows[axis])

    def passes(self) -> list[int]:
        """Return the axes along which there is something to do."""
        g = self.g
        return [a for a in range(self.rank) if g.kernel[a] > 1 or g.stride[a] > 1 or g.pad[a] or g.high[a]]


class _Reduction(_PoolingPlan):
    """The maximum or the sum of each window. Scratch: ``pass <axis>``, the result of all passes but the last."""

    def __init__(
        self,
        data: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        pad: Pads,
        dtype: npt.DTypeLike,
        combine: np.ufunc,
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, lambda x, y: (x, y))
        self.combine = combine
        #: What a window without elements gives.
        self.empty = 0 if combine is np.add else _lowest(self.compute)
        #: Whether there is one window, all of the data.
        self.whole = self.g.kernel == self.g.size and not self.g.padded and self.planes > 0
        if not self.whole:
            for axis in self.passes()[:-1]:
                self.reserve(f"pass {axis}", (*self.g.windows[: axis + 1], *self.g.size[axis + 1 :]))

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        x, y = self.data(operands[0]), self.result(out)
        if self.whole:
            x, y = x.reshape(self.planes, -1), y.reshape(self.planes)
            if self.combine is np.add:
                # A product with ones, row by row, is faster than a sum over a short axis, and as exact.
                return [(np.vecdot, (x, np.ones(x.shape[1], x.dtype), y))]
            return [(self.combine.reduce, (x, -1, None, y)), *self._settled(y)]
        axes = self.passes()
        if not axes:
            return [(np.copyto, (y, x)), *self._settled(y)]

        def block_steps(own: Carve, x: Array, y: Array) -> list[Step]:
            steps: list[Step] = []
            for axis in axes:
                target = y if axis == axes[-1] else own(f"pass {axis}")
                steps += self._pass(axis, x, target)
                x = target
            return [*steps, *self._settled(y)]

        return self.by_blocks(block_steps, (x, y), carve)

    def _settled(self, y: Array) -> list[Step]:
        """Return the calls that make zeros positive: which of two zeros `fmax` takes depends on where they lie."""
        return [(np.add, (y, self.compute.type(0), y))] if self.combine is np.fmax and self.compute.kind == "f" else []

    def _pass(self, axis: int, x: Array, y: Array) -> list[Step]:
        lead = (slice(None),) * (axis + 1)
        taps = [(x[(*lead, read)], y[(*lead, windows)]) for read, windows in self.axis_taps(axis)]
        steps: list[Step] = []
        covering = [k for k, (_, there) in enumerate(taps) if there.shape == y.shape]
        if len(covering) > 1:
            steps.append((self.combine, (taps[0][0], taps[1][0], y)))
        elif covering:
            steps.append((np.copyto, (y, taps[0][0])))
        else:
            steps.append((y.fill, (self.empty,)))
        return steps + [(self.combine, (there, read, there)) for read, there in taps[min(2, len(covering)) :]]


class _SumGradient(_PoolingPlan):
    """Head gradients added to all elements of their windows. Scratch: ``pass <axis>``, gradients of partial sums."""

    def __init__(
        self, data: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Pads, dtype: npt.DTypeLike
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, lambda x, y: (y, x))
        g = self.g
        self.whole = g.kernel == g.size and not g.padded
        self.axes = self.passes()[::-1]
        if not self.whole:
            for axis in self.axes[:-1]:
                self.reserve(f"pass {axis}", (*g.windows[:axis], *g.size[axis:]))

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return the calls: along each axis, one for each tap."""
        dy, dx = self.result(operands[0]), self.data(out)
        if self.whole or not self.axes:
            return [(np.copyto, (dx, dy))]

        def block_steps(own: Carve, dy: Array, dx: Array) -> list[Step]:
            steps: list[Step] = []
            for axis in self.axes:
                target = dx if axis == self.axes[-1] else own(f"pass {axis}")
                steps += self._pass(axis, dy, target)
                dy = target
            return steps

        return self.by_blocks(block_steps, (dy, dx), carve)

    def _pass(self, axis: int, dy: Array, dx: Array) -> list[Step]:
        step = self.g.stride[axis]
        lead = (slice(None),) * (axis + 1)
        # The first tap of each phase meets only zeros.
        fresh: set[int] = set()
        covered = 0
        steps: list[Step] = []
        for read, windows in self.axis_taps(axis):
            there, head = dx[(*lead, read)], dy[(*lead, windows)]
            if read.start % step in fresh:
                steps.append((np.add, (there, head, there)))
            else:
                fresh.add(read.start % step)
                covered += there.shape[axis + 1]
                steps.append((np.copyto, (there, head)))
        if covered < self.g.size[axis]:
            steps.insert(0, (dx.fill, (0,)))
        return steps


class _ArgMax(_PoolingPlan):
    """What needs to know where a window's first greatest element is.

    Padded data is laid out by phases: element ``i`` of phase ``r`` along an axis is element ``i * stride + r`` of the
    padded data. So what a tap reads for all windows of a plane is one shifted run over a phase, if the arrays over
    windows have rows (and planes of rows) as long as the phases. What those arrays hold beyond the windows is zero
    in the head gradients, and nobody's business in the others. Padding is NaN, which equals nothing.

    Scratch: ``data`` in that layout; ``result`` with long rows; ``hit`` and ``open``, masks over windows.
    """

    blocks_a_lane = 1

    def __init__(
        self,
        data: Sequence[int],
        kernel: Sequence[int],
        stride: Sequence[int],
        pad: Pads,
        dtype: npt.DTypeLike,
        operands: Callable[[tuple[int, ...], tuple[int, ...]], Sequence[tuple[int, ...]]],
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, operands)
        g = self.g
        self.phases = tuple(min(k, s) for k, s in zip(g.kernel, g.stride, strict=True))
        self.length = tuple(w + (k - 1) // s for w, k, s in zip(g.windows, g.kernel, g.stride, strict=True))
        self.long = (g.windows[0], *self.length[1:])
        #: Elements of a run over a phase: from the first to the last window, with the ends of the rows between.
        self.run_length = 1 + sum((w - 1) * math.prod(self.length[axis + 1 :]) for axis, w in enumerate(g.windows))
        self.reserve("data", (*self.phases, *self.length))
        if self.long != g.windows:
            self.reserve("result", self.long)
        self.reserve("hit", self.long, np.bool_)
        self.reserve("open", self.long, np.bool_)
        # Choosing multiplies bits, as integers, by 0 or 1: that keeps infinities and NaN out of other elements.
        self.bits = np.dtype(f"i{self.compute.itemsize}")

    def parts(self, x: Array, laid: Array) -> list[tuple[Array, Array]]:
        """Return, for each phase, views of equal shape of the data and of the phase."""
        g = self.g
        parts = []
        for phase in itertools.product(*map(range, self.phases)):
            here, there = [], []
            for r, n, s, p, length in zip(phase, g.size, g.stride, g.pad, self.length, strict=True):
                first = max(0, -((r - p) // s))
                last = min(length, (n - 1 + p - r) // s + 1)
                here.append(slice(first, max(first, last)))
                there.append(slice(first * s + r - p, max(first, last) * s + r - p, s))
            parts.append((x[trailing(*there)], laid[trailing(*phase, *here)]))
        return parts

    def lay(self, x: Array, laid: Array) -> list[Step]:
        """Return the calls that lay data out."""
        parts = self.parts(x, laid)
        steps: list[Step] = [(np.copyto, (phase, part)) for part, phase in parts]
        if sum(phase.size for _, phase in parts) < laid.size:
            steps.insert(0, (laid.fill, (np.nan,)))
        return steps

    def lengthen(self, y: Array, name: str, own: Carve, clear: bool) -> tuple[Array, list[Step]]:
        """Return an array over windows with long rows, and the calls that copy it there; `clear` what is beyond."""
        if self.long == self.g.windows:
            return y, []
        long = own(name)
        steps: list[Step] = [(np.copyto, (long[trailing(*map(slice, self.g.windows))], y))]
        if clear:
            steps.insert(0, (long.fill, (0,)))
        return long, steps

    def over_windows(self, long: Array) -> Array:
        """View an array over windows with long rows as runs."""
        return long.reshape(len(long), -1)[:, : self.run_length]

    def taps(self, *laid: Array) -> Iterator[tuple[Array, ...]]:
        """Yield, for each tap, views of what it reads in data laid out, as runs.

        Taps come in the order in which MXNet looks for the maximum: the last axis runs fastest.
        """
        for tap in itertools.product(*map(range, self.g.kernel)):
            shift, phase = zip(*map(divmod, tap, self.g.stride), strict=True)
            first = sum(q * math.prod(self.length[axis + 1 :]) for axis, q in enumerate(shift))
            yield tuple(x[(slice(None), *phase)].reshape(len(x), -1)[:, first : first + self.run_length] for x in laid)

    def find(self, source: Array, y: Array, hit: Array, still_open: Array) -> list[Step]:
        """Return the calls that set `hit` where a tap is its window's first greatest element, and close the window."""
        return [
            (np.equal, (source, y, hit)),
            (np.logical_and, (hit, still_open, hit)),
            (np.not_equal, (still_open, hit, still_open)),
        ]


class _MaxGradient(_ArgMax):
    """Head gradients added to the first greatest element of each window.

    Scratch, besides: ``heads`` (head gradients with long rows), ``chosen`` (those of hit windows, else zero),
    ``gradients`` (the result, laid out).
    """

    def __init__(
        self, data: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Pads, dtype: npt.DTypeLike
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, lambda x, y: (x, y, y, x))
        self.reserve("gradients", (*self.phases, *self.length))
        #: Whether no two windows share an element, so that gradients need not be added.
        self.apart = all(k <= s for k, s in zip(self.g.kernel, self.g.stride, strict=True))
        if not self.apart:
            self.reserve("chosen", self.long)
            self.reserve("heads", self.long)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return the calls: for each tap, those of `find`, then choosing and adding."""
        x, y, dy = operands

        def block_steps(own: Carve, x: Array, y: Array, dy: Array, dx: Array) -> list[Step]:
            laid, gradients = own("data"), own("gradients")
            result, long_result = self.lengthen(y, "result", own, clear=False)
            heads, long_heads = self.lengthen(dy, "heads", own, clear=True)
            result, heads = self.over_windows(result), self.over_windows(heads).view(self.bits)
            hit, still_open = self.over_windows(own("hit")), self.over_windows(own("open"))
            steps = [*self.lay(x, laid), *long_result, *long_heads, (still_open.fill, (True,))]
            if not self.apart:
                chosen = self.over_windows(own("chosen"))
                steps.append((gradients.fill, (0,)))
            for source, there in self.taps(laid, gradients):
                steps += self.find(source, result, hit, still_open)
                if self.apart:
                    steps.append((np.multiply, (heads, hit, there.view(self.bits))))
                else:
                    steps.append((np.multiply, (heads, hit, chosen.view(self.bits))))
                    steps.append((np.add, (there, chosen, there)))
            parts = self.parts(dx, gradients)
            if sum(part.size for part, _ in parts) < dx.size:
                steps.append((dx.fill, (0,)))
            return [*steps, *((np.copyto, part) for part in parts)]

        return self.by_blocks(block_steps, (self.data(x), self.result(y), self.result(dy), self.data(out)), carve)


class _MaxGather(_ArgMax):
    """Elements of a second array at the first greatest element of each window.

    Scratch, besides: ``second`` (that array, laid out), ``chosen`` (its elements of hit windows, else zero), ``found``.
    """

    def __init__(
        self, data: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Pads, dtype: npt.DTypeLike
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, lambda x, y: (x, y, x, y))
        self.reserve("second", (*self.phases, *self.length))
        self.reserve("chosen", self.long)
        self.reserve("found", self.long)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        """Return the calls: for each tap, those of `find`, then choosing and collecting."""
        x, y, z = operands

        def block_steps(own: Carve, x: Array, y: Array, z: Array, out: Array) -> list[Step]:
            laid, second, found = own("data"), own("second"), own("found")
            result, long_result = self.lengthen(y, "result", own, clear=False)
            result, collected = self.over_windows(result), self.over_windows(found).view(self.bits)
            hit, still_open = self.over_windows(own("hit")), self.over_windows(own("open"))
            chosen = self.over_windows(own("chosen")).view(self.bits)
            steps = [*self.lay(x, laid), *self.lay(z, second), *long_result]
            steps += [(still_open.fill, (True,)), (collected.fill, (0,))]
            for source, there in self.taps(laid, second):
                steps += self.find(source, result, hit, still_open)
                steps.append((np.multiply, (there.view(self.bits), hit, chosen)))
                steps.append((np.bitwise_or, (collected, chosen, collected)))
            steps.append((np.copyto, (out, found[trailing(*map(slice, self.g.windows))])))
            return steps

        return self.by_blocks(block_steps, (self.data(x), self.result(y), self.data(z), self.result(out)), carve)


def plan_forward(
    kind: Literal["max", "sum"],
    data_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Pads,
    dtype: npt.DTypeLike,
) -> KernelPlan:
    """Plan the greatest element or the sum of each window; bind with ``(x, y, workspace)``.

    Parameters
    ----------
    kind
        What to compute of each window.
    data_shape
        ``(N, C, *spatial)``, with one to three spatial axes.
    kernel, stride
        One number for each spatial axis.
    pad
        For each spatial axis, how much padding lies before and after the data.
    dtype
        Element type of all arrays.

    Examples
    --------
    >>> x, y = np.array([[[3.0, 1.0, 2.0]]]), np.empty((1, 1, 2))
    >>> plan = plan_forward("max", x.shape, (2,), (2,), [(0, 1)], x.dtype)
    >>> plan.run(x, y, np.empty(plan.workspace, np.uint8))
    >>> y.tolist()
    [[[3.0, 2.0]]]
    """
    return _Reduction(data_shape, kernel, stride, pad, dtype, np.fmax if kind == "max" else np.add)


def plan_gradient(
    kind: Literal["max", "sum"],
    data_shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Pads,
    dtype: npt.DTypeLike,
) -> KernelPlan:
    """Plan the gradient of `plan_forward`, with the same parameters.

    Bind with ``(dy, dx, workspace)`` for a sum; with ``(x, y, dy, dx, workspace)`` for a maximum, whose head gradients
    go to the first greatest element of each window.
    """
    return (_MaxGradient if kind == "max" else _SumGradient)(data_shape, kernel, stride, pad, dtype)


def plan_gather(
    data_shape: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Pads, dtype: npt.DTypeLike
) -> KernelPlan:
    """Plan the transpose of the maximum's gradient by `dy`; bind with ``(x, y, z, out, workspace)``.

    Picks the elements of `z`, shaped like `x`, at the first greatest element of each window of `x`; zero where no
    element equals the window's result `y`. Parameters as of `plan_forward`.
    """
    return _MaxGather(data_shape, kernel, stride, pad, dtype)
