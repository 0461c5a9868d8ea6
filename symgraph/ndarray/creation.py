"""Making arrays: from Python values and NumPy arrays, filled, spaced, joined, and shared with other libraries.

What does not belong here: random numbers (`symgraph.ndarray.random`) and files (`symgraph.ndarray.files`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.context import Context, as_context
from symgraph.dtype import as_dtype
from symgraph.errors import ArgumentError, ShapeError, UnsupportedError
from symgraph.ndarray.functions import function
from symgraph.ndarray.ndarray import INTEGERS, NDArray, apply, as_values, convert, invoke, wrap
from symgraph.op import find

__all__ = [
    "arange",
    "array",
    "concatenate",
    "empty",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "linspace",
    "moveaxis",
    "onehot_encode",
    "ones",
    "split_v2",
    "to_dlpack_for_read",
    "to_dlpack_for_write",
    "waitall",
    "zeros",
]

Axes = int | Sequence[int]


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """Return a new array with the given elements.

    Parameters
    ----------
    source_array
        An NDArray, a NumPy array, a number, or a list (of lists) of numbers.
    ctx
        Where it is to lie; the current context if left out.
    dtype
        Element type. If left out: that of an NDArray, else float32, whatever the type of a NumPy array.

    Raises
    ------
    ArgumentError
        If it is no array of numbers.
    DTypeError
        If the element type does not exist here.
    UnsupportedError
        If the context holds no arrays.
    """
    place = as_context(ctx).require_memory()
    if isinstance(source_array, NDArray):
        made = source_array.astype(source_array.dtype if dtype is None else dtype)
        made._ctx = place
        return made
    target = as_dtype(dtype)
    if not isinstance(source_array, np.ndarray) and hasattr(source_array, "__array__"):
        source_array = np.asarray(source_array)
    return wrap(convert(as_values(source_array), target), place)


def _shape(shape: Any) -> tuple[int, ...]:
    items = (shape,) if isinstance(shape, INTEGERS) else shape
    try:
        lengths = tuple(operator.index(n) for n in items)
    except TypeError:
        raise ArgumentError(f"a shape is a number or a tuple of numbers, got {shape!r}") from None
    if any(n < 0 for n in lengths):
        raise ArgumentError(f"lengths of axes are not negative, got {shape!r}")
    return lengths


def _made(
    make: Callable[[tuple[int, ...], np.dtype[Any]], np.ndarray[Any, Any]],
    shape: Any,
    ctx: Context | None,
    dtype: Any,
    out: NDArray | None,
    stype: str | None = None,
) -> NDArray:
    if stype not in (None, "default"):
        raise UnsupportedError(f"there are no arrays of storage type {stype!r}: symgraph's arrays are dense")
    made = wrap(make(_shape(shape), as_dtype(dtype)), as_context(ctx).require_memory())
    if out is None:
        return made
    if out.shape != made.shape or out.dtype != made.dtype:
        raise ShapeError(f"out is {out._data.dtype}{out.shape}, but the result is {made._data.dtype}{made.shape}")
    return made.copyto(out)


def empty(shape: Any, ctx: Context | None = None, dtype: Any = None, stype: str | None = None) -> NDArray:
    """Return an array whose elements are whatever the memory holds.

    Parameters
    ----------
    shape
        Length of each axis; a number stands for one axis.
    ctx
        Where it is to lie; the current context if left out.
    dtype
        Element type; float32 if left out.
    stype
        Storage type; only ``"default"``, dense, exists.
    """
    return _made(np.empty, shape, ctx, dtype, None, stype)


def zeros(
    shape: Any,
    ctx: Context | None = None,
    dtype: Any = None,
    stype: str | None = None,
    *,
    out: NDArray | None = None,
) -> NDArray:
    """Return an array of zeros; arguments as of `empty`, and `out`, an array to fill instead of a new one."""
    return _made(np.zeros, shape, ctx, dtype, out, stype)


def ones(shape: Any, ctx: Context | None = None, dtype: Any = None, *, out: NDArray | None = None) -> NDArray:
    """Return an array of ones; arguments as of `zeros`."""
    return _made(np.ones, shape, ctx, dtype, out)


def full(
    shape: Any, val: Any, ctx: Context | None = None, dtype: Any = np.float32, out: NDArray | None = None
) -> NDArray:
    """Return an array filled with a number, or with an array that broadcasts to the shape.

    Parameters
    ----------
    shape
        Length of each axis; a number stands for one axis.
    val
        What to fill it with.
    ctx, dtype
        As of `empty`.
    out
        An array to fill instead of a new one.
    """
    made = out if out is not None else empty(shape, ctx, dtype)
    made[...] = val
    return made


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | None = None,
    dtype: Any = np.float32,
) -> NDArray:
    """Return evenly spaced numbers from `start` to before `stop`, each `repeat` times.

    Parameters
    ----------
    start, stop
        First number, and the end; without `stop`, `start` is the end and 0 the first number.
    step
        Distance of two numbers.
    repeat
        How often each number stands in a row.
    infer_range
        Accepted for MXNet's signature: an array cannot leave its length open.
    ctx, dtype
        As of `empty`.

    Raises
    ------
    ShapeError
        If there are no such numbers.
    """
    op = find("_arange")(start=start, stop=stop, step=step, repeat=repeat, dtype=as_dtype(dtype).name)
    made: NDArray = invoke(op, [], ctx=as_context(ctx).require_memory())
    return made


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    ctx: Context | None = None,
    dtype: Any = np.float32,
) -> NDArray:
    """Return `num` evenly spaced numbers from `start` to `stop`, which is left out unless `endpoint`.

    The other arguments are as of `empty`.
    """
    op = find("_linspace")(start=start, stop=stop, num=num, endpoint=endpoint, dtype=as_dtype(dtype).name)
    made: NDArray = invoke(op, [], ctx=as_context(ctx).require_memory())
    return made


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None) -> NDArray:  # noqa: N803
    """Return a matrix of `N` rows and `M` columns (0: `N`) with ones on diagonal `k` and zeros elsewhere."""
    op = find("_eye")(N=N, M=M, k=k, dtype=as_dtype(dtype).name)
    made: NDArray = invoke(op, [], ctx=as_context(ctx).require_memory())
    return made


def concatenate(arrays: Iterable[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """Join arrays along an axis.

    Parameters
    ----------
    arrays
        Arrays of one element type, whose shapes differ along `axis` at most.
    axis
        The axis.
    always_copy
        If false, a single array is returned itself.
    """
    items = list(arrays)
    if len(items) == 1 and not always_copy:
        return items[0]
    made: NDArray = function("concat")(*items, dim=axis)
    return made


def moveaxis(tensor: NDArray, source: Axes, destination: Axes) -> NDArray:
    """Return the array with axes moved to other positions; the others stay in order.

    Parameters
    ----------
    tensor
        The array.
    source, destination
        Axes, and the positions they are to have.

    Raises
    ------
    ArgumentError
        If an axis does not exist or is named twice, or there are not as many positions as axes.
    """
    try:
        # An array of shape (1, 2, 3, ...) that takes no memory: where its lengths end up is where the axes do.
        moved = np.moveaxis(np.broadcast_to(0, range(1, tensor.ndim + 1)), source, destination)
    except (ValueError, TypeError) as error:
        raise ArgumentError(str(error), where="moveaxis()") from None
    return apply(find("transpose")(axes=tuple(n - 1 for n in moved.shape)), tensor)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write ones at the indices into the rows of `out`, zeros elsewhere; returns it.

    Parameters
    ----------
    indices
        Column of the one in each row, (n,).
    out
        (n, columns).
    """
    if out.ndim != 2 or indices.shape != out.shape[:1]:
        raise ShapeError(
            f"onehot_encode() needs indices (n,) and out (n, columns), got {indices.shape} and {out.shape}"
        )
    made: NDArray = function("one_hot")(indices, depth=out.shape[1], dtype=out._data.dtype.name, out=out)
    return made


def split_v2(
    ary: NDArray, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> NDArray | list[NDArray]:
    """Split an array along an axis.

    Parameters
    ----------
    ary
        The array.
    indices_or_sections
        How many equal parts, or where the parts after the first begin.
    axis
        The axis.
    squeeze_axis
        Remove the axis, which then must have length 1 in each part.
    """
    sections = 0
    indices: tuple[int, ...] = ()
    if isinstance(indices_or_sections, INTEGERS):
        sections = operator.index(indices_or_sections)
        if sections < 1 or ary.shape[axis] % sections:
            raise ArgumentError(f"axis {axis} of length {ary.shape[axis]} has no {sections} equal parts")
    else:
        indices = (0, *(operator.index(k) for k in indices_or_sections))
    op = find("_split_v2")(indices=indices, axis=axis, squeeze_axis=squeeze_axis, sections=sections)
    made: NDArray | list[NDArray] = invoke(op, [ary])
    return made


def from_numpy(ndarray: np.ndarray[Any, Any], zero_copy: bool = True) -> NDArray:
    """Return an array on the memory of a NumPy array, which becomes read-only: only the NDArray writes from now on.

    Parameters
    ----------
    ndarray
        A NumPy array.
    zero_copy
        If false, the elements are copied, and the NumPy array stays as it is.

    Raises
    ------
    ArgumentError
        If it is no NumPy array, or is to be shared but is read-only or not C-contiguous.
    DTypeError
        If its element type does not exist here.
    """
    if not isinstance(ndarray, np.ndarray):
        raise ArgumentError(f"from_numpy() takes a NumPy array, got {type(ndarray).__name__}; use nd.array()")
    as_dtype(ndarray.dtype)
    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    flags = ndarray.flags
    if not (flags.c_contiguous and flags.writeable and ndarray.dtype.isnative):
        raise ArgumentError(
            "only a C-contiguous, writeable array in native byte order can be shared; pass zero_copy=False",
            where="from_numpy()",
        )
    shared = ndarray.view()
    ndarray.flags.writeable = False
    return wrap(shared, as_context("cpu"))


class _Capsule:
    """Gives a bare DLPack capsule the interface that NumPy reads."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def from_dlpack(dlpack: Any) -> NDArray:
    """Return an array on the memory of another library's array.

    Parameters
    ----------
    dlpack
        An object of the DLPack protocol in CPU memory, or a capsule of it, which can be used once.

    Raises
    ------
    ArgumentError
        If it is none, or its memory cannot be shared as an NDArray: not C-contiguous, or read-only.
    """
    source = dlpack if hasattr(dlpack, "__dlpack__") else _Capsule(dlpack)
    try:
        data = np.from_dlpack(source)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise ArgumentError(f"from_dlpack() cannot use {type(dlpack).__name__}: {error}") from None
    as_dtype(data.dtype)
    if not data.flags.c_contiguous:
        raise ArgumentError("from_dlpack() shares C-contiguous arrays only; copy the array first")
    return wrap(data, as_context("cpu"))


def to_dlpack_for_read(data: NDArray) -> Any:
    """Return a DLPack capsule that shares the array's memory."""
    return data.to_dlpack_for_read()


def to_dlpack_for_write(data: NDArray) -> Any:
    """Return a DLPack capsule that shares the array's memory."""
    return data.to_dlpack_for_write()


def waitall() -> None:
    """Return when all operators have run, which is now: they run when they are called."""
