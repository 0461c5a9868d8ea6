"""Partly known shapes: what an operator's shape rule computes with.

A shape is None where nothing is known of it, or a tuple whose unknown dimensions are None. A rule says what should
hold, and who called the rule compares that with what is known; so functions here complain only about contradictions
that would not show that way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from symgraph.errors import ShapeError
from symgraph.op.schema import PartialShape

__all__ = [
    "axes_of",
    "axis_of",
    "broadcast",
    "broadcast_operand",
    "is_known",
    "merge",
    "reduced",
    "same_shape",
    "size_of",
]


def is_known(shape: PartialShape | None) -> TypeGuard[tuple[int, ...]]:
    """Return whether every dimension is known."""
    return shape is not None and None not in shape


def merge(*shapes: PartialShape | None) -> Any:
    """Return what several descriptions of one shape say together; where they contradict each other, the first counts.

    The result is None if all of them are.

    >>> merge((None, 3), None, (2, None))
    (2, 3)
    """
    known = [s for s in shapes if s is not None]
    if not known:
        return None
    alike = [s for s in known if len(s) == len(known[0])]
    return tuple(next((s[k] for s in alike if s[k] is not None), None) for k in range(len(known[0])))


def same_shape(names: Iterable[str], known: Mapping[str, PartialShape | None]) -> dict[str, PartialShape]:
    """Return one shape for all of `names`: what is known of one is known of all.

    >>> same_shape(["x", "y"], {"x": (2, None), "y": None})
    {'x': (2, None), 'y': (2, None)}
    """
    names = list(names)
    shape = merge(*(known.get(name) for name in names))
    return {} if shape is None else dict.fromkeys(names, shape)


def broadcast(x: PartialShape | None, y: PartialShape | None) -> PartialShape | None:
    """Return the shape that two operands have together, by NumPy's broadcasting.

    Raises
    ------
    ShapeError
        If they do not broadcast.

    >>> broadcast((2, 1, 1), (None, 3, None))
    (2, 3, None)
    """
    if x is None or y is None:
        return None
    rank = max(len(x), len(y))
    left, right = (1,) * (rank - len(x)) + tuple(x), (1,) * (rank - len(y)) + tuple(y)
    if any(m != n and m not in (1, None) and n not in (1, None) for m, n in zip(left, right, strict=True)):
        raise ShapeError(f"shapes {x} and {y} do not broadcast")
    return tuple(_broadcast_dim(m, n) for m, n in zip(left, right, strict=True))


def _broadcast_dim(m: int | None, n: int | None) -> int | None:
    if m == 1:
        return n
    if n == 1:
        return m
    # An unknown length stands beside a known one other than 1: it is that, or 1. Both give the known one.
    return n if m is None else m


def broadcast_operand(
    own: PartialShape | None, other: PartialShape | None, output: PartialShape | None
) -> PartialShape | None:
    """Return what the shape of one operand must be, the other's and the result's being given.

    Where the other operand has length 1, this one has the result's length; where the result has length 1, so has this
    one. Elsewhere it may be 1 or the result's, so nothing follows.

    >>> broadcast_operand((None, None, None), (2, 1, 4), (2, 3, 4))
    (None, 3, None)
    """
    if own is None or output is None or len(own) > len(output):
        return own
    found = list(own)
    for k in range(1, len(own) + 1):
        if found[-k] is None:
            alone = other is not None and (len(other) < k or other[-k] == 1)
            if output[-k] == 1 or alone:
                found[-k] = output[-k]
    return tuple(found)


def size_of(shape: Sequence[int | None]) -> int | None:
    """Return the number of elements; None if it is not known."""
    return None if None in shape else math.prod(n for n in shape if n is not None)


def axis_of(axis: int, rank: int, what: str = "axis") -> int:
    """Return an axis counted from the front.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"{what} is {axis}, but the input has {rank} axes")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int, what: str = "axis") -> tuple[int, ...]:
    """Return axes counted from the front, ascending.

    Raises
    ------
    ShapeError
        If there is no such axis, or one stands twice.
    """
    found = sorted(axis_of(a, rank, what) for a in axes)
    if len(set(found)) != len(found):
        raise ShapeError(f"{what} {tuple(axes)} names an axis twice")
    return tuple(found)


def reduced(shape: Sequence[int | None], axes: Sequence[int], keepdims: bool) -> PartialShape:
    """Return the shape after a reduction over `axes`; what has no axis left has the shape (1,).

    >>> reduced((2, None, 4), (0, 2), False), reduced((2, 3), (0, 1), False)
    ((None,), (1,))
    """
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    # MXNet: there are no arrays without axes.
    return tuple(n for k, n in enumerate(shape) if k not in axes) or (1,)
