"""The table of all operators, by canonical name and alias.

Gradients need no entry of their own: ``_backward_X`` is made from X the first time it is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from symgraph.errors import OperatorDefinitionError, UnknownOperatorError, suggest
from symgraph.op.schema import Op, define

__all__ = ["all_names", "all_operators", "find", "get", "op", "register"]

_OPERATORS: dict[str, type[Op]] = {}
_NAMES: dict[str, type[Op]] = {}

_C = TypeVar("_C", bound=type[Op])


def op(name: str, *, aliases: Sequence[str] = ()) -> Callable[[_C], _C]:
    """Class decorator: register an operator under its public name and aliases.

    Raises
    ------
    OperatorDefinitionError
        If the definition is incomplete or contradicts itself, or a name is taken.
    """

    def decorate(cls: _C) -> _C:
        return register(define(cls, name, aliases))

    return decorate


def register(cls: _C) -> _C:
    """Enter a defined operator class into the table."""
    for name in (cls.op_name, *cls.aliases):
        if name in _NAMES:
            raise OperatorDefinitionError(
                f"the name is taken by class {_NAMES[name].__module__}.{_NAMES[name].__name__}; choose another",
                where=f"operator {name!r} (class {cls.__name__})",
            )
    _OPERATORS[cls.op_name] = cls
    for name in (cls.op_name, *cls.aliases):
        _NAMES[name] = cls
    return cls


def get(name: str) -> type[Op] | None:
    """Return the operator class of that name or alias, or None."""
    found = _NAMES.get(name)
    if found is None and name.startswith("_backward_"):
        forward = get(name.removeprefix("_backward_"))
        if forward is not None and forward.differentiable:
            from symgraph.op.backward import backward_of

            return backward_of(forward)
    return found


def find(name: str) -> type[Op]:
    """Return the operator class of that name or alias.

    Raises
    ------
    UnknownOperatorError
        Naming the nearest known operator.
    """
    found = get(name)
    if found is None:
        raise UnknownOperatorError(f"no operator is named {name!r}", hint=suggest(name, _NAMES))
    return found


def all_operators() -> Iterator[type[Op]]:
    """Yield every registered operator class once, in the order of definition."""
    yield from _OPERATORS.values()


def all_names() -> dict[str, type[Op]]:
    """Return every name and alias with its operator class."""
    return dict(_NAMES)
