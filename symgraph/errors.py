"""The one error format of symgraph and the tree of its exception classes.

Every message reads ``<where>: <what is wrong>; did you mean '<hint>'?``, followed by indented facts and, last, the
line of the user's code that created the node. The classes also derive from the built-in exception that a Python
programmer would expect (`ValueError`, `TypeError`), so existing ``except`` clauses go on working.

What does not belong here: any knowledge of graphs, operators or files. The room that finds a fault words it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "ArgumentError",
    "BindError",
    "DTypeError",
    "FormatError",
    "GradientError",
    "GraphError",
    "GraphFormatError",
    "GraphIndexError",
    "MXNetError",
    "OperatorDefinitionError",
    "OutOfRangeError",
    "ParamsFormatError",
    "ShapeError",
    "SymgraphError",
    "UnknownOperatorError",
    "UnsupportedError",
    "brief",
    "some",
    "suggest",
]


class SymgraphError(Exception):
    """Base class of all errors that symgraph raises on purpose.

    Parameters
    ----------
    what
        What is wrong and what was expected, as one sentence without a full stop.
    where
        The place: a node's name, a function, a file with an offset.
    hint
        The name that was probably meant.
    facts
        Named values printed on lines of their own, in order.
    created
        ``file:line`` of the user's code that created the node at fault.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        facts: Mapping[str, Any] | None = None,
        created: str | None = None,
    ) -> None:
        self.what, self.where, self.hint, self.created = what, where, hint, created
        self.facts = dict(facts or {})
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        if self.hint:
            head += f"; did you mean {self.hint!r}?"
        lines = [head, *(f"  {key}: {value}" for key, value in self.facts.items())]
        if self.created:
            lines.append(f"  created at {self.created}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, self.where, self.hint, self.facts, self.created)


def _rebuild(cls: type[SymgraphError], what: str, where: Any, hint: Any, facts: Any, created: Any) -> SymgraphError:
    return cls(what, where=where, hint=hint, facts=facts, created=created)


#: The name under which MXNet programs catch errors (``mx.base.MXNetError``).
MXNetError = SymgraphError


class ArgumentError(SymgraphError, TypeError, ValueError):
    """A call has a wrong, missing or unknown argument."""


class UnknownOperatorError(SymgraphError, AttributeError):
    """No operator of that name is registered."""


class OperatorDefinitionError(SymgraphError):
    """An operator's definition is incomplete or contradicts itself; raised at import, not in a user's call."""


class ShapeError(SymgraphError, ValueError):
    """Shapes contradict each other, or cannot be decided."""


class DTypeError(SymgraphError, TypeError):
    """Element types contradict each other, or are not supported."""


class BindError(SymgraphError, ValueError):
    """Arrays given to an executor do not fit its graph."""


class GradientError(SymgraphError):
    """A gradient was asked for where there is none, or a head gradient is missing."""


class GraphError(SymgraphError, ValueError):
    """A graph is malformed, or a symbol is used in a way its graph does not allow."""


class GraphIndexError(GraphError, IndexError):
    """A symbol has no output of that number."""


class OutOfRangeError(SymgraphError, IndexError):
    """An index among the values of a tensor points outside an axis."""


class FormatError(SymgraphError, ValueError):
    """A file or text is not in the format it should be in."""


class GraphFormatError(FormatError):
    """A symbol JSON text is malformed."""


class ParamsFormatError(FormatError):
    """A parameter file is malformed."""


class UnsupportedError(SymgraphError):
    """A feature that symgraph names but cannot carry out here, for example a missing extra."""


def some(names: Sequence[str]) -> str:
    """Return names as one text, the first ten if there are more.

    >>> some(["a", "b"]), some([*"abcdefghijklm"])
    ('a, b', 'a, b, c, d, e, f, g, h, i, j and 3 more')
    """
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def brief(value: object) -> str:
    """Return a value as Python writes it, the first 57 characters if there are more than 60.

    >>> brief("(3, x)"), len(brief("(3, " * 1000))
    ("'(3, x)'", 60)
    """
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most like `name`, or None if none is close.

    >>> suggest("num_hiden", ["num_hidden", "no_bias"])
    'num_hidden'
    """
    import difflib

    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return found[0] if found else None
