"""How the tests of operators make inputs, run an operator, and ask for its gradient.

Everything goes the way a user's program goes: parameters are bound, shapes and dtypes inferred over a graph of one node,
the operator traced, the program evaluated plainly.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import symgraph.ops  # noqa: F401  (registers the operators)
from symgraph.backends.numpy.eager import run
from symgraph.graph.infer import Inference, infer_dtypes, infer_shapes
from symgraph.graph.node import Entry, Node
from symgraph.graph.trace import STATE_SPEC, trace
from symgraph.op import Op, Sample, all_operators
from symgraph.op.backward import Backward, backward_of
from symgraph.program import Spec

#: The random state that programs read: seed and step.
STATE = np.array([7, 1], STATE_SPEC.dtype)

Arrays = dict[str, np.ndarray]


class Use(NamedTuple):
    """One sample of an operator."""

    cls: type[Op]
    number: int
    sample: Sample

    @property
    def op(self) -> Op:
        return self.cls(**self.sample.params)

    def __str__(self) -> str:
        return f"{self.cls.op_name}-{self.number}"


def uses(operators: Sequence[type[Op]] | None = None) -> list[Use]:
    """Return every sample of every operator."""
    classes = list(all_operators()) if operators is None else operators
    return [Use(cls, k, sample) for cls in classes for k, sample in enumerate(cls.samples)]


def make_inputs(use: Use, dtype: str | None = None) -> Arrays:
    """Return the inputs that a sample describes; with `dtype`, floating point ones have that type."""
    op, sample = use.op, use.sample
    names = op.input_names()
    assert len(names) == len(sample.shapes), f"{use}: {len(sample.shapes)} shapes for the inputs {names}"
    rng = np.random.default_rng(zlib.crc32(str(use).encode()))
    arrays: Arrays = {}
    for name, shape in zip(names, sample.shapes, strict=True):
        kind = np.dtype(sample.dtypes.get(name, "float32"))
        if name in sample.integers:
            values = rng.integers(0, sample.integers[name], shape)
        elif kind.kind in "iu":
            values = rng.integers(int(sample.low), int(sample.high), shape)
        else:
            values = rng.uniform(sample.low, sample.high, shape)
        if dtype is not None and kind.kind == "f" and name not in sample.integers:
            kind = np.dtype(dtype)
        arrays[name] = np.asarray(values).astype(kind)
    return arrays


class Results(NamedTuple):
    """What a run gave."""

    outputs: Arrays
    renewed: Arrays


def forward(op: Op, inputs: Mapping[str, np.ndarray], training: bool = False) -> Results:
    """Run an operator."""
    names = op.input_names()
    made = trace(op, [Spec(inputs[n].shape, inputs[n].dtype) for n in names], training)
    arrays = [inputs[n] for n in names] + ([STATE] if made.random else [])
    results = run(made.program, arrays, [op.live_values()[h.label] for h in made.program.hypers])
    count = len(op.output_names())
    return Results(
        dict(zip(op.output_names(), results[:count], strict=True)),
        dict(zip(op.mutated(), results[count:], strict=True)),
    )


def gradient_op(op: Op) -> Backward:
    """Return the operator that is the gradient of another."""
    return backward_of(type(op)).from_values(op.values)  # type: ignore[return-value]


def gradient(
    op: Op, inputs: Mapping[str, np.ndarray], heads: Sequence[np.ndarray], training: bool = True
) -> Arrays:
    """Return the gradient of the heads' weighted sum of visible outputs by each input."""
    back = gradient_op(op)
    known: Arrays = dict(zip(back.head_names(), heads, strict=True)) | dict(inputs)
    if set(back.reads()) - set(known):
        known |= forward(op, inputs, training).outputs
    found = forward(back, known, training).outputs
    return {name.removesuffix("_grad"): array for name, array in found.items()}


def graph_of(op: Op) -> tuple[list[Entry], dict[str, Node]]:
    """Return the outputs and the variables of a graph that holds the operator alone."""
    variables = {name: Node(None, name) for name in op.input_names()}
    node = Node(op, "op", [Entry(v) for v in variables.values()])
    return [Entry(node, k) for k in range(node.num_outputs)], variables


class Inferred(NamedTuple):
    """What inference says of each input and output."""

    shapes: dict[str, Any]
    dtypes: dict[str, Any]


def _facts(op: Op, entries: Sequence[Entry], variables: Mapping[str, Node], found: Inference) -> Inferred:
    numbers = {name: found.view.number(Entry(node)) for name, node in variables.items()}
    numbers |= {name: found.view.number(e) for name, e in zip(op.output_names(), entries, strict=True)}
    return Inferred({n: found.shapes[k] for n, k in numbers.items()}, {n: found.dtypes[k] for n, k in numbers.items()})


def infer(op: Op, shapes: Mapping[str, Any], dtypes: Mapping[str, Any], partial: bool = False) -> Inferred:
    """Infer the shapes and dtypes of a graph that holds the operator alone."""
    entries, variables = graph_of(op)
    found = infer_dtypes(entries, dict(dtypes), partial=partial)
    return _facts(op, entries, variables, infer_shapes(found, dict(shapes), partial=partial))


def infer_types_alone(op: Op, dtypes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what follows from some dtypes, without taking float32 for what does not."""
    entries, variables = graph_of(op)
    return _facts(op, entries, variables, infer_dtypes(entries, dict(dtypes), partial=True)).dtypes


def registered() -> Iterator[type[Op]]:
    """Yield every operator once, the derived gradients not included."""
    yield from all_operators()
