"""Element types: NumPy dtypes, MXNet's type codes, and the conversion between all their spellings."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgraph.errors import DTypeError

__all__ = ["CODES", "as_dtype", "code_of", "dtype_of_code"]

#: MXNet's type codes (they stand in ``__dtype__`` attributes and in parameter files).
CODES: dict[int, np.dtype[Any]] = {
    0: np.dtype("float32"),
    1: np.dtype("float64"),
    2: np.dtype("float16"),
    3: np.dtype("uint8"),
    4: np.dtype("int32"),
    5: np.dtype("int8"),
    6: np.dtype("int64"),
    7: np.dtype("bool"),
}
_CODE_OF = {dtype: code for code, dtype in CODES.items()}


def as_dtype(value: Any = None) -> np.dtype[Any]:
    """Return the supported NumPy dtype that `value` names; None means float32.

    Parameters
    ----------
    value
        A dtype, a scalar type such as ``np.float32`` or ``float``, or a name such as ``"float32"``.

    Raises
    ------
    DTypeError
        If `value` names no dtype, or one that MXNet's formats have no code for.
    """
    if value is None:
        return CODES[0]
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise DTypeError(f"{value!r} is not an element type", facts={"supported": _names()}) from None
    if dtype not in _CODE_OF:
        raise DTypeError(f"element type {dtype} is not supported", facts={"supported": _names()})
    native: np.dtype[Any] = dtype.newbyteorder("=")
    return native


def code_of(dtype: Any) -> int:
    """Return MXNet's code of an element type."""
    return _CODE_OF[as_dtype(dtype)]


def dtype_of_code(code: int) -> np.dtype[Any]:
    """Return the element type with MXNet's code `code`.

    Raises
    ------
    DTypeError
        If no element type has that code.
    """
    if code not in CODES:
        raise DTypeError(
            f"type code {code} is unknown", facts={"known": ", ".join(f"{k} {v}" for k, v in CODES.items())}
        )
    return CODES[code]


def _names() -> str:
    return ", ".join(str(dtype) for dtype in CODES.values())
