"""The functions of ``mx.sym``: one for every name of every operator, and MXNet's helpers written in Python.

Operator functions are made when first asked for, so an operator registered later is there as well.

    sym.relu, sym.FullyConnected    operators; for those in submodules see `symgraph.op.modules`
    sym.random.uniform              functions of `symgraph.symbol.random`

What does not belong here: operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import symgraph.ops  # noqa: F401 - registers the operators
from symgraph.errors import ArgumentError
from symgraph.op import find
from symgraph.op.call import make_function
from symgraph.symbol.symbol import Symbol, apply, invoke

__all__ = [
    "arange",
    "eye",
    "full",
    "histogram",
    "hypot",
    "linspace",
    "maximum",
    "minimum",
    "ones",
    "operator_function",
    "pow",
    "power",
    "split_v2",
    "zeros",
]


@cache
def _function(operator_name: str, function_name: str) -> Callable[..., Symbol]:
    return make_function(find(operator_name), function_name, invoke, "sym")


def operator_function(name: str, prefix: str = "") -> Callable[..., Symbol]:
    """Return the function that composes an operator.

    Parameters
    ----------
    name
        The function's name; automatic names of nodes begin with it in lower case.
    prefix
        What stands before it in the operator's name.

    Raises
    ------
    UnknownOperatorError
        If there is no such operator; it is an `AttributeError`.
    """
    if name.startswith("__"):  # Python asks modules for such names
        raise AttributeError(name)
    return _function(prefix + name, name)


# -- helpers of MXNet's Python side -----------------------------------------------------------------------------------


def _choose(lhs: Any, rhs: Any, both: str, right: str, left: str, numbers: Callable[[Any, Any], Any], name: str) -> Any:
    """Compose the operator that fits two symbols, or a symbol and a number; compute on two numbers."""
    for value in (lhs, rhs):
        if isinstance(value, bool) or not isinstance(value, (Symbol, int, float)):
            raise ArgumentError(f"{name}() takes symbols and numbers, not {type(value).__name__}")
    if isinstance(lhs, Symbol):
        return apply(both, lhs, rhs) if isinstance(rhs, Symbol) else apply(right, lhs, scalar=rhs)
    return apply(left, rhs, scalar=lhs) if isinstance(rhs, Symbol) else numbers(lhs, rhs)


def pow(base: Any, exp: Any) -> Any:
    """Return ``base ** exp`` for symbols and numbers, element by element; of two numbers, the number.

    Raises
    ------
    ArgumentError
        If an argument is neither a symbol nor a number.
    """
    return _choose(base, exp, "_Power", "_PowerScalar", "_RPowerScalar", lambda x, y: x**y, "pow")


power = pow


def maximum(left: Any, right: Any) -> Any:
    """Return the larger of two symbols or numbers, element by element; of two numbers, the number."""
    return _choose(left, right, "_Maximum", "_MaximumScalar", "_MaximumScalar", max, "maximum")


def minimum(left: Any, right: Any) -> Any:
    """Return the smaller of two symbols or numbers, element by element; of two numbers, the number."""
    return _choose(left, right, "_Minimum", "_MinimumScalar", "_MinimumScalar", min, "minimum")


def hypot(left: Any, right: Any) -> Any:
    """Return ``sqrt(left ** 2 + right ** 2)``, element by element; of two numbers, the number."""
    return _choose(left, right, "_hypot", "_HypotScalar", "_HypotScalar", math.hypot, "hypot")


def zeros(shape: int | Sequence[int], dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return zeros.

    Parameters
    ----------
    shape
        A 0 stands for an axis that the operators reading it decide.
    dtype
        Element type; float32 if left out.
    **kwargs
        ``name`` and ``attr`` of the node.
    """
    return apply("_zeros", shape=shape, dtype=dtype or "float32", **kwargs)


def ones(shape: int | Sequence[int], dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return ones; the arguments are those of `zeros`."""
    return apply("_ones", shape=shape, dtype=dtype or "float32", **kwargs)


def full(shape: int | Sequence[int], val: float, dtype: Any = None, **kwargs: Any) -> Symbol:
    """Return a tensor full of one value; the other arguments are those of `zeros`."""
    return apply("_full", shape=shape, dtype=dtype or "float32", value=float(val), **kwargs)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Symbol:
    """Return evenly spaced values in ``[start, stop)``, or in ``[0, start)`` if `stop` is left out.

    Parameters
    ----------
    start, stop, step
        As in ``range``.
    repeat
        How often each value stands.
    infer_range
        Take the length from the operators that read it.
    name
        Name of the node.
    dtype
        Element type; float32 if left out.
    """
    return apply(
        "_arange",
        start=start,
        stop=stop,
        step=step,
        repeat=repeat,
        infer_range=infer_range,
        name=name,
        dtype=dtype or "float32",
    )


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, name: str | None = None, dtype: Any = None
) -> Symbol:
    """Return `num` evenly spaced values from `start` to `stop`, which is the last one if `endpoint`."""
    return apply("_linspace", start=start, stop=stop, num=num, endpoint=endpoint, name=name, dtype=dtype or "float32")


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **kwargs: Any) -> Symbol:  # noqa: N803 - MXNet's names
    """Return a matrix with ones on its k-th diagonal; `N` rows and `M` columns, or `N` if it is 0."""
    return apply("_eye", N=N, M=M, k=k, dtype=dtype or "float32", **kwargs)


def histogram(a: Symbol, bins: int | Symbol = 10, range: tuple[float, float] | None = None, **kwargs: Any) -> Symbol:
    """Return how many elements fall into each bin, and the bins' edges.

    Parameters
    ----------
    a
        The elements.
    bins
        Number of bins of equal width, for which `range` is needed; or their edges.
    range
        Lower end of the first bin and upper end of the last.
    **kwargs
        ``name`` and ``attr`` of the node.
    """
    if isinstance(bins, Symbol):
        return apply("_histogram", a, bins, **kwargs)
    if range is None:
        raise ArgumentError("histogram() needs a range for a number of bins: a symbol has no values to take it from")
    return apply("_histogram", a, bin_cnt=bins, range=range, **kwargs)


def split_v2(
    ary: Symbol, indices_or_sections: int | Sequence[int], axis: int = 0, squeeze_axis: bool = False
) -> Symbol:
    """Return the parts of a tensor along an axis.

    Parameters
    ----------
    ary
        The tensor.
    indices_or_sections
        Number of equal parts, or the positions at which to split.
    axis
        The axis to split.
    squeeze_axis
        Take the axis away; for parts of length 1.
    """
    if isinstance(indices_or_sections, int):
        indices, sections = [], indices_or_sections
    else:
        # MXNet: the first part begins at a 0 that is written down.
        indices, sections = [0, *indices_or_sections], 0
    return apply("_split_v2", ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis, sections=sections)
