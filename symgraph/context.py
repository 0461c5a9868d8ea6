"""Contexts: where an array lives. ``cpu()`` computes; ``gpu()`` can be named, compared and stored, but holds no arrays.

What does not belong here: devices themselves. Engines other than NumPy choose theirs.
"""

from __future__ import annotations

import operator
import re
import threading
from types import TracebackType
from typing import Any, ClassVar, SupportsIndex

from symgraph.errors import ArgumentError, UnsupportedError, suggest

__all__ = ["Context", "as_context", "cpu", "cpu_pinned", "current_context", "gpu", "num_gpus"]


class Context:
    """A kind of device and its number.

    In a ``with`` statement it becomes the context in which arrays are made by default.

    Parameters
    ----------
    device_type
        ``"cpu"``, ``"gpu"``, ``"cpu_pinned"`` or ``"cpu_shared"``; or a context, which is copied.
    device_id
        Number of the device, from 0. All CPU contexts share the machine's memory, whatever their number.

    Raises
    ------
    ArgumentError
        If there is no such kind of device, or the number is none.

    Examples
    --------
    >>> Context("cpu", 1)
    cpu(1)
    >>> with Context("cpu", 1):
    ...     current_context()
    cpu(1)
    """

    __slots__ = ("device_id", "device_type")

    #: MXNet's number of each kind of device, and back; parameter files hold these numbers.
    devstr2type: ClassVar[dict[str, int]] = {"cpu": 1, "gpu": 2, "cpu_pinned": 3, "cpu_shared": 5}
    devtype2str: ClassVar[dict[int, str]] = {number: name for name, number in devstr2type.items()}

    device_type: str
    device_id: int

    def __init__(self, device_type: str | Context, device_id: SupportsIndex = 0) -> None:
        if isinstance(device_type, Context):
            device_id, device_type = device_type.device_id, device_type.device_type
        if device_type not in self.devstr2type:
            raise ArgumentError(
                f"{device_type!r} is no kind of device",
                where="Context()",
                hint=suggest(str(device_type), self.devstr2type),
                facts={"kinds": ", ".join(self.devstr2type)},
            )
        if not isinstance(device_id, SupportsIndex) or (number := operator.index(device_id)) < 0:
            raise ArgumentError(f"device_id must be a whole number from 0, got {device_id!r}", where="Context()")
        self.device_type, self.device_id = device_type, number

    @property
    def device_typeid(self) -> int:
        """MXNet's number of the kind of device."""
        return self.devstr2type[self.device_type]

    def require_memory(self) -> Context:
        """Return the context itself if arrays can be held there.

        Raises
        ------
        UnsupportedError
            If it is a GPU.
        """
        if self.device_type == "gpu":
            raise UnsupportedError(
                f"there are no arrays on {self}: this version of symgraph computes on the CPU only",
                facts={"instead": "leave ctx out, or pass cpu()"},
            )
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return self.device_type == other.device_type and self.device_id == other.device_id

    def __hash__(self) -> int:
        return hash((self.device_type, self.device_id))

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Context, (self.device_type, self.device_id)

    def __enter__(self) -> Context:
        _ENTERED.stack.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _ENTERED.stack.pop()


class _Entered(threading.local):
    """The contexts of the ``with`` statements that a thread is in; first the one outside of all."""

    def __init__(self) -> None:
        self.stack = [_CPU]


_TEXT = re.compile(r"(\w+)(?:\(([0-9]{1,9})\))?")
_CPU = Context("cpu", 0)
_ENTERED = _Entered()


def cpu(device_id: SupportsIndex = 0) -> Context:
    """Return a CPU context."""
    return Context("cpu", device_id)


def gpu(device_id: SupportsIndex = 0) -> Context:
    """Return a GPU context; symgraph can name it, but hold no arrays there."""
    return Context("gpu", device_id)


def cpu_pinned(device_id: SupportsIndex = 0) -> Context:
    """Return a context of CPU memory that does not move; here it is ordinary CPU memory."""
    return Context("cpu_pinned", device_id)


def current_context() -> Context:
    """Return the context of the innermost ``with`` statement of this thread, ``cpu(0)`` outside of all."""
    return _ENTERED.stack[-1]


def num_gpus() -> int:
    """Return the number of GPUs that can hold arrays: none in this version."""
    return 0


def as_context(value: Any) -> Context:
    """Return the context that `value` is or names; None is the current one.

    Parameters
    ----------
    value
        A context, None, or text as in ``str(context)``: ``"cpu(0)"``, ``"gpu"``.

    Raises
    ------
    ArgumentError
        If it is or names no context.
    """
    if value is None:
        return _ENTERED.stack[-1]
    if isinstance(value, Context):
        return value
    if isinstance(value, str) and (parts := _TEXT.fullmatch(value)):
        return Context(parts[1], int(parts[2] or 0))
    raise ArgumentError(f"{value!r} is no context", facts={"for example": "cpu(), cpu(0)"})
