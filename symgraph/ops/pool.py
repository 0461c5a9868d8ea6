"""Pooling: summaries of windows that slide over one to three spatial axes.

What does not belong here: windows with weights (`conv`), reductions over whole axes (`reduce`).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.op import Op, PartialShape, Sample, Shape, Tensor, arg, op, param
from symgraph.ops.conv import channels_first, channels_last, check_rank, first, last, spatial

Known = PartialShape | None
Pads = tuple[tuple[int, int], ...]
Layout = Literal["NCW", "NCHW", "NCDHW", "NWC", "NHWC", "NDHWC"] | None


class _Pooling(Op):
    """Rules and computation of pooling."""

    kernel: Shape
    stride: Shape
    pad: Shape
    pool_type: str
    global_pool: bool
    pooling_convention: str

    def _spatial_rank(self, shape: Known) -> int | None:
        """Return how many spatial axes there are; None if nothing says so yet."""
        if not self.global_pool:
            if not 1 <= len(self.kernel) <= 3:
                raise ArgumentError(f"kernel is {self.kernel}, but must have 1 to 3 values", where=self.op_name)
            return len(self.kernel)
        if shape is None:
            return None
        if not 3 <= len(shape) <= 5:
            raise ShapeError(f"data has shape {shape}, but must have 3 to 5 axes: batch, channels, 1 to 3 spatial")
        return len(shape) - 2

    def _each(self, name: str, default: int) -> tuple[int, ...]:
        return spatial(self.op_name, name, getattr(self, name), len(self.kernel), default)

    def _length(self, n: int, kernel: int, stride: int, pad: int) -> int:
        """Return how many windows there are along an axis of length `n`."""
        convention: str = self.pooling_convention
        if convention == "same":
            if pad:
                raise ArgumentError("pad must be 0: pooling_convention='same' decides the padding", where=self.op_name)
            # MXNet: windows start at the first element; what they lack at the end is padding.
            return -(-n // stride)
        room = n + 2 * pad - kernel
        if room < 0:
            raise ShapeError(f"the window takes {kernel} along an axis of length {n} padded to {n + 2 * pad}")
        return (room // stride if convention == "valid" else -(-room // stride)) + 1

    def _pads(self, lengths: PartialShape) -> tuple[tuple[int, ...], Pads]:
        """Return how many windows there are along each axis, and the padding on both of its sides."""
        counts, pads = [], []
        for n, kernel, stride, pad in zip(
            lengths, self.kernel, self._each("stride", 1), self._each("pad", 0), strict=True
        ):
            assert n is not None
            count = self._length(n, kernel, stride, pad)
            counts.append(count)
            pads.append((pad, max(pad, (count - 1) * stride + kernel - n - pad)))
        return tuple(counts), tuple(pads)

    def _infer(self, data: Known, output: Known, layout: str | None = None) -> dict[str, PartialShape]:
        rank = self._spatial_rank(data if data is not None else output)
        if rank is None:
            return {}
        check_rank("data", data, rank)
        check_rank("output", output, rank)
        x = first(data, layout) or (None,) * (rank + 2)
        y = first(output, layout) or (None,) * (rank + 2)
        lead = tuple(m if m is not None else n for m, n in zip(x[:2], y[:2], strict=True))
        if self.global_pool:
            ahead: list[int | None] = [1] * rank
            back = list(x[2:])
        else:
            ahead, back = [], []
            rows = zip(x[2:], y[2:], self.kernel, self._each("stride", 1), self._each("pad", 0), strict=True)
            for n, m, kernel, stride, pad in rows:
                ahead.append(None if n is None else self._length(n, kernel, stride, pad))
                known = n is None and m is not None and stride == 1 and self.pooling_convention != "same"
                back.append(m - 1 + kernel - 2 * pad if known and m is not None else n)
        found_output, found_data = last((*lead, *ahead), layout), last((*lead, *back), layout)
        assert found_output is not None
        assert found_data is not None
        return {"output": found_output, "data": found_data}

    def _pooled(self, xp: Any, x: Any, divisor: str, p: int | None = None) -> Any:
        """Return the summary of each window of a channels-first array.

        `divisor` says what an average divides by: the elements of the window in the ``data``, those in the data and its
        padding (``padded``), or all that a ``window`` has.
        """
        axes = tuple(range(2, x.ndim))
        if self.global_pool and self.pool_type != "max":
            kernel, pads, stride = x.shape[2:], ((0, 0),) * len(axes), (1,) * len(axes)

            def total(v: Any) -> Any:
                return xp.sum(v, axes, keepdims=True)
        else:
            # The greatest of everything goes through windows, too: its gradient goes to one element, not to all ties.
            kernel = x.shape[2:] if self.global_pool else self.kernel
            stride = (1,) * len(axes) if self.global_pool else self._each("stride", 1)
            pads = ((0, 0),) * len(axes) if self.global_pool else self._pads(x.shape[2:])[1]

            def total(v: Any) -> Any:
                return xp.sum_pool(v, kernel, stride, pads)

        if self.pool_type == "max":
            return xp.max_pool(x, kernel, stride, pads)
        if self.pool_type == "sum":
            return total(x)
        if self.pool_type == "lp":
            return _norm(xp, total, x, p)
        y = total(x)
        counts = [
            _counts(n, m, k, s, low, (0 if self.global_pool else o_pad), divisor)
            for n, m, k, s, (low, _), o_pad in zip(
                x.shape[2:],
                y.shape[2:],
                kernel,
                stride,
                pads,
                self._each("pad", 0) if not self.global_pool else kernel,
                strict=True,
            )
        ]
        if all((c == c[0]).all() for c in counts):
            return y / float(math.prod(int(c[0]) for c in counts))
        grid = counts[0]
        for c in counts[1:]:
            grid = np.multiply.outer(grid, c)
        return y / xp.asarray(grid.astype(x.dtype))


def _counts(n: int, m: int, kernel: int, stride: int, low: int, pad: int, divisor: str) -> Any:
    """Return what an average divides by along one axis, for each of its `m` windows."""
    if divisor == "window":
        return np.full(m, kernel)
    begin = np.arange(m) * stride - low
    end = np.minimum(begin + kernel, n if divisor == "data" else n + pad)
    # A window that has no element of the data has the sum zero, whatever it is divided by.
    return np.maximum(end - (np.maximum(begin, 0) if divisor == "data" else begin), 1)


def _norm(xp: Any, total: Any, x: Any, p: int | None) -> Any:
    # MXNet: powers, not powers of absolute values: what is odd keeps its sign.
    if p == 1:
        return total(x)
    if p == 2:
        return xp.sqrt(total(xp.square(x)))
    return xp.cbrt(total(x * xp.square(x)))


_KERNEL = param(
    "Size of the window along each spatial axis, 1 to 3 of them; not needed with `global_pool`.", default=(), ge=1
)
_STRIDE = param("Step of the window along each spatial axis; empty: 1.", default=(), ge=1)
_PAD = param(
    "Elements added on both sides of each spatial axis; they are never the greatest. Empty: 0.", default=(), ge=0
)
_GLOBAL = param("One window over everything; `kernel`, `stride` and `pad` have no effect.", default=False)


@op("Pooling", aliases=("_npx_pooling",))
class Pooling(_Pooling):
    """Greatest element, mean, sum or p-norm of each window that slides over one, two or three spatial axes.

    A spatial axis of length n becomes ``(n + 2 pad - kernel) / stride + 1``, rounded down (``valid``) or up (``full``),
    or ``n / stride`` rounded up (``same``).
    """

    data: Tensor = arg("Input, (batch, channels, spatial axes...), or as `layout` says.")

    kernel: Shape = _KERNEL
    pool_type: Literal["max", "avg", "sum", "lp"] = param("Which summary of a window.", default="max")
    global_pool: bool = _GLOBAL
    cudnn_off: bool = param("No effect; for graphs written elsewhere.", default=False)
    pooling_convention: Literal["valid", "full", "same"] = param(
        "Which windows there are: those that fit, also one that stands over at the end, or one each `stride`.",
        default="valid",
    )
    stride: Shape = _STRIDE
    pad: Shape = _PAD
    p_value: int | None = param("Which norm, for ``lp``: 1, 2 or 3.", default=None)
    count_include_pad: bool | None = param("Whether an average counts the padding; None: it does.", default=None)
    layout: Layout = param("Order of the axes; None: channels first.", default=None)

    samples = (
        Sample([(2, 2, 6, 5)], {"kernel": (2, 3), "stride": (2, 1)}),
        Sample([(2, 2, 6, 5)], {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2), "pool_type": "avg"}),
        Sample(
            [(2, 2, 6, 5)],
            {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2), "pool_type": "avg", "count_include_pad": False},
        ),
        Sample([(1, 2, 6, 6)], {"kernel": (3, 3), "stride": (2, 2), "pool_type": "avg", "pooling_convention": "full"}),
        Sample([(1, 2, 6, 6)], {"kernel": (3, 3), "stride": (2, 2), "pooling_convention": "full"}),
        Sample([(1, 2, 7)], {"kernel": (2,), "stride": (2,), "pool_type": "sum", "pooling_convention": "same"}),
        Sample([(1, 2, 3, 4, 3)], {"kernel": (2, 2, 2), "pool_type": "sum"}),
        Sample([(2, 3, 4, 5)], {"global_pool": True}),
        Sample([(2, 3, 4, 5)], {"global_pool": True, "pool_type": "avg"}),
        Sample([(1, 2, 5, 5)], {"kernel": (2, 2), "pool_type": "lp", "p_value": 2}, low=0.1),
        Sample([(1, 2, 5, 5)], {"kernel": (2, 2), "pool_type": "lp", "p_value": 3}, low=0.1),
        Sample([(1, 4, 4, 2)], {"kernel": (2, 2), "stride": (2, 2), "layout": "NHWC"}),
    )

    def output_names(self) -> tuple[str, ...]:
        # MXNet: a second output without use, which counts in files.
        return ("output", "workspace") if self._has_workspace() else ("output",)

    def num_visible(self) -> int:
        return 1

    def _has_workspace(self) -> bool:
        return self.pool_type == "max" and bool(self.kernel) and not channels_last(self.layout)

    def shapes(self, data: Known = None, output: Known = None, workspace: Known = None) -> Any:
        if self.pool_type == "lp" and self.p_value not in (1, 2, 3):
            raise ArgumentError(
                f"p_value is {self.p_value}, but must be 1, 2 or 3 for pool_type='lp'", where=self.op_name
            )
        found = self._infer(data, output, self.layout)
        return found | {"workspace": found["output"]} if self._has_workspace() and found else found

    def dtypes(self, data: Any = None, output: Any = None, workspace: Any = None) -> Any:
        shared = data if data is not None else output
        found = {} if shared is None else {"data": shared, "output": shared}
        return found | {"workspace": np.dtype("int32")} if self._has_workspace() else found

    def compute(self, xp: Any, data: Any) -> Any:
        x = channels_first(xp, data, self.layout)
        y = self._pooled(xp, x, "data" if self.count_include_pad is False else "padded", self.p_value)
        if channels_last(self.layout):
            y = xp.permute_dims(y, (0, *range(2, y.ndim), 1))
        return (y, xp.zeros(y.shape, "int32")) if self._has_workspace() else y


@op("Pooling_v1")
class PoolingV1(_Pooling):
    """`Pooling` as it was before MXNet 0.9: an average always divides by the size of the window."""

    data: Tensor = arg("Input, (batch, channels, height, width).")

    kernel: Shape = _KERNEL
    pool_type: Literal["max", "avg", "sum"] = param("Which summary of a window.", default="max")
    global_pool: bool = _GLOBAL
    pooling_convention: Literal["valid", "full"] = param(
        "Which windows there are: those that fit, or also one that stands over at the end.", default="valid"
    )
    stride: Shape = _STRIDE
    pad: Shape = _PAD

    samples = (
        Sample([(2, 2, 6, 5)], {"kernel": (2, 3), "stride": (2, 1)}),
        Sample([(2, 2, 6, 5)], {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2), "pool_type": "avg"}),
    )

    def shapes(self, data: Known = None, output: Known = None) -> Any:
        return self._infer(data, output)

    def compute(self, xp: Any, data: Any) -> Any:
        return self._pooled(xp, data, "window")


@op("_contrib_AdaptiveAvgPooling2D")
class AdaptiveAvgPooling2D(Op):
    """Average pooling to a given size, by windows that cover the image evenly and may overlap by a row or column.

    Window i of n along an axis of length m reaches from ``floor(i m / n)`` to before ``ceil((i + 1) m / n)``.
    """

    data: Tensor = arg("Images, (batch, channels, height, width).")

    output_size: Shape = param("Height and width of the result, or one number for both; empty: 1.", default=(), ge=1)

    samples = (
        Sample([(2, 3, 5, 7)]),
        Sample([(1, 2, 5, 7)], {"output_size": 2}),
        Sample([(1, 2, 5, 7)], {"output_size": (3, 4)}),
        Sample([(1, 2, 3, 3)], {"output_size": (5, 3)}),
    )

    def _size(self) -> tuple[int, int]:
        if len(self.output_size) > 2:
            raise ShapeError(f"output_size is {self.output_size}, but must be one or two numbers")
        size = self.output_size or (1,)
        return size[0], size[-1]

    def shapes(self, data: Known = None) -> Any:
        if data is None:
            return {}
        if len(data) != 4:
            raise ShapeError(f"data has shape {data}, but must be (batch, channels, height, width)")
        return {"output": (*data[:2], *self._size())}

    def compute(self, xp: Any, data: Any) -> Any:
        height, width = self._size()
        rows = xp.asarray(_averages(data.shape[2], height), data.dtype)
        columns = xp.asarray(_averages(data.shape[3], width), data.dtype)
        return xp.matmul(xp.matmul(rows, data), xp.permute_dims(columns, (1, 0)))


def _averages(length: int, windows: int) -> Any:
    """Return the matrix that averages over evenly spread windows, (windows, length)."""
    matrix = np.zeros((windows, length))
    for i in range(windows):
        start, stop = i * length // windows, -(-(i + 1) * length // windows)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix
