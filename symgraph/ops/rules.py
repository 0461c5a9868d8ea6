"""Rules of shapes and dtypes that several families of operators share.

What does not belong here: anything that knows an operator's name or computes with tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.op import PartialShape

__all__ = ["alike", "floating", "merge", "same_dtype"]


def merge(*shapes: PartialShape | None) -> PartialShape | None:
    """Return what several partly known shapes say together; where they contradict each other, the first counts.

    The caller's own check finds the contradiction: the merged shape differs from the one that was known.

    >>> merge((None, 3), None, (2, None))
    (2, 3)
    """
    known = [s for s in shapes if s is not None]
    if not known:
        return None
    first = known[0]
    same_rank = [s for s in known if len(s) == len(first)]
    return tuple(next((s[k] for s in same_rank if s[k] is not None), None) for k in range(len(first)))


def alike(names: Iterable[str], known: dict[str, PartialShape | None]) -> dict[str, PartialShape]:
    """Return one shape for all of `names`: what is known of any of them is known of all.

    >>> alike(["x", "y"], {"x": (2, None), "y": None})
    {'x': (2, None), 'y': (2, None)}
    """
    names = list(names)
    shape = merge(*(known.get(n) for n in names))
    return {} if shape is None else dict.fromkeys(names, shape)


def same_dtype(names: Sequence[str], known: dict[str, Any]) -> dict[str, Any]:
    """Return one dtype for all of `names`, that of the first whose dtype is known."""
    dtype = next((known[n] for n in names if known.get(n) is not None), None)
    return {} if dtype is None else dict.fromkeys(names, dtype)


def floating(name: str, dtype: Any, allowed: Sequence[str] = ("float16", "float32", "float64")) -> None:
    """Refuse an element type that is not one of the `allowed` floating point ones; None is not known yet.

    Raises
    ------
    DTypeError
        Naming the tensor, its element type, and the ones that are allowed.
    """
    if dtype is not None and np.dtype(dtype).name not in allowed:
        raise DTypeError(f"{name} has element type {np.dtype(dtype).name}, but must have {' or '.join(allowed)}")


def rank_of(name: str, shape: PartialShape | None, least: int, most: int | None = None) -> None:
    """Refuse a tensor with too few or too many axes; None is not known yet.

    Raises
    ------
    ShapeError
        Naming the tensor, its shape, and how many axes it must have.
    """
    if shape is not None and (len(shape) < least or (most is not None and len(shape) > most)):
        expected = f"{least}" if most == least else f"{least} to {most}" if most is not None else f"at least {least}"
        raise ShapeError(f"{name} has shape {shape}, but must have {expected} axes")
