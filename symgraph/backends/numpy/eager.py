"""Eager evaluation: the namespace `xp` over plain NumPy arrays.

``nd`` functions run operators through it, and it is the plain reference that planned execution is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.backends.numpy.kernels import KERNELS, VIEWS, workspace_bytes
from symgraph.program import Namespace, Primitive, Program, Recorder, Spec

__all__ = ["Eager", "run", "xp"]


class Eager(Namespace):
    """Evaluates each primitive at once."""

    def constant(self, data: np.ndarray[Any, Any]) -> Any:
        """Return the array itself."""
        return data

    def is_array(self, value: Any) -> bool:
        """Return whether `value` is an array or a scalar of NumPy."""
        return isinstance(value, np.ndarray | np.generic)

    def apply(self, primitive: Primitive, operands: Sequence[Any], params: dict[str, Any]) -> Any:
        """Evaluate one primitive into a fresh array (a view for rearrangements)."""
        name = primitive.name
        operands = [np.asarray(x) for x in operands]
        specs = [Spec(x.shape, x.dtype) for x in operands]
        (result,) = primitive.specs(specs, params)
        if name in VIEWS:
            return VIEWS[name](operands[0], **params)
        # Always row-major, as in a plan: in which order a sum adds depends on how its operand lies in memory.
        out = np.empty(result.shape, result.dtype)
        need = workspace_bytes(name, specs, result, params)
        workspace = np.empty(need, np.uint8) if need else None
        for function, *arguments in KERNELS[name](operands, out, workspace, **params):
            function(*arguments)
        return out

    def vjp(self, function: Callable[..., Any], inputs: Sequence[Any], heads: Sequence[Any]) -> list[Any]:
        """Return gradients by recording the function once and evaluating the program."""
        recorder = Recorder()
        arrays = [np.asarray(x) for x in (*inputs, *heads)]
        recorded = [recorder.input(Spec(x.shape, x.dtype)) for x in arrays]
        grads = recorder.vjp(function, recorded[: len(inputs)], recorded[len(inputs) :])
        recorder.program.outputs = [g.value for g in grads]
        return run(recorder.program, arrays)


xp = Eager()


def run(program: Program, inputs: Sequence[Any], hypers: Sequence[float] = ()) -> list[np.ndarray[Any, Any]]:
    """Evaluate a program plainly, equation by equation.

    Parameters
    ----------
    program
        What to evaluate.
    inputs
        One array for each input of the program.
    hypers
        One number for each hyper-parameter of the program.

    Returns
    -------
    list of numpy.ndarray
        The outputs.
    """
    known: dict[int, Any] = {id(v): x for v, x in zip(program.inputs, inputs, strict=True)}
    known |= {id(v): np.asarray(x, v.dtype) for v, x in zip(program.hypers, hypers, strict=True)}

    def get(v: Any) -> Any:
        return v.data if v.kind == "constant" else known[id(v)]

    with np.errstate(all="ignore"):
        for equation in program.equations:
            params: Mapping[str, Any] = equation.params
            known[id(equation.outputs[0])] = xp.apply(
                equation.primitive, [get(v) for v in equation.inputs], dict(params)
            )
    return [np.asarray(get(v)) for v in program.outputs]
