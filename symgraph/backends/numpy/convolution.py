"""Convolution in NumPy: matrix products over unfolded data, planned once and bound to fixed arrays.

Layouts: data ``(N, C, *spatial)``, weight ``(O, C / groups, *kernel)``, result ``(N, O, *windows)``, with one to three
spatial axes. Convolution here is cross-correlation, as everywhere in deep learning::

    y[n, o, i] = sum over c, t of w[o, c, t] * x[n, c, i * stride + t * dilate - pad]

Plans are made from shapes alone; see `symgraph.backends.numpy.kernel_plan` for what a plan is. What a bound call costs
is what BLAS and memory cost:

* A 1 x 1 kernel with stride 1 is a matrix product of the arrays as they are, and so is a kernel as large as the data.
* Else the data is unfolded (im2col; Chellapilla, Puri and Simard, 2006; see `unfolding`) block by block into the
  workspace, each block small enough to be in cache still when BLAS reads it.
* Where an image has few windows, several images share a product, so BLAS packs the weights once for all.
* Many small images are laid out with the images last, as if they were one more spatial axis: rows become long.
* A 3 x 3 kernel with stride 1 takes less than half of the multiplications another way, where transforms do not cost
  more than that spares (see `winograd`).
* Where rounding otherwise is allowed, compiled loops compute products without unfolding (see `direct`).
* Depthwise convolution is the same; its products are matrix times vector, or for gradients outer products. In NumPy
  that measured faster than sums of shifted products (512 x 14 x 14: 0.12 ms against 0.31), see `depthwise`.
* The gradient by the data is, for stride 1, the convolution of the head gradient with the transposed and reversed
  weights, or else a product followed by folding, whichever moves less.
* The gradient by the weights sums over windows, and over images as far as that spares passes over the result. Its
  products have the longer side as rows, which BLAS likes better, if sums are long enough to make up for transposing.

What does not belong here: shape rules and checks of parameters, which are the operator's and the primitive's.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from symgraph.backends.numpy import depthwise, direct
from symgraph.backends.numpy.kernel_plan import Array, Carve, KernelPlan, LanedPlan, Step, arithmetic
from symgraph.backends.numpy.threads import longest, slices, worker_count
from symgraph.backends.numpy.unfolding import SHORT_ROW, Geometry, plan_unfolding, spread, trailing
from symgraph.backends.numpy.winograd import PART, WinogradProduct, WinogradWeightGradient, applies, tile_count

__all__ = ["plan_data_gradient", "plan_forward", "plan_weight_gradient"]

#: Bytes of columns in a block: a good part of a common last-level cache.
BLOCK_BYTES = 6 << 20
#: The same where products have few rows: these are bound by memory, and BLAS works on one core.
SMALL_BLOCK_BYTES = 2 << 20
#: What few rows are.
FEW_ROWS = 4
#: So many small blocks are worth several threads.
BLOCKS_TO_SPREAD = 4
#: Images of fewer windows share a product: if they are unfolded anyway, or if they must be copied for it.
FEW_WINDOWS, FEW_WINDOWS_COPIED = 512, 64
#: Unfolded images share a product, too, if one of a single image has so few multiplications that BLAS mostly starts up.
SMALL_PRODUCT = 1 << 20
#: In products of the weight gradient: windows to sum over, if sums must be added; columns of the result, if cut.
SUMMED_WINDOWS, RESULT_COLUMNS = 512, 128
#: Windows that must be summed over for each element of the result, if products are to be transposed for speed.
TRANSPOSE_WINDOWS = 1 << 11
#: Costs of an element in data gradients: copied while unfolding, added while folding, moved while turning weights.
COPY_COST, ADD_COST, TURN_COST = 1, 2, 6
#: So many images may be laid out last; what that costs for an element, in elements copied while unfolding. It pays
#: only in cache, so arrays have at most so many bytes.
MANY_IMAGES, LAYOUT_COST, LAYOUT_BYTES = 16, 2, 1 << 20
#: What Winograd's way costs beside products, in multiplications, by `benchmarks/ways.py`: for a tile of a filter; for a
#: weight, which is to be transformed; for one that is already, but has more numbers.
TILE_COST, WEIGHT_COST, KEPT_COST = 450, 850, 120
#: The first two in gradients by the weight.
GRADIENT_TILE_COST, GRADIENT_WEIGHT_COST = 650, 1400
#: Filters of a group, and products in a sum, from which on compiled products without unfolding are faster.
DIRECT_FILTERS, DIRECT_DEPTH = 12, 9
#: How many times the windows of a convolution that of its turned weight may have: the others see padding.
TURNED_WINDOWS = 1.5
#: Windows from which on, and channels up to which, no more than that has to be done if there is nothing to unfold: the
#: rows of weights of many channels lie so far apart that a cache has few places for them.
FLAT_WINDOWS, FLAT_DEPTH = 512, 512


def _usable(x: Array) -> bool:
    """Tell whether the planes of `x` are contiguous, and its channels lie far enough apart for BLAS."""
    step = x.itemsize
    for length, stride in zip(reversed(x.shape[2:]), reversed(x.strides[2:]), strict=True):
        if length > 1 and stride != step:
            return False
        step *= length
    return (x.shape[1] == 1 or x.strides[1] >= step) and (x.shape[0] == 1 or x.strides[0] >= step)


def _squeeze(*matrices: Array) -> tuple[Array, ...]:
    """Drop leading axes that have length 1 in all `matrices`: a single product spares the loop of `matmul`."""
    while all(x.ndim > 2 and x.shape[0] == 1 for x in matrices):
        matrices = tuple(x[0] for x in matrices)
    return matrices


def _product(matrices: Array, x: Array, out: Array) -> tuple[Array, Array, Array]:
    """Return the operands of `matmul` for (groups, m, k) matrices and (images, groups, k, n), without needless axes."""
    if matrices.shape[0] == 1:
        matrices, x, out = matrices[0], x[:, 0], out[:, 0]
    if x.shape[0] == 1:
        x, out = x[0], out[0]
    return matrices, x, out


class _ConvolutionPlan(LanedPlan):
    """What the three plans share: the geometry and its views of data, result and columns."""

    #: Position of the weight among the arrays bound.
    weight = 1

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(operands, result, dtype)
        self.g = g
        self.unfolding = plan_unfolding(g)
        #: Number of windows, and how many of them a row of the first axis has.
        self.windows = math.prod(g.windows)
        self.row = self.windows // g.windows[0]

    def usable(self, position: int, x: Array) -> bool:
        return bool(x.flags.c_contiguous) if position == self.weight or self.g.whole else _usable(x)

    def data(self, x: Array) -> Array:
        """View data as (images, channels, *size)."""
        return x.reshape(*x.shape[:2], *self.g.size)

    def result(self, y: Array) -> Array:
        """View a result as (images, groups, filters of a group, windows)."""
        g = self.g
        return y.reshape(g.images, g.groups, g.rows, self.windows)

    def columns(self, flat: Array, source: Array, groups: int, rows: slice, shared: bool) -> tuple[Array, Array]:
        """View scratch as columns in both ways: as `Unfolding` has them, and as operand of products.

        That operand is (images, groups, depth, windows), or, for `shared` products, (groups, depth, images * windows).
        """
        images, channels = source.shape[0], source.shape[1]
        shape = self.unfolding.columns_shape(images, channels, rows.stop - rows.start)
        flat = flat[: math.prod(shape)]
        rank = self.unfolding.rank
        depth = channels // groups * self.g.taps
        if shared:
            taps, windows = shape[2 : 2 + rank], shape[2 + rank :]
            columns = flat.reshape(channels, *taps, images, *windows)
            return np.moveaxis(columns, 1 + rank, 0), flat.reshape(groups, depth, -1)
        return flat.reshape(shape), flat.reshape(images, groups, depth, -1)

    def prepared(self, flat: Array, source: Array) -> Array:
        """View scratch as the rearranged form of `source`."""
        shape = self.unfolding.prepared_shape(*source.shape[:2])
        return flat[: math.prod(shape)].reshape(shape)


class _BlockedPlan(_ConvolutionPlan):
    """What forward and the folding data gradient share: cells of columns, with one product for each block.

    A *cell* is a range of images and one of groups; the rows of its windows may be cut into blocks. Scratch of each
    lane: ``columns``, ``prepared`` (the rearranged data), ``planes`` (the results' planes of images that share a
    product).
    """

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(g, operands, result, dtype)
        if g.plain:
            few = self.windows < FEW_WINDOWS_COPIED
        else:
            few = self.windows < FEW_WINDOWS or g.rows * g.depth * self.windows < SMALL_PRODUCT
        #: Whether several images share a product.
        self.shared = few and g.images > 1 and g.rows > FEW_ROWS
        #: Whether the data takes the place of the columns.
        self.copyless = g.plain and not self.shared
        self.cells: list[tuple[slice, slice]] = []
        self.blocks: list[slice] = []
        if g.images and not g.whole and not self.copyless:
            self._cut()
            images, groups = (longest(cut) for cut in zip(*self.cells, strict=True))
            channels = groups * (g.channels // g.groups)
            self.reserve("columns", math.prod(self.unfolding.columns_shape(images, channels, longest(self.blocks))))
            if self.unfolding.prepared:
                self.reserve("prepared", math.prod(self.unfolding.prepared_shape(images, channels)))
            if self.shared:
                self.reserve("planes", images * groups * g.rows * self.windows)

    def _cut(self) -> None:
        """Cut into cells and blocks so that the columns of each fit a cache: by images, then groups, then rows."""
        g = self.g
        few = g.rows <= FEW_ROWS
        limit = SMALL_BLOCK_BYTES if few else BLOCK_BYTES
        group = g.depth * self.windows * self.compute.itemsize
        image = group * g.groups
        by_images, by_groups, by_rows = 1, 1, 1
        if image <= limit:
            by_images = -(-g.images // (limit // image))
        else:
            by_images = g.images
            by_groups = -(-g.groups // max(1, limit // group))
            by_rows = -(-g.windows[0] // max(1, limit * g.windows[0] // group))
        if few and g.groups > 1 and image * g.images >= BLOCKS_TO_SPREAD * SMALL_BLOCK_BYTES:
            self.lanes = min(worker_count(), g.groups)
            if by_images * by_groups < self.lanes:
                by_groups = self.lanes
        self.cells = list(itertools.product(slices(g.images, by_images), slices(g.groups, by_groups)))
        self.blocks = slices(g.windows[0], by_rows)


class _Forward(_BlockedPlan):
    """The result from data and weight."""

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        x, weight = operands
        return self.products(x, weight.reshape(self.g.groups, self.g.rows, self.g.depth), out, carve)

    def products(self, x: Array, matrices: Array, out: Array, carve: Carve) -> list[Step]:
        """Return the calls, given the weight as matrices of shape (groups, rows, depth)."""
        g = self.g
        if not g.images:
            return []
        if g.whole:
            return [(np.matmul, (x.reshape(g.images, -1), matrices[0].T, out.reshape(g.images, -1)))]
        y = self.result(out)
        channels = g.channels // g.groups
        if self.copyless:
            x = x.reshape(g.images, g.groups, channels, self.windows)
            return [(np.matmul, _product(matrices, x, y))]
        x = self.data(x)

        def cell_steps(cell: tuple[slice, slice], own: Carve) -> list[Step]:
            images, groups = cell
            source = x[images, groups.start * channels : groups.stop * channels]
            count, width = source.shape[0], groups.stop - groups.start
            steps: list[Step] = []
            if self.unfolding.prepared:
                prepared = self.prepared(own("prepared"), source)
                steps += spread(self.unfolding.prepare, (source, prepared), prepared.size)
                source = prepared
            for rows in self.blocks:
                columns, operand = self.columns(own("columns"), source, width, rows, self.shared)
                steps += spread(self.unfolding.unfold, (source, columns), columns.size, rows.start, rows.stop)
                target = y[images, groups, :, rows.start * self.row : rows.stop * self.row]
                if self.shared:
                    planes = own("planes")[: target.size].reshape(width, g.rows, count, -1)
                    steps.append((np.matmul, _squeeze(matrices[groups], operand, planes.reshape(width, g.rows, -1))))
                    steps.append((np.copyto, (target, planes.transpose(2, 0, 1, 3))))
                else:
                    steps.append((np.matmul, _product(matrices[groups], operand, target)))
            return steps

        return self.by_lanes(self.cells, cell_steps, carve)


class _FoldedDataGradient(_BlockedPlan):
    """The gradient by the data as the transpose of forward: products, then folding."""

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        g = self.g
        dy, weight = operands
        if not g.images:
            return []
        if g.whole:
            return [(np.matmul, (dy.reshape(g.images, -1), weight.reshape(g.rows, -1), out.reshape(g.images, -1)))]
        matrices = weight.reshape(g.groups, g.rows, g.depth).transpose(0, 2, 1)
        dy = self.result(dy)
        channels = g.channels // g.groups
        if self.copyless:
            dx = out.reshape(g.images, g.groups, channels, self.windows)
            return [(np.matmul, _product(matrices, dy, dx))]
        dx = self.data(out)

        def cell_steps(cell: tuple[slice, slice], own: Carve) -> list[Step]:
            images, groups = cell
            target = dx[images, groups.start * channels : groups.stop * channels]
            count, width = target.shape[0], groups.stop - groups.start
            folded = self.prepared(own("prepared"), target) if self.unfolding.prepared else target
            steps: list[Step] = []
            for rows in self.blocks:
                columns, result = self.columns(own("columns"), target, width, rows, self.shared)
                head = dy[images, groups, :, rows.start * self.row : rows.stop * self.row]
                if self.shared:
                    planes = own("planes")[: head.size].reshape(width, g.rows, count, -1)
                    steps.append((np.copyto, (planes, head.transpose(1, 2, 0, 3))))
                    steps.append((np.matmul, _squeeze(matrices[groups], planes.reshape(width, g.rows, -1), result)))
                elif g.rows == 1:
                    # An outer product: BLAS would be called for each group, and has nothing to sum.
                    steps.append((np.multiply, (matrices[groups], head, result)))
                else:
                    steps.append((np.matmul, _product(matrices[groups], head, result)))
                steps += spread(self.unfolding.fold, (columns, folded), columns.size, rows.start, rows.stop)
            if self.unfolding.prepared:
                steps += spread(self.unfolding.finish, (folded, target), folded.size)
            return steps

        return self.by_lanes(self.cells, cell_steps, carve)


class _TurnedDataGradient(_ConvolutionPlan):
    """The gradient by the data, for stride 1, as a convolution of the head gradient with the turned weight."""

    def __init__(
        self,
        g: Geometry,
        turned: Geometry,
        operands: Sequence[Sequence[int]],
        result: Sequence[int],
        dtype: npt.DTypeLike,
    ) -> None:
        super().__init__(g, operands, result, dtype)
        self.inner = _Forward(turned, operands, result, self.compute)
        self.scratch.reserve("weight", (g.groups, g.channels // g.groups, g.rows, *g.kernel), self.compute)
        self.scratch.reserve("inner", (self.inner.workspace,), np.uint8)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        g, inner = self.g, self.inner
        dy, weight = operands
        reverse = (slice(None, None, -1),) * len(g.kernel)
        weight = weight.reshape(g.groups, g.rows, g.channels // g.groups, *g.kernel)[trailing(*reverse)]
        turned, workspace = carve("weight"), carve("inner")
        matrices = turned.reshape(g.groups, g.channels // g.groups, -1)
        copy: Step = (np.copyto, (turned, weight.swapaxes(1, 2)))
        return [copy, *inner.products(dy, matrices, out, lambda name: inner.scratch.carve(name, workspace))]


class _WeightGradient(_ConvolutionPlan):
    """The gradient by the weights: products of head gradients and columns, summed over windows and images.

    Of the images in a range, either all windows are summed in one product (`shared`), or each image has a product of
    its own and these are added. A *cell* is a range of groups. Channels are cut so that their columns fit a cache, and
    give columns of the result; only where a single channel is too large are rows of windows cut as well. Scratch of
    each lane: ``columns``, ``prepared`` (the rearranged data), ``planes`` (head gradients of images that share a
    product) or ``each`` (products of single images), and ``sums`` (what is to be added to the result); for all lanes
    ``transposed``, the result as products give it.
    """

    weight = 2

    def __init__(
        self, g: Geometry, operands: Sequence[Sequence[int]], result: Sequence[int], dtype: npt.DTypeLike
    ) -> None:
        super().__init__(g, operands, result, dtype)
        self.shared = False
        #: Whether products give the transpose of the result.
        self.transposed = g.depth > g.rows > FEW_ROWS and g.images * self.windows >= TRANSPOSE_WINDOWS and not g.whole
        self.images: list[slice] = []
        self.cells: list[slice] = []
        self.channels: list[slice] = []
        self.blocks: list[slice] = []
        if g.images and not g.whole:
            self._cut()
            self._reserve()

    def _cut(self) -> None:
        g = self.g
        channels = g.channels // g.groups
        itemsize = self.compute.itemsize
        few = g.rows <= FEW_ROWS and g.groups > 1
        limit = SMALL_BLOCK_BYTES if few else BLOCK_BYTES
        channel = g.taps * self.windows * itemsize
        # Adding products up costs some passes over the result for each image, sharing one costs copies of planes.
        adding = 3 * g.filters * g.depth
        copying = self.windows * (g.filters + (g.channels if g.plain else 0))
        self.shared = not few and g.depth >= self.windows and adding > copying and g.images > 1
        if self.shared:
            together = max(-(-SUMMED_WINDOWS // self.windows), limit // (channel * g.channels))
        elif g.plain:
            together = limit // (g.filters * g.depth * itemsize)
        else:
            together = limit // (channel * g.channels)
        by_images = -(-g.images // max(1, together))
        together = -(-g.images // by_images)
        self.shared = self.shared and together > 1
        #: Whether the data takes the place of the columns.
        self.copyless = g.plain and not self.shared
        by_groups, by_channels, by_rows = 1, 1, 1
        if not self.copyless and channel * g.channels * together > limit:
            if together == 1:
                windows = max(1, limit // (itemsize * min(g.depth, RESULT_COLUMNS)))
                by_rows = min(g.windows[0], -(-self.windows // windows))
            fitting = max(1, limit * by_rows // (channel * together))
            by_groups = -(-g.groups // max(1, fitting // channels))
            by_channels = -(-channels // fitting)
        if few and channel * g.channels * g.images >= BLOCKS_TO_SPREAD * SMALL_BLOCK_BYTES:
            self.lanes = min(worker_count(), g.groups)
            by_groups = max(by_groups, self.lanes)
        self.images = slices(g.images, by_images)
        self.cells = slices(g.groups, by_groups)
        self.channels = slices(channels, by_channels)
        self.blocks = slices(g.windows[0], by_rows)

    def _reserve(self) -> None:
        g = self.g
        images, groups, channels = longest(self.images), longest(self.cells), longest(self.channels)
        if not self.copyless:
            rows = longest(self.blocks)
            self.reserve("columns", math.prod(self.unfolding.columns_shape(images, groups * channels, rows)))
            if self.unfolding.prepared:
                self.reserve("prepared", math.prod(self.unfolding.prepared_shape(images, groups * channels)))
        sums = groups * g.rows * channels * g.taps
        if self.shared:
            self.reserve("planes", images * groups * g.rows * self.windows)
        elif images > 1:
            self.reserve("each", images * sums)
        if len(self.images) * len(self.blocks) > 1:
            self.reserve("sums", sums)
        if self.transposed:
            self.scratch.reserve("transposed", (g.groups, g.depth, g.rows), self.compute)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        g = self.g
        x, dy = operands
        if not g.images:
            return [(out.fill, (0,))]
        if g.whole:
            return [(np.matmul, (dy.reshape(g.images, -1).T, x.reshape(g.images, -1), out.reshape(g.filters, -1)))]
        x, dy, dw = self.data(x), self.result(dy), out.reshape(g.groups, g.rows, g.depth)
        made = carve("transposed") if self.transposed else dw

        def cell_steps(groups: slice, own: Carve) -> list[Step]:
            return [step for images in self.images for step in self._range(x, dy, made, groups, images, own)]

        after: list[Step] = [(np.copyto, (dw, made.swapaxes(1, 2)))] if self.transposed else []
        return [*self.by_lanes(self.cells, cell_steps, carve), *after]

    def _range(self, x: Array, dy: Array, made: Array, groups: slice, images: slice, own: Carve) -> list[Step]:
        """Return the calls for a range of groups and one of images; `made` is the result, perhaps transposed."""
        g = self.g
        steps: list[Step] = []
        head = dy[images, groups]
        count, width = head.shape[:2]
        if self.shared:
            planes = own("planes")[: head.size].reshape(width, g.rows, count, self.windows)
            steps.append((np.copyto, (planes, head.transpose(1, 2, 0, 3))))
            head = planes.reshape(width, g.rows, -1)
        per_group = g.channels // g.groups
        for channels in self.channels:
            first = groups.start * per_group + channels.start
            last = (groups.stop - 1) * per_group + channels.stop
            source = x[images, first:last]
            if self.unfolding.prepared and not self.copyless:
                prepared = self.prepared(own("prepared"), source)
                steps += spread(self.unfolding.prepare, (source, prepared), prepared.size)
                source = prepared
            elements = slice(channels.start * g.taps, channels.stop * g.taps)
            target = made[groups, elements] if self.transposed else made[groups, :, elements]
            for rows in self.blocks:
                if self.copyless:
                    operand = source.reshape(count, width, -1, self.windows)
                else:
                    columns, operand = self.columns(own("columns"), source, width, rows, self.shared)
                    steps += spread(self.unfolding.unfold, (source, columns), columns.size, rows.start, rows.stop)
                part = head if len(self.blocks) == 1 else head[..., rows.start * self.row : rows.stop * self.row]
                factors = (operand, part) if self.transposed else (part, operand)
                left, right = factors[0], factors[1].swapaxes(-1, -2)
                first_sum = images.start == 0 and rows.start == 0
                sums = target if first_sum else own("sums")[: target.size].reshape(target.shape)
                if self.shared:
                    steps.append((np.matmul, _squeeze(left, right, sums)))
                elif count == 1:
                    steps.append((np.matmul, _squeeze(left[0], right[0], sums)))
                else:
                    each = own("each")[: count * target.size].reshape(count, *target.shape)
                    steps.append((np.matmul, (left, right, each)))
                    steps.append((np.add.reduce, (each, 0, None, sums)))
                if not first_sum:
                    steps.append((np.add, (target, sums, target)))
        return steps


class _ImagesLast(KernelPlan):
    """What another plan does, with the images as one more spatial axis, the last, along which kernels have one tap.

    Scratch: ``array 0`` to ``array 2``, operands and result laid out like that, but for the weight; ``inner``, the
    other plan's own.
    """

    def __init__(
        self,
        make: Callable[..., KernelPlan],
        weight: int,
        data_shape: Sequence[int],
        weight_shape: Sequence[int],
        stride: Sequence[int],
        dilate: Sequence[int],
        pad: Sequence[int],
        groups: int,
        dtype: npt.DTypeLike,
    ) -> None:
        self.weight = weight
        laid = (1, *data_shape[1:], data_shape[0])
        self.inner = make(laid, (*weight_shape, 1), (*stride, 1), (*dilate, 1), (*pad, 0), groups, dtype)
        shapes = [(shape[-1], *shape[1:-1]) for shape in self.inner.shapes]
        shapes[weight] = tuple(weight_shape)
        super().__init__(shapes[:-1], shapes[-1], dtype)
        for position, shape in enumerate(self.inner.shapes):
            if position != self.weight:
                self.scratch.reserve(f"array {position}", shape, self.compute)
        self.scratch.reserve("inner", (self.inner.workspace,), np.uint8)

    def usable(self, position: int, x: Array) -> bool:
        return position != self.weight or bool(x.flags.c_contiguous)

    def steps(self, operands: Sequence[Array], out: Array, carve: Carve) -> list[Step]:
        inner, workspace = self.inner, carve("inner")
        arrays = [*operands, out]
        laid = [
            x[..., None] if position == self.weight else carve(f"array {position}") for position, x in enumerate(arrays)
        ]
        copies = [(y[0], np.moveaxis(x, 0, -1)) for y, x in zip(laid, arrays, strict=True)]
        before: list[Step] = [(np.copyto, copies[k]) for k in range(len(operands)) if k != self.weight]
        after: list[Step] = [(np.copyto, copies[-1][::-1])] if self.weight < len(operands) else []
        steps = inner.steps(laid[:-1], laid[-1], lambda name: inner.scratch.carve(name, workspace))
        return [*before, *steps, *after]


def _images_last_pays(g: Geometry, dtype: npt.DTypeLike) -> bool:
    """Return whether rows of windows are short, images are many, and laying them out last moves less than unfolding."""
    if g.images < MANY_IMAGES or g.windows[-1] >= SHORT_ROW or len(g.size) > 2 or g.whole:
        return False
    data, result = g.channels * math.prod(g.size), g.filters * math.prod(g.windows)
    in_cache = max(data, result) * g.images * np.dtype(dtype).itemsize <= LAYOUT_BYTES
    return in_cache and (data + result) * LAYOUT_COST < g.channels * g.taps * math.prod(g.windows)


def _winograd_pays(g: Geometry, dtype: npt.DTypeLike, tile_cost: int, weight_cost: int) -> bool:
    """Return whether Winograd's way computes a convolution, or its gradient by the weight, faster."""
    if not applies(g, dtype):
        return False
    tiles = tile_count(g)
    spared = (9 * g.images * math.prod(g.windows) - 16 * tiles) * g.channels * g.filters
    return spared > (tile_cost * tiles + weight_cost * g.channels) * g.filters


def _direct_pays(g: Geometry, dtype: npt.DTypeLike) -> bool:
    """Return whether compiled products without unfolding are faster."""
    return direct.applies(g, dtype) and not g.whole and g.rows >= DIRECT_FILTERS and g.depth >= DIRECT_DEPTH


def _flat_pays(g: Geometry, dtype: npt.DTypeLike) -> bool:
    """Return whether compiled products of the arrays as they are are faster: many windows, not too many channels."""
    return (
        direct.applies(g, dtype)
        and direct.is_flat(g)
        and g.rows >= DIRECT_FILTERS
        and math.prod(g.windows) >= FLAT_WINDOWS
        and g.depth <= FLAT_DEPTH
    )


def _result_shape(g: Geometry, data_shape: Sequence[int]) -> tuple[int, ...]:
    return (g.images, g.filters, *g.windows[len(g.windows) - len(data_shape) + 2 :])


def plan_forward(
    data_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    dilate: Sequence[int],
    pad: Sequence[int],
    groups: int,
    dtype: npt.DTypeLike,
    inexact: bool = False,
    constant: bool = False,
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
        Element type of all arrays.
    inexact
        Whether ways may be taken that round otherwise, and pay with compiled loops (see `winograd`, `depthwise` and
        `direct`).
    constant
        Whether the weight changes only before a call of `refresh`.

    Examples
    --------
    >>> x, w = np.arange(5.0).reshape(1, 1, 5), np.array([[[1.0, 0.0, -1.0]]])
    >>> y = np.empty((1, 1, 3))
    >>> plan = plan_forward(x.shape, w.shape, (1,), (1,), (0,), 1, x.dtype)
    >>> plan.run(x, w, y, np.empty(plan.workspace, np.uint8))
    >>> y.tolist()
    [[[-2.0, -2.0, -2.0]]]
    """
    g = Geometry.of(data_shape, weight_shape, stride, dilate, pad, groups)
    operands, result = (data_shape, weight_shape), _result_shape(g, data_shape)
    if inexact:
        plain = _Forward(g, operands, result, arithmetic(dtype))
        if _winograd_pays(g, dtype, TILE_COST, KEPT_COST if constant else WEIGHT_COST):
            return WinogradProduct(g, dtype, plain, constant=constant)
        if depthwise.applies(g):
            return depthwise.ShiftedProducts(g, operands, result, dtype)
        if _flat_pays(g, dtype):
            return direct.FlatProduct(g, dtype, plain)
        if _direct_pays(g, dtype):
            return direct.DirectProduct(g, dtype, plain, constant=constant)
    if _images_last_pays(g, dtype):
        return _ImagesLast(plan_forward, 1, data_shape, weight_shape, stride, dilate, pad, groups, dtype)
    return _Forward(g, operands, result, dtype)


def plan_data_gradient(
    data_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    dilate: Sequence[int],
    pad: Sequence[int],
    groups: int,
    dtype: npt.DTypeLike,
    inexact: bool = False,
    constant: bool = False,
) -> KernelPlan:
    """Plan the gradient of `plan_forward`'s convolution by its data; bind with ``(dy, w, dx, workspace)``."""
    g = Geometry.of(data_shape, weight_shape, stride, dilate, pad, groups)
    operands = _result_shape(g, data_shape), weight_shape
    turned = g.turned()
    if inexact and turned is not None:
        plain = _data_gradient(g, operands, data_shape, arithmetic(dtype))
        if _winograd_pays(turned, dtype, TILE_COST, KEPT_COST if constant else WEIGHT_COST):
            return WinogradProduct(turned, dtype, plain, turned=True, constant=constant)
        if _flat_pays(turned, dtype):
            return direct.FlatProduct(turned, dtype, plain, turned=True)
        if _direct_pays(turned, dtype) and math.prod(turned.windows) <= TURNED_WINDOWS * math.prod(g.windows):
            return direct.DirectProduct(turned, dtype, plain, turned=True, constant=constant)
    if _images_last_pays(g, dtype):
        return _ImagesLast(plan_data_gradient, 1, data_shape, weight_shape, stride, dilate, pad, groups, dtype)
    return _data_gradient(g, operands, data_shape, dtype)


def _data_gradient(
    g: Geometry, operands: Sequence[Sequence[int]], data_shape: Sequence[int], dtype: npt.DTypeLike
) -> KernelPlan:
    """Plan the gradient by the data by matrix products."""
    turned = g.turned()
    if turned is not None and not g.plain and not g.whole:
        unfolded = g.images * g.filters * g.taps * math.prod(turned.windows)
        folded = g.images * g.channels * g.taps * math.prod(g.windows)
        if unfolded * COPY_COST + math.prod(operands[1]) * TURN_COST < folded * ADD_COST:
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
    inexact: bool = False,
) -> KernelPlan:
    """Plan the gradient of `plan_forward`'s convolution by its weights; bind with ``(x, dy, dw, workspace)``."""
    g = Geometry.of(data_shape, weight_shape, stride, dilate, pad, groups)
    operands = data_shape, _result_shape(g, data_shape)
    if inexact:
        plain = _WeightGradient(g, operands, weight_shape, arithmetic(dtype))
        if g.channels % PART == 0 and _winograd_pays(g, dtype, GRADIENT_TILE_COST, GRADIENT_WEIGHT_COST):
            return WinogradWeightGradient(g, dtype, plain)
        # Of a single channel a tile has too little.
        if g.channels > g.groups and _direct_pays(g, dtype):
            return direct.DirectWeightGradient(g, dtype, plain)
    if _images_last_pays(g, dtype):
        return _ImagesLast(plan_weight_gradient, 2, data_shape, weight_shape, stride, dilate, pad, groups, dtype)
    return _WeightGradient(g, operands, weight_shape, dtype)
