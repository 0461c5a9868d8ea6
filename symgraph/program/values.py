"""The Program: values with known shape and dtype, and the equations that compute them.

A program is in single-assignment form: every `Value` is an input, a constant, a live hyper-parameter, or the output of
one `Equation`. Passes build new programs and never change one in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from symgraph.program.primitives import Primitive

__all__ = ["Equation", "Program", "Spec", "Value"]


class Spec(NamedTuple):
    """Shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of a contiguous array of this spec."""
        return self.size * self.dtype.itemsize


class Value:
    """One tensor of a program.

    Attributes
    ----------
    shape, dtype
        Static; every dimension is known.
    equation, index
        The equation that computes it and which of its outputs it is; None for the others.
    data
        The array of a constant, else None.
    label
        Name of an input, or ``(node, parameter)`` of a hyper-parameter; for error messages and plans.
    kind
        ``"input"``, ``"constant"``, ``"hyper"`` or ``"computed"``.
    """

    __slots__ = ("data", "dtype", "equation", "index", "kind", "label", "shape")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        kind: str,
        *,
        equation: Equation | None = None,
        index: int = 0,
        data: Any = None,
        label: Any = None,
    ) -> None:
        self.shape, self.dtype, self.kind = shape, dtype, kind
        self.equation, self.index, self.data, self.label = equation, index, data, label

    def computed_by(self, equation: Equation) -> Value:
        """Return a value like this one that another equation computes."""
        value = Value.__new__(Value)
        value.shape, value.dtype, value.kind, value.equation = self.shape, self.dtype, "computed", equation
        value.index, value.data, value.label = self.index, None, None
        return value

    @property
    def spec(self) -> Spec:
        """Shape and dtype."""
        return Spec(self.shape, self.dtype)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the contiguous array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __repr__(self) -> str:
        return f"<{self.kind} {self.spec}{'' if self.label is None else f' {self.label}'}>"


class Equation:
    """One application of a primitive.

    Attributes
    ----------
    primitive
        What is computed.
    inputs
        The values read.
    params
        Static parameters, hashable values by name.
    outputs
        The values computed.
    origin
        Name of the graph's node it comes from; for plans, profiles and errors.
    """

    __slots__ = ("inputs", "origin", "outputs", "params", "primitive")

    def __init__(
        self,
        primitive: Primitive,
        inputs: tuple[Value, ...],
        params: Mapping[str, Any],
        specs: Iterable[Spec],
        origin: str = "",
    ) -> None:
        self.primitive, self.inputs, self.params, self.origin = primitive, inputs, params, origin
        self.outputs = tuple(
            Value(shape, dtype, "computed", equation=self, index=k) for k, (shape, dtype) in enumerate(specs)
        )

    def __repr__(self) -> str:
        params = "".join(f", {k}={v}" for k, v in self.params.items())
        return f"{self.primitive.name}({', '.join(str(v.spec) for v in self.inputs)}{params})"


@dataclass
class Program:
    """A straight-line sequence of equations.

    Parameters
    ----------
    inputs
        Values given from outside at each run.
    hypers
        0-d values set from outside now and then: live hyper-parameters.
    equations
        In an order in which each value is computed before it is read.
    outputs
        The results, in order; a value may be an input, a constant, or stand here twice.
    """

    inputs: list[Value] = field(default_factory=list)
    hypers: list[Value] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)

    def replaced(self, equations: list[Equation], outputs: Sequence[Value]) -> Program:
        """Return a program with the same inputs and other equations and outputs."""
        return Program(self.inputs, self.hypers, equations, list(outputs))

    def needed(self, results: Iterable[Value]) -> set[int]:
        """Return ``id`` of each value that some results depend on, their own included."""
        return self._needed(results)[0]

    def computing(self, results: Iterable[Value]) -> list[Equation]:
        """Return the equations that some results depend on, in order."""
        return self._needed(results)[1][::-1]

    def _needed(self, results: Iterable[Value]) -> tuple[set[int], list[Equation]]:
        """Return what `needed` returns, and the equations that compute it, the last one first."""
        needed = set(map(id, results))
        computing: list[Equation] = []
        for equation in reversed(self.equations):
            for v in equation.outputs:
                if id(v) in needed:
                    computing.append(equation)
                    needed.update(map(id, equation.inputs))
                    break
        return needed, computing

    def verify(self, before: Program | None = None) -> None:
        """Check the form's promises; used after every pass.

        Parameters
        ----------
        before
            The program that this one was made from: it must have the same inputs and the same kinds of outputs, and
            its equations are known to be good.

        Raises
        ------
        AssertionError
            If a value is read before it is computed, computed twice, or of another shape or dtype than its primitive's
            rule says; if an output comes from nowhere; if inputs or kinds of outputs have changed.
        """
        if before is not None:
            if self.inputs != before.inputs or self.hypers != before.hypers:
                raise AssertionError("the inputs are others than before")
            if len(self.outputs) != len(before.outputs):
                raise AssertionError(f"there are {len(self.outputs)} outputs instead of {len(before.outputs)}")
            for k, (v, old) in enumerate(zip(self.outputs, before.outputs, strict=True)):
                if v is not old and v.spec != old.spec:
                    raise AssertionError(f"output {k} is {v.spec}, and was {old.spec}")
        good = set() if before is None else set(map(id, before.equations))
        known = {id(v) for v in (*self.inputs, *self.hypers)}
        for k, equation in enumerate(self.equations):
            if not known.issuperset(map(id, equation.inputs)):
                for v in equation.inputs:
                    if v.kind == "constant":
                        known.add(id(v))
                    elif id(v) not in known:
                        raise AssertionError(f"equation {k}, {equation}, reads {v} before it is computed")
            for v in equation.outputs:
                if id(v) in known:
                    raise AssertionError(f"equation {k}, {equation}, computes {v} a second time")
                known.add(id(v))
            if id(equation) not in good:
                specs = equation.primitive.specs([v.spec for v in equation.inputs], dict(equation.params))
                if specs != [v.spec for v in equation.outputs]:
                    found = ", ".join(str(v.spec) for v in equation.outputs)
                    raise AssertionError(f"equation {k}, {equation}, says {found}, and its rule {specs[0]}")
        for k, v in enumerate(self.outputs):
            if v.kind != "constant" and id(v) not in known:
                raise AssertionError(f"output {k}, {v}, is computed nowhere")

    def __str__(self) -> str:
        names = {id(v): str(v.label) for v in (*self.inputs, *self.hypers)}
        lines = [f"inputs {', '.join(f'{names[id(v)]}: {v.spec}' for v in self.inputs)}"]

        def name(v: Value) -> str:
            if v.kind == "constant":
                return str(v.data) if v.data.ndim == 0 else f"constant {v.spec}"
            return names[id(v)]

        for equation in self.equations:
            for v in equation.outputs:
                names[id(v)] = f"v{len(names)}"
            params = "".join(f", {k}={p}" for k, p in equation.params.items())
            left = ", ".join(f"{name(v)}: {v.spec}" for v in equation.outputs)
            lines.append(f"{left} = {equation.primitive.name}({', '.join(map(name, equation.inputs))}{params})")
        lines.append(f"outputs {', '.join(map(name, self.outputs))}")
        return "\n".join(lines)
