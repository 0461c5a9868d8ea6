"""Parameter types of operators: what a value may be, as a Python object and as attribute text.

Each type parses both forms into one canonical Python value, so an operator made by a call and one read from JSON
are equal. The accepted texts are those that MXNet 1.9.1 accepts. Nothing is ever evaluated.
"""

from __future__ import annotations

import math
import re
import types
import typing
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np

__all__ = ["Bounds", "DTypeName", "Double", "FloatDType", "Floats", "NumberDType", "ParamType", "Shape", "type_of"]

#: A tuple of integers: a shape, a kernel size, a list of axes.
Shape = tuple[int, ...]
#: A tuple whose elements may be None, as in the bounds of a slice.
Bounds = tuple[int | None, ...]
#: A tuple of 32-bit floats.
Floats = tuple[float, ...]
#: A 64-bit float. A plain ``float`` field is 32 bits wide, as in MXNet.
Double = Annotated[float, "double"]
#: The name of an element type, such as ``"float32"``. An annotation of this form with names after ``"dtype"`` allows
#: just those.
DTypeName = Annotated[str, "dtype"]
#: The name of an element type of numbers.
NumberDType = Annotated[str, "dtype", "float16", "float32", "float64", "uint8", "int8", "int32", "int64"]
#: The name of a floating point type.
FloatDType = Annotated[str, "dtype", "float16", "float32", "float64"]


class ParamType:
    """One type of parameter.

    Subclasses define `parse`, which returns the canonical value or raises `ValueError` with what was expected, and
    `label`, the name of the type in documentation.
    """

    label = "any"

    def parse(self, value: Any) -> Any:
        """Return the canonical value, or raise `ValueError` saying what was expected."""
        raise ValueError(self.label)

    def text(self, value: Any) -> str:
        """Return the attribute text MXNet would store for a Python value that `parse` accepts."""
        return str(value)

    def show(self, value: Any) -> str:
        """Return the canonical value as documentation prints it."""
        return repr(value)


class BoolType(ParamType):
    label = "boolean"

    def parse(self, value: Any) -> bool:
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        if isinstance(value, (int, np.integer)) and value in (0, 1):
            return bool(value)
        if isinstance(value, str) and value.lower() in ("0", "1", "true", "false"):
            return value.lower() in ("1", "true")
        raise ValueError("True or False")


_INT = re.compile(r"\s*[+-]?\d{1,19}L?\s*")


class IntType(ParamType):
    label = "int"

    def __init__(self, low: int = -(2**63), high: int = 2**63 - 1) -> None:
        self.low, self.high = low, high

    def parse(self, value: Any) -> int:
        # MXNet: True is no number, for its text, "True", is none.
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            number = int(value)
        elif isinstance(value, str) and _INT.fullmatch(value):
            number = int(value.strip().rstrip("L"))
        else:
            raise ValueError("int")
        if not self.low <= number <= self.high:
            raise ValueError(f"int between {self.low} and {self.high}")
        return number


_FLOAT = re.compile(r"[\s]*[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf(inity)?|nan)[fF]?", re.IGNORECASE)


class FloatType(ParamType):
    """A floating point number; 32 bits wide unless `double`.

    The canonical value is the Python float that the narrow number stands for, so ``0.1`` becomes
    ``0.10000000149011612``: the value MXNet computes with.
    """

    def __init__(self, double: bool = False) -> None:
        self.double = double
        self.label = "double" if double else "float"

    def parse(self, value: Any) -> float:
        if isinstance(value, str):
            if not _FLOAT.fullmatch(value):
                raise ValueError(self.label)
            lowered = value.strip().lower()
            number = float(lowered if lowered.endswith("inf") else lowered.removesuffix("f"))
        elif isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            number = float(value)
        else:
            raise ValueError(self.label)
        if self.double or math.isinf(number) or math.isnan(number):
            return number
        if abs(number) > 3.4028235677973366e38:
            raise ValueError("float within the range of 32 bits")
        return float(np.float32(number))

    def show(self, value: Any) -> str:
        return repr(value) if self.double else str(np.float32(value))


class TextType(ParamType):
    label = "string"

    def parse(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("string")
        return value


class EnumType(ParamType):
    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices
        self.label = "{" + ", ".join(repr(c) for c in choices) + "}"

    def parse(self, value: Any) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        raise ValueError("one of " + ", ".join(repr(c) for c in self.choices))


class DTypeType(ParamType):
    def __init__(self, choices: tuple[str, ...] = ()) -> None:
        self.label = "{" + ", ".join(repr(c) for c in choices) + "}" if choices else "dtype"
        self.choices = choices or ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")

    def parse(self, value: Any) -> str:
        try:
            name = np.dtype(value).name if value is not None else ""
        except TypeError:
            name = ""
        if name not in self.choices:
            raise ValueError("one of " + ", ".join(self.choices))
        return name

    def text(self, value: Any) -> str:
        return str(np.dtype(value).name)


_ITEM_SPLIT = re.compile(r"\s*,\s*")


class TupleType(ParamType):
    """A tuple of `item`; a single value stands for a tuple of one."""

    def __init__(self, item: ParamType, label: str, bare: bool = True) -> None:
        self.item, self.label, self.bare = item, label, bare

    def parse(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            return self._parse_text(value.strip())
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, (list, tuple)):
            return tuple(self._parse_item(v) for v in value)
        if self.bare:
            return (self._parse_item(value),)
        raise ValueError(self.label)

    def text(self, value: Any) -> str:
        if isinstance(value, np.ndarray):
            value = tuple(value.tolist())
        if not isinstance(value, (list, tuple)):
            return self.item.text(value)
        # The text of each element, not its repr: NumPy's numbers would print as np.int64(3).
        items = ", ".join([self.item.text(v) for v in value])
        if isinstance(value, list):
            return f"[{items}]"
        return f"({items},)" if len(value) == 1 else f"({items})"

    def _parse_text(self, text: str) -> tuple[Any, ...]:
        if text[:1] in "([" and text[-1:] in ")]" and len(text) >= 2:
            inner = text[1:-1].strip().removesuffix(",").strip()
            return tuple(self._parse_item(part) for part in _ITEM_SPLIT.split(inner)) if inner else ()
        if self.bare and "," not in text:
            return (self._parse_item(text),)
        raise ValueError(self.label)

    def _parse_item(self, value: Any) -> Any:
        try:
            return self.item.parse(value)
        except ValueError:
            raise ValueError(self.label) from None


class OptionalType(ParamType):
    def __init__(self, inner: ParamType) -> None:
        self.inner = inner
        self.label = f"{inner.label} or None"

    def parse(self, value: Any) -> Any:
        if value is None or value == "None":
            return None
        try:
            return self.inner.parse(value)
        except ValueError as error:
            raise ValueError(f"{error} or None") from None

    def text(self, value: Any) -> str:
        return "None" if value is None else self.inner.text(value)

    def show(self, value: Any) -> str:
        return "None" if value is None else self.inner.show(value)


#: Parameter types that one annotation stands for.
_SIMPLE: dict[Any, ParamType] = {
    bool: BoolType(),
    int: IntType(),
    float: FloatType(),
    Double: FloatType(double=True),
    str: TextType(),
    Shape: TupleType(IntType(), "tuple of int"),
    Bounds: TupleType(OptionalType(IntType()), "tuple of int or None", bare=True),
    Floats: TupleType(FloatType(), "tuple of float"),
}


def type_of(annotation: Any) -> ParamType | None:
    """Return the parameter type that an annotation stands for, or None if it stands for none."""
    try:
        found = _SIMPLE.get(annotation)
    except TypeError:  # not hashable
        return None
    if found is not None:
        return found
    origin = get_origin(annotation)
    if origin is Literal:
        return EnumType(get_args(annotation))
    if origin is Annotated and annotation.__metadata__[0] == "dtype":
        return DTypeType(annotation.__metadata__[1:])
    if origin in (typing.Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        if len(inner) == 1 and len(get_args(annotation)) == 2:
            found = type_of(inner[0])
            return OptionalType(found) if found else None
    return None
