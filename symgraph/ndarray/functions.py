"""The functions ``nd.X``: one for each operator and alias, made from its schema when it is first asked for.

A call is read once (`symgraph.op.call`) and remembered by its parameters, so that calling again costs little more than
the operator's own work.

What does not belong here: functions that are no operators (`creation`, `arithmetic`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from symgraph.context import Context, as_context
from symgraph.errors import ArgumentError
from symgraph.ndarray.evaluate import Evaluator, evaluator
from symgraph.ndarray.ndarray import NDArray, invoke
from symgraph.op import Op, find, get
from symgraph.op.call import make_function, split_call

__all__ = ["FLUENT", "function"]

Function = Callable[..., Any]

#: How many calls of one operator are remembered; the cache starts anew when it is full.
MOST_KEPT = 1024

#: Types of parameters whose text says all there is to them.
_PLAIN = (str, int, float, type(None), tuple, list, type, np.dtype, np.generic, Context)


class _Ready(NamedTuple):
    """A call that was read: everything but the arrays.

    Attributes
    ----------
    op, using
        The operator with its parameters, and its evaluator.
    order
        Position in the call of each of the operator's inputs; None if they stand in order.
    ctx
        Context that the call names.
    """

    op: Op
    using: Evaluator
    order: tuple[int, ...] | None
    ctx: Context | None


class _Place:
    """Stands for an array while a call is read."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position


_READY: dict[type[Op], dict[tuple[Any, ...], _Ready]] = {}
_FUNCTIONS: dict[str, Function] = {}


def _call(cls: type[Op], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run an operator as its function was called."""
    arrays: list[NDArray] = []
    key: list[Any] = []
    out = None
    plain = True
    for value in args:
        if value.__class__ is NDArray:
            arrays.append(value)
            key.append(NDArray)
        elif isinstance(value, _PLAIN):
            key.append(repr(value))
        else:
            plain = False
    for keyword, value in kwargs.items():
        if keyword == "out":
            out = value
            continue
        key.append(keyword)
        if value.__class__ is NDArray:
            arrays.append(value)
            key.append(NDArray)
        elif isinstance(value, _PLAIN):
            key.append(repr(value))
        else:
            plain = False
    kept = _READY.get(cls)
    if kept is None:
        kept = _READY[cls] = {}
    known = tuple(key)
    ready = kept.get(known) if plain else None
    if ready is None:
        ready = _read(cls, name, args, kwargs)
        if plain:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[known] = ready
    if ready.order is not None:
        arrays = [arrays[k] for k in ready.order]
    return invoke(ready.op, arrays, out, ctx=ready.ctx, using=ready.using)


def _read(cls: type[Op], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Ready:
    """Read a call.

    Raises
    ------
    ArgumentError
        Naming all that is wrong with it.
    """
    count = 0

    def stand_in(value: Any) -> Any:
        nonlocal count
        if isinstance(value, NDArray):
            count += 1
            return _Place(count - 1)
        return str(value) if isinstance(value, Context) else value

    places = [stand_in(value) for value in args]
    named = {keyword: stand_in(value) for keyword, value in kwargs.items() if keyword != "out"}
    call = split_call(cls, name, places, named, lambda value: isinstance(value, (_Place, NDArray)))
    wanted = call.op.input_names()
    if missing := [n for n in wanted if n not in call.tensors]:
        raise ArgumentError(
            f"{name}() needs {', '.join(wanted)}; {', '.join(missing)} missing", facts={"operator": repr(call.op)}
        )
    order = tuple(call.tensors[n].position for n in wanted)
    text = call.params.get("ctx")
    ctx = as_context(text).require_memory() if text else None
    return _Ready(call.op, evaluator(call.op), None if order == tuple(range(count)) else order, ctx)


def function(name: str, prefix: str = "") -> Function:
    """Return the function of the operator of that name or alias; `prefix` stands before it.

    Raises
    ------
    UnknownOperatorError
        Naming the nearest known operator.
    """
    name = prefix + name
    found = _FUNCTIONS.get(name)
    if found is None:
        found = _FUNCTIONS[name] = make_function(find(name), name, _call, "nd")
    return found


class _Fluent:
    """A method that is an operator's function, the array being its first argument."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, array: NDArray | None, owner: type) -> Any:
        found = function(self.name)
        setattr(owner, self.name, found)  # from now on found without this detour
        return getattr(owner if array is None else array, self.name)


#: Operators that are methods of NDArray under their own names, as in MXNet; those not registered are left out.
FLUENT = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes "
    "broadcast_like cbrt ceil clip cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flatten flip "
    "floor log log10 log1p log2 log_softmax max mean min nanprod nansum norm one_hot ones_like pad pick prod "
    "radians rcbrt reciprocal relu repeat reshape_like rint round rsqrt shape_array sigmoid sign sin sinh "
    "size_array slice slice_axis slice_like softmax softmin sort space_to_depth split sqrt square squeeze sum "
    "swapaxes take tan tanh tile topk transpose trunc zeros_like"
).split()
for _name in FLUENT:
    if get(_name) is not None:
        setattr(NDArray, _name, _Fluent(_name))
