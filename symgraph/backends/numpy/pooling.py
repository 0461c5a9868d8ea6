"""Pooling in NumPy: the greatest element or the sum of each window, and the transposes of both.

Layouts: data ``(N, C, *spatial)``, result ``(N, C, *windows)``, with one to three spatial axes. Padding is given for
both ends of each axis, ``(low, high)``, so that a last, incomplete window is some more padding after the data. It adds
nothing to a sum and never wins: a window wholly in the padding has sum 0 and, as in MXNet, the lowest finite number
as its greatest element. NaN loses against every number, as in MXNet. Averages and norms are sums with arithmetic
before and after, and so are made of the same parts.

Plans are made from shapes alone; see `symgraph.backends.numpy.kernel_plan` for what a plan is. How they compute:

* Maximum and sum are separable: one pass for each axis, each a few calls that combine shifted views of whole planes.
  The first pass goes along rows of windows, so that its calls run over whole rows, and shrinks what strided calls see.
* The gradient of the maximum goes to the *first* greatest element of a window, in the order of the window's elements,
  as in MXNet. Taps are compared with the result one after the other; a mask remembers which windows are still open.
  With a stride, data and gradient are held by phases meanwhile, so all of these calls are contiguous.
* Large arrays are cut into blocks of planes that fit a cache, spread over the workers.

What does not belong here: pooling conventions, divisors, shape rules: the operator's.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy.kernel_plan import Array, KernelPlan, Step, chain
from symgraph.backends.numpy.threads import parallel, ranges, worker_count
from symgraph.backends.numpy.unfolding import Direct, Geometry, Phased, trailing

__all__ = ["plan_forward", "plan_gather", "plan_gradient"]

#: Bytes of data in a block of planes.
BLOCK_BYTES = 1 << 20

#: Gives the scratch array reserved under a name.
Carve = Callable[[str], Array]
Pads = Sequence[tuple[int, int]]


def _lowest(dtype: np.dtype[Any]) -> int | float:
    return float(np.finfo(dtype).min) if dtype.kind == "f" else int(np.iinfo(dtype).min)


class _PoolingPlan(KernelPlan):
    """What the plans share: planes of all images and channels in one axis, cut into blocks for the workers."""

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
        self.direct = Direct(self.g)
        self.rank = len(size)
        shapes = operands(tuple(data), (*data[:2], *self.g.windows[len(size) - len(data) + 2 :]))
        super().__init__(shapes[:-1], shapes[-1], dtype)
        self.planes = data[0] * data[1]
        plane = math.prod(size) * self.compute.itemsize
        self.blocks = ranges(self.planes, -(-self.planes * plane // BLOCK_BYTES)) if self.planes else []
        # Each pass costs as much as several copies, so fewer bytes than for a plain copy are worth a thread.
        self.lanes = min(worker_count(), len(self.blocks) // 2) or 1

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
        lanes: list[list[Step]] = []
        for lane, (first, last) in enumerate(ranges(len(self.blocks), self.lanes)):
            steps: list[Step] = []
            for begin, end in self.blocks[first:last]:

                def own(name: str, lane: int = lane, count: int = end - begin) -> Array:
                    return carve(f"{name} {lane}")[:count]

                steps += block_steps(own, *(x[begin:end] for x in arrays))
            lanes.append(steps)
        if not lanes:
            return []
        return lanes[0] if len(lanes) == 1 else [(parallel([chain(steps) for steps in lanes]), ())]

    def axis_taps(self, axis: int) -> list[tuple[slice, slice]]:
        """Return, for each tap along `axis`, the elements it reads and the windows for which it reads them.

        Taps that read for all windows come first.
        """
        g = self.g
        taps = []
        for tap in range(g.kernel[axis]):
            low, high = self.direct.valid(axis, tap)
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
            return [(self.combine.reduce, (x, -1, None, y))]
        axes = self.passes()
        if not axes:
            return [(np.copyto, (y, x))]

        def block_steps(own: Carve, x: Array, y: Array) -> list[Step]:
            steps: list[Step] = []
            for axis in axes:
                target = y if axis == axes[-1] else own(f"pass {axis}")
                steps += self._pass(axis, x, target)
                x = target
            return steps

        return self.by_blocks(block_steps, (x, y), carve)

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
        #: Whether windows do not overlap and leave nothing out: a gradient is copied to all of its window.
        self.tiled = (
            g.stride == g.kernel
            and not g.padded
            and all(n == k * w for n, k, w in zip(g.size, g.kernel, g.windows, strict=True))
        )
        self.axes = self.passes()[::-1]
        if not self.tiled:
            for axis in self.axes[:-1]:
                self.reserve(f"pass {axis}", (*g.windows[:axis], *g.size[axis:]))

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        g = self.g
        dy, dx = self.result(operands[0]), self.data(out)
        if self.tiled:
            tiles = itertools.chain.from_iterable(zip(g.windows, g.kernel, strict=True))
            return [(np.copyto, (dx.reshape(-1, *tiles), np.expand_dims(dy, tuple(range(2, 2 * self.rank + 1, 2)))))]
        if not self.axes:
            return [(np.copyto, (dx, dy))]

        def block_steps(own: Carve, dy: Array, dx: Array) -> list[Step]:
            steps: list[Step] = []
            for axis in self.axes:
                target = dx if axis == self.axes[-1] else own(f"pass {axis}")
                lead = (slice(None),) * (axis + 1)
                steps.append((target.fill, (0,)))
                fresh = set(range(g.stride[axis]))
                for read, windows in self.axis_taps(axis):
                    there, head = target[(*lead, read)], dy[(*lead, windows)]
                    # The first tap of each phase meets only zeros.
                    if read.start % g.stride[axis] in fresh:
                        fresh.remove(read.start % g.stride[axis])
                        steps.append((np.copyto, (there, head)))
                    else:
                        steps.append((np.add, (there, head, there)))
                dy = target
            return steps

        return self.by_blocks(block_steps, (dy, dx), carve)


class _ArgMax(_PoolingPlan):
    """What needs to know where a window's first greatest element is.

    Scratch: ``phases`` of the data (with a stride), ``hit`` and ``open`` (masks over windows).
    """

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
        #: Where taps read: from phases, or, without stride, from the data itself.
        self.layout: Direct = Phased(self.g) if max(self.g.stride) > 1 else self.direct
        self.arranged = self.layout.prepared_shape(1, 1)[2:]
        if self.layout.prepared:
            self.reserve("phases", self.arranged)
        self.reserve("hit", self.g.windows, np.bool_)
        self.reserve("open", self.g.windows, np.bool_)

    def arrange(self, x: Array, phases: Array) -> list[Step]:
        """Return the calls that copy data to its phases."""
        return self.layout.prepare(x, phases)

    def taps(self) -> Iterator[tuple[Callable[[Array], Array], Any]]:
        """Yield, for each tap: how to view what it reads, and the index of the windows for which it does.

        Taps come in the order in which MXNet looks for the maximum: the last axis runs fastest.
        """
        g, layout = self.g, self.layout
        for tap in itertools.product(*map(range, g.kernel)):
            valid = [layout.valid(axis, t) for axis, t in enumerate(tap)]
            if all(low < high for low, high in valid):
                phase, offsets = layout.source(tap)
                read = tuple(
                    slice(low * s + o, (high - 1) * s + o + 1, s)
                    for (low, high), o, s in zip(valid, offsets, layout.step, strict=True)
                )

                def view(x: Array, phase: tuple[int, ...] = phase, read: tuple[slice, ...] = read) -> Array:
                    return layout.planes(x)[phase][trailing(*read)]

                yield view, trailing(*(slice(*ends) for ends in valid))

    def find(self, source: Array, y: Array, hit: Array, still_open: Array) -> list[Step]:
        """Return the calls that set `hit` where a tap is its window's first greatest element, and close the window."""
        return [
            (np.equal, (source, y, hit)),
            (np.logical_and, (hit, still_open, hit)),
            (np.not_equal, (still_open, hit, still_open)),
        ]


class _MaxGradient(_ArgMax):
    """Head gradients added to the first greatest element of each window.

    Scratch, besides: ``chosen`` (head gradients of hit windows, else zero), ``gradients`` (phases of the result).
    """

    def __init__(
        self, data: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Pads, dtype: npt.DTypeLike
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, lambda x, y: (x, y, y, x))
        self.reserve("chosen", self.g.windows)
        if self.layout.prepared:
            self.reserve("gradients", self.arranged)
        # Choosing multiplies the bits, as integers, by 0 or 1: this keeps infinities and NaN out of other elements.
        self.bits = np.dtype(f"i{self.compute.itemsize}")

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        x, y, dy = operands

        def block_steps(own: Carve, x: Array, y: Array, dy: Array, dx: Array) -> list[Step]:
            steps: list[Step] = []
            gradients = dx
            if self.layout.prepared:
                phases, gradients = own("phases"), own("gradients")
                steps += self.arrange(x, phases)
                x = phases
            hit, still_open, chosen = own("hit"), own("open"), own("chosen")
            steps += [(still_open.fill, (True,)), (gradients.fill, (0,))]
            for view, windows in self.taps():
                there = view(gradients)
                steps += self.find(view(x), y[windows], hit[windows], still_open[windows])
                steps.append(
                    (np.multiply, (dy.view(self.bits)[windows], hit[windows], chosen.view(self.bits)[windows]))
                )
                steps.append((np.add, (there, chosen[windows], there)))
            if self.layout.prepared:
                steps += self.layout.finish(gradients, dx)
            return steps

        return self.by_blocks(block_steps, (self.data(x), self.result(y), self.result(dy), self.data(out)), carve)


class _MaxGather(_ArgMax):
    """Elements of a second array at the first greatest element of each window. Scratch, besides: ``second`` phases."""

    def __init__(
        self, data: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pad: Pads, dtype: npt.DTypeLike
    ) -> None:
        super().__init__(data, kernel, stride, pad, dtype, lambda x, y: (x, y, x, y))
        if self.layout.prepared:
            self.reserve("second", self.arranged)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        x, y, z = operands

        def block_steps(own: Carve, x: Array, y: Array, z: Array, out: Array) -> list[Step]:
            steps: list[Step] = []
            if self.layout.prepared:
                phases, second = own("phases"), own("second")
                steps += [*self.arrange(x, phases), *self.arrange(z, second)]
                x, z = phases, second
            hit, still_open = own("hit"), own("open")
            steps += [(still_open.fill, (True,)), (out.fill, (0,))]
            for view, windows in self.taps():
                steps += self.find(view(x), y[windows], hit[windows], still_open[windows])
                steps.append((functools.partial(np.copyto, where=hit[windows]), (out[windows], view(z))))
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
