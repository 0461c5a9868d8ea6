"""Checks of whole symbols: a gradient against central differences, two graphs against each other's plan."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.context import cpu
from symgraph.errors import ArgumentError
from symgraph.executor import Executor
from symgraph.ndarray import NDArray
from symgraph.ndarray.random_state import seed
from symgraph.op import Op
from symgraph.program import Program, Value
from symgraph.symbol import Symbol
from symgraph.testing.differences import TOLERANCE, disagreement

__all__ = ["assert_same_plan", "check_gradient"]

Array = np.ndarray[Any, Any]


# -- gradients --------------------------------------------------------------------------------------------------------


def check_gradient(
    symbol: Symbol,
    location: Mapping[str, Any] | Sequence[Any],
    aux_states: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    wrt: Sequence[str] | None = None,
    is_train: bool = True,
    tolerance: float = TOLERANCE,
) -> None:
    """Hold a symbol's gradient, in float64, to central differences along a random direction.

    Parameters
    ----------
    symbol
        Any symbol whose outputs are no losses: the gradient of a loss is not that of what it outputs.
    location
        Values of the arguments: by name, or in order. Floating point ones are taken as float64.
    aux_states
        Values of the auxiliary states in the same forms; zeros if left out. They are the same in each evaluation.
    wrt
        Names of the arguments to move. None means all that hold floating point numbers.
    is_train
        Whether the forward passes are those of a training step. Random numbers are the same in each of them.
    tolerance
        Allowed difference, relative to the sum of the absolute values of the slope's terms.

    Raises
    ------
    AssertionError
        If they differ, with both slopes; by which argument, too, if it is one alone.
    ArgumentError
        If an output is a loss, or a name is no argument.
    """
    for entry in symbol._entries:
        if isinstance(entry.node.op, Op) and entry.node.op.is_loss:
            raise ArgumentError(
                f"output {entry.name!r} is of a loss, whose gradient is not the derivative of what it outputs",
                where="check_gradient()",
            )
    arguments = _arrays(location, symbol.list_arguments(), "location")
    states = _arrays(aux_states or {}, symbol.list_auxiliary_states(), "aux_states")
    moving = [n for n, x in arguments.items() if x.dtype.kind == "f"] if wrt is None else list(wrt)
    for name in moving:
        if name not in arguments:
            raise ArgumentError(f"{name!r} is no argument of the symbol", where="check_gradient()")
    executor = symbol.bind(
        cpu(),
        {n: NDArray(x.copy()) for n, x in arguments.items()},
        {n: NDArray(np.zeros_like(arguments[n])) for n in moving},
        aux_states={n: NDArray(x) for n, x in states.items()} or None,
    )
    rng = np.random.default_rng(zlib.crc32(symbol.tojson().encode()))
    direction = {n: rng.uniform(-1, 1, arguments[n].shape) for n in moving}
    with executor.preserved():
        seed(0)  # each evaluation draws the same random numbers
        outputs = [y.asnumpy() for y in executor.forward(is_train=is_train)]
        heads = [np.asarray(rng.uniform(-1, 1, y.shape)).astype(y.dtype) for y in outputs]
        executor.backward([NDArray(h) for h in heads])
        grads = {n: x.asnumpy() for n in moving if (x := executor.grad_dict[n]) is not None}

    def evaluate(there: Mapping[str, Any]) -> list[Array]:
        with executor.preserved():
            seed(0)
            return [y.asnumpy() for y in executor.forward(is_train=is_train, **there)]

    def compare(names: Sequence[str]) -> str | None:
        way = {n: direction[n] for n in names}
        return disagreement(evaluate, arguments, way, heads, grads, tolerance)

    if problem := compare(moving):
        alone = [f"  by {n}, it {found}" for n in moving if (found := compare([n]))]
        raise AssertionError("\n".join([f"{symbol!r}: the gradient {problem}", *alone]))


def _arrays(given: Mapping[str, Any] | Sequence[Any], names: Sequence[str], what: str) -> dict[str, Array]:
    """Return arrays by name, floating point ones in float64."""
    if not isinstance(given, Mapping):
        if len(given) != len(names):
            raise ArgumentError(f"{what} holds {len(given)} arrays, but there are {len(names)}", facts={"names": names})
        given = dict(zip(names, given, strict=True))
    found = {}
    for name, value in given.items():
        x = value.asnumpy() if isinstance(value, NDArray) else np.asarray(value)
        found[name] = np.ascontiguousarray(x, np.float64) if x.dtype.kind == "f" else np.ascontiguousarray(x)
    return found


# -- plans ------------------------------------------------------------------------------------------------------------


def assert_same_plan(
    first: Symbol | Executor, second: Symbol | Executor, *, training: bool | None = None, **shapes: tuple[int, ...]
) -> None:
    """Hold two graphs to compiling to the same program: equal calls on equal values, whatever the nodes are called.

    Parameters
    ----------
    first, second
        Executors, or symbols, which are bound with `shapes`.
    training
        Which plans: of a training step or of inference. None means training if the first graph has gradients or
        updates.
    **shapes
        Shapes of arguments by name, for symbols.

    Raises
    ------
    AssertionError
        With the first line at which the programs differ.

    Examples
    --------
    >>> import symgraph as mx
    >>> x = mx.sym.Variable("x")
    >>> assert_same_plan(x * 1, x, training=False, x=(2, 3))
    >>> assert_same_plan(x + x, x * 3, training=False, x=(2, 3))
    Traceback (most recent call last):
        ...
    AssertionError: the plans differ
      line 2 of the first:  v1 = add(v0, v0): float32[2, 3]
      line 2 of the second: v1 = multiply(v0, 3.0: float32[]): float32[2, 3]
    """
    known: Any = shapes
    executors = [x if isinstance(x, Executor) else x.simple_bind(cpu(), **known) for x in (first, second)]
    chosen = executors[0].trains if training is None else training
    one, other = (listing(each.bound(chosen).plan.program) for each in executors)
    for k in range(max(len(one), len(other))):
        lines = [text[k] if k < len(text) else "(nothing more)" for text in (one, other)]
        if lines[0] != lines[1]:
            raise AssertionError(
                f"the plans differ\n  line {k + 1} of the first:  {lines[0]}\n  line {k + 1} of the second: {lines[1]}"
            )


def listing(program: Program) -> list[str]:
    """Return a program as lines that are equal for equal programs: values are numbered, constants are spelt out."""
    numbers: dict[int, int] = {}
    for v in (*program.inputs, *program.hypers):
        numbers[id(v)] = len(numbers)

    def name(v: Value) -> str:
        if v.kind != "constant":
            return f"v{numbers[id(v)]}"
        values = str(v.data) if v.size == 1 else f"constant {zlib.crc32(np.ascontiguousarray(v.data).tobytes()):08x}"
        return f"{values}: {v.spec}"

    inputs = ", ".join(f"{name(v)}: {v.spec}" for v in (*program.inputs, *program.hypers))
    lines = [f"inputs {inputs}"]
    for equation in program.equations:
        operands = [name(v) for v in equation.inputs]
        operands += [f"{key}={value}" for key, value in sorted(equation.params.items())]
        for v in equation.outputs:
            numbers[id(v)] = len(numbers)
        results = ", ".join(name(v) for v in equation.outputs)
        specs = ", ".join(str(v.spec) for v in equation.outputs)
        lines.append(f"{results} = {equation.primitive.name}({', '.join(operands)}): {specs}")
    return [*lines, f"outputs {', '.join(name(v) for v in program.outputs)}"]
