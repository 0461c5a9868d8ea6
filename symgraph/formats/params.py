"""Parameter files (``.params``, ``.nd``): named arrays, in the binary format of MXNet.

All four versions of dense arrays are read, none needs a flag, and whatever device an array was saved from, it is read
into memory. Version 2 is written, byte for byte as MXNet 1.9.1 writes it; a file that holds a scalar is written in
version 3, as MXNet does under ``np_shape``, because version 2 cannot express one.

Layout, little endian throughout: 8 bytes mark, 8 bytes reserved, the number of arrays, the arrays, the number of names
(0 or as many), the names. A file is first walked from header to header, without its data; memory is taken once all
sizes are known to add up to the file's length.

What does not belong here: what ``arg:`` and ``aux:`` before a name mean, and how arrays get into an executor.
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np
import numpy.typing as npt

from symgraph.dtype import CODES, code_of
from symgraph.errors import ArgumentError, DTypeError, ParamsFormatError
from symgraph.formats import atomic
from symgraph.formats.foreign import looks_like
from symgraph.formats.text import MAX_NAME, name_fault, shown

__all__ = ["Array", "dump", "read", "write"]

Array = npt.NDArray[Any]

_FILE: Final = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_CPU: Final = (1, 0)
_DENSE: Final = 0
#: By storage type: its name, and how many auxiliary arrays it has.
_STORAGE: Final = {0: ("dense", 0), 1: ("row_sparse", 1), 2: ("csr", 2)}
#: NumPy's own limit.
_MAX_NDIM: Final = 64
#: More bytes than any array can have.
_TOO_MANY_BYTES: Final = 2**63


def read(source: bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO) -> list[tuple[str | None, Array]]:
    """Read all arrays of a parameter file, in order, each with its name or None.

    Parameters
    ----------
    source
        The file's content, its path, or a file opened in binary mode, which is read from its position to its end.

    Returns
    -------
    list of (name, array)
        The arrays own their memory. Either all names are None or none is; names are unique.

    Raises
    ------
    OSError
        If the file cannot be read.
    ParamsFormatError
        If it is malformed, or holds an array that is not dense or of an unsupported element type.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _Reader(io.BytesIO(source), "parameter file").arrays()
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            return _Reader(file, os.path.basename(os.fspath(source))).arrays()
    if hasattr(source, "encoding") or not hasattr(source, "readinto"):  # a text file, or no file
        raise ArgumentError(f"read() takes bytes, a path or a file opened in binary mode, not {type(source).__name__}")
    if not source.seekable():
        source = io.BytesIO(source.read())
    return _Reader(source, "parameter file").arrays()


def write(path: str | os.PathLike[str], arrays: Iterable[tuple[str | None, Array]]) -> None:
    """Save named arrays as the file `path`, as a whole or not at all; see `dump` and `symgraph.formats.atomic`.

    Raises
    ------
    OSError
        If the file cannot be written; an old file is then as it was.
    ParamsFormatError
        If a name or an element type cannot be stored.
    """
    checked = _checked(arrays)  # before a temporary file is made
    with atomic.replacing(path) as file:
        for piece in _pieces(checked):
            file.write(piece)


def dump(arrays: Iterable[tuple[str | None, Array]]) -> bytes:
    """Return the content of a parameter file that holds these arrays.

    Parameters
    ----------
    arrays
        Pairs of a name and an array; either all names are None, or all are different texts.

    Raises
    ------
    ParamsFormatError
        If a name or an element type cannot be stored.
    """
    return b"".join(_pieces(_checked(arrays)))


@dataclass(slots=True)
class _Header:
    """What the file says of an array, and where its data is."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    storage: int
    begin: int


class _Reader:
    """Walks through a file, never past its end."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name
        self.begin = file.tell()
        self.size = file.seek(0, io.SEEK_END) - self.begin
        self.position = 0
        file.seek(self.begin)

    def arrays(self) -> list[tuple[str | None, Array]]:
        self.check_start()
        count = self.count("array", at_least=4)
        headers = [self.header(f"array {number} of {count}") for number in range(1, count + 1)]
        names = self.names(count)
        if self.position != self.size:
            self.fail(f"{self.size - self.position:,} bytes follow the end of the file's content", self.position)
        for number, (name, header) in enumerate(zip(names, headers, strict=True), 1):
            if header.storage != _DENSE:
                kind, _ = _STORAGE[header.storage]
                what = f"is stored as {kind}; only dense arrays can be read"
                self.fail(what, None, f"array {number} of {count}" + (f" {shown(name)}" if name is not None else ""))
        return [(name, self.data(header)) for name, header in zip(names, headers, strict=True)]

    def check_start(self) -> None:
        if self.size == 0:
            self.fail("the file is empty", None)
        start = self.file.read(min(self.size, 64))
        self.file.seek(self.begin)
        if len(start) >= 8 and start[:8] == struct.pack("<Q", _FILE):
            self.unpack("<Q", "the file's mark")
            self.unpack("<Q", "the reserved field")  # whatever is in it
            return
        foreign = looks_like(start, "a parameter file")
        if foreign:
            self.fail(foreign, None)
        if struct.pack("<Q", _FILE).startswith(start):
            self.fail(f"needs bytes 0..8 for the file's mark, the file ends at {self.size}", None)
        self.fail(
            f"starts with `{start[:8].hex(' ')}`, not with a parameter file's mark `12 01 00 00 00 00 00 00`", None
        )

    def count(self, what: str, at_least: int) -> int:
        """Read how many of something follow; each takes some bytes at least."""
        at = self.position
        count = int(self.unpack("<Q", f"the number of {what}s")[0])
        if count * at_least > self.size - self.position:
            rest = self.size - self.position
            self.fail(f"announces {count:,} {what}s, but only {rest:,} bytes follow", at)
        return count

    def header(self, where: str) -> _Header:
        """Read the header of an array of any version, and go past its data."""
        at = self.position
        (mark,) = self.unpack("<I", "its header", where)
        storage = _DENSE
        stored: tuple[int, ...] | None = None  # the shape of the data where it is not that of the array
        if mark in (_V2, _V3):
            (storage,) = self.unpack("<i", "its storage type", where)
            if storage == -1:
                self.fail("was saved without ever having been given a shape", at, where)
            if storage not in _STORAGE:
                known = ", ".join(f"{code} {name}" for code, (name, _) in _STORAGE.items())
                self.fail(f"has the unknown storage type {storage}; known are {known}", at, where)
            if storage != _DENSE:
                stored = self.shape("<i", "q", where)
            shape = self.shape("<i", "q", where, scalar=mark == _V3)
        elif mark == _V1:
            shape = self.shape("<i", "q", where)
        elif mark <= _MAX_NDIM:  # version 0 begins with the number of dimensions
            self.position = at
            shape = self.shape("<I", "I", where)
        else:
            self.fail(f"starts with 0x{mark:08x}, which no version of the format does", at, where)
        self.unpack("<ii", "its device", where)  # which need not exist here
        dtype = self.dtype(where)
        sizes = [self.size_of(stored or shape, dtype, where)]
        for _ in range(_STORAGE[storage][1]):
            index_dtype = self.dtype(where)
            sizes.append(self.size_of(self.shape("<i", "q", where), index_dtype, where))
        begin = self.position
        for size in sizes:
            self.need(size, f"its data, shape {shape} of {dtype}", where)
            self.position += size
        return _Header(shape, dtype, storage, begin)

    def shape(self, count_format: str, dim_format: str, where: str, *, scalar: bool = False) -> tuple[int, ...]:
        at = self.position
        (ndim,) = self.unpack(count_format, "its number of dimensions", where)
        if ndim == -1 or (ndim == 0 and not scalar):
            self.fail("was saved without ever having been given a shape", at, where)
        if not 0 <= ndim <= _MAX_NDIM:
            self.fail(f"has {ndim:,} dimensions; 0 to {_MAX_NDIM} are possible", at, where)
        shape = self.unpack(f"<{ndim}{dim_format}", "its shape", where)
        if any(dim < 0 for dim in shape):
            self.fail(f"has the shape {shape}, with a negative dimension", at, where)
        return shape

    def dtype(self, where: str) -> np.dtype[Any]:
        at = self.position
        (code,) = self.unpack("<i", "its element type", where)
        if code not in CODES:
            known = ", ".join(f"{known} {dtype}" for known, dtype in CODES.items())
            self.fail(f"has the unsupported element type {code}; known are {known}", at, where)
        return CODES[code]

    def size_of(self, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> int:
        """Return the number of bytes of data, in numbers that cannot overflow."""
        # NumPy counts dimensions of size 0 as 1 for this limit.
        if math.prod(dim or 1 for dim in shape) * dtype.itemsize >= _TOO_MANY_BYTES:
            self.fail(f"has the shape {shape}, larger than any memory", self.position, where)
        return math.prod(shape) * dtype.itemsize

    def names(self, count: int) -> list[str | None]:
        at = self.position
        named = self.count("name", at_least=8)
        if named not in (0, count):
            self.fail(f"the number of names is {named}, of arrays {count}; there must be one for each, or none", at)
        names: list[str | None] = []
        numbers: dict[str, int] = {}
        for number in range(1, named + 1):
            where = f"name {number} of {named}"
            begin = self.position
            (length,) = self.unpack("<Q", "its length", where)
            if length > 4 * MAX_NAME and length <= self.size - self.position:
                self.fail(f"has {length:,} bytes; the limit is {4 * MAX_NAME:,}", begin, where)
            raw = self.take(length, "its text", where)
            try:
                name = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                self.fail(f"0x{raw[error.start]:02x} is not UTF-8", begin + 8 + error.start, where)
            fault = name_fault(name)
            if fault:
                self.fail(f"{shown(name)} {fault}", begin, where)
            if name in numbers:
                self.fail(f"{shown(name)} is also the name of array {numbers[name]}", begin, where)
            numbers[name] = number
            names.append(name)
        return names or [None] * count

    def data(self, header: _Header) -> Array:
        """Read the data of an array whose size is known to be in the file."""
        little_endian = header.dtype.newbyteorder("<")
        array: Array = np.empty(header.shape, np.uint8 if header.dtype == bool else little_endian)
        self.file.seek(self.begin + header.begin)
        view = array.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            got = self.file.readinto(view[done:])  # type: ignore[attr-defined] # BinaryIO lacks it, binary files do not
            if not got:
                self.fail("the file became shorter while it was read", header.begin + done)
            done += got
        # A byte other than 0 and 1 in a NumPy bool is undefined behaviour.
        return array != 0 if header.dtype == bool else array.astype(header.dtype, copy=False)

    def unpack(self, layout: str, what: str, where: str | None = None) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout), what, where))

    def take(self, size: int, what: str, where: str | None = None) -> bytes:
        self.need(size, what, where)
        self.file.seek(self.begin + self.position)
        found = self.file.read(size)
        if len(found) != size:
            self.fail("the file became shorter while it was read", self.position, where)
        self.position += size
        return found

    def need(self, size: int, what: str, where: str | None) -> None:
        end = self.position + size
        if end > self.size:
            self.fail(f"needs bytes {self.position}..{end} for {what}, the file ends at {self.size}", None, where)

    def fail(self, what: str, at: int | None, where: str | None = None) -> NoReturn:
        place = self.name + (f", {where}" if where else "") + (f", byte {at}" if at is not None else "")
        raise ParamsFormatError(what, where=place) from None


def _checked(arrays: Iterable[tuple[str | None, Array]]) -> list[tuple[str | None, Array, int]]:
    """Return (name, contiguous little-endian array, code of its element type), or refuse what cannot be stored."""
    checked: list[tuple[str | None, Array, int]] = []
    numbers: dict[str | None, int] = {}
    for number, (name, given) in enumerate(arrays, 1):
        array = np.asarray(given)
        where = f"array {number}" + (f" {shown(name)}" if name is not None else "")
        if checked and (name is None) != (checked[0][0] is None):
            raise ParamsFormatError("either all arrays have names or none has", where=where)
        if name is not None:
            fault = name_fault(name)
            if fault:
                raise ParamsFormatError(f"the name {fault}", where=where)
            if name in numbers:
                raise ParamsFormatError(f"array {numbers[name]} has the same name", where=where)
            numbers[name] = number
        try:
            code = code_of(array.dtype.newbyteorder("="))
        except DTypeError:
            known = ", ".join(map(str, CODES.values()))
            what = f"the element type {array.dtype} cannot be stored in a parameter file"
            raise ParamsFormatError(what, where=where, facts={"possible": known}) from None
        checked.append((name, np.asarray(array, dtype=CODES[code].newbyteorder("<"), order="C"), code))
    return checked


def _pieces(arrays: list[tuple[str | None, Array, int]]) -> Iterator[bytes | memoryview]:
    yield struct.pack("<QQQ", _FILE, 0, len(arrays))
    # Version 2 has no scalars; readers of MXNet take one version in a file only.
    mark = _V3 if any(array.ndim == 0 for _, array, _ in arrays) else _V2
    for _, array, code in arrays:
        dims = struct.pack(f"<i{array.ndim}q", array.ndim, *array.shape)
        yield struct.pack("<Ii", mark, _DENSE) + dims + struct.pack("<iii", *_CPU, code)
        yield array.reshape(-1).view(np.uint8).data
    names = [name.encode("utf-8") for name, _, _ in arrays if name is not None]
    yield struct.pack("<Q", len(names))
    for encoded in names:
        yield struct.pack("<Q", len(encoded)) + encoded
