"""Families of operators that differ by a line: builders that turn one row of a table into an operator class.

A builder makes what an `Op` subclass with the decorator `op` would be, and registers it. What the members of a family
have in common (inputs, shape rule, treatment of integers, documentation of shapes, samples) stands here once; a row
adds a name, a sentence, a function of ``xp`` and arrays, and the range in which it is sampled.

What does not belong here: the rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from symgraph.errors import ArgumentError, DTypeError, ShapeError
from symgraph.op.partial import axes_of, broadcast, broadcast_operand, merge, reduced, same_shape
from symgraph.op.registry import op
from symgraph.op.schema import Op, Sample, Tensor, arg, param
from symgraph.op.types import Double, Shape

__all__ = ["Domain", "binary", "broadcasting", "build", "reduction", "scalar", "typed_number", "unary"]

#: What a function is defined on: "float": floating point numbers; integers go through float32 and are cut off towards
#: zero, as MXNet does; "number": integers as they are, too; "any": booleans, too.
Domain = Literal["float", "number", "any"]

PairRule = Callable[..., tuple[Any, Any]]

_FLOAT_SAMPLES: tuple[tuple[int, ...], ...] = ((3, 4), (2, 0, 3), (5,))


def build(name: str, doc: str, aliases: Sequence[str], annotations: Mapping[str, Any], members: dict[str, Any]) -> type:
    """Make and register an operator class from its parts; it belongs to the module that called the builder."""
    module = sys._getframe(2).f_globals["__name__"]
    namespace = {"__doc__": doc, "__module__": module, "__annotations__": dict(annotations), **members}
    made: type[Op] = type(name, (Op,), namespace)
    return op(name, aliases=aliases)(made)


def _check_domain(x: Any, domain: Domain) -> None:
    if domain != "any" and x.dtype.kind == "b":
        raise DTypeError("needs numbers, got bool")


def _through_float(xp: Any, function: Callable[..., Any], *arrays: Any) -> Any:
    """Apply a function of floats to integers: compute in float32, then cut off towards zero.

    The way back leads over int64, so that a result outside a narrow type's range wraps around as it does in C.
    """
    dtype = arrays[0].dtype
    result = function(xp, *(xp.astype(x, "float32") for x in arrays))
    return xp.astype(xp.astype(result, "int64"), dtype)


def _apply(xp: Any, function: Callable[..., Any], domain: Domain, *arrays: Any) -> Any:
    _check_domain(arrays[0], domain)
    if domain == "float" and arrays[0].dtype.kind in "iu":
        return _through_float(xp, function, *arrays)
    return function(xp, *arrays)


def unary(
    name: str,
    doc: str,
    function: Callable[..., Any],
    *,
    aliases: Sequence[str] = (),
    domain: Domain = "float",
    low: float = -1.0,
    high: float = 1.0,
    whole: tuple[float, float] | None = None,
    backward: Callable[..., Any] | None = None,
    smooth: bool = True,
) -> type[Op]:
    """Make an element-wise operator of one input.

    Parameters
    ----------
    name, aliases
        Its names.
    doc
        One sentence: what it computes of ``data``.
    function
        ``(xp, data) -> array`` of the same shape.
    domain
        What the function is defined on; see `Domain`.
    low, high
        Range of the samples.
    whole
        Range of the samples of integers; None if there are none.
    backward
        ``(xp, dy, data, output) -> gradient`` where the derived one is not MXNet's.
    smooth
        False if the gradient is not the derivative, on purpose.
    """
    samples = [Sample([shape], low=low, high=high, smooth=smooth) for shape in _FLOAT_SAMPLES]
    samples.append(Sample([(2, 3)], low=low, high=high, dtypes={"data": "float64"}, smooth=smooth))
    if whole is not None:
        samples.append(Sample([(2, 3)], low=whole[0], high=whole[1], dtypes={"data": "int32"}))

    def compute(self: Any, xp: Any, data: Any) -> Any:
        return _apply(xp, function, domain, data)

    def shapes(self: Any, **known: Any) -> Any:
        return same_shape(("data", "output"), known)

    members: dict[str, Any] = {
        "data": arg("Input, of any shape."),
        "compute": compute,
        "shapes": shapes,
        "samples": tuple(samples),
    }
    if backward is not None:
        members["backward"] = _unary_backward(backward)
    return build(
        name, f"{doc}\n\nThe result has the shape and element type of `data`.", aliases, {"data": Tensor}, members
    )


def _unary_backward(rule: Callable[..., Any]) -> Callable[..., Any]:
    def backward(self: Any, xp: Any, dy: Any, data: Any, output: Any) -> Any:
        return rule(xp, dy, data, output) if data.dtype.kind == "f" else None

    return backward


def binary(
    name: str,
    doc: str,
    function: Callable[..., Any],
    *,
    aliases: Sequence[str] = (),
    domain: Domain = "number",
    low: float = 0.2,
    high: float = 2.0,
    backward: PairRule | None = None,
) -> type[Op]:
    """Make an element-wise operator of two inputs of equal shape; arguments as of `unary`.

    `function` is ``(xp, lhs, rhs) -> array`` and may rely on broadcasting; `backward`, where the derived one is not
    MXNet's, is ``(xp, dy, lhs, rhs) -> (gradient by lhs, gradient by rhs)``, both of the result's shape.
    """

    def compute(self: Any, xp: Any, lhs: Any, rhs: Any) -> Any:
        if lhs.shape != rhs.shape:
            raise ShapeError(f"lhs has shape {lhs.shape} and rhs {rhs.shape}, but they must be equal")
        return _apply(xp, function, domain, lhs, rhs)

    def shapes(self: Any, **known: Any) -> Any:
        return same_shape(("lhs", "rhs", "output"), known)

    members: dict[str, Any] = {
        "lhs": arg("Left operand, of any shape."),
        "rhs": arg("Right operand, of the shape of `lhs`."),
        "compute": compute,
        "shapes": shapes,
        "samples": tuple(_pair_samples([((3, 4), (3, 4)), ((2, 0), (2, 0))], low, high)),
    }
    if backward is not None:
        members["backward"] = _pair_backward(backward)
    text = f"{doc}\n\nBoth operands have the same shape and element type, and so has the result."
    return build(name, text, aliases, {"lhs": Tensor, "rhs": Tensor}, members)


def _pair_backward(rule: PairRule) -> Callable[..., Any]:
    def backward(self: Any, xp: Any, dy: Any, lhs: Any, rhs: Any) -> Any:
        if lhs.dtype.kind != "f":
            return None, None
        left, right = rule(xp, dy, lhs, rhs)
        return _reduce_to(xp, left, lhs.shape), _reduce_to(xp, right, rhs.shape)

    return backward


def _reduce_to(xp: Any, dy: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which an operand of `shape` was repeated."""
    extra = dy.ndim - len(shape)
    repeated = [k for k, n in enumerate(shape, extra) if n == 1 and dy.shape[k] != 1]
    axes = [*range(extra), *repeated]
    return xp.reshape(xp.sum(dy, axes), shape) if axes else dy


def _pair_samples(shapes: Sequence[Any], low: float, high: float) -> list[Sample]:
    samples = [Sample(pair, low=low, high=high) for pair in shapes]
    whole = {"lhs": "int32", "rhs": "int32"}
    samples.append(Sample(shapes[0], low=1, high=6, dtypes=whole))
    samples.append(Sample(shapes[0], low=low, high=high, dtypes={"lhs": "float64", "rhs": "float64"}))
    return samples


def broadcasting(
    name: str,
    doc: str,
    function: Callable[..., Any],
    *,
    aliases: Sequence[str] = (),
    domain: Domain = "number",
    low: float = 0.2,
    high: float = 2.0,
    backward: PairRule | None = None,
) -> type[Op]:
    """Make an element-wise operator of two inputs that broadcast; arguments as of `binary`."""

    def compute(self: Any, xp: Any, lhs: Any, rhs: Any) -> Any:
        return _apply(xp, function, domain, lhs, rhs)

    def shapes(self: Any, lhs: Any = None, rhs: Any = None, output: Any = None) -> Any:
        known = {
            "output": merge(broadcast(lhs, rhs), output),
            "lhs": broadcast_operand(lhs, rhs, output),
            "rhs": broadcast_operand(rhs, lhs, output),
        }
        return {n: s for n, s in known.items() if s is not None}

    pairs = [((2, 3, 4), (1, 3, 1)), ((2, 1, 1), (2, 3, 2)), ((2, 1, 3), (1, 4, 1)), ((2, 3), (3,)), ((3, 0), (1, 1))]
    members: dict[str, Any] = {
        "lhs": arg("Left operand, of any shape."),
        "rhs": arg("Right operand; its shape and that of `lhs` are equal or 1 along each axis, counted from the last."),
        "compute": compute,
        "shapes": shapes,
        "samples": tuple(_pair_samples(pairs, low, high)),
    }
    if backward is not None:
        members["backward"] = _pair_backward(backward)
    text = (
        f"{doc}\n\nThe shapes broadcast: an axis of length 1 is repeated to the length of the other operand's axis; "
        "missing leading axes count as length 1. The result has the common shape, and the operands' element type."
    )
    return build(name, text, aliases, {"lhs": Tensor, "rhs": Tensor}, members)


def typed_number(value: float, dtype: Any) -> Any:
    """Return a number as a NumPy scalar of an element type, converted as C converts it.

    Integers are cut off towards zero and wrap around.

    Raises
    ------
    ArgumentError
        If there is no such integer: NaN or infinity.
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        if not np.isfinite(value):
            raise ArgumentError(f"{value} is no number of type {dtype}")
        bits = 8 * dtype.itemsize
        wrapped = int(value) % (1 << bits)
        if dtype.kind == "i" and wrapped >= 1 << (bits - 1):
            wrapped -= 1 << bits
        return dtype.type(wrapped)
    with np.errstate(all="ignore"):
        return dtype.type(value)


def scalar(
    name: str,
    doc: str,
    function: Callable[..., Any],
    *,
    aliases: Sequence[str] = (),
    domain: Domain = "number",
    low: float = 0.2,
    high: float = 2.0,
    backward: Callable[..., Any] | None = None,
) -> type[Op]:
    """Make an element-wise operator of an input and a number; arguments as of `binary`.

    `function` is ``(xp, data, number) -> array``, the number being an array of the data's type without axes;
    `backward`, where the derived one is not MXNet's, is ``(xp, dy, data, number) -> gradient``.
    """

    def number(self: Any, xp: Any, data: Any) -> Any:
        return xp.asarray(typed_number(self.scalar, data.dtype))

    def compute(self: Any, xp: Any, data: Any) -> Any:
        if data.dtype.kind in "iu" and not self.is_int:
            data = xp.astype(data, "float64")
        return _apply(xp, function, domain, data, number(self, xp, data))

    def shapes(self: Any, **known: Any) -> Any:
        return same_shape(("data", "output"), known)

    def dtypes(self: Any, data: Any = None, output: Any = None) -> Any:
        if data is not None:
            return {"output": np.dtype("float64") if data.kind in "iu" and not self.is_int else data}
        # A float64 result may stem from integers.
        return {"data": output} if output is not None and (self.is_int or output != np.dtype("float64")) else {}

    def sample(number: float, dtype: str = "float32", is_int: bool = True) -> Sample:
        whole = dtype == "int32"
        return Sample(
            [(2, 3)],
            {"scalar": number, "is_int": is_int},
            low=1 if whole else low,
            high=6 if whole else high,
            dtypes={"data": dtype},
        )

    members: dict[str, Any] = {
        "data": arg("Input, of any shape."),
        "scalar": param("The number; it is converted to the element type of `data`.", default=1.0),
        "is_int": param("If false, integer `data` is converted to float64 first, and so is the result.", default=True),
        "compute": compute,
        "shapes": shapes,
        "dtypes": dtypes,
        "samples": (
            sample(1.0),
            sample(0.7),
            sample(2.0, "float64"),
            sample(3.0, "int32"),
            sample(2.5, "int32"),
            sample(2.5, "int32", is_int=False),
        ),
    }
    if backward is not None:
        rule = backward

        def gradient(self: Any, xp: Any, dy: Any, data: Any) -> Any:
            return rule(xp, dy, data, number(self, xp, data)) if data.dtype.kind == "f" else None

        members["backward"] = gradient
    text = f"{doc}\n\nThe result has the shape of `data`, and its element type unless `is_int` says otherwise."
    return build(name, text, aliases, {"data": Tensor, "scalar": Double, "is_int": bool}, members)


def reduction(
    name: str,
    doc: str,
    function: Callable[..., Any],
    *,
    aliases: Sequence[str] = (),
    backward: Callable[..., Any] | None = None,
    low: float = -1.0,
    high: float = 1.0,
    empty: bool = True,
) -> type[Op]:
    """Make an operator that reduces over axes.

    Parameters
    ----------
    name, aliases
        Its names.
    doc
        One sentence: what it computes of ``data`` along axes.
    function
        ``(xp, data, axes, keepdims) -> array``.
    backward
        ``(xp, dy, data, output, axes) -> gradient`` where the derived one is not MXNet's; `dy` and `output` have the
        axes of `data`, of length 1 where it was reduced.
    low, high
        Range of the samples.
    empty
        Whether there is a result for no elements at all.
    """

    def axes(self: Any, rank: int) -> tuple[int, ...]:
        # MXNet: an empty tuple, too, stands for all axes; and to exclude all axes then is to reduce over all.
        if not self.axis:
            return tuple(range(rank))
        found = axes_of(self.axis, rank)
        return tuple(k for k in range(rank) if k not in found) if self.exclude else found

    def shapes(self: Any, data: Any = None, output: Any = None) -> Any:
        if data is None:
            return {}
        over = axes(self, len(data))
        if not self.keepdims and len(over) == len(data):
            return {"output": (1,)}
        result = merge(reduced(data, over, self.keepdims), output)
        known = iter(result or ())
        back = [n if (k in over and not self.keepdims) else next(known, None) for k, n in enumerate(data)]
        return {
            "output": result,
            "data": tuple(n if k in over else m for k, (n, m) in enumerate(zip(data, back, strict=True))),
        }

    def compute(self: Any, xp: Any, data: Any) -> Any:
        over = axes(self, data.ndim)
        result = function(xp, data, over, self.keepdims)
        return xp.reshape(result, reduced(data.shape, over, self.keepdims))

    sets: list[dict[str, Any]] = [
        {},
        {"axis": 0},
        {"axis": -1, "keepdims": True},
        {"axis": (0, 2)},
        {"axis": (-1, -3), "keepdims": True},
        {"axis": 1, "exclude": True},
        {"axis": (0, 1, 2), "exclude": True},
        {"keepdims": True},
    ]
    samples = [Sample([(2, 3, 4)], p, low=low, high=high) for p in sets]
    samples.append(Sample([(3,)], {"axis": 0}, low=low, high=high))
    samples.append(Sample([(2, 3)], {"axis": 1}, low=low, high=high, dtypes={"data": "float64"}))
    samples.append(Sample([(2, 3)], {"axis": 1}, low=1, high=6, dtypes={"data": "int32"}))
    samples.append(Sample([(2, 0, 3)], {"axis": 1 if empty else 2}, low=low, high=high))
    members: dict[str, Any] = {
        "data": arg("Input, of any shape."),
        "axis": param(
            "Axes to reduce over; None or an empty tuple: all. Negative ones count from the last.", default=None
        ),
        "keepdims": param("Keep the reduced axes, with length 1.", default=False),
        "exclude": param("Reduce over all axes but the given ones instead.", default=False),
        "shapes": shapes,
        "compute": compute,
        "samples": tuple(samples),
    }
    if backward is not None:
        members["backward"] = _reduction_backward(backward, axes)
    text = (
        f"{doc}\n\nThe result has the shape of `data` without the reduced axes, (1,) if none are left, and its element "
        "type."
    )
    return build(
        name, text, aliases, {"data": Tensor, "axis": Shape | None, "keepdims": bool, "exclude": bool}, members
    )


def _reduction_backward(rule: Callable[..., Any], axes: Callable[..., tuple[int, ...]]) -> Callable[..., Any]:
    def backward(self: Any, xp: Any, dy: Any, data: Any, output: Any) -> Any:
        over = axes(self, data.ndim)
        shape = reduced(data.shape, over, True)
        return rule(xp, xp.reshape(dy, shape), data, xp.reshape(output, shape), over)

    return backward
