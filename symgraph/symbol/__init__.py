"""Symbols: ``mx.sym``.

A function for every operator, under every name that MXNet has for it; variables, groups, files; submodules
``contrib``, ``linalg``, ``random``, ``sparse``, ``image``, ``op`` and ``_internal``.

What does not belong here: operators (`symgraph.ops`), graphs (`symgraph.graph`), running them (`symgraph.executor`).
"""

from __future__ import annotations

from typing import Any

from symgraph.symbol import random
from symgraph.symbol.functions import (
    PREFIXES,
    OperatorModule,
    arange,
    eye,
    full,
    histogram,
    hypot,
    linspace,
    maximum,
    minimum,
    names,
    ones,
    operator_function,
    pow,
    power,
    split_v2,
    zeros,
)
from symgraph.symbol.symbol import Group, Symbol, Variable, load, load_json, loads, var
from symgraph.symbol.training import training_step

__all__ = [
    "Group",
    "Symbol",
    "Variable",
    "arange",
    "eye",
    "full",
    "histogram",
    "hypot",
    "linspace",
    "load",
    "load_json",
    "loads",
    "maximum",
    "minimum",
    "ones",
    "pow",
    "power",
    "random",
    "split_v2",
    "training_step",
    "var",
    "zeros",
]

op = OperatorModule(f"{__name__}.op", "", "Functions of the operators whose name has no underscore in front.")
_internal = OperatorModule(f"{__name__}._internal", "", "Functions of the operators with an underscore.", hidden=True)
for _name, _prefix in PREFIXES.items():
    globals()[_name] = OperatorModule(f"{__name__}.{_name}", _prefix, f"Functions of the operators ``{_prefix}*``.")


def __getattr__(name: str) -> Any:
    found = operator_function(name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *names()})
