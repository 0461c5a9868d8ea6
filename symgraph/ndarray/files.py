"""Saving and loading arrays, one, in a list, or by name, as parameter files.

What does not belong here: the format (`symgraph.formats.params`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from symgraph.context import current_context
from symgraph.errors import ArgumentError
from symgraph.formats import params
from symgraph.ndarray.ndarray import NDArray, wrap

__all__ = ["load", "load_frombuffer", "save"]

Path = str | os.PathLike[str]


def save(fname: Path | BinaryIO, data: NDArray | Sequence[NDArray] | Mapping[str, NDArray]) -> None:
    """Save arrays in the format of MXNet 1.9.1.

    Parameters
    ----------
    fname
        A path, whose file is replaced as a whole or not at all, or a file opened for writing in binary mode.
    data
        An array, a list of arrays, or arrays by name.

    Raises
    ------
    ArgumentError
        If `data` is none of these.
    OSError
        If the file cannot be written.
    """
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, Mapping):
        items: list[tuple[str | None, object]] = list(data.items())
    elif isinstance(data, (list, tuple)):
        items = [(None, x) for x in data]
    else:
        raise ArgumentError(f"save() takes an NDArray, a list or a dict of them, got {type(data).__name__}")
    arrays = []
    for k, (name, x) in enumerate(items):
        if not isinstance(x, NDArray):
            raise ArgumentError(f"save() takes NDArrays, but {name or k!r} is {type(x).__name__}")
        if name is not None and not isinstance(name, str):
            raise ArgumentError(f"save() takes names that are texts, got {name!r}")
        arrays.append((name, x._data))
    if isinstance(fname, (str, os.PathLike)):
        params.write(fname, arrays)
    elif hasattr(fname, "write"):
        fname.write(params.dump(arrays))
    else:
        raise ArgumentError(f"save() takes a path or a file opened in binary mode, got {type(fname).__name__}")


def load(fname: Path | BinaryIO) -> list[NDArray] | dict[str, NDArray]:
    """Load what `save` or MXNet saved.

    Parameters
    ----------
    fname
        A path, or a file opened for reading in binary mode.

    Returns
    -------
    list or dict
        The arrays by name, if they have names. They lie in the current context.

    Raises
    ------
    OSError
        If the file cannot be read.
    ParamsFormatError
        If it is malformed.
    """
    return _arrays(fname)


def load_frombuffer(buf: bytes | bytearray | memoryview) -> list[NDArray] | dict[str, NDArray]:
    """Load arrays from the content of a file; see `load`."""
    if not isinstance(buf, (bytes, bytearray, memoryview)):
        raise ArgumentError(f"load_frombuffer() takes bytes, got {type(buf).__name__}")
    return _arrays(buf)


def _arrays(source: Path | BinaryIO | bytes | bytearray | memoryview) -> list[NDArray] | dict[str, NDArray]:
    ctx = current_context().require_memory()
    loaded = [(name, wrap(data, ctx)) for name, data in params.read(source)]
    named = {name: x for name, x in loaded if name is not None}
    return named if named else [x for _, x in loaded]
