"""Checks of an operator inside a graph: as JSON, and as an executor's plan with and without optimisation."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from symgraph.backends.numpy.plan import Options
from symgraph.context import cpu
from symgraph.formats import symbol_json
from symgraph.graph.node import Entry, Node
from symgraph.ndarray import NDArray
from symgraph.ndarray.random_state import rewound, seed
from symgraph.op import Op, get
from symgraph.symbol import Symbol, load_json
from symgraph.testing.running import Arrays, Use, fail, forward, make_inputs

__all__ = ["check_json", "check_optimized"]


def symbol_of(op: Op) -> Symbol:
    """Return a symbol that holds the operator alone, each parameter written out; its variables are the inputs."""
    variables = [Entry(Node(None, name)) for name in op.input_names()]
    attrs = {p.name: p.type.text(value) for p, value in zip(op.params, op.values, strict=True)}
    node = Node(op, "op", variables, attrs)
    return Symbol([Entry(node, k) for k in range(op.num_visible())])


def check_json(use: Use) -> None:
    """Hold an operator to coming back from JSON as it was, with all its parameters.

    If it is registered, its graph and that of its gradient are also loaded, as a user would load them.
    """
    op = use.op
    if not op.num_visible():
        return  # no graph ends in it
    symbol = symbol_of(op)
    written = symbol.tojson()
    attrs = symbol_json.parse(written).nodes[-1].attrs
    again = type(op).from_attrs(attrs)
    if again != op:
        fail(use, f"{op!r} comes back from JSON as {again!r}", attributes=attrs)
    if get(op.op_name) is not type(op):
        return
    graphs = {"the graph": symbol}
    moving = [n for n, x in make_inputs(use).items() if x.dtype.kind == "f" and n not in op.mutated()]
    if op.differentiable and moving:
        graphs["the graph of the gradient"] = symbol.gradient(moving)
    for what, graph in graphs.items():
        text = graph.tojson()
        loaded = load_json(text)
        if loaded.tojson() != text:
            fail(use, f"{what} is another one after loading", written=text, again=loaded.tojson())
        for old, new in zip(graph._view.nodes, loaded._view.nodes, strict=True):
            if old.op != new.op:
                fail(use, f"{what} holds {old.op!r}, but after loading {new.op!r}")


def check_optimized(use: Use) -> None:
    """Hold the plan to the same bits with every optimisation on and off, forward and backward, states included.

    Unless it draws random numbers, the outputs must also be those of its program evaluated plainly.
    """
    op, inputs = use.op, make_inputs(use)
    if not op.num_visible():
        return  # no graph ends in it
    plain, planned = (_run(use, op, inputs, options) for options in (Options.none(), Options()))
    for name, x in plain.items():
        if not same_bits(x, planned[name]):
            fail(use, f"{name} differs between the optimised and the unoptimised plan", off=x, on=planned[name])
    if op._asks_rng:
        return
    results = forward(op, inputs, use.sample.training)
    for name in op.output_names()[: op.num_visible()]:
        if not same_bits(results.outputs[name], plain[f"output {name!r}"]):
            fail(
                use,
                f"output {name!r} differs between the plan and its program evaluated plainly",
                plan=plain[f"output {name!r}"],
                program=results.outputs[name],
            )


def _run(use: Use, op: Op, inputs: Arrays, options: Options) -> Arrays:
    """Return outputs, gradients and states of one step of an executor."""
    states = op.mutated()
    moving = [n for n, x in inputs.items() if x.dtype.kind == "f" and n not in states and op.differentiable]
    executor = symbol_of(op).bind(
        cpu(),
        {n: NDArray(x.copy()) for n, x in inputs.items() if n not in states},
        {n: NDArray(np.zeros_like(inputs[n])) for n in moving},
        aux_states={n: NDArray(inputs[n].copy()) for n in states},
        options=options,
    )
    with rewound():
        seed(0)  # both runs draw the same random numbers
        outputs = executor.forward(is_train=use.sample.training)
        names = op.output_names()[: len(outputs)]
        found = {f"output {n!r}": y.asnumpy() for n, y in zip(names, outputs, strict=True)}
        if moving:
            rng = np.random.default_rng(zlib.crc32(f"{use} heads".encode()))
            # Without a training step before it, `backward` computes the outputs again, so it may draw, too.
            executor.backward([NDArray(np.asarray(rng.uniform(-1, 1, y.shape)).astype(y.dtype)) for y in outputs])
            found |= {f"the gradient by {n!r}": g.asnumpy() for n in moving if (g := executor.grad_dict[n]) is not None}
    return {**found, **{f"the state {n!r}": executor.aux_dict[n].asnumpy() for n in states}}


def same_bits(x: Any, y: Any) -> bool:
    """Return whether two arrays agree in every bit; NaN is NaN, whatever its sign and payload."""
    if (x.shape, x.dtype) != (y.shape, y.dtype):
        return False
    if x.dtype.kind == "f":
        nan = np.isnan(x)
        if not np.array_equal(nan, np.isnan(y)):
            return False
        x, y = np.where(nan, x.dtype.type(0), x), np.where(nan, y.dtype.type(0), y)
    return bool(x.tobytes() == y.tobytes())
