"""Operators that reduce along axes: sums, products, extremes and where they are, norms, moments."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.op import Op, Sample, Shape, Tensor, arg, op, param
from symgraph.op.families import reduction
from symgraph.op.partial import axes_of, axis_of, merge, reduced


def _mean(xp: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return xp.astype(xp.mean(x, axes, keepdims), x.dtype)


def _without_nan(xp: Any, x: Any, instead: float) -> Any:
    return xp.where(xp.isnan(x), instead, x) if x.dtype.kind == "f" else x


# fmt: off
reduction("sum", "Sum over axes.", lambda xp, x, axes, keep: xp.sum(x, axes, keep), aliases=["_sparse_sum", "sum_axis"])
reduction("mean", "Arithmetic mean over axes; of integers, cut off towards zero.", _mean, aliases=["_sparse_mean"])
reduction("prod", "Product over axes.", lambda xp, x, axes, keep: xp.prod(x, axes, keep), low=0.5, high=1.5)
reduction("nansum", "Sum over axes, NaN counting as 0.",
          lambda xp, x, axes, keep: xp.sum(_without_nan(xp, x, 0), axes, keep))
reduction("nanprod", "Product over axes, NaN counting as 1.",
          lambda xp, x, axes, keep: xp.prod(_without_nan(xp, x, 1), axes, keep), low=0.5, high=1.5)
reduction("max", "Greatest element along axes; the gradient goes to all that are equal to it.",
          lambda xp, x, axes, keep: xp.max(x, axes, keep), aliases=["max_axis"], empty=False)
reduction("min", "Least element along axes; the gradient goes to all that are equal to it.",
          lambda xp, x, axes, keep: xp.min(x, axes, keep), aliases=["min_axis"], empty=False)
reduction("_square_sum", "Sum of squares over axes.", lambda xp, x, axes, keep: xp.sum(xp.square(x), axes, keep))
# fmt: on


@op("norm", aliases=["_sparse_norm"])
class Norm(Op):
    """Norm over axes: the sum of absolute values, or the root of the sum of squares.

    The result has the shape of `data` without the reduced axes, (1,) if none are left.
    """

    data: Tensor = arg("Input, of any shape.")

    ord: int = param("Order of the norm: 1 or 2.", default=2, ge=1, le=2)
    axis: Shape | None = param("Axes to reduce over; None or an empty tuple: all.", default=None)
    out_dtype: Annotated[str, "dtype", "int8", "int32", "int64", "float16", "float32", "float64"] | None = param(
        "Element type of the result; None: that of `data`.", default=None
    )
    keepdims: bool = param("Keep the reduced axes, with length 1.", default=False)

    samples = (
        Sample([(2, 3, 4)]),
        Sample([(2, 3, 4)], {"ord": 1, "axis": 1}),
        Sample([(2, 3, 4)], {"axis": (0, 2), "keepdims": True}),
        Sample([(2, 3)], {"axis": -1, "out_dtype": "float64"}),
        Sample([(2, 3)], {"ord": 1, "axis": 0}, low=-5, high=6, dtypes={"data": "int32"}),
    )

    def _axes(self, rank):
        return axes_of(self.axis, rank) if self.axis else tuple(range(rank))

    def shapes(self, data=None):
        """The result lacks the reduced axes."""
        return {} if data is None else {"output": reduced(data, self._axes(len(data)), self.keepdims)}

    def dtypes(self, data=None):
        """The parameter says it, or else the data."""
        if self.out_dtype is not None:
            return {"output": np.dtype(self.out_dtype)}
        return {} if data is None else {"output": data}

    def compute(self, xp, data):
        """Return the norm."""
        axes = self._axes(data.ndim)
        dtype = np.dtype(self.out_dtype or data.dtype)
        if self.ord == 1:
            result = xp.sum(xp.abs(data), axes)
        else:
            wide = data if data.dtype.kind == "f" else xp.astype(data, "float64")
            result = xp.sqrt(xp.sum(xp.square(wide), axes))
        return xp.reshape(xp.astype(result, dtype), reduced(data.shape, axes, self.keepdims))


class _ArgExtreme(Op):
    """Index of an extreme element along an axis."""

    axis: int | None
    keepdims: bool
    name = ""

    def shapes(self, data=None):
        """The result lacks the axis."""
        if data is None:
            return {}
        if self.axis is None:
            return {"output": (1,) * len(data) if self.keepdims else (1,)}
        return {"output": reduced(data, (axis_of(self.axis, len(data)),), self.keepdims)}

    def compute(self, xp, data):
        """Return the index, as a number of the data's type."""
        axis = 0 if self.axis is None else axis_of(self.axis, data.ndim)
        flat = xp.reshape(data, (-1,)) if self.axis is None else data
        if flat.shape[axis] == 0:
            raise ShapeError(f"data has shape {data.shape}, so there is no extreme element")
        found = xp.astype(getattr(xp, self.name)(flat, axis), data.dtype)
        axes = tuple(range(data.ndim)) if self.axis is None else (axis,)
        return xp.reshape(found, reduced(data.shape, axes, self.keepdims))


_ARG_SAMPLES = (
    Sample([(2, 3, 4)]),
    Sample([(2, 3, 4)], {"axis": 1}),
    Sample([(2, 3, 4)], {"axis": -1, "keepdims": True}),
    Sample([(2, 3)], {"keepdims": True}),
    Sample([(2, 3)], {"axis": 0}, low=0, high=9, dtypes={"data": "int32"}),
    Sample([(2, 0, 3)], {"axis": 2}),
)


@op("argmax")
class ArgMax(_ArgExtreme):
    """Index of the first greatest element along an axis; its gradient is zero.

    The result lacks the axis, and is (1,) if none is left. MXNet: the index has the element type of `data`, so large
    indices are rounded.
    """

    data: Tensor = arg("Input, of any shape.")

    axis: int | None = param("Axis to search along; None: all elements, in row-major order.", default=None)
    keepdims: bool = param("Keep the axis, with length 1.", default=False)

    name = "argmax"
    samples = _ARG_SAMPLES


@op("argmin")
class ArgMin(_ArgExtreme):
    """Index of the first least element along an axis; its gradient is zero.

    The result lacks the axis, and is (1,) if none is left. MXNet: the index has the element type of `data`, so large
    indices are rounded.
    """

    data: Tensor = arg("Input, of any shape.")

    axis: int | None = param("Axis to search along; None: all elements, in row-major order.", default=None)
    keepdims: bool = param("Keep the axis, with length 1.", default=False)

    name = "argmin"
    samples = _ARG_SAMPLES


@op("argmax_channel")
class ArgMaxChannel(Op):
    """Index of the first greatest element along axis 1, as a number of the data's type.

    The result has the shape of `data` without axis 1.
    """

    data: Tensor = arg("Input, (batch, channels, ...).")

    differentiable = False
    samples = (Sample([(3, 4)]), Sample([(2, 3, 2)]))

    def shapes(self, data=None):
        """The result lacks axis 1."""
        if data is None:
            return {}
        axis_of(1, len(data), "the channel axis")
        return {"output": reduced(data, (1,), False)}

    def compute(self, xp, data):
        """Return the index."""
        axis_of(1, data.ndim, "the channel axis")
        return xp.astype(xp.argmax(data, 1), data.dtype)


@op("moments")
class Moments(Op):
    """Mean and variance over axes.

    Both have the shape of `data` without the reduced axes. The variance is the mean square of the deviations from the
    mean.
    """

    data: Tensor = arg("Input, of any shape.")

    axes: Shape | None = param("Axes to reduce over.", default=None)
    keepdims: bool = param("Keep the reduced axes, with length 1.", default=False)

    outputs = ("output0", "output1")
    samples = (Sample([(2, 3, 4)], {"axes": (0, 2)}), Sample([(2, 3)], {"axes": (-1,), "keepdims": True}))

    def _axes(self, rank):
        if not self.axes:
            raise ArgumentError("axes must name at least one axis", where="moments()")
        return axes_of(self.axes, rank, "axes")

    def shapes(self, data=None, output0=None, output1=None):
        """Both results lack the reduced axes."""
        if data is None:
            return {}
        return dict.fromkeys(self.outputs, merge(reduced(data, self._axes(len(data)), self.keepdims), output0, output1))

    def compute(self, xp, data):
        """Return mean and variance."""
        axes = self._axes(data.ndim)
        mean = xp.mean(data, axes, keepdims=True)
        variance = xp.mean(xp.square(data - mean), axes, keepdims=True)
        shape = reduced(data.shape, axes, self.keepdims)
        return xp.reshape(mean, shape), xp.reshape(variance, shape)
