"""What a program computes before its runs: what depends on hyper-parameters alone, and on constant inputs alone.

Hyper-parameters change now and then; what follows from them is computed when they do. Inputs that are declared
constant, such as the weights of a network that only infers, are treated likewise: what follows from them is kept.

What does not belong here: constants whose values the program knows (`passes.fold`), and running anything.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from symgraph.program.values import Equation, Program, Value

__all__ = ["Prologue", "split_constants", "split_hypers"]


#: Convolutions, whose second input is the weight.
_PACKED = frozenset({"conv", "conv_data_grad"})


@dataclass(frozen=True)
class Prologue:
    """Equations that depend on hyper-parameters alone: computed when those change, not in each run."""

    program: Program
    given: int


def split_hypers(program: Program) -> tuple[Program, Prologue]:
    """Move equations that depend on hyper-parameters and constants alone out of the program."""
    if not program.hypers:
        return program, Prologue(Program(), 0)
    early = {id(v) for v in program.hypers}
    first, rest = [], []
    for equation in program.equations:
        ready = equation.inputs and all(v.kind == "constant" or id(v) in early for v in equation.inputs)
        out = equation.outputs[0]
        small = (
            out.size <= 16 if equation.primitive.kind != "view" else out.size <= 1
        )  # views cost nothing where they are
        if ready and any(id(v) in early for v in equation.inputs) and small:
            early.update(id(v) for v in equation.outputs)
            first.append(equation)
        else:
            rest.append(equation)
    read = {id(v) for e in rest for v in e.inputs} | {id(v) for v in program.outputs}
    results = [v for e in first for v in e.outputs if id(v) in read]
    renamed: dict[int, Value] = {}
    for v in results:
        renamed[id(v)] = Value(v.shape, v.dtype, "hyper", label=_formula(v))
    equations = []
    for e in rest:
        if any(id(v) in renamed for v in e.inputs) or any(
            v.equation is not None and id(v) in renamed for v in e.inputs
        ):
            new = Equation.__new__(Equation)
            new.primitive, new.params, new.origin = e.primitive, e.params, e.origin
            new.inputs = tuple(renamed.get(id(v), v) for v in e.inputs)
            new.outputs = e.outputs
            equations.append(new)
        else:
            equations.append(e)
    main = Program(
        program.inputs,
        [*program.hypers, *renamed.values()],
        equations,
        [renamed.get(id(v), v) for v in program.outputs],
    )
    return main, Prologue(Program([], program.hypers, first, results), len(program.hypers))


_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


def _formula(value: Value) -> str:
    """Return how a value follows from hyper-parameters, as a person would write it: ``1 - gamma1``."""
    if value.equation is None:
        if value.kind == "constant":
            return str(value.data)
        return str(value.label[-1] if isinstance(value.label, tuple) else value.label)
    name = value.equation.primitive.name
    parts = [_formula(v) for v in value.equation.inputs]
    if value.equation.primitive.kind == "view" or name == "astype":
        return parts[0]
    if name in _SIGNS:
        return f"({parts[0]} {_SIGNS[name]} {parts[1]})"
    return f"{name}({', '.join(parts)})"


def split_constants(program: Program, constant: Collection[int]) -> tuple[Program, Program]:
    """Split a program in what its runs compute, and what depends on constant inputs alone.

    Parameters
    ----------
    program
        The program.
    constant
        The positions of the inputs that do not change.

    Returns
    -------
    The program of the runs, which has a further input for each output of the second one; and that one, with the inputs
    of the whole. Rearrangements of constant inputs stay where they are read: they cost nothing. Convolutions that may
    round otherwise are told that their weight is constant, so that the engine may keep it in a form of its own.
    """
    if not constant:
        return program, Program(program.inputs)
    known = {id(program.inputs[k]) for k in constant}
    early = []
    for equation in program.equations:
        ready = all(v.kind == "constant" or id(v) in known for v in equation.inputs)
        if ready and any(id(v) in known for v in equation.inputs):
            known.update(id(v) for v in equation.outputs)
            early.append(equation)
    computed = {id(e) for e in early if e.primitive.kind != "view"}
    rest = [e for e in program.equations if id(e) not in computed]
    renamed: dict[int, Value] = {}
    needed = {id(v) for e in rest for v in e.inputs} | {id(v) for v in program.outputs}
    for equation in early:
        if id(equation) in computed:
            for v in equation.outputs:
                if id(v) in needed:
                    renamed[id(v)] = Value(v.shape, v.dtype, "input", label=equation.origin)
    kept = [v for e in early if id(e) in computed for v in e.outputs if id(v) in renamed]
    setup = Program(program.inputs, [], early, kept)
    setup = setup.replaced(setup.computing(kept), kept)
    equations = []
    for e in rest:
        inputs = tuple(renamed.get(id(v), v) for v in e.inputs)
        packed = e.primitive.name in _PACKED and e.params.get("inexact") and id(e.inputs[1]) in known
        if inputs == e.inputs and not packed:
            equations.append(e)
            continue
        params = {**e.params, "constant": True} if packed else e.params
        new = Equation(e.primitive, inputs, params, [v.spec for v in e.outputs], e.origin)
        renamed.update((id(old), v) for old, v in zip(e.outputs, new.outputs, strict=True))
        equations.append(new)
    outputs = [renamed.get(id(v), v) for v in program.outputs]
    inputs_of_runs = [*program.inputs, *(renamed[id(v)] for v in kept)]
    main = Program(inputs_of_runs, program.hypers, equations, outputs)
    return main.replaced(main.computing(outputs), outputs), setup
