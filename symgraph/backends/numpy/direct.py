"""Convolution without unfolding: sums of products over the windows of a padded image, in tiles that stay in registers.

NumPy has no call that does this, so it is for compiled loops (see the pass ``convolution``); sums are rounded in
another order than BLAS does. Until they are compiled, NumPy computes the same its own way, by matrix products.

* Weights are packed first: `WIDTH` filters lie next to each other, and one such row for each element of a kernel after
  the other. A *panel*, the rows of `WIDTH` filters, stays in a second-level cache while it meets all windows.
* A lane copies its images into padded ones, some at a time; where there is no padding, it takes them as they are.
* Results come out with filters last. A block of them is small enough to be in cache still when it is copied, turned, to
  where it belongs.
* The gradient by the weights is the same with other names: what is summed over are windows, the head gradient is what
  is packed, and the elements of a kernel are the places of a tile.

What does not belong here: when to compute a convolution like this (`convolution`), and machine code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from symgraph.backends.numpy.contraction import contract
from symgraph.backends.numpy.kernel_plan import Array, Carve, KernelPlan, StagedPlan, Step
from symgraph.backends.numpy.threads import longest, ranges, slices, worker_count
from symgraph.backends.numpy.unfolding import Geometry

__all__ = ["DirectProduct", "DirectWeightGradient", "FlatProduct", "applies", "is_flat"]

#: Filters of a panel, and of what the last one has a multiple: a cache line of float32.
WIDTH, PART = 32, 16
#: Bytes of padded images that a lane has at a time, if a single one has no more: half of a second-level cache.
IMAGE_BYTES = 1 << 19
#: Windows whose results are copied together.
BLOCK = 512
#: Windows that the weight gradient sums over for one tile after the other, if an image has more.
SUMMED = 256
#: Bytes of padded images in a weight gradient, if a single one has no more.
PADDED_BYTES = 1 << 23
#: Multiplications that are worth a further lane, and those that take as long as moving an element.
LANE_PRODUCTS, PRODUCTS_PER_ELEMENT = 1 << 21, 16


def applies(g: Geometry, dtype: npt.DTypeLike) -> bool:
    """Return whether a convolution can be computed like this."""
    return len(g.size) == 2 and g.images > 0 and min(g.pad) >= 0 and np.dtype(dtype).kind == "f"


def is_flat(g: Geometry) -> bool:
    """Return whether `FlatProduct` applies, and few windows are computed twice."""
    size = math.prod(g.windows)
    return g.plain and size >= PART and -size % PART <= size // 14


class _DirectPlan(StagedPlan):
    """What the plans share: panels and padded images."""

    def __init__(self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan, constant: bool = False) -> None:
        super().__init__(dtype, plain, constant)
        self.g = g
        self.depth = g.channels // g.groups
        #: Group and filters of each panel.
        self.panels = [
            (group, slice(begin, min(begin + WIDTH, g.rows)))
            for group in range(g.groups)
            for begin in range(0, g.rows, WIDTH)
        ]

    def width(self, filters: slice) -> int:
        """Return the number of filters of a panel, those that only fill it up included."""
        return -(-(filters.stop - filters.start) // PART) * PART

    def rows(self, windows: slice) -> slice:
        """Return the rows of padded images that some rows of windows read."""
        g = self.g
        return slice(
            windows.start * g.stride[0], (windows.stop - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilate[0] + 1
        )

    def columns(self) -> int:
        """Return the length of a row of padded images."""
        return self.g.size[1] + self.g.pad[1] + self.g.high[1]

    def pad(self, x: Array, rows: slice, padded: Array) -> list[Step]:
        """Return the calls that copy rows of images, counted with padding, into padded ones."""
        g = self.g
        top, left = max(0, g.pad[0] - rows.start), g.pad[1]
        first = max(0, rows.start - g.pad[0])
        inner = max(0, min(g.size[0], rows.stop - g.pad[0]) - first)
        steps: list[Step] = [
            (np.copyto, (padded[:, :, top : top + inner, left : left + g.size[1]], x[:, :, first : first + inner]))
        ]
        edges = (
            padded[:, :, :top],
            padded[:, :, top + inner :],
            padded[:, :, top : top + inner, :left],
            padded[:, :, top : top + inner, left + g.size[1] :],
        )
        return [*steps, *((edge.fill, (0,)) for edge in edges if edge.size)]

    def windows(self, padded: Array, count: int, turned: bool = False) -> Array:
        """View `count` rows of windows of images as (images, channels, rows, columns, *kernel)."""
        g = self.g
        image, channel, row, element = padded.strides
        down, along = g.dilate[0] * row, g.dilate[1] * element
        if turned:
            padded = padded[:, :, (g.kernel[0] - 1) * g.dilate[0] :, (g.kernel[1] - 1) * g.dilate[1] :]
            down, along = -down, -along
        return as_strided(
            padded,
            (*padded.shape[:2], count, g.windows[1], *g.kernel),
            (image, channel, g.stride[0] * row, g.stride[1] * element, down, along),
        )


#: What a lane does: images, rows of windows, panels.
Cell = tuple[slice, slice, slice]


class DirectProduct(_DirectPlan):
    """Convolution, or with a weight to be `turned` its gradient by the data; `g` is that of what is computed.

    First all panels are packed. Scratch: ``panels``; for each lane ``padded``, images, and ``block``, results with
    filters last.
    """

    def __init__(
        self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan, *, turned: bool = False, constant: bool = False
    ) -> None:
        super().__init__(g, dtype, plain, constant)
        self.turned = turned
        widths = [self.width(filters) for _, filters in self.panels]
        #: Where each panel begins.
        self.starts = list(itertools.accumulate((g.depth * width for width in widths), initial=0))
        self.prepared.reserve("panels", (self.starts[-1],), self.compute)
        self.cells = self._cut()
        for lane, (images, rows, _) in enumerate(self.cells):
            if g.padded:
                self.own.reserve(f"padded {lane}", self._padded_shape(images, rows), self.compute)
            self.own.reserve(f"block {lane}", ((BLOCK + g.windows[1]) * max(widths),), self.compute)
        self.reserved()

    def _cut(self) -> list[Cell]:
        """Cut the work for the workers: so that all have as much to do, and little is done or read by several."""
        g = self.g
        products = math.prod(g.windows) * g.images * g.filters * g.depth
        lanes = max(1, min(worker_count(), products // LANE_PRODUCTS))
        data = g.images * g.channels * math.prod(g.size)
        lengths = (g.images, g.windows[0], len(self.panels))

        def cost(parts: tuple[int, int, int]) -> float:
            largest = math.prod(-(-n // part) / n for part, n in zip(parts, lengths, strict=True))
            repeated = self.starts[-1] * parts[0] * parts[1] + data * parts[2]
            return largest * products / PRODUCTS_PER_ELEMENT + repeated / math.prod(parts)

        ways = [
            (by_images, by_rows, min(lanes // (by_images * by_rows), lengths[2]))
            for by_images in range(1, min(lanes, lengths[0]) + 1)
            for by_rows in range(1, min(lanes // by_images, lengths[1]) + 1)
        ]
        best = min(ways, key=cost)
        images, rows, panels = (slices(n, part) for n, part in zip(lengths, best, strict=True))
        return list(itertools.product(images, rows, panels))

    def _together(self, images: slice, rows: slice) -> list[slice]:
        """Cut images into those that are padded together."""
        read = self.rows(rows)
        each = self.g.channels * (read.stop - read.start) * self.columns() * self.compute.itemsize
        count = images.stop - images.start
        return [
            slice(images.start + part.start, images.start + part.stop)
            for part in slices(count, -(-count // max(1, IMAGE_BYTES // each)))
        ]

    def _padded_shape(self, images: slice, rows: slice) -> tuple[int, ...]:
        read = self.rows(rows)
        together = longest(self._together(images, rows))
        return (together, self.g.channels, read.stop - read.start, self.columns())

    def preparation(self, operands: Sequence[Array], own: Carve, prepared: Carve) -> list[list[Step]]:
        """Return the steps that pack the panels."""
        g, weight = self.g, operands[1]
        panels = self._panels(prepared("panels"))
        if self.turned:
            taps = weight.reshape(g.groups, self.depth, g.rows, g.taps)
        else:
            taps = weight.reshape(g.groups, g.rows, self.depth, g.taps).swapaxes(1, 2)
        return [
            [step for number in range(*part) for step in self._pack(taps, number, panels[number])]
            for part in ranges(len(panels), len(self.cells))
        ]

    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps of all cells."""
        g = self.g
        x, y = operands[0].reshape(g.images, g.channels, *g.size), out.reshape(g.images, g.filters, -1)
        panels = self._panels(prepared("panels"))
        return [[list(self._cell(lane, cell, x, panels, y, own)) for lane, cell in enumerate(self.cells)]]

    def _panels(self, flat: Array) -> list[Array]:
        """View packed weights as one array for each panel: (channels, elements, filters)."""
        return [flat[begin:end].reshape(self.depth, self.g.taps, -1) for begin, end in itertools.pairwise(self.starts)]

    def _pack(self, taps: Array, number: int, panel: Array) -> list[Step]:
        """Return the calls that pack filters; `taps` is (groups, channels, filters, elements)."""
        group, filters = self.panels[number]
        count = filters.stop - filters.start
        source, target = taps[group, :, filters].swapaxes(1, 2), panel[..., :count]
        if not self.turned:
            source, target = source.reshape(-1, count), panel.reshape(self.g.depth, -1)[:, :count]
        steps: list[Step] = [(np.copyto, (target, source))]
        rest = panel[..., count:]
        return [*steps, (rest.fill, (0,))] if rest.size else steps

    def _cell(self, lane: int, cell: Cell, x: Array, panels: Sequence[Array], y: Array, carve: Carve) -> Iterator[Step]:
        g = self.g
        images, rows, numbers = cell
        read, count = self.rows(rows), rows.stop - rows.start
        for part in self._together(images, rows):
            source = x[part]
            if g.padded:
                padded = carve(f"padded {lane}")[: len(source)]
                yield from self.pad(source, read, padded)
            else:
                padded = source[:, :, read]
            windows = self.windows(padded, count, self.turned)
            if g.plain and not g.padded:
                # Nothing but elements in a row.
                windows = windows.reshape(*windows.shape[:2], 1, -1, 1, 1)
            for number in range(numbers.start, numbers.stop):
                group, filters = self.panels[number]
                of_group = windows[:, group * self.depth : (group + 1) * self.depth].transpose(0, 2, 3, 1, 4, 5)
                target = y[part, group * g.rows + filters.start : group * g.rows + filters.stop]
                target = target[..., rows.start * g.windows[1] : rows.stop * g.windows[1]]
                yield from self._panel(of_group, panels[number], target, carve(f"block {lane}"))

    def _panel(self, windows: Array, panel: Array, target: Array, block: Array) -> Iterator[Step]:
        """Yield the calls for (images, rows, columns, channels, *kernel) of windows and one panel."""
        panel = panel.reshape(self.depth, *self.g.kernel, -1)
        images, rows, columns = windows.shape[:3]
        filters, width = target.shape[1], panel.shape[-1]
        if rows * columns <= BLOCK:
            parts = slices(images, -(-images // (BLOCK // (rows * columns))))
            cuts = [(part, slice(0, rows), slice(0, columns)) for part in parts]
        else:
            by_rows = min(rows, -(-rows * columns // BLOCK))
            by_columns = -(-columns // BLOCK) if rows == 1 else 1
            pieces = itertools.product(slices(rows, by_rows), slices(columns, by_columns))
            cuts = [(slice(k, k + 1), *piece) for k, piece in itertools.product(range(images), pieces)]
        for cut in cuts:
            source = windows[cut]
            count, down, along = source.shape[:3]
            made = block[: count * down * along * width].reshape(count, down, along, width)
            vectors = np.broadcast_to(panel, (count, *panel.shape))
            yield contract, (source, vectors, made, False)
            first = cut[1].start * columns + cut[2].start
            yield (
                np.copyto,
                (
                    target[cut[0], :, first : first + down * along],
                    made.reshape(count, -1, width)[..., :filters].swapaxes(1, 2),
                ),
            )


class FlatProduct(_DirectPlan):
    """A 1 x 1 convolution with stride 1, or with a weight to be `turned` its gradient by the data.

    Here windows lie next to each other as vectors want it, and weights may lie as they do: nothing is copied. Where
    vectors do not fit, the last one begins before the end of the one before.
    """

    def __init__(self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan, *, turned: bool = False) -> None:
        super().__init__(g, dtype, plain)
        self.turned = turned
        self.reserved()

    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps: of each lane, those for its images and windows."""
        g = self.g
        x, weight = operands
        size = math.prod(g.windows)
        x, y = x.reshape(g.images, g.groups, self.depth, size), out.reshape(g.images, g.groups, 1, g.rows, size)
        if self.turned:
            weight = weight.reshape(g.groups, 1, self.depth, g.rows).swapaxes(2, 3)
        else:
            weight = weight.reshape(g.groups, 1, g.rows, self.depth)
        lanes = max(1, min(worker_count(), g.images * g.filters * g.depth * size // LANE_PRODUCTS))
        by_images = math.gcd(lanes, g.images)
        whole = size // PART
        cells = itertools.product(slices(g.images, by_images), ranges(whole, lanes // by_images))
        made: list[list[Step]] = []
        for images, (begin, end) in cells:
            windows = [slice(begin * PART, end * PART)]
            if end == whole and size % PART:
                windows.append(slice(size - PART, size))
            count = images.stop - images.start
            factors = np.broadcast_to(weight, (count, *weight.shape))
            made.append([(contract, (factors, x[images, ..., part], y[images, ..., part], False)) for part in windows])
        return [made]


class DirectWeightGradient(_DirectPlan):
    """The gradient by the weights; `g` is that of the convolution.

    Images are padded, some at a time; then each lane, for its panels and channels, packs the head gradient and sums
    over windows, a few rows of them at a time. Scratch: ``padded``; for each lane ``heads``, a panel of the head
    gradient, and ``sums``, the result with filters last.
    """

    def __init__(self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan) -> None:
        super().__init__(g, dtype, plain)
        products = math.prod(g.windows) * g.images * g.filters * g.depth
        lanes = max(1, min(worker_count(), products // LANE_PRODUCTS))
        by_panels = min(lanes, len(self.panels))
        #: What a lane does: panels, and channels of a group.
        self.cells = list(
            itertools.product(slices(len(self.panels), by_panels), slices(self.depth, max(1, lanes // by_panels)))
        )
        each = g.channels * math.prod(self.padded_shape) * self.compute.itemsize
        self.images = slices(g.images, -(-g.images // max(1, PADDED_BYTES // each)))
        if g.padded:
            self.own.reserve("padded", (longest(self.images), g.channels, *self.padded_shape), self.compute)
        width = max(self.width(filters) for _, filters in self.panels)
        for lane, (panels, channels) in enumerate(self.cells):
            kept = 1 if len(self.images) == 1 else panels.stop - panels.start
            shape = (kept, channels.stop - channels.start, *g.kernel, width)
            self.own.reserve(f"heads {lane}", (max(SUMMED, g.windows[1]) * width,), self.compute)
            self.own.reserve(f"sums {lane}", shape, self.compute)
        self.reserved()

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Rows and columns of a padded image."""
        return self.g.pad[0] + self.g.size[0] + self.g.high[0], self.columns()

    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps: for some images after the other, padding, then the lanes of all cells."""
        x, dy = operands
        g = self.g
        x = x.reshape(g.images, g.channels, *g.size)
        dy = dy.reshape(g.images, g.filters, -1)
        dw = out.reshape(g.filters, -1)
        stages: list[list[list[Step]]] = []
        for number, images in enumerate(self.images):
            source = x[images]
            if g.padded:
                padded = own("padded")[: len(source)]
                cuts = [
                    (image, slice(*channels))
                    for image in range(len(source))
                    for channels in ranges(g.channels, len(self.cells))
                ]
                rows = slice(0, padded.shape[2])
                lanes: list[list[Step]] = [[] for _ in range(len(self.cells))]
                for k, (image, channels) in enumerate(cuts):
                    lanes[k % len(lanes)] += self.pad(
                        source[image : image + 1, channels], rows, padded[image : image + 1, channels]
                    )
                stages.append(lanes)
                source = padded
            windows = self.windows(source, g.windows[0])
            first, last = number == 0, number == len(self.images) - 1
            stages.append(
                [
                    list(self._cell(lane, cell, windows, dy[images], dw, own, first, last))
                    for lane, cell in enumerate(self.cells)
                ]
            )
        return stages

    def _cell(
        self,
        lane: int,
        cell: tuple[slice, slice],
        windows: Array,
        dy: Array,
        dw: Array,
        carve: Carve,
        first: bool,
        last: bool,
    ) -> Iterator[Step]:
        g = self.g
        panels, channels = cell
        for number in range(panels.start, panels.stop):
            group, filters = self.panels[number]
            count, width = filters.stop - filters.start, self.width(filters)
            kept = carve(f"sums {lane}")
            sums = kept[number - panels.start if len(kept) > 1 else 0].reshape(-1)
            sums = sums[: (channels.stop - channels.start) * g.taps * width]
            by_element = sums.reshape(-1, *g.kernel, width)
            chosen = slice(group * g.rows + filters.start, group * g.rows + filters.stop)
            own = windows[:, group * self.depth + channels.start : group * self.depth + channels.stop]
            more = not first
            for images, rows in self._summed(len(own)):
                part = own[images, :, rows]
                head = dy[images, chosen, rows.start * g.windows[1] : rows.stop * g.windows[1]]
                packed = carve(f"heads {lane}")[: len(part) * head.shape[2] * width].reshape(len(part), -1, width)
                yield np.copyto, (packed[..., :count], head.swapaxes(1, 2))
                if count < width:
                    yield packed[..., count:].fill, (0,)
                vectors = packed.reshape(len(part), -1, g.windows[1], width)
                # Of kernels with rows, a tile has the elements of a row, and some channels, or some rows if there are
                # few channels; else it has channels.
                if g.kernel[1] == 1:
                    order = (1, 2, 0)
                elif part.shape[1] < g.kernel[0]:
                    order = (0, 1, 2)
                else:
                    order = (1, 0, 2)
                target = by_element.transpose(*order, 3)
                source = part.transpose(*((1, 4, 5)[k] for k in order), 0, 2, 3)
                vectors = np.broadcast_to(vectors, (len(target), *vectors.shape))
                yield contract, (source, vectors, target, more)
                more = True
            if last:
                target = dw[chosen].reshape(count, self.depth, g.taps)[:, channels].reshape(count, -1)
                yield np.copyto, (target, sums.reshape(-1, width)[:, :count].T)

    def _summed(self, images: int) -> list[tuple[slice, slice]]:
        """Cut images and rows of windows into what is summed at once."""
        g = self.g
        windows = math.prod(g.windows)
        if windows <= SUMMED:
            return [(part, slice(0, g.windows[0])) for part in slices(images, -(-images // (SUMMED // windows)))]
        parts = slices(g.windows[0], -(-g.windows[0] // max(1, SUMMED // g.windows[1])))
        return [(slice(k, k + 1), part) for k in range(images) for part in parts]
