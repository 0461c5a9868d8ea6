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
    settled: dict[Any, Program] = {}  # what each function has left: to run it on that again would change nothing
    for each in PIPELINE:
        if each.name in off or not (each.exact or each.name in on):
            records.append(PassRecord(each.name, 0, 0, 0.0, ran=False))
            continue
        for need in each.needs:
            if need not in provided:
                source = next(p.name for p in PIPELINE if need in p.gives)
                raise ArgumentError(f"pass {each.name!r} needs {need!r}, which pass {source!r} provides; leave it on")
        before, start = program, time.perf_counter()
        if settled.get(each.run) is not program:
            program = settled[each.run] = each.run(program, evaluate)
        spent = (time.perf_counter() - start) * 1e3
        if program is not before:
            try:
                program.verify(before)
            except AssertionError as broken:
                raise AssertionError(f"pass {each.name!r} broke the program: {broken}") from None
        provided.update(each.gives)
        records.append(PassRecord(each.name, len(before.equations), len(program.equations), spent))
    return program, records


def _rebuilt(
    program: Program, emitted: list[Equation], rewrite: Callable[[Equation, Equation], Sequence[Value] | None]
) -> Program:
    """Copy a program equation by equation to `emitted`; returns the program itself if nothing has changed.

    `rewrite` gets an equation and its copy on the new inputs. It may give other values for the outputs, and emit what
    computes them; None keeps the copy.
    """
    renamed: dict[int, Value] = {}
    for old in program.equations:
        new = old
        if renamed:
            for v in old.inputs:
                if id(v) in renamed:
                    inputs = tuple([renamed.get(id(v), v) for v in old.inputs])
                    new = Equation(old.primitive, inputs, old.params, [v.spec for v in old.outputs], old.origin)
                    break
        replacement = rewrite(old, new)
        if replacement is None:
            emitted.append(new)
            if new is old:
                continue
            replacement = new.outputs
        for v, w in zip(old.outputs, replacement, strict=True):
            renamed[id(v)] = w
    if not renamed:
        return program
    return program.replaced(emitted, [renamed.get(id(v), v) for v in program.outputs])


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
        kind = primitive.kind
        if kind == "view":
            reads = id(equation.outputs[0]) in matters
        else:
            reads = primitive.name == "power" if kind == "map" else primitive.name not in _MOVERS
        if reads:
            matters.update(map(id, equation.inputs))
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
    needed = program.computing(program.outputs)
    return program if len(needed) == len(program.equations) else program.replaced(needed, program.outputs)


#: Element-wise primitives whose result for one number is the same alone and in an array: IEEE 754 says which bits.
EXACT = frozenset(
    "negative abs sign square sqrt reciprocal add subtract multiply divide maximum minimum equal not_equal less "
    "less_equal greater greater_equal astype where".split()
)


def fold(program: Program, evaluate: Evaluate) -> Program:
    """Compute what depends on constants alone; one number for all elements where all operands are such numbers."""
    recorder = Recorder()
    matters: set[int] | None = None
    spread: dict[int, Value] = {}  # of what constant a value is a broadcast or a reshape, all the way down

    def rewrite(old: Equation, equation: Equation) -> Sequence[Value] | None:
        nonlocal matters
        inputs = equation.inputs
        for v in inputs:
            if v.kind != "constant" and id(v) not in spread:
                return None
        primitive, out = equation.primitive, equation.outputs[0]
        params = dict(equation.params)
        numbers = [spread.get(id(v), v) for v in inputs]
        uniform = all(v.size == 1 for v in numbers)
        view = primitive.kind == "view" and out.size > 1  # a view of a constant costs nothing
        if uniform and inputs and out.size > 1 and primitive.name in EXACT:
            with np.errstate(all="ignore"):
                data = np.asarray(evaluate(primitive, [v.data.reshape(()) for v in numbers], params))
            if matters is None:
                matters = layout_matters(program)
            if id(old.outputs[0]) not in matters:
                number = recorder.constant(data)
                result: Value = recorder.broadcast_to(number, out.shape).value
                spread[id(result)] = number.value
                return [result]
            if out.nbytes <= _FOLD_BYTES:
                return [recorder.constant(np.full(out.shape, data)).value]
        if all(v.kind == "constant" for v in inputs) and out.nbytes <= _FOLD_BYTES and not view:
            with np.errstate(all="ignore"):
                data = np.array(evaluate(primitive, [v.data for v in inputs], params))
            data.flags.writeable = False
            return [Value(data.shape, data.dtype, "constant", data=data)]
        if primitive.name in ("broadcast_to", "reshape"):
            spread[id(out)] = numbers[0]
        return None

    return _rebuilt(program, recorder.program.equations, rewrite)


def cse(program: Program, evaluate: Evaluate) -> Program:
    """Compute each common subexpression once."""
    seen: dict[tuple[Any, ...], Sequence[Value]] = {}
    constants: dict[tuple[Any, ...], int] = {}
    # Equations of many nodes have one and the same mapping of parameters: what it says is worked out once.
    kinds: dict[tuple[int, int], int] = {}
    numbers: dict[tuple[Any, ...], int] = {}

    def identity(v: Value) -> int:
        if v.size <= 16:
            return constants.setdefault((v.data.dtype.str, v.shape, v.data.tobytes()), id(v))
        return id(v)

    def rewrite(old: Equation, equation: Equation) -> Sequence[Value] | None:
        primitive, params = equation.primitive, equation.params
        kind = kinds.get((id(primitive), id(params)))
        if kind is None:
            named = [(k, repr(p) if type(p) is float else p) for k, p in sorted(params.items())]  # 0 is not -0
            kind = kinds[id(primitive), id(params)] = numbers.setdefault((primitive, *named), len(numbers))
        key = (kind, *[id(v) if v.kind != "constant" else identity(v) for v in equation.inputs])
        found = seen.setdefault(key, equation.outputs)
        return None if found is equation.outputs else found

    return _rebuilt(program, [], rewrite)


def _simplifier(exact: bool) -> Callable[[Program, Evaluate], Program]:
    def simplify(program: Program, evaluate: Evaluate) -> Program:
        by_root: dict[str, list[tuple[rules.Rule, Equation, list[Value]]]] = {}
        for rule in rules.RULES:
            if rule.exact is exact:
                pattern, variables = rule.pattern()
                by_root.setdefault(pattern.primitive.name, []).append((rule, pattern, variables))
        recorder = Recorder()
        emitted = recorder.program.equations
        matters: set[int] | None = None

        def rewrite(old: Equation, equation: Equation) -> Sequence[Value] | None:
            nonlocal matters
            candidates = by_root.get(equation.primitive.name)
            if candidates is None:
                return None
            out = equation.outputs[0]
            for rule, pattern, variables in candidates:
                bound: dict[int, Value] = {}
                params: list[dict[str, Any]] = []
                if not rules.match(pattern.outputs[0], out, bound, params):
                    continue
                if matters is None:
                    matters = layout_matters(program)
                rigid = id(old.outputs[0]) in matters and not (
                    equation.primitive.kind == "view" and equation.primitive.name != "reshape"
                )
                recorder.origin = equation.origin
                mark = len(emitted)
                result = rule.rewrite(recorder, [bound[id(v)] for v in variables], out.spec, params)
                if result.spec == out.spec and not (rigid and _strided(result)):
                    return [result]
                del emitted[mark:]  # a broadcast operand: the two sides have other shapes; or another layout
            return None

        return _rebuilt(program, emitted, rewrite)

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

    def rewrite(old: Equation, equation: Equation) -> Sequence[Value] | None:
        recorder.origin = equation.origin
        if equation.primitive.name == "multiply":
            for x, scale in (equation.inputs, equation.inputs[::-1]):
                if (product := scaled(x, scale)) is not None:
                    return [product]
        original.update((id(new), id(v)) for new, v in zip(equation.outputs, old.outputs, strict=True))
        return None

    return _rebuilt(program, emitted, rewrite)


def _inexact(program: Program, *names: str) -> Program:
    """Let the engine compute the primitives of some names in ways that round otherwise, where it finds they pay."""
    emitted: list[Equation] = []

    def rewrite(old: Equation, equation: Equation) -> Sequence[Value] | None:
        if equation.primitive.name not in names:
            return None
        params = {**equation.params, "inexact": True}
        specs = [v.spec for v in equation.outputs]
        emitted.append(Equation(equation.primitive, equation.inputs, params, specs, equation.origin))
        return emitted[-1].outputs

    return _rebuilt(program, emitted, rewrite)


def convolution(program: Program, evaluate: Evaluate) -> Program:
    """Let the engine compute convolutions in ways that round otherwise, where it finds they pay.

    These are Winograd's minimal filtering for 3 x 3 kernels, in which an element that is not finite spoils a whole tile
    of results; sums of shifted products for depthwise ones; and for all others sums of products over windows, without
    BLAS, in the order of the windows' elements.
    """
    return _inexact(program, "conv", "conv_data_grad", "conv_weight_grad")


def product(program: Program, evaluate: Evaluate) -> Program:
    """Let the engine compute matrix products without BLAS, each sum in its order, where it finds that pays."""
    return _inexact(program, "matmul")


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
    Pass("product", "Let matrix products be computed without BLAS; off by default.", product, exact=False),
    # Again: these make equal equations, and leave some that nobody reads.
    Pass("cse again", "Merge what simplification made equal.", cse),
    Pass("dead again", "Drop what simplification left over.", dead),
    # Last: it changes nothing but the order.
    Pass("accumulate", "Compute each term of a long sum just before it is added.", accumulate),
]
