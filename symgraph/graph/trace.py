"""From an operator to primitives: run its `compute` once on recording arrays.

A trace depends on the operator's structure, the specs of its inputs and the mode alone, so it is made once and kept;
a graph that repeats a block traces it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from symgraph.errors import OperatorDefinitionError
from symgraph.op import Op
from symgraph.program import Program, Recorded, Recorder, RecordingRandom, Spec

__all__ = ["STATE_SPEC", "Trace", "trace"]

#: Spec of the random state that programs read: (seed, step).
STATE_SPEC = Spec((2,), np.dtype("uint64"))
#: In its place where nothing reads it.
NO_STATE = np.zeros(STATE_SPEC.shape, STATE_SPEC.dtype)


class Trace(NamedTuple):
    """An operator's program.

    Attributes
    ----------
    program
        Its inputs are the operator's inputs, followed by the random state if `random`; its hyper-parameters the
        operator's live parameters; its outputs the operator's outputs, followed by the new values of mutated inputs.
    outputs
        Specs of the operator's outputs, hidden ones included.
    random
        Whether it may draw random numbers.
    draws
        Whether it does. Most gradients may and do not.
    """

    program: Program
    outputs: tuple[Spec, ...]
    random: bool
    draws: bool


class _Key:
    """An operator, equal to others of the same structure."""

    __slots__ = ("op", "structure")

    def __init__(self, op: Op) -> None:
        self.op, self.structure = op, op.structure()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.structure == other.structure

    def __hash__(self) -> int:
        return hash(self.structure)


def trace(op: Op, specs: Sequence[Spec], training: bool) -> Trace:
    """Return the program of an operator for inputs of the given specs.

    Raises
    ------
    ShapeError, DTypeError
        If the inputs do not fit the operator; without the node's name, which the caller knows.
    """
    return _trace(_Key(op), tuple(specs), training and op._asks_training)


@lru_cache(maxsize=4096)
def _trace(key: _Key, specs: tuple[Spec, ...], training: bool) -> Trace:
    op = key.op
    recorder = Recorder()
    names = op.input_names()
    inputs = [recorder.input(spec, name) for spec, name in zip(specs, names, strict=True)]
    live = {p.name: recorder.hyper(p.name) for p in op.params if p.live}
    asked: dict[str, Any] = {}
    if op._asks_training:
        asked["training"] = training
    state = recorder.input(STATE_SPEC, "random state") if op._asks_rng else None
    if state is not None:
        asked["rng"] = RecordingRandom(recorder, state, 0)
    result = (op.with_live(live) if live else op).compute(recorder, *inputs, **asked)
    results = result if isinstance(result, tuple) else (result,)
    expected = len(op.output_names()) + len(op.mutated())
    if len(results) != expected or not all(isinstance(r, Recorded) for r in results):
        raise OperatorDefinitionError(
            f"compute returned {len(results)} result(s) {results!r}, but it has {len(op.output_names())} output(s) "
            f"and renews {len(op.mutated())} input(s)",
            where=op.op_name,
        )
    for name, new in zip(op.mutated(), results[len(op.output_names()) :], strict=True):
        old = specs[names.index(name)]
        if new.value.spec != old:
            raise OperatorDefinitionError(
                f"compute renews {name!r} of {old} by a value of {new.value.spec}", where=op.op_name
            )
    recorder.program.outputs = [r.value for r in results]
    outputs = tuple(r.value.spec for r in results[: len(op.output_names())])
    draws = state is not None and any(v is state.value for e in recorder.program.equations for v in e.inputs)
    return Trace(recorder.program, outputs, op._asks_rng, draws)
