"""Convolution in NumPy: matrix products over unfolded data, planned once and bound to fixed arrays.

Layouts: data ``(N, C, *spatial)``, weight ``(O, C / groups, *kernel)``, result ``(N, O, *windows)``, with one to three
spatial axes. Convolution here is cross-correlation, as everywhere in deep learning::

    y[n, o, i] = sum over c, t of w[o, c, t] * x[n, c, i * stride + t * dilate - pad]

Plans are made from shapes alone; see `symgraph.backends.numpy.kernel` for what a plan is. What a bound call costs is
what BLAS and memory cost:

* A 1 x 1 kernel with stride 1 is a matrix product of the arrays as they are, and so is a kernel as large as the data.
* Else the data is *unfolded* (im2col; Chellapilla, Puri and Simard, 2006) block by block into the workspace, each
  block small enough to be in cache still when BLAS reads it. The copy of one kernel tap moves whole planes where
  input and output rows have equal length: shifting a flattened plane is right except where it wraps around at the
  edges, which are padding, and are overwritten with zeros afterwards. Strides are reduced to that case by splitting
  the data into its phases (the elements whose index is r modulo the stride) first.
* Where an image has few windows, several images share a product, so BLAS packs the weights once for all.
* Depthwise convolution is the same with blocks of channels that stay in the second-level cache; the products are
  matrix times vector. That measured faster than sums of shifted products (512 x 14 x 14: 0.12 ms against 0.31).
* The gradient by the data is, for stride 1, the convolution of the head gradient with the transposed and reversed
  weights, or else a product followed by *folding* (the transpose of unfolding: columns are added back).
* The gradient by the weights sums over windows, and over images as far as that spares passes over the result.

What does not belong here: shape rules and checks of parameters, which are the operator's and the primitive's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from symgraph.backends.numpy.kernel import Array, KernelPlan, Step, chain
from symgraph.backends.numpy.threads import parallel, ranges, split, worker_count

__all__ = ["plan_data_gradient", "plan_forward", "plan_weight_gradient"]

#: Bytes of unfolded data in a block: a good part of a common last-level cache.
BLOCK_BYTES = 6 << 20
#: The same where products have few rows: these are bound by memory, and BLAS works on one core.
SMALL_BLOCK_BYTES = 2 << 20
#: What few rows are.
FEW_ROWS = 4
#: So many small blocks are worth several threads.
BLOCKS_TO_SPREAD = 4
#: Images of fewer windows share a product, if they are unfolded anyway, or if they must be copied for it.
FEW_WINDOWS, FEW_WINDOWS_COPIED = 512, 64
#: In products of the weight gradient: windows to sum over, if sums must be added; columns of the result, if cut.
SUMMED_WINDOWS, RESULT_COLUMNS = 512, 128
#: Costs of an element in data gradients: copied while unfolding, added while folding, moved while turning weights.
COPY_COST, ADD_COST, TURN_COST = 1, 2, 6


@dataclass(frozen=True)
class Geometry:
    """Shapes and parameters of a convolution, with at least two spatial axes (one is lifted to two)."""

    images: int
    channels: int
    filters: int
    groups: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilate: tuple[int, ...]
    pad: tuple[int, ...]

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
        """Return the geometry for the shapes of data and weight."""
        size, kernel = tuple(data[2:]), tuple(weight[2:])
        stride, dilate, pad = tuple(stride), tuple(dilate), tuple(pad)
        if len(size) == 1:
            size, kernel, stride, dilate, pad = (1, *size), (1, *kernel), (1, *stride), (1, *dilate), (0, *pad)
        return cls(data[0], data[1], weight[0], groups, size, kernel, stride, dilate, pad)

    @property
    def windows(self) -> tuple[int, ...]:
        """Number of windows along each spatial axis."""
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, d, p in zip(self.size, self.kernel, self.stride, self.dilate, self.pad, strict=True)
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
    def plain(self) -> bool:
        """Whether each window is one element and each element one window: nothing needs unfolding."""
        return self.taps == 1 and set(self.stride) == {1} and not any(self.pad)

    @property
    def whole(self) -> bool:
        """Whether there is one window, all of the data: convolution is a matrix product over images."""
        return (
            self.groups == 1
            and self.kernel == self.size
            and not any(self.pad)
            and all(k == 1 or d == 1 for k, d in zip(self.kernel, self.dilate, strict=True))
        )

    def turned(self) -> Geometry | None:
        """Return the geometry of the convolution that is this one's data gradient, None if there is none (stride)."""
        pad = tuple(d * (k - 1) - p for k, d, p in zip(self.kernel, self.dilate, self.pad, strict=True))
        if set(self.stride) != {1} or min(pad) < 0:
            return None
        return Geometry(
            self.images, self.filters, self.channels, self.groups, self.windows, self.kernel, self.stride, self.dilate, pad
        )

    def grouped(self, x: Array, windows: bool) -> Array:
        """View data, or with `windows` a result, as (images, groups, channels of a group, elements of a plane)."""
        if windows:
            return x.reshape(self.images, self.groups, self.rows, math.prod(self.windows))
        return x.reshape(self.images, self.groups, self.channels // self.groups, math.prod(self.size))

    def lifted(self, x: Array, windows: bool) -> Array:
        """View data, or with `windows` a result, with this geometry's spatial axes."""
        return x.reshape(*x.shape[:2], *(self.windows if windows else self.size))


def _planes(x: Array) -> bool:
    """Tell whether the planes of `x` are contiguous, and its channels lie far enough apart for BLAS."""
    step = x.itemsize
    for length, stride in zip(reversed(x.shape[2:]), reversed(x.strides[2:]), strict=True):
        if length > 1 and stride != step:
            return False
        step *= length
    return (x.shape[1] == 1 or x.strides[1] >= step) and (x.shape[0] == 1 or x.strides[0] >= step)


def _merge(x: Array) -> Array:
    """View the last two axes of `x`, which must be contiguous, as one."""
    rows, row = x.shape[-2:]
    assert rows < 2 or x.strides[-2] == row * x.strides[-1]
    return as_strided(x, (*x.shape[:-2], rows * row), (*x.strides[:-2], x.strides[-1]))


def _squeeze(*matrices: Array) -> tuple[Array, ...]:
    """Drop leading axes that have length 1 in all `matrices` (a plain product spares the loop of `matmul`)."""
    while all(x.ndim > 2 and x.shape[0] == 1 for x in matrices):
        matrices = tuple(x[0] for x in matrices)
    return matrices


class Unfolding:
    """How the windows of a geometry are laid out as columns, and columns are added back.

    The columns have shape ``(images, channels, *kernel, *windows)``. The phases, if `phased`, have shape
    ``(images, channels, *phases an axis, *length)``: element ``i`` of phase ``r`` is element ``i * stride + r``.
    """

    def __init__(self, g: Geometry) -> None:
        self.g = g
        self.rank = len(g.size)
        self.windows = g.windows
        self.phases = [
            sorted({(t * d - p) % s for t in range(k)})
            for k, s, d, p in zip(g.kernel, g.stride, g.dilate, g.pad, strict=True)
        ]
        # Splitting moves each element once more; it pays if elements are then moved several times with unit stride.
        self.phased = max(g.stride) > 1 and g.taps > math.prod(map(len, self.phases))
        self.length = tuple(self._length(axis) for axis in range(self.rank)) if self.phased else g.size
        unit = self.phased or g.stride[-2:] == (1, 1)
        #: Whether shifted planes can be moved as one run.
        self.flat = unit and self.length[-1] == self.windows[-1]

    def valid(self, axis: int, tap: int, begin: int = 0, end: int | None = None) -> tuple[int, int]:
        """Return the range of the windows within ``[begin, end)`` whose `tap` is not in the padding."""
        g = self.g
        offset, stride = tap * g.dilate[axis] - g.pad[axis], g.stride[axis]
        end = self.windows[axis] if end is None else end
        low = max(begin, -(offset // stride))
        high = min(end, (g.size[axis] - 1 - offset) // stride + 1)
        return (low, high) if low < high else (begin, begin)

    def _source(self, axis: int, tap: int) -> tuple[int, int]:
        """Return (index of the phase, shift): window `i` reads element ``i + shift`` of that phase."""
        g = self.g
        shift, phase = divmod(tap * g.dilate[axis] - g.pad[axis], g.stride[axis])
        return self.phases[axis].index(phase), shift

    def _length(self, axis: int) -> int:
        """Return how many elements of each phase are read; rows are made as long as the results' where possible."""
        read = 1
        for tap in range(self.g.kernel[axis]):
            low, high = self.valid(axis, tap)
            if high > low:
                read = max(read, high + self._source(axis, tap)[1])
        return max(read, self.windows[axis]) if axis == self.rank - 1 else read

    def phases_shape(self, images: int, channels: int) -> tuple[int, ...]:
        """Return the shape of the phases."""
        return (images, channels, *map(len, self.phases), *self.length)

    def columns_shape(self, images: int, channels: int, rows: int) -> tuple[int, ...]:
        """Return the shape of the columns for `rows` of the windows' first axis."""
        return (images, channels, *self.g.kernel, rows, *self.windows[1:])

    def _phase_pairs(self, x: Array, phases: Array) -> Iterator[tuple[Array, Array]]:
        """Yield views of equal shape of each phase and of the data."""
        for at in itertools.product(*(range(len(p)) for p in self.phases)):
            there = tuple(
                slice(self.phases[axis][k], None, self.g.stride[axis]) for axis, k in enumerate(at)
            )
            strided = x[:, :, *there]
            strided = strided[:, :, *(slice(n) for n in self.length)]
            yield phases[:, :, *at][:, :, *(slice(n) for n in strided.shape[2:])], strided

    def _tap_pairs(self, source: Array, columns: Array, begin: int, end: int) -> Iterator[tuple[Array, Array, Array]]:
        """Yield (plane, its elements that a tap reads, the same elements of the columns) for each tap."""
        g = self.g
        bounds = [(begin, end), *((0, n) for n in self.windows[1:])]
        for tap in itertools.product(*map(range, g.kernel)):
            valid = [self.valid(axis, t, *bounds[axis]) for axis, t in enumerate(tap)]
            if any(low == high for low, high in valid):
                continue
            column = columns[:, :, *tap]
            if self.phased:
                where = [self._source(axis, t) for axis, t in enumerate(tap)]
                plane = source[:, :, *(phase for phase, _ in where)]
                offsets, steps = [shift for _, shift in where], (1,) * self.rank
            else:
                plane = source
                offsets = [t * d - p for t, d, p in zip(tap, g.dilate, g.pad, strict=True)]
                steps = g.stride
            lead = self.rank - 2 if self.flat else self.rank
            there = [
                slice(low * s + o, (high - 1) * s + o + 1, s)
                for (low, high), o, s in zip(valid[:lead], offsets[:lead], steps[:lead], strict=True)
            ]
            here = [slice(low - first, high - first) for (low, high), (first, _) in zip(valid, bounds, strict=True)]
            if not self.flat:
                yield plane, plane[:, :, *there], column[:, :, *here]
                continue
            row = self.windows[-1]
            begin_there = (valid[-2][0] + offsets[-2]) * row + offsets[-1]
            begin_here = here[-2].start * row
            count = (here[-2].stop - here[-2].start) * row
            # What reaches over the plane's ends is padding of the first and last row.
            before, after = max(0, -begin_there), max(0, begin_there + count - plane.shape[-2] * row)
            yield (
                plane,
                _merge(plane[:, :, *there])[..., begin_there + before : begin_there + count - after],
                _merge(column[:, :, *here[:lead]])[..., begin_here + before : begin_here + count - after],
            )

    def _edges(self, columns: Array, begin: int, end: int, axes: Sequence[int]) -> Iterator[Array]:
        """Yield the views of the columns that hold padding of `axes`."""
        bounds = [(begin, end), *((0, n) for n in self.windows[1:])]
        for axis in axes:
            first, last = bounds[axis]
            for tap in range(self.g.kernel[axis]):
                low, high = self.valid(axis, tap, first, last)
                taps, windows = [slice(None)] * self.rank, [slice(None)] * self.rank
                taps[axis] = slice(tap, tap + 1)
                for edge in (slice(0, low - first), slice(high - first, last - first)):
                    if edge.start < edge.stop:
                        windows[axis] = edge
                        yield columns[:, :, *taps, *windows]

    def split(self, x: Array, phases: Array) -> list[Step]:
        """Return the calls that copy data to its phases."""
        return [(np.copyto, pair) for pair in self._phase_pairs(x, phases)]

    def join(self, phases: Array, x: Array) -> list[Step]:
        """Return the calls that copy phases to the data; elements in no window become zero."""
        steps: list[Step] = []
        covered = 0
        for phase, strided in self._phase_pairs(x, phases):
            steps.append((np.copyto, (strided, phase)))
            covered += math.prod(strided.shape[2:])
        if covered < math.prod(self.g.size):
            steps.insert(0, (x.fill, (0,)))
        return steps

    def unfold(self, source: Array, columns: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that copy data, or its phases, to the columns of rows ``[begin, end)`` of windows."""
        steps: list[Step] = [(np.copyto, (here, there)) for _, there, here in self._tap_pairs(source, columns, begin, end)]
        steps += [(edge.fill, (0,)) for edge in self._edges(columns, begin, end, range(self.rank))]
        return steps

    def fold(self, columns: Array, source: Array, begin: int, end: int) -> list[Step]:
        """Return the calls that add columns to where `unfold` copies them from; changes the columns.

        The first rows, ``begin == 0``, also set everything else to zero.
        """
        steps: list[Step] = []
        if self.flat:
            steps += [(edge.fill, (0,)) for edge in self._edges(columns, begin, end, [self.rank - 1])]
        pairs = list(self._tap_pairs(source, columns, begin, end))
        if begin == 0:
            # Copying the first tap that covers a plane is cheaper than clearing the plane and adding it.
            set_by_copy: set[int] = set()
            for k, (plane, there, here) in enumerate(pairs):
                where = plane.__array_interface__["data"][0]
                if there.size == plane.size and where not in set_by_copy:
                    set_by_copy.add(where)
                    steps.append((np.copyto, (there, here)))
                    pairs[k] = (plane, there[:0], here[:0])
            if self.phased:
                for at in itertools.product(*(range(len(p)) for p in self.phases)):
                    plane = source[:, :, *at]
                    if plane.__array_interface__["data"][0] not in set_by_copy:
                        steps.append((plane.fill, (0,)))
            elif not set_by_copy:
                steps.append((source.fill, (0,)))
        steps += [(np.add, (there, here, there)) for _, there, here in pairs if there.size]
        return steps


def _spread(make: Callable[..., list[Step]], arrays: Sequence[Array], elements: int, *args: Any) -> list[Step]:
    """Return the steps that `make` returns for `arrays`, spread over the workers if `elements` are many.

    The arrays are cut along the images, or, if there are too few, along the channels.
    """
    images, channels = arrays[0].shape[:2]
    axis = 0 if images >= worker_count() else 1
    parts = split((images, channels)[axis], elements)
    if len(parts) < 2:
        return make(*arrays, *args)
    cuts = [(slice(None),) * axis + (slice(*part),) for part in parts]
    return [(parallel([chain(make(*(x[cut] for x in arrays), *args)) for cut in cuts]), ())]


def _slices(length: int, parts: int) -> list[slice]:
    return [slice(*part) for part in ranges(length, parts)]


def _product(matrices: Array, x: Array, out: Array) -> tuple[Array, ...]:
    """Return the operands of `matmul` for (groups, m, k) matrices and (images, groups, k, n), without needless axes."""
    if matrices.shape[0] == 1:
        matrices, x, out = matrices[0], x[:, 0], out[:, 0]
    if x.shape[0] == 1:
        x, out = x[0], out[0]
    return matrices, x, out


def _lay(flat: Array, shape: tuple[int, ...], groups: int, shared: bool) -> tuple[Array, Array]:
    """View scratch as columns in both ways: as `Unfolding` has them, and as operand of products.

    That operand is (images, groups, depth, windows), or, for `shared` products, (groups, depth, images * windows).
    """
    images, channels, *rest = shape
    depth = channels // groups * math.prod(rest[: len(rest) // 2])
    if shared:
        kernel, windows = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        columns = flat.reshape(channels, *kernel, images, *windows)
        return np.moveaxis(columns, 1 + len(kernel), 0), flat.reshape(groups, depth, -1)
    return flat.reshape(shape), flat.reshape(images, groups, depth, -1)


class _Columns(KernelPlan):
    """What forward and the folding data gradient share: the data in blocks of columns, a product for each.

    A *cell* is a range of images and one of groups; its windows may be cut into several ranges of rows. Cells are
    independent of each other, so several threads, the *lanes*, may work on them, each with scratch of its own:
    ``columns``, ``phases``, and ``planes``, the results' planes of images that share a product.
    """

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(operands, result, dtype)
        self.g = g
        self.unfolding = Unfolding(g)
        self.windows = math.prod(g.windows)
        few = self.windows < (FEW_WINDOWS_COPIED if g.plain else FEW_WINDOWS)
        #: Whether several images share a product.
        self.shared = few and g.images > 1 and g.rows > FEW_ROWS and not g.whole
        #: Whether the data takes the place of the columns.
        self.copyless = g.whole or (g.plain and not self.shared)
        self.cells: list[tuple[slice, slice]] = []
        self.rows: list[slice] = []
        self.lanes = 1
        if not self.copyless and g.images:
            self._cut()
            self._reserve()

    def usable(self, position: int, x: Array) -> bool:
        return bool(x.flags.c_contiguous) if position == 1 or self.g.whole else _planes(x)

    def _cut(self) -> None:
        """Cut into cells and rows so that the columns of each fit a cache: by images, then groups, then rows."""
        g = self.g
        few = g.rows <= FEW_ROWS
        limit = SMALL_BLOCK_BYTES if few else BLOCK_BYTES
        group = g.depth * self.windows * self.compute.itemsize
        image = group * g.groups
        by_images, by_groups, by_rows = 1, 1, 1
        if image <= limit:
            by_images = -(-g.images // max(1, limit // image))
        else:
            by_images = g.images
            by_groups = -(-g.groups // max(1, limit // group))
            by_rows = -(-g.windows[0] // max(1, limit * g.windows[0] // group))
        if few and g.groups > 1 and image * g.images >= BLOCKS_TO_SPREAD * SMALL_BLOCK_BYTES:
            self.lanes = min(worker_count(), g.groups)
            if by_images * by_groups < self.lanes:
                by_groups = self.lanes
        self.cells = list(itertools.product(_slices(g.images, by_images), _slices(g.groups, by_groups)))
        self.rows = _slices(g.windows[0], by_rows)

    def _reserve(self) -> None:
        g = self.g
        images = max(i.stop - i.start for i, _ in self.cells)
        groups = max(j.stop - j.start for _, j in self.cells)
        channels = groups * (g.channels // g.groups)
        columns = self.unfolding.columns_shape(images, channels, max(r.stop - r.start for r in self.rows))
        phases = self.unfolding.phases_shape(images, channels)
        for lane in range(self.lanes):
            self.scratch.reserve(f"columns {lane}", (math.prod(columns),), self.compute)
            if self.unfolding.phased:
                self.scratch.reserve(f"phases {lane}", (math.prod(phases),), self.compute)
            if self.shared:
                self.scratch.reserve(f"planes {lane}", (images * groups * g.rows * self.windows,), self.compute)

    def _columns(self, flat: Array, source: tuple[int, ...], groups: int, rows: slice) -> tuple[Array, Array]:
        """View scratch as columns of `rows` for data of shape `source`; see `_lay`."""
        shape = self.unfolding.columns_shape(*source[:2], rows.stop - rows.start)
        return _lay(flat[: math.prod(shape)], shape, groups, self.shared)

    def _by_lanes(self, cell_steps: Callable[[slice, slice, Callable[[str], Array]], list[Step]], carve: Callable[[str], Array]) -> list[Step]:
        """Return the steps of all cells, spread over the lanes."""
        lanes = []
        for lane, (begin, end) in enumerate(ranges(len(self.cells), self.lanes)):
            own = {name: carve(f"{name} {lane}") for name in ("columns", "phases", "planes") if f"{name} {lane}" in self.scratch}
            lanes.append([step for cell in self.cells[begin:end] for step in cell_steps(*cell, own.__getitem__)])
        if len(lanes) == 1:
            return lanes[0]
        return [(parallel([chain(steps) for steps in lanes]), ())]


class _Forward(_Columns):
    """The result from data and weight, or, with `weight` already turned into matrices, from those."""

    def steps(self, operands: Sequence[Array], out: Array, carve: Callable[[str], Array]) -> list[Step]:
        g = self.g
        x, weight = operands
        return self.products(x, weight.reshape(g.groups, g.rows, g.depth), out, carve)

    def products(self, x: Array, matrices: Array, out: Array, carve: Callable[[str], Array]) -> list[Step]:
        """Return the calls, given the weights as matrices of shape (groups, rows, depth)."""
        g = self.g
        if not g.images:
            return []
        if g.whole:
            return [(np.matmul, (x.reshape(g.images, -1), matrices[0].T, out.reshape(g.images, -1)))]
        y = g.grouped(out, windows=True)
        if self.copyless:
            return [(np.matmul, _product(matrices, g.grouped(x, windows=False), y))]
        x = g.lifted(x, windows=False)
        channels = g.channels // g.groups
        row = self.windows // g.windows[0]

        def cell_steps(images: slice, groups: slice, own: Callable[[str], Array]) -> list[Step]:
            source = x[images, groups.start * channels : groups.stop * channels]
            count, width = source.shape[0], groups.stop - groups.start
            steps: list[Step] = []
            if self.unfolding.phased:
                shape = self.unfolding.phases_shape(*source.shape[:2])
                phases = own("phases")[: math.prod(shape)].reshape(shape)
                steps += _spread(self.unfolding.split, (source, phases), source.size)
                source = phases
            for rows in self.rows:
                columns, operand = self._columns(own("columns"), source.shape, width, rows)
                steps += _spread(self.unfolding.unfold, (source, columns), columns.size, rows.start, rows.stop)
                target = y[images, groups, :, rows.start * row : rows.stop * row]
                if self.shared:
                    planes = own("planes")[: target.size].reshape(width, g.rows, count, -1)
                    steps.append((np.matmul, _squeeze(matrices[groups], operand, planes.reshape(width, g.rows, -1))))
                    steps.append((np.copyto, (target, planes.transpose(2, 0, 1, 3))))
                else:
                    steps.append((np.matmul, _product(matrices[groups], operand, target)))
            return steps

        return self._by_lanes(cell_steps, carve)


class _FoldedDataGradient(_Columns):
    """The gradient by the data, as the transpose of forward: a product, then folding."""

    def steps(self, operands: Sequence[Array], out: Array, carve: Callable[[str], Array]) -> list[Step]:
        g = self.g
        dy, weight = operands
        matrices = weight.reshape(g.groups, g.rows, g.depth).transpose(0, 2, 1)
        if not g.images:
            return []
        if g.whole:
            return [(np.matmul, (dy.reshape(g.images, -1), matrices[0].T, out.reshape(g.images, -1)))]
        dy = g.grouped(dy, windows=True)
        if self.copyless:
            return [(np.matmul, _product(matrices, dy, g.grouped(out, windows=False)))]
        dx = g.lifted(out, windows=False)
        channels = g.channels // g.groups
        row = self.windows // g.windows[0]

        def cell_steps(images: slice, groups: slice, own: Callable[[str], Array]) -> list[Step]:
            target = dx[images, groups.start * channels : groups.stop * channels]
            count, width = target.shape[0], groups.stop - groups.start
            source = target
            if self.unfolding.phased:
                shape = self.unfolding.phases_shape(*target.shape[:2])
                source = own("phases")[: math.prod(shape)].reshape(shape)
            steps: list[Step] = []
            for rows in self.rows:
                columns, result = self._columns(own("columns"), source.shape, width, rows)
                head = dy[images, groups, :, rows.start * row : rows.stop * row]
                if g.rows == 1:
                    steps.append((np.multiply, (matrices[groups], head, result)))
                elif self.shared:
                    planes = own("planes")[: head.size].reshape(width, g.rows, count, -1)
                    steps.append((np.copyto, (planes, head.transpose(1, 2, 0, 3))))
                    steps.append((np.matmul, _squeeze(matrices[groups], planes.reshape(width, g.rows, -1), result)))
                else:
                    steps.append((np.matmul, _product(matrices[groups], head, result)))
                steps += _spread(self.unfolding.fold, (columns, source), columns.size, rows.start, rows.stop)
            if self.unfolding.phased:
                steps += _spread(self.unfolding.join, (source, target), target.size)
            return steps

        return self._by_lanes(cell_steps, carve)


class _TurnedDataGradient(KernelPlan):
    """The gradient by the data, for stride 1, as a convolution of the head gradient with the turned weight."""

    def __init__(
        self, g: Geometry, turned: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(operands, result, dtype)
        self.g = g
        self.inner = _Forward(turned, operands, result, self.compute)
        self.scratch.reserve("weight", (g.groups, g.channels // g.groups, g.rows, *g.kernel), self.compute)
        self.scratch.reserve("inner", (self.inner.workspace,), self.compute)

    def usable(self, position: int, x: Array) -> bool:
        return bool(x.flags.c_contiguous) if position == 1 else _planes(x)

    def steps(self, operands: Sequence[Array], out: Array, carve: Callable[[str], Array]) -> list[Step]:
        g = self.g
        dy, weight = operands
        turned = carve("weight")
        taps = (slice(None, None, -1),) * len(g.kernel)
        reversed_taps = weight.reshape(g.groups, g.rows, g.channels // g.groups, *g.kernel)[:, :, :, *taps]
        matrices = turned.reshape(g.groups, g.channels // g.groups, -1)
        workspace = carve("inner")
        copy: Step = (np.copyto, (turned, reversed_taps.swapaxes(1, 2)))
        inner = self.inner
        return [copy, *inner.products(dy, matrices, out, lambda name: inner.scratch.carve(name, workspace))]


class _WeightGradient(KernelPlan):
    """The gradient by the weights: products of head gradients and columns, summed over windows and images.

    Groups are cut into lanes and cells; within a cell of groups, over ranges of images, channels are cut so that their
    columns fit a cache, and each range of channels gives columns of the result. Scratch: ``columns``, ``phases``,
    ``planes`` (head gradients of images that share a product) and ``sums`` (what is added to the result).
    """

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(operands, result, dtype)
        self.g = g
        self.unfolding = Unfolding(g)
        self.windows = math.prod(g.windows)
        #: Whether products are matrix times vector, one for each image, or sum over all windows of several images.
        self.batched = g.rows <= FEW_ROWS and g.groups > 1
        self.images: list[slice] = []
        self.cells: list[slice] = []
        self.channels: list[slice] = []
        self.rows: list[slice] = []
        self.lanes = 1
        if g.images and not g.whole:
            self._cut()
            self._reserve()

    def _cut(self) -> None:
        g = self.g
        channels = g.channels // g.groups
        by_groups, by_channels, by_rows = 1, 1, 1
        if self.batched:
            channel = g.depth * self.windows * self.compute.itemsize
            by_images = -(-g.images // max(1, SMALL_BLOCK_BYTES // (channel * g.groups)))
            by_groups = -(-g.groups // max(1, SMALL_BLOCK_BYTES // channel))
            if channel * g.groups * g.images >= BLOCKS_TO_SPREAD * SMALL_BLOCK_BYTES:
                self.lanes = min(worker_count(), g.groups)
                by_groups = max(by_groups, self.lanes)
        else:
            # Adding up costs some passes over the result for each image, sharing a product some copies of planes.
            sharing = self.windows * (g.filters + (g.channels if g.plain else 0))
            share = 3 * g.filters * g.depth > sharing
            by_images = -(-g.images // -(-SUMMED_WINDOWS // self.windows)) if share else g.images
            together = -(-g.images // by_images)
            if not (g.plain and together == 1):
                channel = g.taps * together * self.windows * self.compute.itemsize
                if channel * g.channels > BLOCK_BYTES:
                    if together == 1:
                        fitting = max(1, BLOCK_BYTES // (self.compute.itemsize * min(g.depth, RESULT_COLUMNS)))
                        by_rows = min(g.windows[0], -(-self.windows // fitting))
                    fitting = max(1, BLOCK_BYTES * by_rows // channel)
                    by_groups = -(-g.groups // max(1, fitting // channels))
                    by_channels = -(-channels // fitting)
        self.images = _slices(g.images, by_images)
        self.cells = _slices(g.groups, by_groups)
        self.channels = _slices(channels, by_channels)
        self.rows = _slices(g.windows[0], by_rows)
        #: Whether the data takes the place of the columns.
        self.copyless = g.plain and (self.batched or len(self.images) == g.images)

    def _reserve(self) -> None:
        g = self.g
        images, groups, channels, rows = (
            max(s.stop - s.start for s in cut) for cut in (self.images, self.cells, self.channels, self.rows)
        )
        for lane in range(self.lanes):
            if not self.copyless:
                columns = self.unfolding.columns_shape(images, groups * channels, rows)
                self.scratch.reserve(f"columns {lane}", (math.prod(columns),), self.compute)
            if self.unfolding.phased:
                phases = self.unfolding.phases_shape(images, groups * channels)
                self.scratch.reserve(f"phases {lane}", (math.prod(phases),), self.compute)
            sums = groups * g.rows * channels * g.taps
            if self.batched:
                self.scratch.reserve(f"each {lane}", (images * sums,), self.compute)
            elif images > 1:
                self.scratch.reserve(f"planes {lane}", (images * groups * g.rows * self.windows,), self.compute)
            if len(self.images) * len(self.rows) > 1:
                self.scratch.reserve(f"sums {lane}", (sums,), self.compute)

    def usable(self, position: int, x: Array) -> bool:
        return bool(x.flags.c_contiguous) if position == 2 or self.g.whole else _planes(x)

    def steps(self, operands: Sequence[Array], out: Array, carve: Callable[[str], Array]) -> list[Step]:
        g = self.g
        x, dy = operands
        if not g.images:
            return [(out.fill, (0,))]
        if g.whole:
            return [(np.matmul, (dy.reshape(g.images, -1).T, x.reshape(g.images, -1), out.reshape(g.filters, -1)))]
        dw = out.reshape(g.groups, g.rows, g.depth)
        x, dy = g.lifted(x, windows=False), g.grouped(dy, windows=True)
        lanes: list[list[Step]] = []
        for lane, (begin, end) in enumerate(ranges(len(self.cells), self.lanes)):
            steps: list[Step] = []
            for groups in self.cells[begin:end]:
                for images in self.images:
                    steps += self._cell(x, dy, dw, groups, images, lane, carve)
            lanes.append(steps)
        return lanes[0] if len(lanes) == 1 else [(parallel([chain(steps) for steps in lanes]), ())]

    def _cell(
        self, x: Array, dy: Array, dw: Array, groups: slice, images: slice, lane: int, carve: Callable[[str], Array]
    ) -> list[Step]:
        """Return the calls for a range of groups and one of images."""
        g = self.g
        steps: list[Step] = []
        head = dy[images, groups]
        count, width = head.shape[:2]
        shared = count > 1 and not self.batched
        if shared:
            planes = carve(f"planes {lane}")[: head.size].reshape(width, g.rows, count, self.windows)
            steps.append((np.copyto, (planes, head.transpose(1, 2, 0, 3))))
            head = planes.reshape(width, g.rows, -1)
        elif not self.batched:
            head = head[0]
        per_group = g.channels // g.groups
        row = self.windows // g.windows[0]
        for channels in self.channels:
            first = groups.start * per_group + channels.start
            source = x[images, first : first + (width - 1) * per_group + channels.stop - channels.start]
            if self.unfolding.phased:
                shape = self.unfolding.phases_shape(*source.shape[:2])
                phases = carve(f"phases {lane}")[: math.prod(shape)].reshape(shape)
                steps += _spread(self.unfolding.split, (source, phases), source.size)
                source = phases
            target = dw[groups, :, channels.start * g.taps : channels.stop * g.taps]
            for rows in self.rows:
                if self.copyless:
                    operand = source.reshape(count, width, per_group, self.windows)
                    operand = operand if self.batched else operand[0]
                else:
                    shape = self.unfolding.columns_shape(count, source.shape[1], rows.stop - rows.start)
                    flat = carve(f"columns {lane}")[: math.prod(shape)]
                    columns, operand = _lay(flat, shape, width, shared)
                    operand = operand if shared or self.batched else operand[0]
                    steps += _spread(self.unfolding.unfold, (source, columns), columns.size, rows.start, rows.stop)
                if len(self.rows) > 1:
                    part = head[..., rows.start * row : rows.stop * row]
                else:
                    part = head
                new = images.start == 0 and rows.start == 0
                sums = target if new else carve(f"sums {lane}")[: target.size].reshape(target.shape)
                if self.batched:
                    each = carve(f"each {lane}")[: count * target.size].reshape(count, *target.shape)
                    steps.append((np.matmul, (part, operand.swapaxes(-1, -2), each)))
                    steps.append((np.add.reduce, (each, 0, None, sums)))
                else:
                    steps.append((np.matmul, _squeeze(part, operand.swapaxes(-1, -2), sums)))
                if not new:
                    steps.append((np.add, (target, sums, target)))
        return steps


def plan_forward(
    data_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    dilate: Sequence[int],
    pad: Sequence[int],
    groups: int,
    dtype: npt.DTypeLike,
) -> KernelPlan:
    """Plan ``y = conv(x, w)``; bind with ``(x, w, y, workspace)``.

    Parameters
    ----------
    data_shape, weight_shape
        ``(N, C, *spatial)`` and ``(O, C / groups, *kernel)``, with one to three spatial axes.
    stride, dilate, pad
        One number for each spatial axis; `pad` zeros are taken to lie on both sides.
    groups
        Number of groups into which channels and filters are cut.
    dtype
        Element type of all arrays and of the workspace.

    Examples
    --------
    >>> x, w = np.arange(5.0).reshape(1, 1, 5), np.array([[[1.0, 0.0, -1.0]]])
    >>> y = np.empty((1, 1, 3))
    >>> plan = plan_forward(x.shape, w.shape, (1,), (1,), (0,), 1, x.dtype)
    >>> plan.run(x, w, y, np.empty(plan.workspace))
    >>> y.tolist()
    [[[-2.0, -2.0, -2.0]]]
    """
    g = Geometry.of(data_shape, weight_shape, stride, dilate, pad, groups)
    return _Forward(g, (data_shape, weight_shape), _result_shape(g, data_shape), dtype)


def plan_data_gradient(
    data_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    dilate: Sequence[int],
    pad: Sequence[int],
    groups: int,
    dtype: npt.DTypeLike,
) -> KernelPlan:
    """Plan the gradient of `plan_forward`'s convolution by its data; bind with ``(dy, w, dx, workspace)``."""
    g = Geometry.of(data_shape, weight_shape, stride, dilate, pad, groups)
    operands = _result_shape(g, data_shape), weight_shape
    turned = g.turned()
    if turned is not None and not g.plain and not g.whole:
        columns = g.images * math.prod(g.windows) * g.taps
        if columns * g.filters * COPY_COST + math.prod(weight_shape) * TURN_COST < columns * g.channels * ADD_COST:
            return _TurnedDataGradient(g, turned, operands, data_shape, dtype)
    return _FoldedDataGradient(g, operands, data_shape, dtype)


def plan_weight_gradient(
    data_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    dilate: Sequence[int],
    pad: Sequence[int],
    groups: int,
    dtype: npt.DTypeLike,
) -> KernelPlan:
    """Plan the gradient of `plan_forward`'s convolution by its weights; bind with ``(x, dy, dw, workspace)``."""
    g = Geometry.of(data_shape, weight_shape, stride, dilate, pad, groups)
    return _WeightGradient(g, (data_shape, _result_shape(g, data_shape)), weight_shape, dtype)


def _result_shape(g: Geometry, data_shape: Sequence[int]) -> tuple[int, ...]:
    return (g.images, g.filters, *g.windows[len(g.windows) - len(data_shape) + 2 :])
