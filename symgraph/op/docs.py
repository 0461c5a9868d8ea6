"""The documentation of an operator's functions, derived from its schema: signature and docstring.

What does not belong here: text about any particular operator. That stands in its class.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from symgraph.op.schema import REQUIRED, Op, Param
from symgraph.op.types import FloatType, OptionalType

__all__ = ["document", "signature"]

_KINDS = {"sym": "Symbol", "nd": "NDArray"}


def signature(cls: type[Op], kind: str = "sym") -> inspect.Signature:
    """Return the signature of an operator's function, with the defaults it really has.

    Parameters
    ----------
    cls
        The operator.
    kind
        ``"sym"``: inputs may be left out, variables are made for them. ``"nd"``: only those that the parameters take
        away may be left out.
    """
    parameter, positional = inspect.Parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD
    result: list[inspect.Parameter] = []
    keyword_only = False
    for i in cls.inputs:
        if i.variadic:
            result.append(parameter(i.name, parameter.VAR_POSITIONAL))
            keyword_only = True
        else:
            optional = kind == "sym" or i.when is not None
            result.append(parameter(i.name, positional, default=None if optional else parameter.empty))
    counts = {i.counted_by for i in cls.inputs if i.variadic}
    for p in cls.params:
        default: Any = shown_default(p)
        if p.required:
            after_default = bool(result) and result[-1].default is not parameter.empty
            default = None if p.name in counts else REQUIRED if after_default and not keyword_only else parameter.empty
        result.append(parameter(p.name, parameter.KEYWORD_ONLY if keyword_only else positional, default=default))
    extra = ("name", "attr") if kind == "sym" else ("out",)
    result += [parameter(key, parameter.KEYWORD_ONLY, default=None) for key in extra]
    return inspect.Signature(result)


def shown_default(p: Param) -> Any:
    """Return a parameter's default as a person would write it: 0.95, not 0.949999988079071."""
    kind = p.type.inner if isinstance(p.type, OptionalType) else p.type
    if isinstance(kind, FloatType) and not kind.double and isinstance(p.default, float):
        return float(str(np.float32(p.default)))
    return p.default


def document(cls: type[Op], kind: str = "sym") -> str:
    """Return the docstring of an operator's function: summary, every argument with its meaning, result.

    Parameters
    ----------
    cls
        The operator.
    kind
        ``"sym"`` or ``"nd"``.
    """
    tensor = _KINDS[kind]
    lines = [inspect.cleandoc(cls.__doc__ or ""), "", "Parameters", "----------"]
    for i in cls.inputs:
        notes = [f"{tensor}s" if i.variadic else tensor]
        if i.when is not None:
            notes.append("present only with some parameters")
        if i.mutates:
            notes.append("auxiliary state, renewed by the operator")
        lines += [f"{'*' if i.variadic else ''}{i.name} : {', '.join(notes)}", f"    {i.doc}"]
    for p in cls.params:
        lines += [f"{p.name} : {p.describe()}", f"    {p.doc}{_bounds(p)}"]
    if kind == "sym":
        lines += ["name : str, optional", "    Name of the node; made from the function's name if left out."]
        lines += ["attr : dict of str to str, optional", "    Attributes to store on the node."]
    else:
        lines += ["out : NDArray or list of NDArray, optional", "    Where to write the result."]
    outputs = _outputs(cls)
    lines += ["", "Returns", "-------", f"{tensor}", f"    {outputs}"]
    return "\n".join(lines)


def _bounds(p: Param) -> str:
    bounds = [(">=", p.ge), (">", p.gt), ("<=", p.le)]
    told = [f"{sign} {value}" for sign, value in bounds if value is not None]
    live = " May change between steps of a bound graph." if p.live else ""
    return (f" Must be {' and '.join(told)}." if told else "") + live


def _outputs(cls: type[Op]) -> str:
    if cls.output_names is Op.output_names:
        names = cls.outputs
        return "The result." if len(names) == 1 else f"Outputs: {', '.join(names)}."
    return "Outputs; their number depends on the parameters."
