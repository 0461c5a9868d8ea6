"""Unfolding: the windows of a convolution laid out as columns (im2col), and columns added back (col2im).

Data is ``(images, channels, *size)``, columns are ``(images, channels, *kernel, *windows)``: element ``[n, c, t, i]``
of the columns is element ``[n, c, i * stride + t * dilate - pad]`` of the data, or zero where that is padding.

Everything is a list of prepared copies, one for each tap of the kernel, as long as the layout allows:

* Where input and output rows have equal length and step, shifting a flattened plane is right except where it wraps
  around at the edges. Those are padding, and are overwritten with zeros afterwards. So one copy moves whole planes.
* A stride is reduced to that case by first splitting the data into its *phases*, the elements whose index is r modulo
  the stride (`_Phased`).
* Where rows of windows are short and unlike the data's, the last axis is unfolded first; the planes of the result have
  rows of the right length for the other axes (`_Separable`).

What does not belong here: the products (`convolution`).
"""

from __future__ import annotations

import functools
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from symgraph.backends.numpy.kernel_plan import Array, Planewise, Step, chain
from symgraph.backends.numpy.threads import parallel, split, worker_count

__all__ = ["Geometry", "Unfolding", "plan_unfolding", "spread", "trailing"]

#: Rows of fewer windows are short: a copy of rows then costs more in its loops than in memory.
SHORT_ROW = 64


@dataclass(frozen=True)
class Geometry:
    """Shapes and parameters of a convolution or pooling, with at least two spatial axes (a single one is lifted).

    `pad` is the padding before the data, `high` that after it, along each spatial axis.
    """

    images: int
    channels: int
    filters: int
    groups: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilate: tuple[int, ...]
    pad: tuple[int, ...]
    high: tuple[int, ...]

    @classmethod
    def of(
        cls,
        data: Sequence[int],
        weight: Sequence[int],
        stride: Sequence[int],
        dilate: Sequence[int],
        pad: Sequence[int],
        groups: int,
    ) -> Geometry:
        """Return the geometry for the shapes ``(N, C, *size)`` of data and ``(O, C / groups, *kernel)`` of weight."""
        size, kernel = tuple(data[2:]), tuple(weight[2:])
        stride, dilate, pad = tuple(stride), tuple(dilate), tuple(pad)
        if len(size) == 1:
            size, kernel, stride, dilate, pad = (1, *size), (1, *kernel), (1, *stride), (1, *dilate), (0, *pad)
        return cls(data[0], data[1], weight[0], groups, size, kernel, stride, dilate, pad, pad)

    @functools.cached_property
    def windows(self) -> tuple[int, ...]:
        """Number of windows along each spatial axis."""
        return tuple(
            (n + p + h - d * (k - 1) - 1) // s + 1
            for n, k, s, d, p, h in zip(
                self.size, self.kernel, self.stride, self.dilate, self.pad, self.high, strict=True
            )
        )

    @property
    def taps(self) -> int:
        """Number of elements of a kernel."""
        return math.prod(self.kernel)

    @property
    def depth(self) -> int:
        """Elements of one filter: the length of the sums of a convolution."""
        return self.channels // self.groups * self.taps

    @property
    def rows(self) -> int:
        """Filters in a group: the rows of a product."""
        return self.filters // self.groups

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return any(self.pad) or any(self.high)

    @property
    def plain(self) -> bool:
        """Whether each window is one element and each element one window: nothing needs unfolding."""
        return self.taps == 1 and set(self.stride) == {1} and not self.padded

    @property
    def whole(self) -> bool:
        """Whether there is one window, all of the data: convolution is a matrix product over images."""
        return (
            self.groups == 1
            and self.kernel == self.size
            and not self.padded
            and all(k == 1 or d == 1 for k, d in zip(self.kernel, self.dilate, strict=True))
        )

    def valid(self, axis: int, tap: int, begin: int = 0, end: int | None = None) -> tuple[int, int]:
        """Return the range of the windows within ``[begin, end)`` whose `tap` along `axis` is not in the padding."""
        offset, stride = tap * self.dilate[axis] - self.pad[axis], self.stride[axis]
        end = self.windows[axis] if end is None else end
        low = max(begin, -(offset // stride))
        high = min(end, (self.size[axis] - 1 - offset) // stride + 1)
        return (low, high) if low < high else (begin, begin)

    def turned(self) -> Geometry | None:
        """Return the geometry of the convolution that is this one's data gradient, None if there is none."""
        pad = tuple(d * (k - 1) - p for k, d, p in zip(self.kernel, self.dilate, self.pad, strict=True))
        if set(self.stride) != {1} or min(pad) < 0:
            return None
        return replace(self, channels=self.filters, filters=self.channels, size=self.windows, pad=pad, high=pad)


class Unfolding(ABC):
    """How data becomes columns. If `prepared`, it is first rearranged as a whole, into an array of another shape."""

    prepared = True

    def __init__(self, g: Geometry) -> None:
        self.g = g
        self.rank = len(g.size)
        self.windows = g.windows

    def columns_shape(self, images: int, channels: int, rows: int) -> tuple[int, ...]:
        """Return the shape of the columns of `rows` along the windows' first axis."""
        return (images, channels, *self.g.kernel, rows, *self.windows[1:])

    @abstractmethod
    def prepared_shape(self, images: int, channels: int) -> tuple[int, ...]:
        """Return the shape of the rearranged data."""

    @abstractmethod
    def prepare(self, x: Array, prepared: Array) -> list[Step]:
        """Return the calls that rearrange data."""

    @abstractmethod
    def finish(self, prepared: Array, x: Array) -> list[Step]:
        """Return the calls that are the transpose of `prepare`."""

    @abstractmethod
    def unfold(self, source: Array, columns: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that fill the columns of rows ``[begin, end)`` of windows from (rearranged) data."""

    @abstractmethod
    def fold(self, columns: Array, target: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that add columns to where `unfold` reads them; they may change the columns.

        The first rows, ``begin == 0``, also set everything else to zero; no rows may have been folded before them.
        """


class _Direct(Unfolding):
    """Columns copied tap by tap from an array in which windows are `step` apart."""

    prepared = False

    def __init__(self, g: Geometry) -> None:
        super().__init__(g)
        self.step = g.stride
        self.length = g.size

    @property
    def flat(self) -> bool:
        """Whether shifted planes can be moved as one run."""
        return self.step[-2:] == (1, 1) and self.length[-1] == self.windows[-1]

    def prepared_shape(self, images: int, channels: int) -> tuple[int, ...]:
        """Return the shape of the rearranged data."""
        return (images, channels, *self.g.size)

    def prepare(self, x: Array, prepared: Array) -> list[Step]:
        """Return the calls that rearrange data."""
        return [(np.copyto, (prepared, x))]

    def finish(self, prepared: Array, x: Array) -> list[Step]:
        """Return the calls that are the transpose of `prepare`."""
        return [(np.copyto, (x, prepared))]

    def planes(self, x: Array) -> dict[tuple[int, ...], Array]:
        """Return the arrays from which taps read, by the index of a phase (here there is one, without index)."""
        return {(): x}

    def source(self, tap: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
        """Return which of the planes `tap` reads, and the index there that it reads for the first windows."""
        return (), [t * d - p for t, d, p in zip(tap, self.g.dilate, self.g.pad, strict=True)]

    def _pairs(self, x: Array, columns: Array, begin: int, end: int) -> Iterator[tuple[tuple[int, ...], Array, Array]]:
        """Yield, for each tap: its plane, and views of equal shape of what it reads there and of its columns."""
        planes = self.planes(x)
        bounds = [(begin, end), *((0, n) for n in self.windows[1:])]
        lead = self.rank - 2 if self.flat else self.rank
        for tap in itertools.product(*map(range, self.g.kernel)):
            valid = [self.g.valid(axis, t, *bounds[axis]) for axis, t in enumerate(tap)]
            if any(low == high for low, high in valid):
                continue
            phase, offsets = self.source(tap)
            plane = planes[phase]
            column = columns[trailing(*tap, *(slice(None),) * self.rank)]
            there = [
                slice(low * s + o, (high - 1) * s + o + 1, s)
                for (low, high), o, s in zip(valid[:lead], offsets[:lead], self.step[:lead], strict=True)
            ]
            here = [slice(low - first, high - first) for (low, high), (first, _) in zip(valid, bounds, strict=True)]
            if not self.flat:
                yield phase, plane[trailing(*there)], column[trailing(*here)]
                continue
            whole = (slice(None),) * 2
            row = self.windows[-1]
            count = (here[-2].stop - here[-2].start) * row
            begin_here, begin_there = here[-2].start * row, (valid[-2][0] + offsets[-2]) * row + offsets[-1]
            # What reaches over the ends of the plane is padding of its first and its last row.
            before, after = max(0, -begin_there), max(0, begin_there + count - plane.shape[-2] * row)
            yield (
                phase,
                _merge(plane[trailing(*there, *whole)])[..., begin_there + before : begin_there + count - after],
                _merge(column[trailing(*here[:lead], *whole)])[..., begin_here + before : begin_here + count - after],
            )

    def _edges(self, columns: Array, begin: int, end: int, axes: Sequence[int]) -> Iterator[Array]:
        """Yield the views of the columns that hold padding of `axes`."""
        bounds = [(begin, end), *((0, n) for n in self.windows[1:])]
        for axis in axes:
            first, last = bounds[axis]
            for tap in range(self.g.kernel[axis]):
                low, high = self.g.valid(axis, tap, first, last)
                taps, windows = [slice(None)] * self.rank, [slice(None)] * self.rank
                taps[axis] = slice(tap, tap + 1)
                for edge in (slice(0, low - first), slice(high - first, last - first)):
                    if edge.start < edge.stop:
                        windows[axis] = edge
                        yield columns[trailing(*taps, *windows)]

    def unfold(self, source: Array, columns: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that fill the columns of rows ``[begin, end)`` of windows."""
        steps: list[Step] = [(np.copyto, (here, there)) for _, there, here in self._pairs(source, columns, begin, end)]
        steps += [(edge.fill, (0,)) for edge in self._edges(columns, begin, end, range(self.rank))]
        return steps

    def fold(self, columns: Array, target: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that add columns to where `unfold` reads them."""
        steps: list[Step] = []
        if self.flat:
            steps += [(edge.fill, (0,)) for edge in self._edges(columns, begin, end, [self.rank - 1])]
        pairs = list(self._pairs(target, columns, begin, end))
        if begin == 0:
            # Copying the first tap that covers a plane is cheaper than clearing the plane and adding the tap.
            for phase, plane in self.planes(target).items():
                for k, (where, there, here) in enumerate(pairs):
                    if where == phase and there.size == plane.size:
                        steps.append((np.copyto, (there, here)))
                        del pairs[k]
                        break
                else:
                    steps.append((plane.fill, (0,)))
        return [*steps, *((np.add, (there, here, there)) for _, there, here in pairs)]


class _Phased(_Direct):
    """Columns copied from the phases of the data.

    The phases have shape ``(images, channels, *number of phases, *length)``; element ``i`` of phase ``r`` of an axis
    is element ``i * stride + r`` of the data.
    """

    prepared = True

    def __init__(self, g: Geometry) -> None:
        super().__init__(g)
        self.phases = [
            sorted({(t * d - p) % s for t in range(k)})
            for k, s, d, p in zip(g.kernel, g.stride, g.dilate, g.pad, strict=True)
        ]
        self.step = (1,) * self.rank
        self.length = tuple(self._length(axis) for axis in range(self.rank))

    def _source(self, axis: int, tap: int) -> tuple[int, int]:
        """Return (index of the phase, shift): window `i` reads element ``i + shift`` of that phase."""
        g = self.g
        shift, phase = divmod(tap * g.dilate[axis] - g.pad[axis], g.stride[axis])
        return self.phases[axis].index(phase), shift

    def _length(self, axis: int) -> int:
        """Return how many elements of each phase are kept: all that are read, and rows as long as the result's."""
        read = 1
        for tap in range(self.g.kernel[axis]):
            low, high = self.g.valid(axis, tap)
            if high > low:
                read = max(read, high + self._source(axis, tap)[1])
        return max(read, self.windows[axis]) if axis == self.rank - 1 else read

    def planes(self, x: Array) -> dict[tuple[int, ...], Array]:
        """Return the phases, by their index."""
        rest = (slice(None),) * self.rank
        return {
            at: x[trailing(*at, *rest)] for at in itertools.product(*(range(len(phases)) for phases in self.phases))
        }

    def source(self, tap: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
        """Return the index of the phase that `tap` reads, and the index there that it reads for the first windows."""
        where = [self._source(axis, t) for axis, t in enumerate(tap)]
        return tuple(phase for phase, _ in where), [shift for _, shift in where]

    def prepared_shape(self, images: int, channels: int) -> tuple[int, ...]:
        """Return the shape of the rearranged data."""
        return (images, channels, *map(len, self.phases), *self.length)

    def _parts(self, x: Array, prepared: Array) -> Iterator[tuple[Array, Array]]:
        """Yield views of equal shape of the data and of each phase."""
        for at, phase in self.planes(prepared).items():
            strided = x[trailing(*(slice(self.phases[a][k], None, self.g.stride[a]) for a, k in enumerate(at)))]
            strided = strided[trailing(*map(slice, self.length))]
            yield strided, phase[trailing(*map(slice, strided.shape[-self.rank :]))]

    def prepare(self, x: Array, prepared: Array) -> list[Step]:
        """Return the calls that rearrange data."""
        return [(np.copyto, (phase, strided)) for strided, phase in self._parts(x, prepared)]

    def finish(self, prepared: Array, x: Array) -> list[Step]:
        """Return the calls that are the transpose of `prepare`."""
        parts = list(self._parts(x, prepared))
        steps: list[Step] = [(np.copyto, part) for part in parts]
        if sum(strided.size for strided, _ in parts) < x.size:
            steps.insert(0, (x.fill, (0,)))
        return steps


class _Separable(Unfolding):
    """Columns made in two passes: along the last axis for all rows, then along the others."""

    def __init__(self, g: Geometry) -> None:
        super().__init__(g)
        ones, last = (1,) * (self.rank - 1), self.rank - 1
        self.across = _Direct(
            replace(
                g,
                kernel=(*ones, g.kernel[last]),
                stride=(*ones, g.stride[last]),
                dilate=(*ones, g.dilate[last]),
                pad=(*(0,) * last, g.pad[last]),
                high=(*(0,) * last, g.high[last]),
            )
        )
        self.down = _Direct(
            replace(
                g,
                size=(*g.size[:last], self.windows[last]),
                kernel=(*g.kernel[:last], 1),
                stride=(*g.stride[:last], 1),
                dilate=(*g.dilate[:last], 1),
                pad=(*g.pad[:last], 0),
                high=(*g.high[:last], 0),
            )
        )

    def prepared_shape(self, images: int, channels: int) -> tuple[int, ...]:
        """Return the shape of the rearranged data."""
        return (images, channels, self.g.kernel[-1], *self.g.size[:-1], self.windows[-1])

    def _strips(self, prepared: Array) -> Array:
        """View the rearranged data as columns of the pass along the last axis."""
        return np.expand_dims(prepared, tuple(range(2, self.rank + 1)))

    def _downwards(self, columns: Array) -> Array:
        """View columns as those of the pass along the other axes: the last tap is one more leading axis."""
        return np.expand_dims(np.moveaxis(columns, self.rank + 1, 2), self.rank + 2)

    def prepare(self, x: Array, prepared: Array) -> list[Step]:
        """Return the calls that rearrange data."""
        return self.across.unfold(x, self._strips(prepared), 0, self.g.size[0])

    def finish(self, prepared: Array, x: Array) -> list[Step]:
        """Return the calls that are the transpose of `prepare`."""
        return self.across.fold(self._strips(prepared), x, 0, self.g.size[0])

    def unfold(self, source: Array, columns: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that fill the columns of rows ``[begin, end)`` of windows."""
        return self.down.unfold(source, self._downwards(columns), begin, end)

    def fold(self, columns: Array, target: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that add columns to where `unfold` reads them."""
        return self.down.fold(self._downwards(columns), target, begin, end)


def plan_unfolding(g: Geometry) -> Unfolding:
    """Return the fastest way to unfold; what is compared are numbers of moved elements and of moved rows."""
    direct = _Direct(g)
    if direct.flat:
        return direct
    if max(g.stride) > 1:
        # Splitting moves elements once more, with a stride; it pays if each is then moved several times without.
        phased = _Phased(g)
        return phased if g.taps > math.prod(map(len, phased.phases)) else direct
    if g.windows[-1] < SHORT_ROW and 1 < g.kernel[-1] < g.taps:
        return _Separable(g)
    return direct


def trailing(*index: object) -> Any:
    """Return the index of an array's last axes, whatever axes come before."""
    return (..., *index)


def _merge(x: Array) -> Array:
    """View the last two axes of `x`, which must be contiguous, as one."""
    rows, row = x.shape[-2:]
    assert rows < 2 or x.strides[-2] == row * x.strides[-1]
    return as_strided(x, (*x.shape[:-2], rows * row), (*x.strides[:-2], x.strides[-1]))


#: Elements written by compiled loops below which splitting does not pay; NumPy's limit is `threads.SPLIT_ELEMENTS`.
_SPLIT_COMPILED = 1 << 15


def spread(make: Callable[..., list[Step]], arrays: Sequence[Array], elements: int, *args: int) -> list[Step]:
    """Return the steps that ``make(*arrays, *args)`` returns, spread over the workers if `elements` are many.

    The arrays are cut along the images, or, if there are too few, along the channels.
    """
    images, channels = arrays[0].shape[:2]
    axis = 0 if images >= worker_count() else 1
    cuts = [(slice(None),) * axis + (slice(*part),) for part in split((images, channels)[axis], elements)]
    plain = parallel([chain(make(*(x[cut] for x in arrays), *args)) for cut in cuts])
    lanes = worker_count() if elements >= _SPLIT_COMPILED else 1
    return [(Planewise(plain, arrays, lambda _, *pieces: make(*pieces, *args), axes=2, lanes=lanes), ())]
