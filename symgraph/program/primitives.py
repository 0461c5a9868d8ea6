"""The primitives: the few functions every engine must know, each with the rule for its results' shape and dtype.

Names are the Array API standard's where it has one. A primitive has a name, a rule ``(specs, **params) -> Spec`` (or a
list of them), and a class that says how engines may treat it:

* ``"map"``: element by element, operands broadcast; may be fused, blocked, and computed in place;
* ``"view"``: a rearrangement that needs no arithmetic, and often no copy;
* ``"other"``: everything else.

Gradients are in `symgraph.program.gradients`, NumPy kernels in `symgraph.backends.numpy`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.program.values import Spec

__all__ = ["PRIMITIVES", "Primitive", "broadcast_shapes"]

Rule = Callable[..., Any]
Pads = tuple[tuple[int, int], ...]

_INT64 = np.dtype("int64")
_BOOL = np.dtype("bool")

PRIMITIVES: dict[str, Primitive] = {}


@dataclass(frozen=True, eq=False)
class Primitive:
    """A function that engines execute.

    Parameters
    ----------
    name
        Its name, unique.
    rule
        Shape and dtype of the results from those of the operands and the static parameters.
    kind
        ``"map"``, ``"view"`` or ``"other"``; see the module's docstring.
    doc
        One sentence.
    """

    name: str
    rule: Rule
    kind: str
    doc: str

    def specs(self, operands: Sequence[Spec], params: dict[str, Any]) -> list[Spec]:
        """Return the specs of all results.

        Raises
        ------
        ShapeError, DTypeError
            If the operands do not fit together.
        """
        found = self.rule(*operands, **params)
        return [found] if isinstance(found, Spec) else list(found)

    def __repr__(self) -> str:
        return self.name


def primitive(name: str, doc: str, kind: str = "other") -> Callable[[Rule], Rule]:
    """Decorator: enter a primitive whose rule is the decorated function."""

    def enter(rule: Rule) -> Rule:
        if name in PRIMITIVES:
            raise ValueError(f"primitive {name!r} is defined twice")
        PRIMITIVES[name] = Primitive(name, rule, kind, doc)
        return rule

    return enter


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the common shape of operands, by NumPy's broadcasting rules.

    Raises
    ------
    ShapeError
        If they do not broadcast.
    """
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    rank = max(map(len, shapes))
    result = [1] * rank
    for shape in shapes:
        offset = rank - len(shape)
        for k, n in enumerate(shape):
            if n != 1:
                if result[offset + k] not in (1, n):
                    raise ShapeError("shapes " + " and ".join(map(str, shapes)) + " do not broadcast")
                result[offset + k] = n
    return tuple(result)


# -- element by element -----------------------------------------------------------------------------------------------


def _same(x: Spec) -> Spec:
    return x


def _number(x: Spec) -> Spec:
    if x.dtype.kind == "b":
        raise DTypeError("needs numbers, got truth values")
    return x


def _float(x: Spec) -> Spec:
    if x.dtype.kind != "f":
        raise DTypeError(f"needs floating point numbers, got {x.dtype}")
    return x


def _test(x: Spec) -> Spec:
    return Spec(x.shape, _BOOL)


def _pair(x: Spec, y: Spec) -> Spec:
    if x.dtype != y.dtype:
        raise DTypeError(f"operands have dtypes {x.dtype} and {y.dtype}")
    return Spec(broadcast_shapes(x.shape, y.shape), x.dtype)


def _number_pair(x: Spec, y: Spec) -> Spec:
    return _pair(_number(x), y)


def _float_pair(x: Spec, y: Spec) -> Spec:
    return _float(_pair(x, y))


def _compare(x: Spec, y: Spec) -> Spec:
    return Spec(_pair(x, y).shape, _BOOL)


_MAPS: list[tuple[Rule, str]] = [
    (_same, "abs"),
    (_number, "negative sign square"),
    (_float, "floor ceil trunc rint exp expm1 log log1p log2 log10 sqrt cbrt reciprocal sin cos tan asin acos atan"),
    (_float, "sinh cosh tanh sigmoid asinh acosh atanh erf erfinv lgamma digamma"),
    (_test, "isnan isinf isfinite logical_not"),
    (_pair, "add multiply maximum minimum"),
    (_number_pair, "subtract floor_divide remainder power"),
    (_float_pair, "divide atan2 hypot"),
    (_compare, "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor"),
]
for _rule, _names in _MAPS:
    for _name in _names.split():
        primitive(_name, f"Element-wise {_name.replace('_', ' ')}.", "map")(_rule)


@primitive("where", "Elements of `x` where `condition` holds, of `y` elsewhere.", "map")
def _where(condition: Spec, x: Spec, y: Spec) -> Spec:
    return Spec(broadcast_shapes(condition.shape, x.shape, y.shape), _pair(x, y).dtype)


@primitive("astype", "Conversion to another dtype.", "map")
def _astype(x: Spec, dtype: str) -> Spec:
    return Spec(x.shape, np.dtype(dtype))


@primitive("stop_gradient", "The operand, as a constant to differentiation.", "view")
def _stop_gradient(x: Spec) -> Spec:
    return x


# -- reductions -------------------------------------------------------------------------------------------------------


def _reduced(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def _reduce(x: Spec, axes: tuple[int, ...], keepdims: bool) -> Spec:
    return Spec(_reduced(x.shape, axes, keepdims), x.dtype)


def _reduce_extreme(x: Spec, axes: tuple[int, ...], keepdims: bool) -> Spec:
    if any(x.shape[a] == 0 for a in axes):
        raise ShapeError(f"no greatest or least element along axes {axes} of an empty {x}")
    return _reduce(x, axes, keepdims)


primitive("sum", "Sum over axes.")(_reduce)
primitive("prod", "Product over axes.")(_reduce)
primitive("max", "Greatest element over axes; NaN if there is one.")(_reduce_extreme)
primitive("min", "Least element over axes; NaN if there is one.")(_reduce_extreme)


def _arg_extreme(x: Spec, axis: int) -> Spec:
    if x.shape[axis] == 0:
        raise ShapeError(f"no greatest or least element along axis {axis} of an empty {x}")
    return Spec(_reduced(x.shape, (axis,), False), _INT64)


primitive("argmax", "Index of the first greatest element along an axis.")(_arg_extreme)
primitive("argmin", "Index of the first least element along an axis.")(_arg_extreme)


@primitive("cumsum", "Running sum along an axis, from the end if `reverse`.")
def _cumsum(x: Spec, axis: int, reverse: bool) -> Spec:
    return x


@primitive("sort", "Sorted along an axis, ascending.")
def _sort(x: Spec, axis: int) -> Spec:
    return x


@primitive("argsort", "Stable order of the elements along an axis, ascending.")
def _argsort(x: Spec, axis: int) -> Spec:
    return Spec(x.shape, _INT64)


# -- rearranging ------------------------------------------------------------------------------------------------------


@primitive("reshape", "The same elements in another shape, in row-major order.", "view")
def _reshape(x: Spec, shape: tuple[int, ...]) -> Spec:
    if math.prod(shape) != x.size:
        raise ShapeError(f"{x.size} elements of shape {x.shape} do not fit shape {shape}")
    return Spec(shape, x.dtype)


@primitive("permute_dims", "Axes in another order.", "view")
def _permute_dims(x: Spec, axes: tuple[int, ...]) -> Spec:
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(f"axes {axes} are no permutation of the {len(x.shape)} axes of {x.shape}")
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


@primitive("broadcast_to", "Repeated along axes of length one.", "view")
def _broadcast_to(x: Spec, shape: tuple[int, ...]) -> Spec:
    if broadcast_shapes(x.shape, shape) != shape:
        raise ShapeError(f"shape {x.shape} does not broadcast to {shape}")
    return Spec(shape, x.dtype)


def slice_length(n: int, part: tuple[int | None, int | None, int]) -> int:
    """Return how many elements ``slice(*part)`` takes of an axis of length `n`."""
    return len(range(*slice(*part).indices(n)))


@primitive("slice", "A strided part: `parts` holds (start, stop, step) for each axis, as in Python.", "view")
def _slice(x: Spec, parts: tuple[tuple[int | None, int | None, int], ...]) -> Spec:
    return Spec(tuple(slice_length(n, p) for n, p in zip(x.shape, parts, strict=True)), x.dtype)


@primitive("embed", "Zeros of `shape` with the operand written over the part that `parts` takes.")
def _embed(x: Spec, shape: tuple[int, ...], parts: tuple[tuple[int | None, int | None, int], ...]) -> Spec:
    room = tuple(slice_length(n, p) for n, p in zip(shape, parts, strict=True))
    if room != x.shape:
        raise ShapeError(f"a part of shape {room} cannot take {x.shape}")
    return Spec(shape, x.dtype)


@primitive("pad", "Enlarged by `widths` (before, after) along each axis, filled with `value`.")
def _pad(x: Spec, widths: Pads, value: float) -> Spec:
    if any(width < 0 for pair in widths for width in pair):
        raise ShapeError(f"cannot pad {x.shape} by the negative widths {widths}")
    return Spec(tuple(n + low + high for n, (low, high) in zip(x.shape, widths, strict=True)), x.dtype)


@primitive("concat", "Joined along an axis.")
def _concat(*xs: Spec, axis: int) -> Spec:
    first = xs[0]
    for x in xs[1:]:
        if x.dtype != first.dtype:
            raise DTypeError(f"cannot join {first.dtype} and {x.dtype}")
        if len(x.shape) != len(first.shape) or any(
            m != n for k, (m, n) in enumerate(zip(x.shape, first.shape, strict=True)) if k != axis
        ):
            raise ShapeError(f"shapes {first.shape} and {x.shape} cannot be joined along axis {axis}")
    total = sum(x.shape[axis] for x in xs)
    return Spec((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)


# -- indexing ---------------------------------------------------------------------------------------------------------


def _index(spec: Spec) -> None:
    if spec.dtype.kind not in "iu":
        raise DTypeError(f"indices must be integers, got {spec.dtype}")


@primitive("take", "Slices of `x` along an axis chosen by indices; `mode` is clip or wrap for indices out of range.")
def _take(x: Spec, indices: Spec, axis: int, mode: str) -> Spec:
    _index(indices)
    return Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)


@primitive("take_add", "Zeros of `shape` with slices added at indices along an axis: the transpose of take.")
def _take_add(indices: Spec, updates: Spec, shape: tuple[int, ...], axis: int, mode: str) -> Spec:
    _index(indices)
    return Spec(shape, updates.dtype)


@primitive("take_along_axis", "Elements along an axis chosen by indices of the same rank, which broadcast elsewhere.")
def _take_along_axis(x: Spec, indices: Spec, axis: int) -> Spec:
    _index(indices)
    return Spec(indices.shape, x.dtype)


@primitive("put_along_axis_add", "Zeros of `shape` with elements added along an axis: transpose of take_along_axis.")
def _put_along_axis_add(indices: Spec, updates: Spec, shape: tuple[int, ...], axis: int) -> Spec:
    _index(indices)
    return Spec(shape, updates.dtype)


@primitive("gather_nd", "Slices of `x` at points whose leading coordinates are the columns of `indices`.")
def _gather_nd(x: Spec, indices: Spec) -> Spec:
    _index(indices)
    if not indices.shape or indices.shape[0] > len(x.shape):
        raise ShapeError(f"indices of shape {indices.shape} do not point into {x.shape}")
    return Spec((*indices.shape[1:], *x.shape[indices.shape[0] :]), x.dtype)


@primitive("scatter_nd_add", "Zeros of `shape` with slices added at points: the transpose of gather_nd.")
def _scatter_nd_add(indices: Spec, updates: Spec, shape: tuple[int, ...]) -> Spec:
    _index(indices)
    return Spec(shape, updates.dtype)


# -- linear algebra, convolution, pooling -----------------------------------------------------------------------------


@primitive("matmul", "Matrix product of the last two axes; the others broadcast.")
def _matmul(x: Spec, y: Spec, inexact: bool = False) -> Spec:
    if x.dtype != y.dtype:
        raise DTypeError(f"operands have dtypes {x.dtype} and {y.dtype}")
    if len(x.shape) < 2 or len(y.shape) < 2 or x.shape[-1] != y.shape[-2]:
        raise ShapeError(f"matrices of shapes {x.shape} and {y.shape} cannot be multiplied")
    return Spec((*broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1]), x.dtype)


def window_count(n: int, kernel: int, stride: int, dilate: int, low: int, high: int) -> int:
    """Return how many windows fit along an axis of length `n` padded by `low` and `high`."""
    return (n + low + high - (dilate * (kernel - 1) + 1)) // stride + 1


@primitive("conv", "Cross-correlation of (N, C, ...) data with (O, C / groups, ...) weights.")
def _conv(
    x: Spec,
    w: Spec,
    stride: Any,
    dilate: Any,
    pad: Any,
    groups: int,
    inexact: bool = False,
    constant: bool = False,
) -> Spec:
    if x.dtype != w.dtype:
        raise DTypeError(f"operands have dtypes {x.dtype} and {w.dtype}")
    if len(x.shape) != len(w.shape):
        raise ShapeError(f"data {x.shape} and weights {w.shape} must have the same rank")
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(f"data {x.shape} and weights {w.shape} do not fit {groups} group(s)")
    spatial = tuple(
        window_count(n, k, s, d, p, p)
        for n, k, s, d, p in zip(x.shape[2:], w.shape[2:], stride, dilate, pad, strict=True)
    )
    if any(n <= 0 for n in spatial):
        raise ShapeError(f"kernel {w.shape[2:]} with dilation {dilate} exceeds the data {x.shape[2:]} padded by {pad}")
    return Spec((x.shape[0], w.shape[0], *spatial), x.dtype)


@primitive("conv_data_grad", "Transpose of conv by its data.")
def _conv_data_grad(
    dy: Spec,
    w: Spec,
    shape: tuple[int, ...],
    stride: Any,
    dilate: Any,
    pad: Any,
    groups: int,
    inexact: bool = False,
    constant: bool = False,
) -> Spec:
    return Spec(shape, dy.dtype)


@primitive("conv_weight_grad", "Transpose of conv by its weights.")
def _conv_weight_grad(
    x: Spec, dy: Spec, shape: tuple[int, ...], stride: Any, dilate: Any, pad: Any, groups: int, inexact: bool = False
) -> Spec:
    return Spec(shape, dy.dtype)


def _pool(x: Spec, kernel: tuple[int, ...], stride: tuple[int, ...], pad: Pads) -> Spec:
    spatial = tuple(
        window_count(n, k, s, 1, low, high)
        for n, k, s, (low, high) in zip(x.shape[2:], kernel, stride, pad, strict=True)
    )
    if any(n <= 0 for n in spatial):
        raise ShapeError(f"pooling window {kernel} exceeds the data {x.shape[2:]} padded by {pad}")
    return Spec((*x.shape[:2], *spatial), x.dtype)


primitive("max_pool", "Greatest element of each window of (N, C, ...) data; padding never wins.")(_pool)
primitive("sum_pool", "Sum of each window of (N, C, ...) data.")(_pool)


@primitive("max_pool_grad", "Head gradients sent to the first greatest element of each window.")
def _max_pool_grad(x: Spec, y: Spec, dy: Spec, kernel: Any, stride: Any, pad: Pads) -> Spec:
    return Spec(x.shape, dy.dtype)


@primitive("max_pool_gather", "Elements of `z` at the first greatest element of each window of `x`.")
def _max_pool_gather(x: Spec, y: Spec, z: Spec, kernel: Any, stride: Any, pad: Pads) -> Spec:
    return Spec(y.shape, z.dtype)


@primitive("sum_pool_grad", "Transpose of sum_pool.")
def _sum_pool_grad(dy: Spec, shape: tuple[int, ...], kernel: Any, stride: Any, pad: Pads) -> Spec:
    return Spec(shape, dy.dtype)


# -- making -----------------------------------------------------------------------------------------------------------


@primitive("arange", "`n` numbers from `start` by `step`.")
def _arange(n: int, start: float, step: float, dtype: str) -> Spec:
    return Spec((n,), np.dtype(dtype))


@primitive("random_uniform", "Uniform numbers in [0, 1); `state` holds seed and step, `key` the node.")
def _random_uniform(state: Spec, key: int, shape: tuple[int, ...], dtype: str) -> Spec:
    return Spec(shape, np.dtype(dtype))


@primitive("random_normal", "Standard normal numbers; `state` holds seed and step, `key` the node.")
def _random_normal(state: Spec, key: int, shape: tuple[int, ...], dtype: str) -> Spec:
    return Spec(shape, np.dtype(dtype))
