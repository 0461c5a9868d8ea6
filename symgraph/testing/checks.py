"""What every operator is held to. Each check raises `AssertionError` with a sentence that names the sample."""

from __future__ import annotations

import inspect
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symgraph.backends.numpy.eager import xp
from symgraph.errors import SymgraphError
from symgraph.op import Op, PartialShape, Sample, find
from symgraph.op.schema import asked
from symgraph.program import RecordingRandom
from symgraph.testing.differences import disagreement
from symgraph.testing.graphs import check_json, check_optimized
from symgraph.testing.running import (
    STATE,
    Arrays,
    Use,
    fail,
    forward,
    gradient,
    gradient_inputs,
    gradient_op,
    infer,
    make_inputs,
    uses,
)

__all__ = [
    "check_documentation",
    "check_eager",
    "check_operator",
    "check_partial_shapes",
    "check_sample_gradient",
    "check_sample_second_gradient",
    "check_shapes",
]


def check_operator(operator: type[Op] | str, samples: Sequence[Sample] | None = None) -> None:
    """Hold an operator to everything that the package's own operators are held to.

    Documentation; inferred and computed shapes and element types; conclusions from partly known shapes; `compute` on
    arrays and traced; gradients of first and second order against central differences; the way through JSON; plans
    with and without optimisation.

    Parameters
    ----------
    operator
        The operator's class, or the name it is registered under.
    samples
        Uses to try. None means the operator's own.

    Raises
    ------
    AssertionError
        With a sentence that names the sample and what is wrong.
    """
    cls = find(operator) if isinstance(operator, str) else operator
    check_documentation(cls)
    for use in uses([cls], samples):
        check_shapes(use)
        check_partial_shapes(use)
        check_eager(use)
        if cls.differentiable:
            check_sample_gradient(use)
            check_sample_second_gradient(use)
        check_json(use)
        check_optimized(use)


# -- documentation ----------------------------------------------------------------------------------------------------

#: How an input's documentation says its shape: in words, or as a tuple.
_SHAPE_WORDS = re.compile(r"shape|ax[ei]s|length|element|copy|for each|\([^)]*[,)]", re.IGNORECASE)


def check_documentation(cls: type[Op]) -> None:
    """Hold an operator to its documentation: a first sentence, samples, each argument with meaning and shape."""
    name = cls.op_name
    first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()
    if not re.match(r"[A-Z0-9`\"].*[.]$", first):
        fail(name, "the docstring must begin with a sentence that ends with a full stop", first=repr(first))
    for argument, doc in [(i.name, i.doc) for i in cls.inputs] + [(p.name, p.doc) for p in cls.params]:
        if not doc.strip().endswith("."):
            fail(name, f"the documentation of {argument!r} must be sentences that end with a full stop", it=doc)
    for i in cls.inputs:
        if not _SHAPE_WORDS.search(i.doc):
            fail(name, f"the documentation of {i.name!r} does not say its shape", it=i.doc)
    if not cls.samples:
        fail(name, "it has no samples: add some, so that it is tested")


# -- shapes and dtypes ------------------------------------------------------------------------------------------------


def _specs(arrays: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (tuple(x.shape), x.dtype.name) for name, x in arrays.items()}


def check_shapes(use: Use) -> None:
    """Hold what inference says of all inputs and outputs to what is computed."""
    op, inputs = use.op, make_inputs(use)
    found = infer(op, {n: x.shape for n, x in inputs.items()}, {n: x.dtype for n, x in inputs.items()})
    results = forward(op, inputs, use.sample.training)
    computed = _specs({**inputs, **results.outputs})
    inferred = {n: (found.shapes[n], str(found.dtypes[n])) for n in computed}
    for name, spec in computed.items():
        if inferred[name] != spec:
            fail(use, f"{name!r} is {spec}, but inference says {inferred[name]}")
    for name, spec in _specs(results.renewed).items():
        if spec != computed[name]:
            fail(use, f"the renewed {name!r} is {spec}, but it was {computed[name]}")


def _erased(shape: tuple[int, ...]) -> Iterator[PartialShape | None]:
    """Yield what may be known of a shape: nothing, all, all but one length, or only how many axes there are."""
    yield None
    yield shape
    for k in range(len(shape)):
        yield (*shape[:k], None, *shape[k + 1 :])
    yield (None,) * len(shape)


def _call(rule: Any, op: Op, known: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = rule(op, **asked(rule).of(known)) or {}
    return found


def _agrees(shape: PartialShape, truth: tuple[int, ...]) -> bool:
    return len(shape) == len(truth) and all(m in (None, n) for m, n in zip(shape, truth, strict=True))


def check_partial_shapes(use: Use) -> None:
    """Hold the rules to the truth whatever is known: each conclusion from part of the facts agrees with all of them.

    Each shape is left out, or known but for one length, while the others are known, unknown, or known likewise.
    """
    op, inputs = use.op, make_inputs(use)
    results = forward(op, inputs, use.sample.training)
    arrays = {**inputs, **results.outputs}
    shapes = {n: tuple(x.shape) for n, x in arrays.items()}
    dtypes = {n: x.dtype for n, x in arrays.items()}
    cls = type(op)
    if cls.shapes is not None:
        for known in _knowledge(shapes):
            for name, shape in _call(cls.shapes, op, known).items():
                if name not in shapes:
                    fail(use, f"shapes concludes something of {name!r}, which is none of {', '.join(shapes)}")
                if shape is None or _agrees(tuple(shape), shapes[name]):
                    continue
                # Where several shapes fit, an input after the first may be given one: a label, made as a variable.
                choice = _call(cls.shapes, op, {**shapes, name: None}).get(name) if name != next(iter(inputs)) else None
                if choice and _agrees(tuple(shape), choice) and _possible(op, inputs, name, tuple(choice)):
                    continue
                fail(use, f"shapes concludes {shape} for {name!r}, which is {shapes[name]}", known=known)
    if cls.dtypes is not None:
        for count in range(len(dtypes) + 1):
            for some in itertools.islice(itertools.combinations(dtypes, count), 16):
                given = {n: dtypes[n] if n in some else None for n in dtypes}
                for name, dtype in _call(cls.dtypes, op, given).items():
                    # A default may be taken where nothing is known: it is not wrong then.
                    if dtype is not None and dtype != dtypes[name] and any(given.values()):
                        fail(use, f"dtypes concludes {dtype} for {name!r}, which is {dtypes[name]}", known=given)


def _possible(op: Op, inputs: Arrays, name: str, shape: PartialShape) -> bool:
    """Tell whether an input may have another shape, all others being as they are."""
    if name not in inputs or None in shape:
        return False
    try:
        infer(op, {n: x.shape for n, x in inputs.items()} | {name: shape}, {n: x.dtype for n, x in inputs.items()})
    except SymgraphError:
        return False
    return True


def _knowledge(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[dict[str, PartialShape | None]]:
    for name, shape in shapes.items():
        for part in _erased(shape):
            yield {**dict.fromkeys(shapes), name: part}
            yield {**shapes, name: part}
            yield {n: part if n == name else (None,) * len(s) for n, s in shapes.items()}


# -- gradients --------------------------------------------------------------------------------------------------------


def _heads(use: Use, outputs: list[Any]) -> list[Any]:
    rng = np.random.default_rng(zlib.crc32(f"{use} heads".encode()))
    return [np.asarray(rng.uniform(-1, 1, y.shape)).astype(y.dtype) for y in outputs]


def _compare(
    use: Use,
    evaluate: Callable[[Arrays], list[Any]],
    inputs: Arrays,
    heads: list[Any],
    grads: Arrays,
    what: str,
) -> None:
    """Compare gradients with central differences of what `evaluate` gives, along a random direction.

    States, and whole numbers such as indices, do not move.
    """
    rng = np.random.default_rng(zlib.crc32(f"{use} direction".encode()))
    fixed = {*use.op.mutated(), *use.sample.integers}
    moving = {n: x for n, x in inputs.items() if x.dtype.kind == "f" and n not in fixed}
    direction = {n: rng.uniform(-1, 1, x.shape) for n, x in moving.items()}
    if problem := disagreement(evaluate, inputs, direction, heads, grads):
        fail(use, f"{what} {problem}")


def _check_grad_specs(use: Use, inputs: Arrays, grads: Arrays, what: str) -> None:
    wanted, found = _specs(inputs), _specs(grads)
    for name in inputs:
        if found[name] != wanted[name]:
            fail(use, f"{what} by {name!r} is {found[name]}, but {name!r} is {wanted[name]}")


def check_sample_gradient(use: Use) -> None:
    """Hold the gradient, in float64, to central differences along a random direction, and to the inputs' specs.

    A sample whose gradient is not the derivative on purpose (`Sample.smooth` false, or a loss that reads no head
    gradient) is held to the specs alone.
    """
    op, training = use.op, use.sample.training
    inputs = make_inputs(use, "float64")
    visible = op.num_visible()
    heads = _heads(use, list(forward(op, inputs, training).outputs.values())[:visible])
    grads = gradient(op, inputs, heads, training)
    _check_grad_specs(use, inputs, grads, "the gradient")

    def evaluate(there: Arrays) -> list[Any]:
        return list(forward(op, there, training).outputs.values())[:visible]

    if use.sample.smooth and not type(op).is_loss:
        _compare(use, evaluate, inputs, heads, grads, "the gradient")


def check_sample_second_gradient(use: Use) -> None:
    """Hold the gradient of the gradient operator, in float64, to central differences and to its inputs' specs.

    What is differentiated is the gradient as a function of the head gradients and the operator's inputs alone: where
    it reads the operator's outputs, these move along.
    """
    op, training = use.op, use.sample.training
    inputs = make_inputs(use, "float64")
    results = forward(op, inputs, training).outputs
    visible = list(results)[: op.num_visible()]
    back = gradient_op(op)
    heads = dict(zip(back.head_names(), _heads(use, [results[n] for n in visible]), strict=True))

    def reads(there: Arrays) -> Arrays:
        own = {n: there[n] for n in inputs}
        return gradient_inputs(op, own, [there[n] for n in heads], training)

    def evaluate(there: Arrays) -> list[Any]:
        return list(forward(back, reads(there), training).outputs.values())

    at = {**heads, **inputs}
    twice = _heads(use, evaluate(at))
    grads = gradient(back, reads(at), twice, training)
    _check_grad_specs(use, reads(at), grads, "the gradient of the gradient")
    if not use.sample.smooth:
        return
    read = [grads.get(n, np.zeros_like(results[n])) for n in visible]
    if any(n in grads for n in visible):
        through = gradient(op, inputs, read, training)
        grads |= {n: grads[n] + through[n] for n in inputs}
    _compare(use, evaluate, at, twice, grads, "the gradient of the gradient")


# -- two ways to run --------------------------------------------------------------------------------------------------


def check_eager(use: Use) -> None:
    """Hold `compute` on NumPy arrays to the traced program: equal in every bit."""
    op, inputs = use.op, make_inputs(use)
    training = use.sample.training
    asked: dict[str, Any] = {}
    if op._asks_training:
        asked["training"] = training
    if op._asks_rng:
        asked["rng"] = RecordingRandom(xp, STATE, 0)
    with np.errstate(all="ignore"):
        result = op.compute(xp, *(inputs[n] for n in op.input_names()), **asked)
    results = [np.asarray(y) for y in (result if isinstance(result, tuple) else (result,))]
    made = forward(op, inputs, training)
    names = [*made.outputs, *made.renewed]
    programmed = [*made.outputs.values(), *made.renewed.values()]
    if len(results) != len(programmed):
        fail(use, f"compute gives {len(results)} arrays on arrays, but {len(programmed)} when traced")
    for name, eager, traced in zip(names, results, programmed, strict=True):
        if (eager.shape, eager.dtype) != (traced.shape, traced.dtype):
            fail(use, f"{name!r} is {eager.dtype}{eager.shape} on arrays, but {traced.dtype}{traced.shape} when traced")
        if eager.tobytes() != traced.tobytes():
            fail(use, f"{name!r} differs between compute on arrays and its program", eager=eager, program=traced)
