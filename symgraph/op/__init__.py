"""What an operator is: schema, parameter types, registry, derived gradient operators, documentation.

Knows no graph, no particular operator, no engine.
"""

from symgraph.op.registry import all_names, all_operators, find, get, op, register
from symgraph.op.schema import REQUIRED, Input, Op, Param, PartialShape, Sample, Tensor, Tensors, arg, args, param
from symgraph.op.types import Bounds, Double, DTypeName, FloatDType, Floats, NumberDType, Shape

__all__ = [
    "REQUIRED",
    "Bounds",
    "DTypeName",
    "Double",
    "FloatDType",
    "Floats",
    "Input",
    "NumberDType",
    "Op",
    "Param",
    "PartialShape",
    "Sample",
    "Shape",
    "Tensor",
    "Tensors",
    "all_names",
    "all_operators",
    "arg",
    "args",
    "find",
    "get",
    "op",
    "param",
    "register",
]
