"""The recorder: a namespace whose arrays are values of a program under construction.

``Recorder`` runs a `compute` once on recording arrays; what it calls becomes a `Program`. The same object
differentiates: `vjp` walks the equations recorded since its call in reverse, by the gradient table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symgraph.errors import GradientError
from symgraph.program.gradients import RULES, reduce_to
from symgraph.program.namespace import Namespace
from symgraph.program.primitives import Primitive
from symgraph.program.values import Equation, Program, Spec, Value

__all__ = ["Recorded", "Recorder", "RecordingRandom"]


class Recorded:
    """An array of a `Recorder`: stands for a value of the program, with Python's arithmetic operators."""

    __slots__ = ("recorder", "value")
    __array_ufunc__ = None  # so that numpy_scalar * recorded comes to __rmul__

    def __init__(self, recorder: Recorder, value: Value) -> None:
        self.recorder, self.value = recorder, value

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.value.size

    def __bool__(self) -> bool:
        raise TypeError("compute must not branch on the values of tensors: use xp.where")

    def __repr__(self) -> str:
        return f"Recorded({self.value!r})"

    __hash__ = object.__hash__

    def __neg__(self) -> Any:
        return self.recorder.negative(self)

    def __abs__(self) -> Any:
        return self.recorder.abs(self)


def _operator(name: str, reverse: bool) -> Callable[[Recorded, Any], Any]:
    def forward(self: Recorded, other: Any) -> Any:
        return getattr(self.recorder, name)(self, other)

    def backward(self: Recorded, other: Any) -> Any:
        return getattr(self.recorder, name)(other, self)

    return backward if reverse else forward


for _python, _name in (
    ("add", "add"),
    ("sub", "subtract"),
    ("mul", "multiply"),
    ("truediv", "divide"),
    ("mod", "remainder"),
    ("pow", "power"),
    ("matmul", "matmul"),
):
    setattr(Recorded, f"__{_python}__", _operator(_name, False))
    setattr(Recorded, f"__r{_python}__", _operator(_name, True))
for _python, _name in (
    ("eq", "equal"),
    ("ne", "not_equal"),
    ("lt", "less"),
    ("le", "less_equal"),
    ("gt", "greater"),
    ("ge", "greater_equal"),
):
    setattr(Recorded, f"__{_python}__", _operator(_name, False))


class Recorder(Namespace):
    """Records primitives as equations of a program.

    Attributes
    ----------
    program
        The program so far; its outputs are set by whoever records.
    origin
        Name of the graph node being traced, written to each equation.
    """

    def __init__(self) -> None:
        self.program = Program()
        self.origin = ""
        self._constants: dict[tuple[Any, ...], Recorded] = {}

    def input(self, spec: Spec, label: Any = None) -> Recorded:
        """Add an input to the program."""
        value = Value(tuple(spec.shape), spec.dtype, "input", label=label)
        self.program.inputs.append(value)
        return Recorded(self, value)

    def hyper(self, label: Any, dtype: Any = "float64") -> Recorded:
        """Add a live hyper-parameter: a 0-d value that may change between runs."""
        value = Value((), np.dtype(dtype), "hyper", label=label)
        self.program.hypers.append(value)
        return Recorded(self, value)

    def constant(self, data: np.ndarray[Any, Any]) -> Recorded:
        """Return a constant; equal small constants are one value."""
        key = (data.dtype.str, data.shape, data.tobytes()) if data.size <= 16 else None
        found = self._constants.get(key) if key is not None else None
        if found is None:
            data = np.array(data, order="C")  # row-major, as in a plan
            data.flags.writeable = False
            found = Recorded(self, Value(data.shape, data.dtype, "constant", data=data))
            if key is not None:
                self._constants[key] = found
        return found

    def is_array(self, value: Any) -> bool:
        """Return whether `value` is recorded here."""
        return isinstance(value, Recorded)

    def apply(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Record one equation."""
        inputs = tuple(x.value for x in operands)
        equation = Equation(primitive, inputs, params, primitive.specs([v.spec for v in inputs], params), self.origin)
        self.program.equations.append(equation)
        return Recorded(self, equation.outputs[0])

    def inline(
        self, program: Program, inputs: Sequence[Recorded], hypers: Sequence[Recorded], draws: int = 0
    ) -> list[Recorded]:
        """Record the equations of another program on arrays of this one; returns its outputs.

        `draws` is added to the keys of random numbers, so that each use of the program draws its own.
        """
        known = {id(v): x.value for v, x in zip(program.inputs, inputs, strict=True)}
        known |= {id(v): x.value for v, x in zip(program.hypers, hypers, strict=True)}
        append, origin = self.program.equations.append, self.origin
        for old in program.equations:
            equation = Equation.__new__(Equation)
            equation.primitive, equation.params, equation.origin = old.primitive, old.params, origin
            if draws and "key" in old.params:
                equation.params = {**old.params, "key": old.params["key"] + draws}
            equation.inputs = tuple([known[id(v)] if v.kind != "constant" else self._adopt(v) for v in old.inputs])
            equation.outputs = tuple([v.computed_by(equation) for v in old.outputs])
            for v, new in zip(old.outputs, equation.outputs, strict=True):
                known[id(v)] = new
            append(equation)
        return [Recorded(self, known[id(v)] if v.kind != "constant" else self._adopt(v)) for v in program.outputs]

    def _adopt(self, value: Value) -> Value:
        return self.constant(value.data).value if value.size <= 16 else value

    def vjp(self, function: Callable[..., Any], inputs: Sequence[Any], heads: Sequence[Any]) -> list[Any]:
        """Record `function` and its gradient.

        Parameters
        ----------
        function
            ``(xp, *inputs) -> tuple of outputs``.
        inputs
            Arrays of this recorder.
        heads
            Gradient of the loss by each output.

        Returns
        -------
        list
            Gradient by each input; zeros where it does not matter.
        """
        start = len(self.program.equations)
        # Fresh names for the inputs, so that one array given twice has two gradients.
        leaves = [Recorded(self, _alias(x.value)) for x in inputs]
        outputs = function(self, *leaves)
        tape = self.program.equations[start:]
        grads: dict[int, Recorded] = {}
        active = {id(x.value) for x in leaves if x.dtype.kind == "f"}
        for equation in tape:
            if any(id(v) in active for v in equation.inputs):
                active.update(id(v) for v in equation.outputs if v.dtype.kind == "f")
        for output, head in zip(outputs, heads, strict=True):
            if self.is_array(output) and id(output.value) in active:
                self._accumulate(grads, output.value, head)
        for equation in reversed(tape):
            dy = grads.get(id(equation.outputs[0]))
            if dy is None:
                continue
            rules = RULES[equation.primitive.name]
            operands = [Recorded(self, v) for v in equation.inputs]
            y = Recorded(self, equation.outputs[0])
            for k, v in enumerate(equation.inputs):
                rule = rules[k]
                if rule is None or id(v) not in active:
                    continue
                dx = rule(self, dy, y, *operands, **equation.params)
                if equation.primitive.kind == "map":
                    dx = reduce_to(self, dx, v.shape)
                if dx.shape != v.shape or dx.dtype != v.dtype:
                    raise GradientError(
                        f"the gradient rule of {equation.primitive.name} for operand {k} gives {dx.value.spec}, "
                        f"but the operand is {v.spec}"
                    )
                self._accumulate(grads, v, dx)
        result = [grads[id(x.value)] if id(x.value) in grads else self.zeros_like(x) for x in leaves]
        _unalias(self.program.equations[start:], {id(x.value): y.value for x, y in zip(leaves, inputs, strict=True)})
        renamed = {id(x.value): y for x, y in zip(leaves, inputs, strict=True)}
        return [renamed.get(id(g.value), g) for g in result]

    def _accumulate(self, grads: dict[int, Recorded], value: Value, dx: Recorded) -> None:
        known = grads.get(id(value))
        grads[id(value)] = dx if known is None else self.add(known, dx)


def _alias(value: Value) -> Value:
    return Value(value.shape, value.dtype, value.kind, data=value.data, label=value.label)


def _unalias(equations: Sequence[Equation], original: dict[int, Value]) -> None:
    """Put the original values back in place of their aliases, in equations no one else has seen yet."""
    for equation in equations:
        equation.inputs = tuple(original.get(id(v), v) for v in equation.inputs)


class RecordingRandom:
    """The `rng` that a `compute` asks for, while recording.

    The bits depend on (seed, node, step, number of the draw in the node) alone, whatever the order of execution.
    """

    def __init__(self, recorder: Namespace, state: Any, node: int) -> None:
        self.recorder, self.state, self.node, self.draws = recorder, state, node, 0

    def _draw(self, name: str, shape: Sequence[int], dtype: Any) -> Any:
        from symgraph.program.primitives import PRIMITIVES

        key = self.node * 64 + self.draws
        self.draws += 1
        params = {"key": key, "shape": tuple(shape), "dtype": np.dtype(dtype).name}
        return self.recorder.apply(PRIMITIVES[name], (self.state,), params)

    def uniform(self, shape: Sequence[int], dtype: Any = "float32") -> Any:
        """Return uniform numbers in [0, 1)."""
        return self._draw("random_uniform", shape, dtype)

    def normal(self, shape: Sequence[int], dtype: Any = "float32") -> Any:
        """Return standard normal numbers."""
        return self._draw("random_normal", shape, dtype)
