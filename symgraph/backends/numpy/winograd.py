"""Convolution with 3 x 3 kernels and stride 1 by Winograd's minimal filtering (Lavin and Gray, 2015).

A *tile* of 2 x 2 results depends on 4 x 4 elements of each channel. Computed as ::

    y = A' [ sum over channels of (G w G') * (B' x B) ] A

it takes 16 multiplications for each pair of a channel and a filter, where the definition takes 36. The transforms
around them are little more than additions::

    B' = 1  0 -1  0      G = 1    0    0      A' = 1  1  1  0
         0  1  1  0          1/2  1/2  1/2         0  1 -1 -1
         0 -1  1  0          1/2 -1/2  1/2
         0  1  0 -1          0    0    1

The sums over channels are 16 matrix products, one for each *position* in a tile. The gradient by the data is the same
with the weight turned; that by the weight is the transpose: ``dw = G' [ sum over tiles of (A dy A') * (B' x B) ] G``.

* Between the transforms channels come last, so each call runs over long rows of memory, however small images are.
  The copies that load data and store results transpose, which costs them nothing.
* Tiles are cut into *cells* small enough to stay in the cache of a core from loading to storing. Cells follow from
  shapes alone, so no bit of a result depends on the number of workers.
* Every lane makes its own products, so no core waits for another between a transform and a product.

An element that is not finite spoils all four results of each tile that reads it, also those whose own windows do not.

What does not belong here: other convolutions, and when to compute one like this (`convolution`).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy.contraction import contract
from symgraph.backends.numpy.kernel_plan import Array, Carve, CellSteps, KernelPlan, StagedPlan, Step, lanes_of
from symgraph.backends.numpy.threads import ranges, worker_count
from symgraph.backends.numpy.unfolding import Geometry

__all__ = ["WinogradProduct", "WinogradWeightGradient", "applies", "tile_count"]

#: Tiles of a cell, if a single image does not have fewer.
TILES = 128
#: Filters whose products are computed together, and in the weight gradient, channels.
FILTERS, CHANNELS = 32, 32
#: What filters, or in the weight gradient channels, must be a multiple of: vectors of a product hold no less.
PART = 16
#: Elements of the weight that are transformed together.
WEIGHTS = 1 << 12
#: Bytes of transformed data and head gradients that the weight gradient holds at a time: of a last-level cache.
BLOCK_BYTES = 8 << 20

#: A range of images and one of their rows of tiles.
Cell = tuple[slice, slice]


def applies(g: Geometry, dtype: npt.DTypeLike) -> bool:
    """Return whether a convolution can be computed like this; its gradient by the weight, if channels fit as well."""
    return (
        (g.kernel, g.stride, g.dilate, g.groups) == ((3, 3), (1, 1), (1, 1), 1)
        and max(g.pad) <= 2
        and g.images > 0
        and g.filters % PART == 0
        and np.dtype(dtype).kind == "f"
    )


def tile_count(g: Geometry) -> int:
    """Return the number of tiles of all images."""
    return g.images * math.prod(-(-n // 2) for n in g.windows)


# -- transforms: each a list of element-wise calls; the copies that load and store change the layout ------------------


def load(x: Array, first: int, pad: int, phases: Array) -> list[Step]:
    """Return the calls that copy data, of shape (images, channels, height, width), to where tiles are made of it.

    `phases` is (2, images, rows, columns, channels): even and odd columns, counted with `pad` columns before the data.
    Its rows begin with row `first` of the data. What lies outside the data is zero.
    """
    height, width = x.shape[2:]
    rows, columns = phases.shape[2:4]
    top, bottom = max(0, -first), min(rows, height - first)
    steps: list[Step] = []
    for phase, part in enumerate(phases):
        left, right = max(0, (pad - phase + 1) // 2), min(columns, (width - 1 + pad - phase) // 2 + 1)
        begin = 2 * left + phase - pad
        source = x[:, :, first + top : first + bottom, begin : begin + 2 * (right - left) : 2]
        steps.append((np.copyto, (part[:, top:bottom, left:right], source.transpose(0, 2, 3, 1))))
        edges = part[:, :top], part[:, bottom:], part[:, top:bottom, :left], part[:, top:bottom, right:]
        steps += [(edge.fill, (0,)) for edge in edges if edge.size]
    return steps


def input_transform(phases: Array, rows: Array, tiles: Array) -> list[Step]:
    """Return the calls that compute ``B' x B``.

    `phases` (2, images, 2 * height + 2, width + 1, channels) becomes `rows` (4, 2, images, height, width + 1,
    channels), of which each row is transformed, and `tiles` (4, 4, images, height, width, channels).
    """

    def transform(x: Sequence[Array], y: Array) -> list[Step]:
        return [
            (np.subtract, (x[0], x[2], y[0])),
            (np.add, (x[1], x[2], y[1])),
            (np.subtract, (x[2], x[1], y[2])),
            (np.subtract, (x[1], x[3], y[3])),
        ]

    _, _, images, height, columns, channels = rows.shape
    pairs = phases.reshape(2, images, height + 1, 2, -1)
    rows = rows.reshape(4, 2, images, height, -1)
    tiles = tiles.reshape(4, 4, images, height, -1).swapaxes(0, 1)
    this, after = slice(None, (columns - 1) * channels), slice(channels, None)
    return [
        *transform([pairs[:, :, i : i + height, k] for i in (0, 1) for k in (0, 1)], rows),
        *transform([rows[:, phase, ..., part] for part in (this, after) for phase in (0, 1)], tiles),
    ]


def weight_transform(taps: Array, rows: Array, weights: Array) -> list[Step]:
    """Return the calls that compute ``G w G'``.

    `taps` (3, 3, ...) become `rows` (4, 3, ...) and `weights` (4, 4, ...). The taps are first divided by 4, in place,
    so that the rest are additions.
    """

    def transform(x: Array, y: Array) -> list[Step]:
        return [
            (np.add, (x[0], x[0], y[0])),
            (np.add, (x[2], x[2], y[3])),
            (np.add, (x[0], x[2], y[2])),
            (np.add, (y[2], x[1], y[1])),
            (np.subtract, (y[2], x[1], y[2])),
        ]

    quarter: Step = (np.multiply, (taps, taps.dtype.type(0.25), taps))
    return [quarter, *transform(taps, rows), *transform(rows.swapaxes(0, 1), weights.swapaxes(0, 1))]


def output_transform(tiles: Array, rows: Array, sums: Array, planes: Array) -> list[Step]:
    """Return the calls that compute ``A' t A``.

    `tiles` (4, 4, images, height, width, filters) become `rows` (2, 4, images, height, width, filters), and `planes`
    (images, up to 2 * height, up to 2 * width, filters); `sums` (2, images, height, width, filters) is scratch.
    """
    steps: list[Step] = [
        (np.add, (tiles[1], tiles[2], rows[0])),
        (np.add, (tiles[0], rows[0], rows[0])),
        (np.subtract, (tiles[1], tiles[2], rows[1])),
        (np.subtract, (rows[1], tiles[3], rows[1])),
    ]
    for column, function in enumerate((np.add, np.subtract)):
        steps.append((function, (rows[:, 1], rows[:, 2], sums)))
        for row in (0, 1):
            plane = planes[:, row::2, column::2]
            part = (slice(None), slice(plane.shape[1]), slice(plane.shape[2]))
            other = rows[row, 3 * column][part]
            steps.append((function, (sums[row][part], other, plane)))
    return steps


def head_transform(phases: Array, rows: Array, tiles: Array) -> list[Step]:
    """Return the calls that compute ``A dy A'``, but for the signs of the last row and of the last column.

    `phases` (2, images, 2 * height, width, filters) becomes `tiles` (4, 4, images, height, width, filters); `rows` (2,
    2, images, height, width, filters) holds what is new of the transformed rows, the second and the third.
    """
    _, _, images, height, _, _ = rows.shape
    pairs = phases.reshape(2, images, height, 2, -1)
    rows = rows.reshape(2, 2, images, height, -1)
    tiles = tiles.reshape(4, 4, images, height, -1)
    steps: list[Step] = [
        (np.add, (pairs[:, :, :, 0], pairs[:, :, :, 1], rows[0])),
        (np.subtract, (pairs[:, :, :, 0], pairs[:, :, :, 1], rows[1])),
    ]
    for x, y in ((pairs.transpose(3, 0, 1, 2, 4), tiles[::3]), (rows, tiles[1:3])):
        steps += [
            (np.copyto, (y[:, 0], x[:, 0])),
            (np.add, (x[:, 0], x[:, 1], y[:, 1])),
            (np.subtract, (x[:, 0], x[:, 1], y[:, 2])),
            (np.copyto, (y[:, 3], x[:, 1])),
        ]
    return steps


def weight_gradient_transform(sums: Array, rows: Array, taps: Array) -> list[Step]:
    """Return the calls that compute ``G' s G``.

    `sums` (4, 4, ...) become `rows` (3, 4, ...) and `taps` (3, 3, ...). The signs that `head_transform` has left out
    are here.
    """

    def transform(x: Array, y: Array) -> list[Step]:
        return [
            (np.add, (x[1], x[2], y[2])),
            (np.subtract, (x[1], x[2], y[1])),
            (np.multiply, (y[1:], y.dtype.type(0.5), y[1:])),
            (np.add, (x[0], y[2], y[0])),
            (np.subtract, (y[2], x[3], y[2])),
        ]

    return [*transform(sums, rows), *transform(rows.swapaxes(0, 1), taps.swapaxes(0, 1))]


# -- plans ------------------------------------------------------------------------------------------------------------


def _slices(length: int, longest: int) -> list[slice]:
    """Cut ``range(length)`` into runs of nearly equal length."""
    return [slice(*part) for part in ranges(length, -(-length // longest))]


def _parts(length: int, longest: int) -> list[slice]:
    """Cut ``range(length)``, a multiple of `PART`, into runs of such lengths."""
    return [slice(cut.start * PART, cut.stop * PART) for cut in _slices(length // PART, max(1, longest // PART))]


def _split(flat: Array, *shapes: Sequence[int]) -> Iterator[Array]:
    """Yield arrays of these shapes that lie one after the other in `flat`."""
    ends = [0, *itertools.accumulate(map(math.prod, shapes))]
    for (begin, end), shape in zip(itertools.pairwise(ends), shapes, strict=True):
        yield flat[begin:end].reshape(shape)


class _WinogradPlan(StagedPlan):
    """What the plans share: tiles and cells, and scratch for each lane."""

    def __init__(self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan, constant: bool = False) -> None:
        super().__init__(dtype, plain, constant)
        self.g = g
        #: Rows of tiles of an image, and tiles of a row.
        self.grid = tuple(-(-n // 2) for n in g.windows)
        height, width = self.grid
        images = _slices(g.images, max(1, TILES // (height * width)))
        rows = _slices(height, max(1, TILES // width))
        self.cells: list[Cell] = list(itertools.product(images, rows))
        self.lanes = worker_count()

    def reserve(self, name: str, elements: int) -> None:
        """Set scratch of dtype `compute` aside for each lane."""
        for lane in range(self.lanes):
            self.own.reserve(f"{name} {lane}", (elements,), self.compute)

    def by_lanes(self, cells: Sequence[Any], cell_steps: CellSteps, carve: Carve) -> list[list[Step]]:
        """Return the steps of a stage."""
        return lanes_of(cells, self.lanes, cell_steps, carve)

    def shape(self, cell: Cell) -> tuple[int, int, int]:
        """Return how many images, rows of tiles and tiles of a row a cell has."""
        images, rows = cell
        return images.stop - images.start, rows.stop - rows.start, self.grid[1]

    def first(self, cell: Cell) -> int:
        """Return the number of tiles in the cells before."""
        images, rows = cell
        height, width = self.grid
        return (images.start * height + rows.start * (images.stop - images.start)) * width

    def largest(self) -> tuple[int, int, int]:
        """Return the shape of the largest cell."""
        return max(map(self.shape, self.cells), key=math.prod)


class WinogradProduct(_WinogradPlan):
    """Convolution, or with a weight to be `turned` its gradient by the data; `g` is that of what is computed.

    Where there are fewer filters than tiles, the weight is transformed first, for all lanes; each cell then transforms
    its data, multiplies, and stores its results. Else the data is, and each range of filters transforms its weights, if
    these are not constant. Scratch: ``weights`` or ``tiles``, the factor that all lanes read; for each lane ``local``,
    its part of the other, and ``first`` and ``second``, in which what is transformed and what comes of it take turns.
    """

    def __init__(
        self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan, *, turned: bool = False, constant: bool = False
    ) -> None:
        super().__init__(g, dtype, plain, constant)
        self.turned = turned
        self.filters = _parts(g.filters, FILTERS)
        width = max(f.stop - f.start for f in self.filters)
        #: Ranges of channels of which weights are transformed together.
        self.depths = _slices(g.channels, max(1, WEIGHTS // width))
        self.by_cells = g.filters <= tile_count(g)
        images, rows, columns = self.largest()
        tiles, elements = images * rows * columns, width * max(d.stop - d.start for d in self.depths)
        #: Whether weights are transformed for all lanes.
        self.prepares = constant or self.by_cells
        if self.prepares:
            self.prepared.reserve("weights", (16 * g.channels * g.filters,), self.compute)
        if self.by_cells:
            self.reserve("local", 16 * g.channels * tiles)
        else:
            self.own.reserve("tiles", (16 * g.channels * tile_count(g),), self.compute)
            if not constant:
                self.reserve("local", 16 * g.channels * width)
        phases = 2 * images * (2 * rows + 2) * (columns + 1) * g.channels
        self.reserve("first", max(phases, 9 * elements, 16 * tiles * width))
        transformed = 8 * images * rows * (columns + 1) * g.channels
        self.reserve("second", max(transformed, 12 * elements, 14 * tiles * width))
        self.reserved()

    def _taps(self, weight: Array) -> Array:
        """View the weight as (3, 3, channels, filters)."""
        return weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1) if self.turned else weight.transpose(2, 3, 1, 0)

    def _of(self, filters: slice, flat: Array) -> Array:
        """View the first of scratch as transformed weights of some filters: (4, 4, channels, filters)."""
        width = filters.stop - filters.start
        return flat[: 16 * self.g.channels * width].reshape(4, 4, self.g.channels, width)

    def preparation(self, operands: Sequence[Array], own: Carve, prepared: Carve) -> list[list[Step]]:
        """Return the steps that transform the weight."""
        if not self.prepares:
            return []
        taps, flat = self._taps(operands[1]), prepared("weights")

        def of_weights(part: tuple[slice, slice], own: Carve) -> list[Step]:
            filters, depth = part
            made = self._of(filters, flat[16 * self.g.channels * filters.start :])
            return self._weights(taps, filters, depth, made, own)

        return self.by_lanes(list(itertools.product(self.filters, self.depths)), of_weights, own)

    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps: those for all data, if they come first, then those for each cell or range of filters."""
        x, taps, channels = operands[0], self._taps(operands[1]), self.g.channels

        def weights(filters: slice) -> Array:
            return self._of(filters, prepared("weights")[16 * channels * filters.start :])

        def tiles(cell: Cell, flat: Array) -> Array:
            shape = self.shape(cell)
            return flat[: 16 * channels * math.prod(shape)].reshape(4, 4, *shape, channels)

        def all_tiles(cell: Cell) -> Array:
            return tiles(cell, own("tiles")[16 * channels * self.first(cell) :])

        def of_cell(cell: Cell, own: Carve) -> list[Step]:
            made = tiles(cell, own("local"))
            steps = _tiles_of(x, cell, self.g.pad, made, own)
            for filters in self.filters:
                steps += self._results(made, weights(filters), cell, filters, out, own)
            return steps

        def of_tiles(cell: Cell, own: Carve) -> list[Step]:
            return _tiles_of(x, cell, self.g.pad, all_tiles(cell), own)

        def of_filters(filters: slice, own: Carve) -> list[Step]:
            steps: list[Step] = []
            if self.prepares:
                made = weights(filters)
            else:
                made = self._of(filters, own("local"))
                steps += [step for depth in self.depths for step in self._weights(taps, filters, depth, made, own)]
            for cell in self.cells:
                steps += self._results(all_tiles(cell), made, cell, filters, out, own)
            return steps

        if self.by_cells:
            return [self.by_lanes(self.cells, of_cell, own)]
        return [self.by_lanes(self.cells, of_tiles, own), self.by_lanes(self.filters, of_filters, own)]

    def _weights(self, taps: Array, filters: slice, depth: slice, weights: Array, own: Carve) -> list[Step]:
        """Return the calls that transform the weights of some channels of a range of filters."""
        shape = depth.stop - depth.start, filters.stop - filters.start
        (loaded,) = _split(own("first"), (3, 3, *shape))
        (rows,) = _split(own("second"), (4, 3, *shape))
        load_taps: Step = (np.copyto, (loaded, taps[:, :, depth, filters]))
        return [load_taps, *weight_transform(loaded, rows, weights[:, :, depth])]

    def _results(self, tiles: Array, weights: Array, cell: Cell, filters: slice, out: Array, own: Carve) -> list[Step]:
        """Return the calls that compute the results of a range of filters in a cell from both factors."""
        images, rows = cell
        shape = (*self.shape(cell), weights.shape[-1])
        height = slice(2 * rows.start, min(2 * rows.stop, self.g.windows[0]))
        (products,) = _split(own("first"), (4, 4, *shape))
        transformed, sums, planes = _split(
            own("second"),
            (2, 4, *shape),
            (2, *shape),
            (shape[0], height.stop - height.start, self.g.windows[1], shape[-1]),
        )
        x, w = tiles.reshape(16, 1, -1, tiles.shape[-1]), weights.reshape(16, -1, shape[-1])
        return [
            (contract, (x, w, products.reshape(16, 1, -1, shape[-1]), False)),
            *output_transform(products, transformed, sums, planes),
            (np.copyto, (out[images, filters, height], planes.transpose(0, 3, 1, 2))),
        ]


class WinogradWeightGradient(_WinogradPlan):
    """The gradient by the weight: products of transformed head gradients and data, summed over tiles.

    All lanes transform the cells of a *block*, then each makes the products of some *parts*, ranges of filters and
    channels, and adds them to those of the blocks before. Scratch: ``tiles`` and ``heads`` of a block; for each lane
    ``first`` and ``second``, in which what is transformed and what comes of it take turns; for each part ``sums``, if
    there are several blocks, else for each lane.
    """

    def __init__(self, g: Geometry, dtype: npt.DTypeLike, plain: KernelPlan) -> None:
        super().__init__(g, dtype, plain)
        images, rows, columns = self.largest()
        tiles = images * rows * columns
        cell_bytes = 16 * tiles * (g.channels + g.filters) * self.compute.itemsize
        self.blocks = _slices(len(self.cells), max(1, BLOCK_BYTES // cell_bytes))
        self.parts = list(itertools.product(_slices(g.filters, FILTERS), _parts(g.channels, CHANNELS)))
        part = max((f.stop - f.start) * (c.stop - c.start) for f, c in self.parts)
        most = tiles * max(b.stop - b.start for b in self.blocks)
        self.own.reserve("tiles", (16 * g.channels * most,), self.compute)
        self.own.reserve("heads", (16 * g.filters * most,), self.compute)
        phases = 2 * images * (2 * rows + 2) * (columns + 1) * g.channels
        self.reserve("first", max(phases, 4 * tiles * g.filters, 12 * part))
        transformed = 8 * images * rows * (columns + 1) * g.channels
        self.reserve("second", max(transformed, 4 * tiles * g.filters, 9 * part))
        if len(self.blocks) > 1:
            self.own.reserve("sums", (16 * g.filters * g.channels,), self.compute)
        else:
            self.reserve("sums", 16 * part)
        self.reserved()

    def stages(self, operands: Sequence[Array], out: Array, own: Carve, prepared: Carve) -> list[list[list[Step]]]:
        """Return the steps: block by block the transforms, then the products."""
        x, dy = operands
        stages: list[list[list[Step]]] = []
        for block in self.blocks:
            cells = self.cells[block]
            count = sum(math.prod(self.shape(cell)) for cell in cells)
            (tiles,) = _split(own("tiles"), (16, count, self.g.channels))
            (heads,) = _split(own("heads"), (16, count, self.g.filters))
            transforms = functools.partial(self._transforms, x, dy, self.first(cells[0]), tiles, heads)
            products = functools.partial(self._products, block, tiles, heads, out, own)
            stages += [self.by_lanes(cells, transforms, own), self.by_lanes(self.parts, products, own)]
        return stages

    def _transforms(
        self, x: Array, dy: Array, before: int, tiles: Array, heads: Array, cell: Cell, own: Carve
    ) -> list[Step]:
        """Return the calls that transform the data and the head gradients of a cell."""
        shape, begin = self.shape(cell), self.first(cell) - before
        here = slice(begin, begin + math.prod(shape))
        return [
            *_tiles_of(x, cell, self.g.pad, tiles[:, here].reshape(4, 4, *shape, -1), own),
            *_heads_of(dy, cell, heads[:, here].reshape(4, 4, *shape, -1), own),
        ]

    def _products(
        self, block: slice, tiles: Array, heads: Array, out: Array, carve: Carve, part: tuple[slice, slice], own: Carve
    ) -> list[Step]:
        """Return the calls for a part of the products of a block, and after the last block for that of the result."""
        filters, channels = part
        shape = filters.stop - filters.start, channels.stop - channels.start
        if len(self.blocks) > 1:
            kept = carve("sums")[16 * (filters.start * self.g.channels + shape[0] * channels.start) :]
        else:
            kept = own("sums")
        (sums,) = _split(kept, (16, *shape))
        left, right = heads[:, :, filters].swapaxes(1, 2)[:, np.newaxis], tiles[:, :, channels]
        steps: list[Step] = [(contract, (left, right, sums[:, np.newaxis], block.start > 0))]
        if block.stop == len(self.cells):
            (rows,) = _split(own("first"), (3, 4, *shape))
            (taps,) = _split(own("second"), (3, 3, *shape))
            steps += weight_gradient_transform(sums.reshape(4, 4, *shape), rows, taps)
            for tap in itertools.product(range(3), range(3)):
                steps.append((np.copyto, (out[(filters, channels, *tap)], taps[tap])))
        return steps


def _tiles_of(x: Array, cell: Cell, pad: Sequence[int], tiles: Array, own: Carve) -> list[Step]:
    """Return the calls that transform the data of a cell."""
    images, rows = cell
    _, _, count, height, width, channels = tiles.shape
    (phases,) = _split(own("first"), (2, count, 2 * height + 2, width + 1, channels))
    (transformed,) = _split(own("second"), (4, 2, count, height, width + 1, channels))
    return [
        *load(x[images], 2 * rows.start - pad[0], pad[1], phases),
        *input_transform(phases, transformed, tiles),
    ]


def _heads_of(dy: Array, cell: Cell, heads: Array, own: Carve) -> list[Step]:
    """Return the calls that transform the head gradients of a cell."""
    images, rows = cell
    _, _, count, height, width, filters = heads.shape
    (phases,) = _split(own("first"), (2, count, 2 * height, width, filters))
    (transformed,) = _split(own("second"), (2, 2, count, height, width, filters))
    return [*load(dy[images], 2 * rows.start, 0, phases), *head_transform(phases, transformed, heads)]
