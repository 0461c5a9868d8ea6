"""Attributes for all symbols made in a block.

    with mx.AttrScope(ctx_group="stage1", __layer__="2"):
        net = mx.sym.FullyConnected(x, num_hidden=10)    # and its variables

What does not belong here: what an attribute means.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from symgraph.errors import ArgumentError
from symgraph.op.call import hidden_key

__all__ = ["AttrScope", "current"]


class AttrScope:
    """Gives its attributes to every variable and operator made inside it; a context manager.

    Inner scopes add to outer ones and count more; ``attr=`` of a call counts most. ``ctx_group``, ``lr_mult``,
    ``wd_mult``, ``force_mirroring`` and ``mirror_stage`` are stored as ``__ctx_group__`` and so on; other attributes of
    operators that have parameters must be written ``__name__``.

    Parameters
    ----------
    **attributes
        Text by name.

    Raises
    ------
    ArgumentError
        If a value is no string.
    """

    def __init__(self, **attributes: str) -> None:
        for key, value in attributes.items():
            if not isinstance(value, str):
                raise ArgumentError(f"AttrScope({key}={value!r}): attributes are strings; write {key}={str(value)!r}")
        self._own = {hidden_key(key): value for key, value in attributes.items()}
        self._attributes = self._own

    def get(self, attr: Mapping[str, str] | None) -> dict[str, str]:
        """Return the attributes of the scope with those of a call on top."""
        if not attr:
            return dict(self._attributes)
        return {**self._attributes, **{hidden_key(key): str(value) for key, value in attr.items()}}

    @property
    def empty(self) -> bool:
        """Whether the scope gives nothing."""
        return not self._attributes

    def __enter__(self) -> Self:
        self._attributes = {**current()._attributes, **self._own}
        _LOCAL.scopes.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _LOCAL.scopes.remove(self)


class _Local(threading.local):
    def __init__(self) -> None:
        self.scopes: list[AttrScope] = [AttrScope()]


_LOCAL = _Local()


def current() -> AttrScope:
    """Return the innermost scope of this thread."""
    return _LOCAL.scopes[-1]
