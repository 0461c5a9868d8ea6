"""Passes over programs, and the runner that verifies, times and names each.

A pass is a function ``Program -> Program``. What it needs of earlier passes and what it provides are declared, so the
runner can say which pass is missing. Every pass can be switched off by name, and all of the default ones leave every
bit of the results as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgraph.errors import ArgumentError, suggest
from symgraph.program import rules
from symgraph.program.horizontal import accumulate, stack
from symgraph.program.recorder import Recorded, Recorder
from symgraph.program.values import Equation, Program, Value

__all__ = ["EXACT", "PIPELINE", "Pass", "PassRecord", "layout_matters", "optimize"]

Evaluate = Callable[..., Any]

#: Constants above this size are computed in each run rather than kept.
_FOLD_BYTES = 1 << 20


@dataclass(frozen=True)
class Pass:
    """One pass: its name, a sentence, the function, and what it needs and provides."""

    name: str
    doc: str
    run: Callable[[Program, Evaluate], Program]
    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    exact: bool = True


@dataclass(frozen=True)
class PassRecord:
    """What one pass did: how much there was before and after, milliseconds, whether it ran at all, and a remark."""

    name: str
    before: int
    after: int
    milliseconds: float
    ran: bool = True
    unit: str = "equations"
    remark: str = ""

    def __str__(self) -> str:
        if not self.ran:
            return f"{self.name:<10} off"
        change = "unchanged" if self.before == self.after else f"{self.before} -> {self.after} {self.unit}"
        return f"{self.name:<10} {self.milliseconds:8.2f} ms  {change}{self.remark and f'; {self.remark}'}"


def optimize(
    program: Program,
    evaluate: Evaluate,
    off: Iterable[str] = (),
    on: Iterable[str] = (),
    known: Iterable[str] = (),
) -> tuple[Program, list[PassRecord]]:
    """Run the pipeline.

    Parameters
    ----------
    program
        What to optimise; it stays as it is.
    evaluate
        ``(primitive, arrays, params) -> array``, from an engine; computes constants.
    off
        Names of passes to leave out.
    on
        Names of inexact passes to let in.
    known
        Further names that the caller takes care of; for the error about an unknown one.

    Raises
    ------
    ArgumentError
        If a name is unknown, or a pass lacks what one that is off provides.
    """
    names = [*(p.name for p in PIPELINE), *sorted(known)]
    off, on = set(off), set(on)
    for name in sorted((off | on) - set(names)):
        raise ArgumentError(f"no pass is named {name!r}", hint=suggest(name, names), facts={"passes": ", ".join(names)})
    records: list[PassRecord] = []
    provided: set[str] = set()
    for each in PIPELINE:
        if each.name in off or not (each.exact or each.name in on):
            records.append(PassRecord(each.name, 0, 0, 0.0, ran=False))
            continue
        for need in each.needs:
            if need not in provided:
                source = next(p.name for p in PIPELINE if need in p.gives)
                raise ArgumentError(f"pass {each.name!r} needs {need!r}, which pass {source!r} provides; leave it on")
        before, start = program, time.perf_counter()
        program = each.run(program, evaluate)
        spent = (time.perf_counter() - start) * 1e3
        try:
            program.verify(before)
        except AssertionError as broken:
            raise AssertionError(f"pass {each.name!r} broke the program: {broken}") from None
        provided.update(each.gives)
        records.append(PassRecord(each.name, len(before.equations), len(program.equations), spent))
    return program, records


def _rebuilt(program: Program, rewrite: Callable[[Equation, tuple[Value, ...]], Sequence[Value] | None]) -> Program:
    """Copy a program equation by equation; `rewrite` may give other values for an equation's outputs."""
    renamed: dict[int, Value] = {}
    equations: list[Equation] = []
    for old in program.equations:
        inputs = tuple([renamed.get(id(v), v) for v in old.inputs])
        replacement = rewrite(old, inputs)
        if replacement is None:
            if inputs == old.inputs:
                equations.append(old)
                continue
            new = Equation(old.primitive, inputs, old.params, [v.spec for v in old.outputs], old.origin)
            equations.append(new)
            replacement = new.outputs
        for v, w in zip(old.outputs, replacement, strict=True):
            renamed[id(v)] = w
    return program.replaced(equations, [renamed.get(id(v), v) for v in program.outputs])


#: Neither maps nor views, and all the same blind to how their operands lie in memory: they only move elements.
_MOVERS = frozenset(("concat", "embed", "pad"))


def layout_matters(program: Program) -> set[int]:
    """Return the ids of the values whose layout in memory can show in results.

    In which order a sum or a matrix product adds, and hence how it rounds, depends on the strides of what it reads; a
    power is computed otherwise where one exponent serves a row. So that no pass changes a bit, such values keep the
    layout they have.
    """
    matters: set[int] = set()
    for equation in reversed(program.equations):
        primitive = equation.primitive
        if primitive.kind == "view":
            reads = any(id(v) in matters for v in equation.outputs)
        else:
            reads = primitive.name == "power" or (primitive.kind == "other" and primitive.name not in _MOVERS)
        if reads:
            matters.update(id(v) for v in equation.inputs)
    return matters


def _strided(value: Value) -> bool:
    """Return whether a value may lie in memory otherwise than row by row without gaps."""
    while value.equation is not None and value.equation.primitive.kind == "view":
        if value.equation.primitive.name not in ("reshape", "stop_gradient"):
            return True
        value = value.equation.inputs[0]
    return False


def dead(program: Program, evaluate: Evaluate) -> Program:
    """Drop equations that no output depends on."""
    return program.replaced(program.computing(program.outputs), program.outputs)


#: Element-wise primitives whose result for one number is the same alone and in an array: IEEE 754 says which bits.
EXACT = frozenset(
    "negative abs sign square sqrt reciprocal add subtract multiply divide maximum minimum equal not_equal less "
    "less_equal greater greater_equal astype where".split()
)


def _unspread(value: Value, known: dict[int, Value]) -> Value:
    """Return what a value is a broadcast or a reshape of, all the way down; `known` holds the answers so far."""
    made = value.equation
    if made is not None and made.primitive.name in ("broadcast_to", "reshape"):
        value = known.get(id(made.inputs[0]), made.inputs[0])
    return value


def fold(program: Program, evaluate: Evaluate) -> Program:
    """Compute what depends on constants alone; one number for all elements where all operands are such numbers."""
    recorder = Recorder()
    emitted = recorder.program.equations
    matters = layout_matters(program)
    sources: dict[int, Value] = {}

    def rewrite(equation: Equation, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        out = equation.outputs[0]
        params = dict(equation.params)
        for v in inputs:
            sources[id(v)] = _unspread(v, sources)
        numbers = [sources[id(v)] for v in inputs]
        uniform = all(v.kind == "constant" and v.size == 1 for v in numbers)
        view = equation.primitive.kind == "view" and out.size > 1  # a view of a constant costs nothing
        if uniform and inputs and out.size > 1 and equation.primitive.name in EXACT:
            with np.errstate(all="ignore"):
                data = np.asarray(evaluate(equation.primitive, [v.data.reshape(()) for v in numbers], params))
            if id(out) not in matters:
                return [recorder.broadcast_to(recorder.constant(data), out.shape).value]
            if out.nbytes <= _FOLD_BYTES:
                return [recorder.constant(np.full(out.shape, data)).value]
        if all(v.kind == "constant" for v in inputs) and out.nbytes <= _FOLD_BYTES and not view:
            with np.errstate(all="ignore"):
                data = np.array(evaluate(equation.primitive, [v.data for v in inputs], params))
            data.flags.writeable = False
            return [Value(data.shape, data.dtype, "constant", data=data)]
        new = equation
        if inputs != equation.inputs:
            new = Equation(equation.primitive, inputs, params, [v.spec for v in equation.outputs], equation.origin)
        emitted.append(new)
        return new.outputs

    rebuilt = _rebuilt(program, rewrite)
    return program.replaced(emitted, rebuilt.outputs)


def cse(program: Program, evaluate: Evaluate) -> Program:
    """Compute each common subexpression once."""
    number: dict[int, int] = {}
    seen: dict[tuple[Any, ...], Sequence[Value]] = {}
    constants: dict[tuple[Any, ...], int] = {}

    def identity(v: Value) -> int:
        if v.kind == "constant" and v.size <= 16:
            return constants.setdefault((v.data.dtype.str, v.shape, v.data.tobytes()), id(v))
        return id(v)

    def rewrite(equation: Equation, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        for v in inputs:
            number[id(v)] = identity(v)
        params = equation.params
        key = (
            equation.primitive,
            tuple([(k, repr(p) if type(p) is float else p) for k, p in sorted(params.items())]),  # 0 is not -0
            tuple([number[id(v)] for v in inputs]),
        )
        found = seen.get(key)
        if found is not None:
            return found
        new = equation
        if inputs != equation.inputs:
            new = Equation(equation.primitive, inputs, params, [v.spec for v in equation.outputs], equation.origin)
        seen[key] = new.outputs
        kept.append(new)
        return new.outputs

    kept: list[Equation] = []
    rebuilt = _rebuilt(program, rewrite)
    return program.replaced(kept, rebuilt.outputs)


def _simplifier(exact: bool) -> Callable[[Program, Evaluate], Program]:
    def simplify(program: Program, evaluate: Evaluate) -> Program:
        by_root: dict[str, list[tuple[rules.Rule, Equation, list[Value]]]] = {}
        for rule in rules.RULES:
            if rule.exact is exact:
                equation, variables = rule.pattern()
                by_root.setdefault(equation.primitive.name, []).append((rule, equation, variables))
        recorder = Recorder()
        emitted = recorder.program.equations
        matters = layout_matters(program)

        def rewrite(equation: Equation, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
            new = equation
            rigid = id(equation.outputs[0]) in matters and not (
                equation.primitive.kind == "view" and equation.primitive.name != "reshape"
            )
            if inputs != equation.inputs:
                new = Equation(
                    equation.primitive, inputs, equation.params, [v.spec for v in equation.outputs], equation.origin
                )
            recorder.origin = equation.origin
            out = new.outputs[0]
            for rule, pattern, variables in by_root.get(equation.primitive.name, ()):
                bound: dict[int, Value] = {}
                params: list[dict[str, Any]] = []
                if not rules.match(pattern.outputs[0], out, bound, params):
                    continue
                mark = len(emitted)
                result = rule.rewrite(recorder, [bound[id(v)] for v in variables], out.spec, params)
                if result.spec == out.spec and not (rigid and _strided(result)):
                    return [result]
                del emitted[mark:]  # a broadcast operand: the two sides have other shapes; or another layout
            emitted.append(new)
            return new.outputs

        rebuilt = _rebuilt(program, rewrite)
        return program.replaced(emitted, rebuilt.outputs)

    return simplify


def absorb(program: Program, evaluate: Evaluate) -> Program:
    """Scale the filters of a convolution instead of its result, as a batch norm at inference does.

    One product for each weight takes the place of one for each element of the result. It pays where weights are
    constant (`Options.inputs`), so that it is made once.
    """
    readers: dict[int, int] = {}
    for v in (*(v for e in program.equations for v in e.inputs), *program.outputs):
        readers[id(v)] = readers.get(id(v), 0) + 1
    recorder = Recorder()
    emitted = recorder.program.equations
    alone = {id(v) for e in program.equations for v in e.outputs if readers.get(id(v)) == 1}
    original: dict[int, int] = {}

    def channelwise(x: Value, like: Value) -> bool:
        return len(like.shape) > 2 and x.shape == (1, like.shape[1], *[1] * (len(like.shape) - 2))

    def scaled(x: Value, scale: Value) -> Value | None:
        """Return `x`, a convolution or one with its bias, times `scale`, if nobody else reads it."""
        made = x.equation
        if made is None or original.get(id(x)) not in alone or not channelwise(scale, x):
            return None
        if made.primitive.name == "conv":
            data, weight = made.inputs
            factor = recorder.reshape(Recorded(recorder, scale), (x.shape[1], *[1] * (len(weight.shape) - 1)))
            filters = recorder.multiply(Recorded(recorder, weight), factor)
            emitted.append(Equation(made.primitive, (data, filters.value), made.params, [x.spec], made.origin))
            return emitted[-1].outputs[0]
        if made.primitive.name == "add":
            for y, bias in (made.inputs, made.inputs[::-1]):
                if channelwise(bias, x) and (product := scaled(y, scale)) is not None:
                    shift = recorder.multiply(Recorded(recorder, bias), Recorded(recorder, scale))
                    result: Value = recorder.add(Recorded(recorder, product), shift).value
                    return result
        return None

    def rewrite(equation: Equation, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        recorder.origin = equation.origin
        if equation.primitive.name == "multiply":
            for x, scale in (inputs, inputs[::-1]):
                if (product := scaled(x, scale)) is not None:
                    return [product]
        new = equation
        if inputs != equation.inputs:
            new = Equation(
                equation.primitive, inputs, equation.params, [v.spec for v in equation.outputs], equation.origin
            )
        original.update((id(v), id(old)) for v, old in zip(new.outputs, equation.outputs, strict=True))
        emitted.append(new)
        return new.outputs

    rebuilt = _rebuilt(program, rewrite)
    return program.replaced(emitted, rebuilt.outputs)


_CONVOLUTIONS = frozenset(("conv", "conv_data_grad", "conv_weight_grad"))


def convolution(program: Program, evaluate: Evaluate) -> Program:
    """Let the engine compute convolutions in ways that round otherwise, where it finds they pay.

    These are Winograd's minimal filtering for 3 x 3 kernels, in which an element that is not finite spoils a whole tile
    of results; sums of shifted products for depthwise ones; and for all others sums of products over windows, without
    BLAS, in the order of the windows' elements.
    """
    equations: list[Equation] = []

    def rewrite(equation: Equation, inputs: tuple[Value, ...]) -> Sequence[Value] | None:
        new = equation
        asked = equation.primitive.name in _CONVOLUTIONS
        if asked or inputs != equation.inputs:
            params = {**equation.params, "inexact": True} if asked else equation.params
            new = Equation(equation.primitive, inputs, params, [v.spec for v in equation.outputs], equation.origin)
        equations.append(new)
        return new.outputs

    rebuilt = _rebuilt(program, rewrite)
    return program.replaced(equations, rebuilt.outputs)


#: The pipeline, in order.
PIPELINE: list[Pass] = [
    # First, so that the others see only what is needed: tracing records both halves of every gradient.
    Pass("dead", "Drop equations that no output depends on.", dead, gives=("live",)),
    # Before simplify: a rule sees constants, not how they are computed.
    Pass("fold", "Compute what depends on constants alone.", fold),
    # Before simplify: "x * x" is one value twice only after common subexpressions are one.
    Pass("cse", "Compute each common subexpression once.", cse),
    Pass("simplify", "Apply the exact rules of `symgraph.program.rules`.", _simplifier(exact=True)),
    Pass("relax", "Apply the inexact rules, too; off by default.", _simplifier(exact=False), exact=False),
    Pass("absorb", "Scale the filters of a convolution instead of its result; off by default.", absorb, exact=False),
    Pass("convolution", "Let convolutions be computed in faster ways; off by default.", convolution, exact=False),
    Pass("stack", "Make one product of those in a sum or with one matrix; off by default.", stack, exact=False),
    # Again: these make equal equations, and leave some that nobody reads.
    Pass("cse again", "Merge what simplification made equal.", cse),
    Pass("dead again", "Drop what simplification left over.", dead),
    # Last: it changes nothing but the order.
    Pass("accumulate", "Compute each term of a long sum just before it is added.", accumulate),
]
