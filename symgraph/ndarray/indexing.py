"""Keys in square brackets: what MXNet programs write, put into the form that NumPy takes.

What does not belong here: arrays themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import ArgumentError

__all__ = ["Index", "as_slice", "read"]


class Index(NamedTuple):
    """A key that NumPy takes.

    Attributes
    ----------
    key
        For NumPy. It never leads to a scalar: where it names one element, the result has one axis of length 1.
    basic
        Whether it consists of numbers, slices, None and Ellipsis alone, so that NumPy makes a view.
    """

    key: Any
    basic: bool


def read(key: Any, shape: tuple[int, ...]) -> Index:
    """Return a key in NumPy's form.

    Parameters
    ----------
    key
        A number, slice, None, Ellipsis, list, range, NumPy array, NDArray, or a tuple of these. A tuple inside the
        tuple counts as a list. Arrays of floats are cut off to whole numbers, arrays of booleans choose where they are
        true.
    shape
        Of the array that is indexed.

    Raises
    ------
    ArgumentError
        If something else stands there.
    """
    if key.__class__ is int and len(shape) > 1:
        return Index(key, True)
    items = key if isinstance(key, tuple) else (key,)
    basic, whole = True, 0
    found: list[Any] = []
    for item in items:
        if item is None or item is Ellipsis or isinstance(item, slice):
            found.append(item)
        elif isinstance(item, (int, np.integer, np.bool_)):
            # MXNet: True and False are the numbers 1 and 0.
            found.append(int(item))
            whole += 1
        else:
            found.append(_array(item))
            basic = False
    if basic and whole == len(shape):
        if not whole and Ellipsis not in found:
            found.append(Ellipsis)
        if whole and None not in found:
            # MXNet: one element is an array of shape (1,), not a scalar.
            found.append(None)
    elif not basic and not _result_has_axes(found, shape):
        found.append(None)
    return Index(tuple(found), basic)


def _result_has_axes(items: list[Any], shape: tuple[int, ...]) -> bool:
    """Return whether a key with arrays leads to an array with axes."""
    if any(item is None or isinstance(item, slice) or (isinstance(item, np.ndarray) and item.ndim) for item in items):
        return True
    return len([item for item in items if item is not Ellipsis]) < len(shape)


def _array(item: Any) -> Any:
    """Return an array of whole numbers or booleans."""
    data = getattr(item, "_data", item)
    if isinstance(data, (np.ndarray, list, tuple, range)):
        try:
            array = np.asarray(data)
        except ValueError:
            raise ArgumentError(f"an index is a list with rows of different lengths: {item!r}") from None
        if array.size == 0 and not isinstance(data, np.ndarray):
            return array.astype(np.int64)
        if array.dtype.kind == "f":
            return array.astype(np.int64)
        if array.dtype.kind in "biu":
            return array
    raise ArgumentError(
        f"an NDArray cannot be indexed by {item!r} of type {type(item).__name__}",
        facts={"takes": "whole numbers, slices, None, Ellipsis, and arrays of whole numbers or booleans"},
    )


def as_slice(index: Index, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[int, ...]] | None:
    """Return a basic index as (begin, end, step) of the operator `slice`, with None's bounds where a slice runs out.

    Axes that the index drops have length 1 in the slice, axes that it adds are missing. None means that the whole array
    is taken.
    """
    items = [item for item in (index.key if isinstance(index.key, tuple) else (index.key,)) if item is not None]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    items += [slice(None)] * (len(shape) - len(items))
    begin, end, step = [], [], []
    whole = True
    for item, n in zip(items, shape, strict=True):
        if isinstance(item, slice):
            start, stop, stride = item.indices(n)
            whole = whole and (start, stop, stride) == (0, n, 1)
        else:
            start = item + n if item < 0 else item
            stop, stride, whole = start + 1, 1, False
        begin.append(start)
        end.append(stop if stop >= 0 else None)
        step.append(stride)
    return None if whole else (tuple(begin), tuple(end), tuple(step))
