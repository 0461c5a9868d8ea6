"""How an operator is run on a sample: made-up inputs, inference, forward, gradient.

Everything goes the way a user's graph goes: parameters are bound, shapes and dtypes inferred over a graph of one node,
the operator traced, its program evaluated plainly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from symgraph.backends.numpy.eager import run
from symgraph.graph.infer import Inference, infer_dtypes, infer_shapes
from symgraph.graph.node import Entry, Node
from symgraph.graph.trace import STATE_SPEC, trace
from symgraph.op import Op, PartialShape, Sample
from symgraph.op.backward import Backward, backward_of
from symgraph.program import Spec

__all__ = [
    "STATE",
    "Arrays",
    "Facts",
    "Results",
    "Use",
    "fail",
    "forward",
    "gradient",
    "gradient_op",
    "infer",
    "make_inputs",
    "uses",
]

#: Arrays by the name of an input or output.
Arrays = dict[str, np.ndarray[Any, Any]]

#: The random state that programs read: seed and step.
STATE = np.array([7, 1], STATE_SPEC.dtype)


class Use(NamedTuple):
    """One sample of an operator.

    Attributes
    ----------
    cls
        The operator's class.
    number
        Position of the sample among its samples; what the inputs are made from.
    sample
        The sample.
    """

    cls: type[Op]
    number: int
    sample: Sample

    @property
    def op(self) -> Op:
        """The operator with the sample's parameters."""
        return self.cls(**self.sample.params)

    def __str__(self) -> str:
        return f"{self.cls.op_name}-{self.number}"


def uses(operators: Iterable[type[Op]], samples: Sequence[Sample] | None = None) -> list[Use]:
    """Return every sample of each operator; with `samples`, these instead."""
    return [Use(cls, k, s) for cls in operators for k, s in enumerate(cls.samples if samples is None else samples)]


def fail(where: Any, what: str, **facts: Any) -> NoReturn:
    """Raise an `AssertionError` that says where and what, with facts on lines of their own."""
    raise AssertionError("\n".join([f"{where}: {what}", *(f"  {name}: {value}" for name, value in facts.items())]))


def make_inputs(use: Use, dtype: Any = None) -> Arrays:
    """Return the inputs that a sample describes, always the same.

    Parameters
    ----------
    use
        The sample.
    dtype
        Element type of the floating point inputs instead of the sample's.

    Raises
    ------
    AssertionError
        If the sample does not give one shape for each input.
    """
    sample, names = use.sample, use.op.input_names()
    if len(names) != len(sample.shapes):
        raise AssertionError(f"{use}: the sample has {len(sample.shapes)} shapes for the inputs {', '.join(names)}")
    rng = np.random.default_rng(zlib.crc32(str(use).encode()))
    arrays: Arrays = {}
    for name, shape in zip(names, sample.shapes, strict=True):
        kind = np.dtype(sample.dtypes.get(name, "float32"))
        values: Any
        if name in sample.integers:
            values = rng.integers(0, sample.integers[name], shape)
        elif kind.kind == "f":
            values = rng.uniform(sample.low, sample.high, shape)
            kind = np.dtype(dtype or kind)
        else:
            values = rng.integers(int(sample.low), int(sample.high), shape)
        arrays[name] = np.asarray(values).astype(kind)
    return arrays


class Results(NamedTuple):
    """What a run gave.

    Attributes
    ----------
    outputs
        All outputs, hidden ones included.
    renewed
        The new values of renewed inputs.
    """

    outputs: Arrays
    renewed: Arrays


def forward(op: Op, inputs: Mapping[str, Any], training: bool = False) -> Results:
    """Trace an operator and evaluate its program."""
    arrays = [inputs[n] for n in op.input_names()]
    made = trace(op, [Spec(x.shape, x.dtype) for x in arrays], training)
    hypers = [op.live_values()[h.label] for h in made.program.hypers]
    results = run(made.program, [*arrays, STATE] if made.random else arrays, hypers)
    count = len(op.output_names())
    return Results(
        dict(zip(op.output_names(), results[:count], strict=True)),
        dict(zip(op.mutated(), results[count:], strict=True)),
    )


def gradient_op(op: Op) -> Backward:
    """Return the operator that is the gradient of another."""
    found = backward_of(type(op)).from_values(op.values)
    assert isinstance(found, Backward)
    return found


def gradient_inputs(op: Op, inputs: Mapping[str, Any], heads: Sequence[np.ndarray[Any, Any]], training: bool) -> Arrays:
    """Return the inputs of an operator's gradient: head gradients, the operator's inputs, the outputs it reads."""
    back = gradient_op(op)
    known: Arrays = {**dict(zip(back.head_names(), heads, strict=True)), **inputs}
    if not known.keys() >= set(back.reads()):
        known |= forward(op, inputs, training).outputs
    return {name: known[name] for name in back.input_names()}


def gradient(op: Op, inputs: Mapping[str, Any], heads: Sequence[np.ndarray[Any, Any]], training: bool = True) -> Arrays:
    """Return the gradient of the visible outputs, weighted by `heads`, by each input."""
    found = forward(gradient_op(op), gradient_inputs(op, inputs, heads, training), training).outputs
    return {name.removesuffix("_grad"): array for name, array in found.items()}


class Facts(NamedTuple):
    """What inference says of each input and output; None, or None for an axis, where it does not know."""

    shapes: dict[str, PartialShape | None]
    dtypes: dict[str, np.dtype[Any] | None]


def infer(
    op: Op,
    shapes: Mapping[str, PartialShape | None] | None = None,
    dtypes: Mapping[str, Any] | None = None,
    *,
    partial: bool = False,
) -> Facts:
    """Infer over a graph that holds the operator alone.

    Parameters
    ----------
    op
        The operator.
    shapes, dtypes
        What is known of the inputs.
    partial
        Leave unknown what does not follow, instead of raising and of taking float32.
    """
    variables = {name: Node(None, name) for name in op.input_names()}
    node = Node(op, "op", [Entry(v) for v in variables.values()])
    entries = [Entry(node, k) for k in range(max(node.num_outputs, 1))]
    typed = infer_dtypes(entries, dict(dtypes or {}), partial=partial)
    found: Inference = infer_shapes(typed, dict(shapes or {}), partial=partial)
    numbers = {name: found.view.number(Entry(v)) for name, v in variables.items()}
    numbers |= {name: found.view.number(e) for name, e in zip(op.output_names(), entries, strict=False)}
    return Facts({n: found.shapes[k] for n, k in numbers.items()}, {n: found.dtypes[k] for n, k in numbers.items()})
