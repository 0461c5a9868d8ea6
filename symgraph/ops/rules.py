"""Checks and rules of element types and ranks that several families of operators share.

What does not belong here: anything that knows an operator's name or computes with tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgraph.errors import DTypeError, ShapeError
from symgraph.op import PartialShape

__all__ = ["floating", "rank_of", "same_dtype"]


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
