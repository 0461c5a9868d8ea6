"""What names and attribute texts may hold in files, and how they are shown in messages.

The rules are the same for symbol JSON and parameter files, and the same for reading as for writing, so that whatever is
written can be read back.
"""

from __future__ import annotations

import reprlib

__all__ = ["MAX_NAME", "name_fault", "shown", "value_fault"]

#: The longest name, in characters. The longest one seen in published models has less than 300.
MAX_NAME = 4096


def name_fault(name: str, limit: int = MAX_NAME) -> str | None:
    r"""Say why `name` cannot be the name of a node, an operator, an attribute or an array; None if it can.

    Control characters are refused: a name is printed on terminals, in HTML and in drawings.

    >>> name_fault("fully connected layer 1_weight") is None
    True
    >>> name_fault("fc\x1b[31m")
    'holds the control character U+001B at position 2'
    """
    if len(name) > limit:
        return f"has {len(name):,} characters; the limit is {limit:,}"
    if name.isprintable():
        return None
    for position, character in enumerate(name):
        if character < " " or "\x7f" <= character <= "\x9f":
            return f"holds the control character U+{ord(character):04X} at position {position}"
        if "\ud800" <= character <= "\udfff":
            return f"holds the lone surrogate U+{ord(character):04X} at position {position}"
    return None


def value_fault(value: str) -> str | None:
    r"""Say why `value` cannot be the text of an attribute; None if it can.

    Texts may have line breaks and tabs; only what UTF-8 cannot express, and NUL, is refused.

    >>> value_fault("two\nlines") is None
    True
    """
    if value.isprintable():
        return None
    for position, character in enumerate(value):
        if character == "\0":
            return f"holds the character U+0000 at position {position}"
        if "\ud800" <= character <= "\udfff":
            return f"holds the lone surrogate U+{ord(character):04X} at position {position}"
    return None


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 2, 5, 3, 30, 60


def shown(value: object, limit: int = 60) -> str:
    """Return `value` as Python would write it, shortened, safe to print on a terminal.

    The work is bounded, whatever the size and nesting of `value`. Of a text, the first `limit` characters are kept.

    >>> shown("fc1_weight", limit=3)
    "'fc1'..."
    >>> shown([[1, [2, [3]]], 4])
    '[[1, [...]], 4]'
    """
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}..."
    return _SHORT.repr(value)
