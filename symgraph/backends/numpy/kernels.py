"""A NumPy kernel for every primitive.

A kernel turns one equation, its arrays being given, into *calls*: tuples ``(function, *arguments)`` that write into
the result's array. They are made once, when a program is bound, and then executed over and over; nothing is looked
up, allocated or converted in a run. Functions are NumPy's own wherever one call does the work, so that a run of many
calls never comes back to the interpreter in between.

``view`` kernels make a view of the operand instead, where NumPy can.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.backends.numpy import convolution, pooling, product, random_bits, scatter, special
from symgraph.errors import OutOfRangeError
from symgraph.program.values import Spec

__all__ = ["KERNELS", "UFUNCS", "VIEWS", "Call", "Kernel", "KeywordOut", "workspace_bytes"]

Array = np.ndarray[Any, Any]
Call = tuple[Any, ...]

#: ``np.copyto`` without the dispatcher around it, which is Python code, and hence slower and a place where Ctrl-C can
#: strike; where NumPy does not show it, the plan sees that it is not native and shields it.
copyto: Callable[..., None] = getattr(np.copyto, "_implementation", np.copyto)


class KeywordOut:
    """A ufunc that takes the result by keyword: NumPy 2.4 deprecates the third operand of maximum and minimum."""

    __slots__ = ("__name__", "ufunc")

    def __init__(self, ufunc: np.ufunc) -> None:
        self.ufunc, self.__name__ = ufunc, ufunc.__name__

    def __call__(self, x: Any, y: Any, out: Any) -> Any:
        """Compute into `out`."""
        return self.ufunc(x, y, out=out)

    def bound(self, x: Any, y: Any, out: Any) -> Call:
        """Return the call as native code alone."""
        return (functools.partial(self.ufunc, x, y, out=out),)


#: Primitives that are one NumPy ufunc (or a function called alike): ``function(*operands, out)``.
UFUNCS: dict[str, Callable[..., Any]] = {
    "abs": np.absolute,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "atanh": np.arctanh,
    **{
        name: getattr(np, name)
        for name in (
            "negative sign square floor ceil trunc rint exp expm1 log log1p log2 log10 sqrt cbrt reciprocal sin cos "
            "tan sinh cosh tanh isnan isinf isfinite logical_not add subtract multiply divide floor_divide remainder "
            "power hypot equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor"
        ).split()
    },
    "maximum": KeywordOut(np.maximum),
    "minimum": KeywordOut(np.minimum),
    "erf": special.erf,
    "erfinv": special.erfinv,
    "lgamma": special.lgamma,
    "digamma": special.digamma,
}

Parts = tuple[tuple[int | None, int | None, int], ...]


def slices(parts: Parts) -> tuple[Any, ...]:
    """Return a Python index from (start, stop, step) triples; with the ellipsis it makes an array of 0-d ones, too."""
    return (*(slice(*p) for p in parts), ...)


def _slice_view(x: Array, parts: Parts) -> Array:
    # NumPy's vector loops do not run backwards, and what it calls instead rounds otherwise: a flip is a copy.
    view = x[slices(parts)]
    return view.copy() if any(step < 0 for _, _, step in parts) else view


#: Primitives that rearrange: ``function(operand, **params)`` returns a view where NumPy can make one.
VIEWS: dict[str, Callable[..., Array]] = {
    "stop_gradient": lambda x: x,
    "reshape": lambda x, shape: x.reshape(shape),
    "permute_dims": lambda x, axes: x.transpose(axes),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "slice": _slice_view,
}

#: ``(operands, out, workspace, **params) -> calls``
Kernel = Callable[..., list[Call]]
KERNELS: dict[str, Kernel] = {}
#: ``(operand specs, result spec, **params) -> bytes``, for kernels that need scratch memory.
WORKSPACES: dict[str, Callable[..., int]] = {}


def kernel(name: str, workspace: Callable[..., int] | None = None) -> Callable[[Kernel], Kernel]:
    """Decorator: enter the kernel of a primitive."""

    def enter(function: Kernel) -> Kernel:
        KERNELS[name] = function
        if workspace is not None:
            WORKSPACES[name] = workspace
        return function

    return enter


def workspace_bytes(name: str, operands: Sequence[Spec], result: Spec, params: dict[str, Any]) -> int:
    """Return how much scratch memory the kernel of a primitive needs."""
    rule = WORKSPACES.get(name)
    return rule(operands, result, **params) if rule else 0


# -- maps and views ---------------------------------------------------------------------------------------------------


def _ufunc_kernel(function: Callable[..., Any]) -> Kernel:
    def make(operands: Sequence[Array], out: Array, workspace: Any) -> list[Call]:
        return [(function, *operands, out)]

    return make


def _view_kernel(function: Callable[..., Array]) -> Kernel:
    def make(operands: Sequence[Array], out: Array, workspace: Any, **params: Any) -> list[Call]:
        source = operands[0]
        if function is VIEWS["reshape"]:
            # Reshaping the contiguous result instead never copies the operand on the way.
            return [(copyto, out.reshape(source.shape), source)]
        if function is _slice_view:
            return [(copyto, out, source[slices(**params)])]
        return [(copyto, out, function(source, **params))]

    return make


for _name, _function in UFUNCS.items():
    KERNELS[_name] = _ufunc_kernel(_function)
for _name, _view in VIEWS.items():
    KERNELS[_name] = _view_kernel(_view)


@kernel("sigmoid")
def _sigmoid(operands: Sequence[Array], out: Array, workspace: Any) -> list[Call]:
    one = np.ones((), out.dtype)
    return [(np.negative, operands[0], out), (np.exp, out, out), (np.add, out, one, out), (np.reciprocal, out, out)]


@kernel("where")
def _where(operands: Sequence[Array], out: Array, workspace: Any) -> list[Call]:
    # ``((x ^ y) * condition) ^ y`` on the bits: NumPy's own selections branch for each element, which for conditions
    # that a processor cannot foresee is ten times slower. The result may share memory with x, never with y: the
    # planner knows.
    bits = np.dtype(f"i{out.itemsize}")
    condition, x, y = operands
    x, y, bare = x.view(bits), y.view(bits), out.view(bits)
    return [(np.bitwise_xor, x, y, bare), (np.multiply, bare, condition, bare), (np.bitwise_xor, bare, y, bare)]


@kernel("astype")
def _astype(operands: Sequence[Array], out: Array, workspace: Any, dtype: str) -> list[Call]:
    return [(copyto, out, operands[0], "unsafe")]


# -- reductions -------------------------------------------------------------------------------------------------------


def _reduce_kernel(ufunc: np.ufunc) -> Kernel:
    def make(
        operands: Sequence[Array], out: Array, workspace: Any, axes: tuple[int, ...], keepdims: bool
    ) -> list[Call]:
        return [(ufunc.reduce, operands[0], axes, None, out, keepdims)]

    return make


KERNELS["sum"] = _reduce_kernel(np.add)
KERNELS["prod"] = _reduce_kernel(np.multiply)
KERNELS["max"] = _reduce_kernel(np.maximum)
KERNELS["min"] = _reduce_kernel(np.minimum)


@kernel("argmax")
def _argmax(operands: Sequence[Array], out: Array, workspace: Any, axis: int) -> list[Call]:
    return [(np.argmax, operands[0], axis, out)]


@kernel("argmin")
def _argmin(operands: Sequence[Array], out: Array, workspace: Any, axis: int) -> list[Call]:
    return [(np.argmin, operands[0], axis, out)]


@kernel("cumsum")
def _cumsum(operands: Sequence[Array], out: Array, workspace: Any, axis: int, reverse: bool) -> list[Call]:
    x = operands[0]
    if reverse:
        x, out = np.flip(x, axis), np.flip(out, axis)
    return [(np.add.accumulate, x, axis, None, out)]


#: Bytes of a result at a time where NumPy returns a fresh array.
_PART_BYTES = 1 << 18


def _store(out: Array, function: Callable[..., Array], *arguments: Any) -> None:
    """Copy a fresh result; for rare functions that NumPy offers without ``out``."""
    copyto(out, function(*arguments))


def _stored(function: Callable[..., Array], operands: Sequence[Array], out: Array, axis: int, *rest: Any) -> list[Call]:
    """Return calls of a function along an axis that NumPy offers without ``out``, each for a part of the result.

    Operands have the rank of the result, and its lengths along the other axes, or 1.
    """
    others = [k for k in range(out.ndim) if k != axis]
    cut = max(others, key=lambda k: out.shape[k], default=None)
    if cut is None or out.nbytes <= _PART_BYTES:
        return [(_store, out, function, *operands, *rest)]
    n = out.shape[cut]
    length = max(1, n * _PART_BYTES // out.nbytes)
    calls: list[Call] = []
    for start in range(0, n, length):
        part = (*[slice(None)] * cut, slice(start, start + length))
        calls.append((_store, out[part], function, *(x[part] if x.shape[cut] == n else x for x in operands), *rest))
    return calls


@kernel("sort")
def _sort(operands: Sequence[Array], out: Array, workspace: Any, axis: int) -> list[Call]:
    return [(copyto, out, operands[0]), (out.sort, axis, "stable")]


@kernel("argsort")
def _argsort(operands: Sequence[Array], out: Array, workspace: Any, axis: int) -> list[Call]:
    return _stored(np.argsort, operands, out, axis, axis, "stable")


# -- rearranging ------------------------------------------------------------------------------------------------------


@kernel("embed")
def _embed(operands: Sequence[Array], out: Array, workspace: Any, shape: tuple[int, ...], parts: Parts) -> list[Call]:
    return [(out.fill, 0), (copyto, out[slices(parts)], operands[0])]


@kernel("pad")
def _pad(operands: Sequence[Array], out: Array, workspace: Any, widths: Any, value: float) -> list[Call]:
    x = operands[0]
    inside = slices(tuple((low, low + n, 1) for n, (low, _) in zip(x.shape, widths, strict=True)))
    return [(out.fill, out.dtype.type(value)), (copyto, out[inside], x)]


def _same(x: Array, y: Array) -> bool:
    """Return whether two arrays are the same elements of memory."""
    where = x.__array_interface__["data"][0] == y.__array_interface__["data"][0]
    return where and x.dtype == y.dtype and x.shape == y.shape and x.strides == y.strides


@kernel("concat")
def _concat(operands: Sequence[Array], out: Array, workspace: Any, axis: int) -> list[Call]:
    calls, start = [], 0
    for x in operands:
        stop = start + x.shape[axis]
        part = out[(*[slice(None)] * axis, slice(start, stop))]
        start = stop
        if not _same(part, x):  # it has been computed there
            calls.append((copyto, part, x))
    return calls


# -- indexing ---------------------------------------------------------------------------------------------------------


@kernel("take")
def _take(operands: Sequence[Array], out: Array, workspace: Any, axis: int, mode: str) -> list[Call]:
    x, indices = operands
    return [(_take_within, x, indices, axis, out) if mode == "raise" else (np.take, x, indices, axis, out, mode)]


def _take_within(x: Array, indices: Array, axis: int, out: Array) -> None:
    try:
        np.take(x, indices, axis, out, "raise")
    except IndexError:
        length = x.shape[axis]
        outside = indices[(indices < -length) | (indices >= length)]
        raise OutOfRangeError(
            f"index {outside[0]} does not point into axis {axis}, which has length {length}", where="take()"
        ) from None


def _add_at(out: Array, index: Any, updates: Array) -> None:
    out.fill(0)
    np.add.at(out, index, updates)


def _within(indices: Array, n: int, mode: str) -> Array:
    return np.clip(indices, 0, n - 1) if mode == "clip" else np.remainder(indices, n)


def _take_add_run(out: Array, indices: Array, updates: Array, axis: int, mode: str) -> None:
    axes = tuple(range(axis, axis + indices.ndim))
    indices = _within(indices, out.shape[axis], mode)
    _add_at(np.moveaxis(out, axis, 0), indices, np.moveaxis(updates, axes, range(indices.ndim)))


def _add_rows_run(out: Array, indices: Array, updates: Array, mode: str, workspace: Array) -> None:
    scatter.add_rows(out, _within(indices.reshape(-1), len(out), mode), updates, workspace)


def _take_add_bytes(specs: Sequence[Spec], result: Spec, shape: tuple[int, ...], axis: int, mode: str) -> int:
    count, width = specs[0].size, math.prod(shape[1:])
    if axis or not count or width < scatter.MIN_WIDTH:
        return 0
    return scatter.workspace_bytes(count, width, result.dtype.itemsize)


@kernel("take_add", _take_add_bytes)
def _take_add(operands: Sequence[Array], out: Array, workspace: Any, shape: Any, axis: int, mode: str) -> list[Call]:
    indices, updates = operands
    if workspace is None or not (out.flags.c_contiguous and updates.flags.c_contiguous):
        return [(_take_add_run, out, *operands, axis, mode)]
    rows = out.reshape(shape[0], -1)
    scratch = workspace[: scatter.workspace_bytes(indices.size, rows.shape[1], out.itemsize)]
    return [(_add_rows_run, rows, indices, updates.reshape(indices.size, -1), mode, scratch)]


@kernel("take_along_axis")
def _take_along_axis(operands: Sequence[Array], out: Array, workspace: Any, axis: int) -> list[Call]:
    return _stored(np.take_along_axis, operands, out, axis, axis)


def _put_along_axis_run(out: Array, indices: Array, updates: Array, axis: int) -> None:
    grid = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = indices
    _add_at(out, tuple(grid), updates)


@kernel("put_along_axis_add")
def _put_along_axis(operands: Sequence[Array], out: Array, workspace: Any, shape: Any, axis: int) -> list[Call]:
    return [(_put_along_axis_run, out, *operands, axis)]


def _gather(x: Array, indices: Array) -> Array:
    return x[tuple(indices)]


@kernel("gather_nd")
def _gather_nd(operands: Sequence[Array], out: Array, workspace: Any) -> list[Call]:
    x, indices = operands
    if indices.ndim < 2 or out.nbytes <= _PART_BYTES:
        return [(_store, out, _gather, x, indices)]
    length = max(1, len(out) * _PART_BYTES // out.nbytes)
    parts = [slice(start, start + length) for start in range(0, len(out), length)]
    return [(_store, out[part], _gather, x, indices[:, part]) for part in parts]


def _scatter(out: Array, indices: Array, updates: Array) -> None:
    _add_at(out, tuple(indices), updates)


@kernel("scatter_nd_add")
def _scatter_nd_add(operands: Sequence[Array], out: Array, workspace: Any, shape: Any) -> list[Call]:
    return [(_scatter, out, *operands)]


# -- linear algebra, convolution, pooling -----------------------------------------------------------------------------


def _matmul_bytes(specs: Sequence[Spec], result: Spec, inexact: bool = False) -> int:
    left, right = (s.shape for s in specs)
    if inexact and product.pays(left, right, result.dtype):
        return product.PackedProduct(left, right, result.dtype).workspace
    return 4 * sum(s.size for s in (*specs, result)) if result.dtype == np.float16 else 0


def _is_plain_product(x: Array, y: Array, out: Array) -> bool:
    """Return whether BLAS multiplies two matrices as they are."""
    return (
        x.ndim == y.ndim == 2
        and out.dtype.char in "fd"
        and x.dtype == y.dtype == out.dtype
        and out.flags.c_contiguous
        and all(v.flags.c_contiguous or v.flags.f_contiguous for v in (x, y))
    )


@kernel("matmul", _matmul_bytes)
def _matmul(operands: Sequence[Array], out: Array, workspace: Any, inexact: bool = False) -> list[Call]:
    x, y = operands
    if inexact and product.pays(x.shape, y.shape, out.dtype):
        made = product.PackedProduct(x.shape, y.shape, out.dtype)
        return [(made.bind(x, y, out, workspace[: made.workspace]),)]
    if out.dtype != np.float16 or workspace is None:
        if _is_plain_product(x, y, out):
            return [(x.dot, y, out)]  # the same call of BLAS, reached in half of the time
        return [(np.matmul, x, y, out)]
    # NumPy multiplies half matrices without BLAS; through float32 it is faster, and rounded once.
    floats, start = [], 0
    for x in (*operands, out):
        floats.append(workspace[start : start + 4 * x.size].view(np.float32).reshape(x.shape))
        start += 4 * x.size
    copies = [(copyto, y, x) for y, x in zip(floats, operands, strict=False)]
    return [*copies, (np.matmul, *floats), (copyto, out, floats[-1], "same_kind")]


def _plan_conv(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    x, w = specs
    return convolution.plan_forward(x.shape, w.shape, dtype=x.dtype, **p)


def _plan_conv_data(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return convolution.plan_data_gradient(p.pop("shape"), specs[1].shape, dtype=result.dtype, **p)


def _plan_conv_weight(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return convolution.plan_weight_gradient(specs[0].shape, p.pop("shape"), dtype=result.dtype, **p)


def _plan_max_pool(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return pooling.plan_forward("max", specs[0].shape, p["kernel"], p["stride"], p["pad"], result.dtype)


def _plan_sum_pool(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return pooling.plan_forward("sum", specs[0].shape, p["kernel"], p["stride"], p["pad"], result.dtype)


def _plan_max_pool_grad(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return pooling.plan_gradient("max", specs[0].shape, p["kernel"], p["stride"], p["pad"], result.dtype)


def _plan_sum_pool_grad(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return pooling.plan_gradient("sum", result.shape, p["kernel"], p["stride"], p["pad"], result.dtype)


def _plan_max_pool_gather(specs: Sequence[Spec], result: Spec, **p: Any) -> Any:
    return pooling.plan_gather(specs[0].shape, p["kernel"], p["stride"], p["pad"], result.dtype)


def _planned(plan: Callable[..., Any]) -> None:
    name = plan.__name__.removeprefix("_plan_")
    name = {"conv_data": "conv_data_grad", "conv_weight": "conv_weight_grad"}.get(name, name)

    def make(operands: Sequence[Array], out: Array, workspace: Any, **params: Any) -> list[Call]:
        made = plan([Spec(x.shape, x.dtype) for x in operands], Spec(out.shape, out.dtype), **params)
        scratch = None if workspace is None else workspace[: made.workspace]
        return [(made.bind(*operands, out, scratch),)]

    def size(operands: Sequence[Spec], result: Spec, **params: Any) -> int:
        made = plan(operands, result, **params)
        return int(made.workspace) * made.workspace_dtype.itemsize

    KERNELS[name], WORKSPACES[name] = make, size


for _plan in (
    _plan_conv,
    _plan_conv_data,
    _plan_conv_weight,
    _plan_max_pool,
    _plan_sum_pool,
    _plan_max_pool_grad,
    _plan_sum_pool_grad,
    _plan_max_pool_gather,
):
    _planned(_plan)


# -- making -----------------------------------------------------------------------------------------------------------


@kernel("arange")
def _arange(
    operands: Sequence[Array], out: Array, workspace: Any, n: int, start: float, step: float, dtype: str
) -> list[Call]:
    return [(copyto, out, start + step * np.arange(n), "unsafe")]


def _uniform(out: Array, state: Array, key: int) -> None:
    random_bits.uniform(state, key, out.shape, out.dtype, out)


def _normal(out: Array, state: Array, key: int) -> None:
    random_bits.normal(state, key, out.shape, out.dtype, out)


@kernel("random_uniform")
def _random_uniform(operands: Sequence[Array], out: Array, workspace: Any, key: int, **_: Any) -> list[Call]:
    return [(_uniform, out, operands[0], key)]


@kernel("random_normal")
def _random_normal(operands: Sequence[Array], out: Array, workspace: Any, key: int, **_: Any) -> list[Call]:
    return [(_normal, out, operands[0], key)]
