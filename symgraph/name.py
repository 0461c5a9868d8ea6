"""Names of nodes that were given none: ``relu0``, ``relu1``, ... counted for each hint and manager.

    with mx.name.Prefix("stage1_"):
        net = mx.sym.relu(x)      # stage1_relu0

Managers nest; each counts for itself, and each thread has its own stack of managers and starts counting anew.

What does not belong here: what the hint of an operator is. That is the lower-cased name of the function called.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

__all__ = ["NameManager", "Prefix", "current"]


class NameManager:
    """Gives names of the form hint + counter; a context manager.

    Every manager begins to count at 0. A name that was given does not advance the counter, and a name that is
    already in use is not avoided, so files name their nodes as MXNet named them.

    >>> with NameManager() as manager:
    ...     manager.get(None, "relu"), manager.get("mine", "relu"), manager.get(None, "relu")
    ('relu0', 'mine', 'relu1')
    """

    def __init__(self) -> None:
        self._counters: dict[str, int] = {}

    def get(self, name: str | None, hint: str) -> str:
        """Return the name of a new node.

        Parameters
        ----------
        name
            The name the user gave, or None.
        hint
            What an automatic name begins with.
        """
        if name:
            return name
        count = self._counters.get(hint, 0)
        self._counters[hint] = count + 1
        return f"{hint}{count}"

    def __enter__(self) -> Self:
        _managers().append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _managers().remove(self)


class Prefix(NameManager):
    """Puts a text before automatic and given names of operators; names of variables stay.

    Nested prefixes do not add up: the innermost counts.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        """Return the name of a new node, with the prefix."""
        return self._prefix + super().get(name, hint)


class _Local(threading.local):
    def __init__(self) -> None:
        self.managers: list[NameManager] = [NameManager()]


_LOCAL = _Local()


def _managers() -> list[NameManager]:
    return _LOCAL.managers


def current() -> NameManager:
    """Return the innermost manager of this thread."""
    return _LOCAL.managers[-1]
