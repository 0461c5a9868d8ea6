"""The namespace `xp` that an operator's `compute` is written in: Array API names, over any engine's arrays.

A subclass gives meaning to the primitives by `apply`; here arguments are put into the primitives' form (axes made
positive, Python numbers turned into constants of the operand's dtype, dtypes promoted) and composite functions are
built from primitives. So eager evaluation and recording see exactly the same sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, ShapeError
from symgraph.program.primitives import PRIMITIVES, Primitive, broadcast_shapes

__all__ = ["Namespace", "normalize_axis"]

Axis = int | Sequence[int] | None


def normalize_axis(axis: int, rank: int) -> int:
    """Return a non-negative axis.

    Raises
    ------
    ArgumentError
        If there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ArgumentError(f"axis {axis} is out of range for {rank} axes")
    return axis % rank if rank else 0


def _axes(axis: Axis, rank: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    items = (axis,) if isinstance(axis, int) else tuple(axis)
    found = tuple(normalize_axis(a, rank) for a in items)
    if len(set(found)) != len(found):
        raise ArgumentError(f"axes {items} name one axis twice")
    return tuple(sorted(found))


def _unary(name: str) -> Callable[[Namespace, Any], Any]:
    def function(self: Namespace, x: Any) -> Any:
        return self._map(name, x)

    function.__name__, function.__doc__ = name, PRIMITIVES[name].doc
    return function


def _rounding(name: str) -> Callable[[Namespace, Any], Any]:
    def function(self: Namespace, x: Any) -> Any:
        return self._map(name, x) if x.dtype.kind == "f" else x  # whole numbers stay as they are

    function.__name__, function.__doc__ = name, PRIMITIVES[name].doc
    return function


def _binary(name: str) -> Callable[[Namespace, Any, Any], Any]:
    def function(self: Namespace, x: Any, y: Any) -> Any:
        return self._map(name, *self._pair(x, y))

    function.__name__, function.__doc__ = name, PRIMITIVES[name].doc
    return function


class Namespace:
    """Functions on arrays, each a primitive or made of primitives.

    Arrays have ``shape``, ``dtype``, ``ndim``, ``size`` and Python's arithmetic operators. Python numbers are weak:
    they take the dtype of the array they meet.
    """

    # -- what a subclass defines --------------------------------------------------------------------------------------

    def apply(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive with one result."""
        raise TypeError(f"{type(self).__name__} gives no meaning to primitives")

    def constant(self, data: np.ndarray[Any, Any]) -> Any:
        """Return a constant array."""
        raise TypeError(f"{type(self).__name__} has no constants")

    def is_array(self, value: Any) -> bool:
        """Return whether `value` is an array of this namespace."""
        raise TypeError(f"{type(self).__name__} has no arrays")

    def vjp(self, function: Callable[..., Any], inputs: Sequence[Any], heads: Sequence[Any]) -> list[Any]:
        """Return the gradient of ``sum(heads * function(xp, *inputs))`` by each input."""
        raise TypeError(f"{type(self).__name__} cannot differentiate")

    # -- conversion ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        """Return an array of this namespace from an array or a number; with `dtype`, converted to it."""
        if self.is_array(value):
            return value if dtype is None else self.astype(value, dtype)
        return self.constant(np.asarray(value, dtype=dtype))

    #: A number, live or not, as a 0-d array of a dtype: how a parameter enters arithmetic.
    scalar = asarray

    def _pair(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return two operands of one dtype."""
        left, right = self.is_array(x), self.is_array(y)
        if left and right:
            if x.dtype != y.dtype:
                common = np.promote_types(x.dtype, y.dtype)
                return self.astype(x, common), self.astype(y, common)
            return x, y
        if left:
            x, number = self._meet(x, y)
            return x, number
        if right:
            y, number = self._meet(y, x)
            return number, y
        x = self.asarray(x)
        return self._pair(x, y)

    def _meet(self, x: Any, number: Any) -> tuple[Any, Any]:
        if isinstance(number, np.generic | np.ndarray):
            return self._pair(x, self.constant(np.asarray(number)))
        dtype = np.result_type(x.dtype, number)
        return self.astype(x, dtype), self.constant(np.asarray(number, dtype=dtype))

    def _map(self, name: str, *operands: Any) -> Any:
        return self.apply(PRIMITIVES[name], operands, {})

    def astype(self, x: Any, dtype: Any) -> Any:
        """Convert to a dtype; nothing happens if it has it already."""
        dtype = np.dtype(dtype)
        return x if x.dtype == dtype else self.apply(PRIMITIVES["astype"], (x,), {"dtype": dtype.name})

    def stop_gradient(self, x: Any) -> Any:
        """Return `x` as a constant to differentiation."""
        return self.apply(PRIMITIVES["stop_gradient"], (x,), {})

    # -- element by element -------------------------------------------------------------------------------------------

    negative = _unary("negative")
    abs = _unary("abs")
    sign = _unary("sign")
    square = _unary("square")
    exp = _unary("exp")
    expm1 = _unary("expm1")
    log = _unary("log")
    log1p = _unary("log1p")
    log2 = _unary("log2")
    log10 = _unary("log10")
    sqrt = _unary("sqrt")
    cbrt = _unary("cbrt")
    reciprocal = _unary("reciprocal")
    sin = _unary("sin")
    cos = _unary("cos")
    tan = _unary("tan")
    asin = _unary("asin")
    acos = _unary("acos")
    atan = _unary("atan")
    sinh = _unary("sinh")
    cosh = _unary("cosh")
    tanh = _unary("tanh")
    sigmoid = _unary("sigmoid")
    asinh = _unary("asinh")
    acosh = _unary("acosh")
    atanh = _unary("atanh")
    erf = _unary("erf")
    erfinv = _unary("erfinv")
    lgamma = _unary("lgamma")
    digamma = _unary("digamma")
    isnan = _unary("isnan")
    isinf = _unary("isinf")
    isfinite = _unary("isfinite")
    logical_not = _unary("logical_not")
    floor = _rounding("floor")
    ceil = _rounding("ceil")
    trunc = _rounding("trunc")
    rint = _rounding("rint")
    add = _binary("add")
    subtract = _binary("subtract")
    multiply = _binary("multiply")
    divide = _binary("divide")
    floor_divide = _binary("floor_divide")
    remainder = _binary("remainder")
    power = _binary("power")
    maximum = _binary("maximum")
    minimum = _binary("minimum")
    atan2 = _binary("atan2")
    hypot = _binary("hypot")
    equal = _binary("equal")
    not_equal = _binary("not_equal")
    less = _binary("less")
    less_equal = _binary("less_equal")
    greater = _binary("greater")
    greater_equal = _binary("greater_equal")
    logical_and = _binary("logical_and")
    logical_or = _binary("logical_or")
    logical_xor = _binary("logical_xor")

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        """Choose elements of `x` where `condition` is true (any dtype: not zero), of `y` elsewhere."""
        x, y = self._pair(x, y)
        if condition.dtype != np.dtype(bool):
            condition = self.not_equal(condition, 0)
        return self._map("where", condition, x, y)

    def clip(self, x: Any, low: Any = None, high: Any = None) -> Any:
        """Limit to [low, high]; NaN stays NaN."""
        x = x if low is None else self.maximum(x, low)
        return x if high is None else self.minimum(x, high)

    def relu(self, x: Any) -> Any:
        """``max(x, 0)``."""
        return self.maximum(x, 0)

    # -- reductions ---------------------------------------------------------------------------------------------------

    def _reduce(self, name: str, x: Any, axis: Axis, keepdims: bool) -> Any:
        axes = _axes(axis, x.ndim)
        if not axes:
            return x
        return self.apply(PRIMITIVES[name], (x,), {"axes": axes, "keepdims": bool(keepdims)})

    def sum(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Sum over axes (None: all)."""
        return self._reduce("sum", x, axis, keepdims)

    def prod(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Product over axes (None: all)."""
        return self._reduce("prod", x, axis, keepdims)

    def max(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Greatest element over axes (None: all)."""
        return self._reduce("max", x, axis, keepdims)

    def min(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Least element over axes (None: all)."""
        return self._reduce("min", x, axis, keepdims)

    def mean(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Arithmetic mean over axes (None: all)."""
        count = 1
        for a in _axes(axis, x.ndim):
            count *= x.shape[a]
        return self.sum(x, axis, keepdims) / float(max(count, 1))

    def argmax(self, x: Any, axis: int) -> Any:
        """Index (int64) of the first greatest element along an axis."""
        return self.apply(PRIMITIVES["argmax"], (x,), {"axis": normalize_axis(axis, x.ndim)})

    def argmin(self, x: Any, axis: int) -> Any:
        """Index (int64) of the first least element along an axis."""
        return self.apply(PRIMITIVES["argmin"], (x,), {"axis": normalize_axis(axis, x.ndim)})

    def cumsum(self, x: Any, axis: int, reverse: bool = False) -> Any:
        """Running sum along an axis, from the end if `reverse`."""
        return self.apply(PRIMITIVES["cumsum"], (x,), {"axis": normalize_axis(axis, x.ndim), "reverse": reverse})

    def sort(self, x: Any, axis: int = -1) -> Any:
        """Sort along an axis, ascending."""
        order = self.argsort(x, axis)
        return self.take_along_axis(x, order, axis)

    def argsort(self, x: Any, axis: int = -1) -> Any:
        """Return the stable ascending order (int64) of the elements along an axis."""
        return self.apply(PRIMITIVES["argsort"], (x,), {"axis": normalize_axis(axis, x.ndim)})

    def softmax(self, x: Any, axis: int = -1) -> Any:
        """``exp(x) / sum(exp(x))`` along an axis, computed from ``x - max(x)``."""
        e = self.exp(x - self.stop_gradient(self.max(x, axis, keepdims=True)))
        return e / self.sum(e, axis, keepdims=True)

    def log_softmax(self, x: Any, axis: int = -1) -> Any:
        """Logarithm of softmax along an axis, computed from ``x - max(x)``."""
        shifted = x - self.stop_gradient(self.max(x, axis, keepdims=True))
        return shifted - self.log(self.sum(self.exp(shifted), axis, keepdims=True))

    # -- rearranging --------------------------------------------------------------------------------------------------

    def reshape(self, x: Any, shape: Sequence[int]) -> Any:
        """Return the same elements in another shape; one -1 stands for what is left."""
        shape = tuple(int(n) for n in shape)
        if -1 in shape:
            known = 1
            for n in shape:
                known *= n if n != -1 else 1
            if shape.count(-1) > 1 or known == 0 or x.size % known:
                raise ShapeError(f"{x.size} elements of shape {x.shape} do not fit shape {shape}")
            shape = tuple(x.size // known if n == -1 else n for n in shape)
        return x if shape == x.shape else self.apply(PRIMITIVES["reshape"], (x,), {"shape": shape})

    def permute_dims(self, x: Any, axes: Sequence[int]) -> Any:
        """Put the axes in another order."""
        found = tuple(normalize_axis(a, x.ndim) for a in axes)
        return x if found == tuple(range(x.ndim)) else self.apply(PRIMITIVES["permute_dims"], (x,), {"axes": found})

    def swapaxes(self, x: Any, first: int, second: int) -> Any:
        """Exchange two axes."""
        order = list(range(x.ndim))
        first, second = normalize_axis(first, x.ndim), normalize_axis(second, x.ndim)
        order[first], order[second] = order[second], order[first]
        return self.permute_dims(x, order)

    def broadcast_to(self, x: Any, shape: Sequence[int]) -> Any:
        """Repeat along axes of length one."""
        shape = tuple(shape)
        return x if shape == x.shape else self.apply(PRIMITIVES["broadcast_to"], (x,), {"shape": shape})

    def expand_dims(self, x: Any, axis: Axis) -> Any:
        """Insert axes of length one at the positions they will have."""
        items = (axis,) if isinstance(axis, int) else tuple(axis or ())
        rank = x.ndim + len(items)
        new = {normalize_axis(a, rank) for a in items}
        rest = iter(x.shape)
        return self.reshape(x, tuple(1 if k in new else next(rest) for k in range(rank)))

    def squeeze(self, x: Any, axis: Axis) -> Any:
        """Remove axes of length one."""
        gone = _axes(axis, x.ndim)
        if any(x.shape[a] != 1 for a in gone):
            raise ShapeError(f"axes {gone} of shape {x.shape} are not all of length one")
        return self.reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in gone))

    def slice(self, x: Any, parts: Sequence[tuple[int | None, int | None, int]]) -> Any:
        """Take a strided part: (start, stop, step) for each leading axis, as in Python."""
        full = (*parts, *[(None, None, 1)] * (x.ndim - len(parts)))
        exact = []
        for n, part in zip(x.shape, full, strict=True):
            start, stop, step = slice(*part).indices(n)
            exact.append((start, stop if stop >= 0 else None, step))
        if all(p == (0, n, 1) for p, n in zip(exact, x.shape, strict=True)):
            return x
        return self.apply(PRIMITIVES["slice"], (x,), {"parts": tuple(exact)})

    def slice_axis(self, x: Any, axis: int, start: int | None, stop: int | None, step: int = 1) -> Any:
        """Take a strided part along one axis."""
        axis = normalize_axis(axis, x.ndim)
        return self.slice(x, [*[(None, None, 1)] * axis, (start, stop, step)])

    def flip(self, x: Any, axis: Axis) -> Any:
        """Reverse the order along axes."""
        axes = _axes(axis, x.ndim)
        return self.slice(x, [(None, None, -1 if k in axes else 1) for k in range(x.ndim)])

    def pad(self, x: Any, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
        """Enlarge by (before, after) along each axis, filled with `value`."""
        widths = tuple((int(a), int(b)) for a, b in widths)
        if not any(map(any, widths)):
            return x
        return self.apply(PRIMITIVES["pad"], (x,), {"widths": widths, "value": float(value)})

    def embed(self, x: Any, shape: Sequence[int], parts: Sequence[tuple[int | None, int | None, int]]) -> Any:
        """Return zeros of `shape` with `x` written over a strided part: the transpose of `slice`."""
        return self.apply(PRIMITIVES["embed"], (x,), {"shape": tuple(shape), "parts": tuple(parts)})

    def concat(self, xs: Sequence[Any], axis: int = 0) -> Any:
        """Join along an axis."""
        if len(xs) == 1:
            return xs[0]
        dtype = np.result_type(*(x.dtype for x in xs))
        xs = [self.astype(x, dtype) for x in xs]
        return self.apply(PRIMITIVES["concat"], xs, {"axis": normalize_axis(axis, xs[0].ndim)})

    def stack(self, xs: Sequence[Any], axis: int = 0) -> Any:
        """Join along a new axis."""
        return self.concat([self.expand_dims(x, axis) for x in xs], normalize_axis(axis, xs[0].ndim + 1))

    # -- indexing -----------------------------------------------------------------------------------------------------

    def take(self, x: Any, indices: Any, axis: int = 0, mode: str = "clip") -> Any:
        """Choose slices along an axis by integer indices; those out of range are clipped or wrapped."""
        return self.apply(
            PRIMITIVES["take"], (x, self._index(indices)), {"axis": normalize_axis(axis, x.ndim), "mode": mode}
        )

    def take_along_axis(self, x: Any, indices: Any, axis: int) -> Any:
        """Choose elements along an axis by integer indices, all in range, of the same rank."""
        indices = self._index(indices)
        axis = normalize_axis(axis, x.ndim)
        shape = [*broadcast_shapes(x.shape[:axis], indices.shape[:axis]), indices.shape[axis]]
        shape += broadcast_shapes(x.shape[axis + 1 :], indices.shape[axis + 1 :])
        indices = self.broadcast_to(indices, shape)
        x = self.broadcast_to(x, [*shape[:axis], x.shape[axis], *shape[axis + 1 :]])
        return self.apply(PRIMITIVES["take_along_axis"], (x, indices), {"axis": axis})

    def gather_nd(self, x: Any, indices: Any) -> Any:
        """Choose slices at points; ``indices[k]`` holds the points' k-th coordinates, all in range."""
        return self.apply(PRIMITIVES["gather_nd"], (x, self._index(indices)), {})

    def scatter_nd_add(self, indices: Any, updates: Any, shape: Sequence[int]) -> Any:
        """Return zeros of `shape` with `updates` added at points."""
        return self.apply(PRIMITIVES["scatter_nd_add"], (self._index(indices), updates), {"shape": tuple(shape)})

    def one_hot(self, indices: Any, depth: int, dtype: Any = "float32", on: float = 1.0, off: float = 0.0) -> Any:
        """Return `on` at the index along a new last axis of length `depth`, `off` elsewhere and for indices outside."""
        indices = self._index(indices)
        hit = self.equal(self.expand_dims(indices, -1), self.arange(depth, dtype=indices.dtype))
        if (on, off) == (1, 0):
            return self.astype(hit, dtype)
        dtype = np.dtype(dtype)
        return self.where(hit, self.constant(np.asarray(on, dtype)), self.constant(np.asarray(off, dtype)))

    def _index(self, indices: Any) -> Any:
        return indices if indices.dtype.kind in "iu" else self.astype(indices, "int64")

    # -- linear algebra, convolution, pooling -------------------------------------------------------------------------

    def matmul(self, x: Any, y: Any) -> Any:
        """Multiply matrices in the last two axes; the others broadcast."""
        x, y = self._pair(x, y)
        return self.apply(PRIMITIVES["matmul"], (x, y), {})

    def conv(
        self, x: Any, w: Any, stride: Sequence[int], dilate: Sequence[int], pad: Sequence[int], groups: int = 1
    ) -> Any:
        """Cross-correlate (N, C, ...) data with (O, C / groups, ...) weights."""
        x, w = self._pair(x, w)
        params = {"stride": tuple(stride), "dilate": tuple(dilate), "pad": tuple(pad), "groups": groups}
        return self.apply(PRIMITIVES["conv"], (x, w), params)

    def conv_data_grad(
        self,
        dy: Any,
        w: Any,
        shape: Sequence[int],
        stride: Sequence[int],
        dilate: Sequence[int],
        pad: Sequence[int],
        groups: int = 1,
    ) -> Any:
        """Transpose of `conv` by its data: what a deconvolution computes; `shape` is that of the result."""
        params = {"stride": tuple(stride), "dilate": tuple(dilate), "pad": tuple(pad), "groups": groups}
        return self.apply(PRIMITIVES["conv_data_grad"], (dy, w), {"shape": tuple(shape), **params})

    def max_pool(self, x: Any, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[tuple[int, int]]) -> Any:
        """Greatest element of each window of (N, C, ...) data; padding never wins."""
        params = {"kernel": tuple(kernel), "stride": tuple(stride), "pad": tuple(map(tuple, pad))}
        return self.apply(PRIMITIVES["max_pool"], (x,), params)

    def sum_pool(self, x: Any, kernel: Sequence[int], stride: Sequence[int], pad: Sequence[tuple[int, int]]) -> Any:
        """Sum of each window of (N, C, ...) data."""
        params = {"kernel": tuple(kernel), "stride": tuple(stride), "pad": tuple(map(tuple, pad))}
        return self.apply(PRIMITIVES["sum_pool"], (x,), params)

    # -- making -------------------------------------------------------------------------------------------------------

    def full(self, shape: Sequence[int], value: Any, dtype: Any = None) -> Any:
        """Return an array with the same number everywhere."""
        dtype = np.dtype(dtype or "float32")
        return self.broadcast_to(self.asarray(value, dtype), tuple(shape))

    def zeros(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return zeros."""
        return self.full(shape, 0, dtype)

    def ones(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """Return ones."""
        return self.full(shape, 1, dtype)

    def full_like(self, x: Any, value: Any) -> Any:
        """Return the same number everywhere, with the shape and dtype of `x`."""
        return self.full(x.shape, value, x.dtype)

    def zeros_like(self, x: Any) -> Any:
        """Return zeros with the shape and dtype of `x`."""
        return self.full_like(x, 0)

    def ones_like(self, x: Any) -> Any:
        """Return ones with the shape and dtype of `x`."""
        return self.full_like(x, 1)

    def arange(self, n: int, start: float = 0, step: float = 1, dtype: Any = "int64") -> Any:
        """Return `n` numbers from `start` by `step`."""
        params = {"n": int(n), "start": start, "step": step, "dtype": np.dtype(dtype).name}
        return self.apply(PRIMITIVES["arange"], (), params)
