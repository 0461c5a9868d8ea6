"""From a Python call to an operator: which argument is a tensor, which a parameter, and what is wrong with it.

The functions ``sym.X`` and ``nd.X`` share this reading of a call: inputs come first, then parameters, in the order of
the schema; keywords go by name, and dots stand for underscores. All bad arguments of a call are reported at once.

What does not belong here: what a tensor is. The caller passes a predicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.errors import ArgumentError, brief, suggest
from symgraph.op.docs import document, signature
from symgraph.op.schema import Input, Op, dotless

__all__ = ["HIDDEN_KEYS", "Call", "hidden_key", "is_hidden", "make_function", "split_call"]

#: Attribute names that are kept as ``__name__`` on nodes, whichever way they are spelt.
HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")

#: Keywords of every operator function, beside the operator's own.
_CALL_KEYS = frozenset({"name", "attr", "out"})


def is_hidden(key: str) -> bool:
    """Return whether an attribute is none of the operator's: it begins and ends with two underscores."""
    return key.startswith("__") and key.endswith("__")


def hidden_key(key: str) -> str:
    """Return the form in which an attribute is stored: ``lr_mult`` becomes ``__lr_mult__``.

    >>> hidden_key("lr_mult"), hidden_key("num_hidden")
    ('__lr_mult__', 'num_hidden')
    """
    return f"__{key}__" if key in HIDDEN_KEYS else key


@dataclass(slots=True)
class Call:
    """A call of an operator's function, read.

    Attributes
    ----------
    op
        The operator with its parameters.
    tensors
        The tensors given, by input name; the variadic ones by their numbered names. Inputs left out are absent.
    params
        The parameters given, as the Python values that were passed.
    attrs
        The parameters given, as attribute text. The count of variadic inputs is among them.
    hidden
        ``__key__`` keywords, as text, stored on the node beside the parameters.
    name, attr, out
        The keywords of every operator function; None if left out.
    """

    op: Op
    tensors: dict[str, Any]
    params: dict[str, Any]
    attrs: dict[str, str]
    hidden: dict[str, str]
    name: str | None = None
    attr: Mapping[str, str] | None = None
    out: Any = None


class _Layout:
    """What reading a call of one operator needs, made once."""

    __slots__ = ("bare", "count", "fixed", "inputs", "order", "types", "variadic")

    def __init__(self, cls: type[Op]) -> None:
        self.inputs = frozenset(i.name for i in cls.inputs)
        self.variadic: Input | None = next((i for i in cls.inputs if i.variadic), None)
        self.fixed = [i.name for i in cls.inputs if not i.variadic]
        self.order = [i.name for i in cls.inputs] + [p.name for p in cls.params]
        self.types = {p.name: p.type for p in cls.params}
        # A count that must be given is filled in; one with a default is left to the caller, as MXNet leaves
        # num_weights of the multi-tensor updates.
        counted = cls._param_index.get(self.variadic.counted_by or "") if self.variadic is not None else None
        self.count = counted.name if counted is not None and counted.required else None
        self.bare: Op | None = None if cls.params else cls.from_values(())


_LAYOUTS: dict[type[Op], _Layout] = {}

#: Operators that are shared, at most so many: networks repeat few.
_SHARED: dict[Op, Op] = {}
_MOST_SHARED = 4096


def shared(op: Op) -> Op:
    """Return an equal operator that others use, too: it takes memory once, and what follows from it is found by it."""
    if len(_SHARED) >= _MOST_SHARED:
        _SHARED.clear()
    return _SHARED.setdefault(op, op)


def _layout(cls: type[Op]) -> _Layout:
    found = _LAYOUTS.get(cls)
    if found is None:
        found = _LAYOUTS[cls] = _Layout(cls)
    return found


def split_call(
    cls: type[Op],
    function_name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    is_tensor: Callable[[Any], bool],
) -> Call:
    """Read a call of an operator's function.

    Parameters
    ----------
    cls
        The operator.
    function_name
        The name that was called; for messages.
    args, kwargs
        The arguments of the call. A None in the place of an input means that it is left out.
    is_tensor
        Tells tensors (Symbols, NDArrays) from parameters.

    Raises
    ------
    ArgumentError
        Naming all unknown, missing, doubled and ill-typed arguments at once.
    """
    layout = _layout(cls)
    if layout.variadic is not None:
        return _split_variadic(cls, layout, function_name, args, kwargs, is_tensor)
    tensors: dict[str, Any] = {}
    params: dict[str, Any] = {}
    attrs: dict[str, str] = {}
    hidden: dict[str, str] = {}
    given: dict[str, Any] = {}
    problems: dict[str, str] = {}
    order, inputs, types = layout.order, layout.inputs, layout.types
    if len(args) > len(order):
        problems["positional arguments"] = f"are at most {len(order)}, got {len(args)}"
    items: list[tuple[str, Any]] = list(zip(order, args, strict=False))
    if kwargs:
        items += kwargs.items()
    for name, value in items:
        if name in inputs:
            if value is None:
                continue
            if name in tensors:
                problems[name] = "given twice"
            elif is_tensor(value):
                tensors[name] = value
            else:
                problems[name] = f"must be a tensor, got {brief(value)}"
        elif name in types:
            if name in params:
                problems[name] = "given twice"
            params[name] = value
        elif name in _CALL_KEYS:
            given[name] = value
        else:
            _read_other(cls, layout, name, value, (tensors, params, hidden, problems), is_tensor)
    return _finish(cls, layout, function_name, problems, tensors, params, attrs, hidden, given)


def _read_other(
    cls: type[Op],
    layout: _Layout,
    name: str,
    value: Any,
    found: tuple[dict[str, Any], dict[str, Any], dict[str, str], dict[str, str]],
    is_tensor: Callable[[Any], bool],
) -> None:
    """Read a keyword that is none of the operator's as it is spelt."""
    tensors, params, hidden, problems = found
    plain = dotless(name)
    key = hidden_key(plain)
    if is_hidden(key):
        hidden[key] = str(value)
    elif plain in layout.types:
        if plain in params:
            problems[plain] = "given twice"
        params[plain] = value
    elif plain in layout.inputs and is_tensor(value):
        tensors[plain] = value
    else:
        problems[name] = "unknown"


def _split_variadic(
    cls: type[Op],
    layout: _Layout,
    function_name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    is_tensor: Callable[[Any], bool],
) -> Call:
    """Read a call of an operator with variadic inputs: every positional argument is a tensor."""
    tensors: dict[str, Any] = {}
    params: dict[str, Any] = {}
    hidden: dict[str, str] = {}
    given: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for k, value in enumerate(args):
        if not is_tensor(value):
            problems[f"argument {k}"] = (
                "must be a tensor, got a list: write *list"
                if isinstance(value, (list, tuple)) and all(map(is_tensor, value))
                else f"must be a tensor, got {brief(value)}; parameters go by keyword"
            )
    for name, value in kwargs.items():
        if name in layout.types:
            params[name] = value
        elif name in _CALL_KEYS:
            given[name] = value
        elif is_tensor(value):
            tensors[name] = value
        else:
            _read_other(cls, layout, name, value, ({}, params, hidden, problems), is_tensor)
    counted = len(args) + len(tensors) - sum(name in layout.fixed for name in tensors)
    if layout.count is not None and layout.count not in params:
        if not counted and not problems:
            raise ArgumentError(f"{function_name}() needs at least one tensor, or {layout.count}")
        params[layout.count] = max(counted - len(layout.fixed), 0) if args else counted
    if args and tensors:
        problems["tensors"] = f"give all by position or all by name, not {len(args)} and {', '.join(tensors)}"
    call = _finish(cls, layout, function_name, problems, tensors, params, {}, hidden, given)
    names = call.op.input_names()
    if args:
        if len(args) > len(names):
            raise ArgumentError(
                f"{function_name}() takes {len(names)} tensors with {call.op!r}, got {len(args)}",
                facts={"tensors": ", ".join(names)},
            )
        call.tensors = dict(zip(names, args, strict=False))
    else:
        for name in tensors:
            if name not in names:
                raise ArgumentError(
                    f"{function_name}() has no input {name!r} with {call.op!r}",
                    hint=suggest(name, names),
                    facts={"tensors": ", ".join(names)},
                )
    return call


def _finish(
    cls: type[Op],
    layout: _Layout,
    function_name: str,
    problems: dict[str, str],
    tensors: dict[str, Any],
    params: dict[str, Any],
    attrs: dict[str, str],
    hidden: dict[str, str],
    given: dict[str, Any],
) -> Call:
    op = layout.bare
    if op is None and not problems:
        try:
            op = shared(cls(**params))
        except ArgumentError:
            op = None
    if op is None or problems:
        raise _explain(cls, function_name, problems, params)
    types = layout.types
    for name, value in params.items():
        attrs[name] = types[name].text(value)
    call = Call(op, tensors, params, attrs, hidden)
    if given:
        call.name, call.attr, call.out = given.get("name"), given.get("attr"), given.get("out")
        if call.name is not None and not isinstance(call.name, str):
            raise ArgumentError(f"{function_name}() has name={call.name!r}, but a name is a string")
    if tensors and layout.variadic is None and len(tensors) > 1:
        _check_conditional(cls, function_name, call)
    return call


def _check_conditional(cls: type[Op], function_name: str, call: Call) -> None:
    """Refuse a tensor for an input that these parameters take away."""
    for i in cls.inputs:
        if i.when is not None and i.name in call.tensors and not i.when(call.op):
            raise ArgumentError(
                f"{function_name}() takes no {i.name!r} with {call.op!r}",
                facts={"inputs": ", ".join(call.op.input_names())},
            )


def _explain(cls: type[Op], function_name: str, found: dict[str, str], params: Mapping[str, Any]) -> ArgumentError:
    """Return the error that names every problem of a call."""
    problems: dict[str, str] = {}
    own = [*(i.name for i in cls.inputs), *(p.name for p in cls.params)]
    hints: dict[str, str | None] = {}
    for name, problem in found.items():
        if problem == "unknown":
            hints[name] = suggest(dotless(name), [*own, *_CALL_KEYS])
            problem = "no such argument" + (f"; did you mean {hints[name]!r}?" if hints[name] else "")
        problems[name] = problem
    for p in cls.params:
        if p.name in params:
            try:
                p.parse(params[p.name])
            except ValueError as error:
                problems.setdefault(p.name, f"must be {error}, got {brief(params[p.name])}")
        elif p.required and p.name not in hints.values() and p.name not in problems:
            problems[p.name] = f"required ({p.type.label}): {p.doc.rstrip('.')}"
    facts = {"arguments": ", ".join(own)} if hints and len(own) <= 12 else {}
    if len(problems) > 1:
        return ArgumentError(f"{function_name}() has {len(problems)} bad arguments", facts={**problems, **facts})
    (name, problem), *_ = problems.items()
    if name in hints:
        return ArgumentError(f"{function_name}() has no argument {name!r}", hint=hints[name], facts=facts)
    return ArgumentError(f"{function_name}(): {name} {_sentence(problem)}", facts=facts)


def _sentence(problem: str) -> str:
    return f"is {problem}" if problem.startswith(("required", "given")) else problem


def make_function(
    cls: type[Op], name: str, invoke: Callable[[type[Op], str, Sequence[Any], Mapping[str, Any]], Any], kind: str
) -> Callable[..., Any]:
    """Return the Python function `name` of an operator, with its signature and documentation.

    Parameters
    ----------
    cls, name
        The operator, and the name or alias that the function goes by.
    invoke
        Called with the operator, the name, and the positional and keyword arguments.
    kind
        ``"sym"`` or ``"nd"``: what the tensors are.
    """

    def function(*args: Any, **kwargs: Any) -> Any:
        return invoke(cls, name, args, kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = document(cls, kind)
    function.__signature__ = signature(cls, kind)  # type: ignore[attr-defined]  # for `inspect`
    return function
