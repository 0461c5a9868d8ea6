"""Random arrays: one function a distribution, for parameters that are numbers or arrays.

With numbers one array of the given shape is drawn, with arrays one of that shape for each of their elements. Seeds are
set by `symgraph.random.seed`.

What does not belong here: the operators that draw, and the bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symgraph.context import Context, as_context
from symgraph.errors import ArgumentError
from symgraph.ndarray.functions import function
from symgraph.ndarray.ndarray import NDArray

__all__ = [
    "exponential",
    "exponential_like",
    "normal",
    "normal_like",
    "randint",
    "randn",
    "uniform",
    "uniform_like",
]

Shape = int | Sequence[int] | None


def _draw(
    distribution: str, params: dict[str, Any], shape: Shape, dtype: Any, ctx: Context | None, out: NDArray | None
) -> NDArray:
    arrays = [name for name, value in params.items() if isinstance(value, NDArray)]
    given: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    if arrays:
        if len(arrays) < len(params):
            raise ArgumentError(
                f"random.{distribution}(): give all parameters as arrays or all as numbers",
                facts={"arrays": ", ".join(arrays), "numbers": ", ".join(n for n in params if n not in arrays)},
            )
        if shape is not None:
            given["shape"] = shape
        drawn: NDArray = function(f"_sample_{distribution}")(*params.values(), **given, out=out)
        return drawn
    if shape is None:
        shape = (1,) if out is None else out.shape
    place = out.context if out is not None else as_context(ctx)
    made: NDArray = function(f"_random_{distribution}")(**params, shape=shape, ctx=place, **given, out=out)
    return made


def uniform(
    low: Any = 0,
    high: Any = 1,
    shape: Shape = None,
    dtype: Any = None,
    ctx: Context | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Return uniform numbers in [`low`, `high`).

    Parameters
    ----------
    low, high
        The range: numbers, or arrays of one shape.
    shape
        Shape of the result, (1,) if left out; for arrays, of the draw for each of their elements, () if left out.
    dtype
        Element type; float32 if left out.
    ctx
        Where the result is to lie; the current context if left out.
    out
        An array to fill instead of a new one.
    """
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, ctx, out)


def normal(
    loc: Any = 0,
    scale: Any = 1,
    shape: Shape = None,
    dtype: Any = None,
    ctx: Context | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Return normal numbers with mean `loc` and standard deviation `scale`; the other arguments are as of `uniform`."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape, dtype, ctx, out)


def randn(
    *shape: int,
    loc: Any = 0,
    scale: Any = 1,
    dtype: Any = None,
    ctx: Context | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Return normal numbers, the lengths of the axes being the positional arguments; see `normal`."""
    return _draw("normal", {"loc": loc, "scale": scale}, shape or None, dtype, ctx, out)


def randint(
    low: int,
    high: int,
    shape: Shape = None,
    dtype: Any = None,
    ctx: Context | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Return whole numbers from `low` to before `high`, int32 if no `dtype` is given; see `uniform`."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, ctx, out)


def exponential(
    scale: Any = 1,
    shape: Shape = None,
    dtype: Any = None,
    ctx: Context | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Return exponential numbers with mean `scale`; the other arguments are as of `uniform`."""
    rate = 1.0 / scale
    return _draw("exponential", {"lam": rate}, shape, dtype, ctx, out)


def uniform_like(data: NDArray, low: float = 0, high: float = 1, out: NDArray | None = None) -> NDArray:
    """Return uniform numbers in [`low`, `high`), with the shape and element type of an array."""
    made: NDArray = function("_random_uniform_like")(data, low=low, high=high, out=out)
    return made


def normal_like(data: NDArray, loc: float = 0, scale: float = 1, out: NDArray | None = None) -> NDArray:
    """Return normal numbers with mean `loc`, standard deviation `scale`, and shape and element type of an array."""
    made: NDArray = function("_random_normal_like")(data, loc=loc, scale=scale, out=out)
    return made


def exponential_like(data: NDArray, lam: float = 1, out: NDArray | None = None) -> NDArray:
    """Return exponential numbers with mean ``1 / lam``, and shape and element type of an array."""
    made: NDArray = function("_random_exponential_like")(data, lam=lam, out=out)
    return made
